#include "client/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace forge::client {

namespace {

constexpr char kSystemSocket[] = "/run/forge/forge.sock";

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  // Newer gRPC clients put the socket's path into :authority, which some servers refuse.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

std::string DefaultAddress() {
  if (const char* address = std::getenv("FORGE_ADDRESS"); address != nullptr && *address != '\0')
    return address;
  if (const char* runtime_dir = std::getenv("XDG_RUNTIME_DIR"); runtime_dir != nullptr) {
    const std::string socket = std::string(runtime_dir) + "/forge/forge.sock";
    if (access(socket.c_str(), F_OK) == 0) return "unix://" + socket;
  }
  return std::string("unix://") + kSystemSocket;
}

Connection::Connection(std::string address)
    : address_(std::move(address)),
      channel_(OpenChannel(address_)),
      stub_(v1::ForgeService::NewStub(channel_)) {}

}  // namespace forge::client
