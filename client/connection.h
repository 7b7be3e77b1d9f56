#pragma once

#include <forge/v1/forge.grpc.pb.h>
#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace forge::client {

// Where the daemon is expected when the user names no address: $FORGE_ADDRESS, else the socket in
// $XDG_RUNTIME_DIR/forge/ if there is one, else the system's in /run/forge/.
std::string DefaultAddress();

// A channel to one daemon. Connects at the first call. Thread-safe.
class Connection {
 public:
  // `address` is a gRPC target: "unix:///run/forge/forge.sock" or "127.0.0.1:50051".
  explicit Connection(std::string address);

  const std::string& address() const { return address_; }
  v1::ForgeService::Stub& stub() const { return *stub_; }

 private:
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ForgeService::Stub> stub_;
};

}  // namespace forge::client
