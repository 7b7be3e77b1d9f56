#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>

#include "daemon/rpc/connections.h"
#include "daemon/rpc/listener.h"
#include "daemon/rpc/service_context.h"

namespace forge {

// The gRPC server: forge.v1, grpc.health.v1 and, where configured, reflection, behind a Listener.
class Server {
 public:
  // Binds config.listen and serves. Lifetime: `context` and `io` must outlive the server.
  static Result<std::unique_ptr<Server>> Start(ServiceContext& context,
                                               boost::asio::io_context& io);
  // REQUIRES: Shutdown was called.
  ~Server();

  ListenAddress address() const { return listener_->address(); }
  // What grpc.health.v1 answers from now on, for "" and "forge.v1.ForgeService".
  void SetServing(bool serving);
  // Accepts no more and removes the socket file. To be called on the io_context.
  void CloseListener() { listener_->Close(); }
  // Waits for the calls that run; those left after `grace` are cancelled, and the connections that
  // are left after another `grace` are cut. Blocks. Handlers need the io_context, so it must be
  // running. REQUIRES: CloseListener was called.
  void Shutdown(std::chrono::milliseconds grace);

 private:
  Server(ServiceContext& context, boost::asio::io_context& io);

  std::unique_ptr<grpc::Service> service_;
  boost::asio::io_context& io_;
  Connections connections_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace forge
