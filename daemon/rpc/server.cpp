#include "daemon/rpc/server.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>

#include "daemon/rpc/service.h"

namespace forge {
namespace {

constexpr char kServiceName[] = "forge.v1.ForgeService";

// The reflection library adds its plugin to every server of the process; this takes it away again.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments* /*arguments*/) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    plugins->erase(std::remove_if(plugins->begin(), plugins->end(),
                                  [](const auto& plugin) {
                                    return plugin->name() == "proto_server_reflection";
                                  }),
                   plugins->end());
  }
};

// Keeps gRPC's library up until the process ends. Its end would wait for a thread that polls, and
// that may sleep for ten seconds after a client that read nothing.
void KeepLibrary() {
  static const bool is_kept = [] {
    grpc_init();
    return true;
  }();
  static_cast<void>(is_kept);
}

// Bounds that hold for every connection, beside the service's own.
void SetLimits(grpc::ServerBuilder& builder, const Limits& limits) {
  // Calls beyond this wait in the client; the margin is for unary calls beside a client's streams.
  constexpr int kStreamMargin = 64;
  builder.SetMaxReceiveMessageSize(static_cast<int>(limits.max_message_bytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             static_cast<int>(limits.max_streams) + kStreamMargin);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8 * 1024);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2);
  // A few compressed bytes could become a message of any size.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(ServiceContext& context,
                                              boost::asio::io_context& io) {
  const Config& config = context.config;
  KeepLibrary();
  grpc::EnableDefaultHealthCheckService(true);
  if (config.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  std::unique_ptr<Server> server(new Server(context, io));
  grpc::ServerBuilder builder;
  SetLimits(builder, config.limits);
  if (!config.reflection) builder.SetOption(std::make_unique<WithoutReflection>());
  builder.RegisterService(server->service_.get());
  server->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return Internal("gRPC could not start a server");
  Result<std::unique_ptr<Listener>> listener = Listener::Start(
      config.listen, config.socket_mode, io,
      [acceptor = server->acceptor_.get(),
       connections = &server->connections_](Descriptor connected) {
        if (!connections->Admit(connected.get())) return;
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
        connection.fd = connected.Release();
        acceptor->HandleNewConnection(&connection);
      });
  if (!listener.ok()) {
    server->server_->Shutdown();
    return listener.status();
  }
  server->listener_ = *std::move(listener);
  server->SetServing(true);
  return server;
}

Server::Server(ServiceContext& context, boost::asio::io_context& io)
    : service_(MakeService(context)), io_(io), connections_(context.log) {}

Server::~Server() = default;

void Server::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  health->SetServingStatus(kServiceName, serving);
}

void Server::Shutdown(std::chrono::milliseconds grace) {
  boost::asio::steady_timer cut_timer(io_, 2 * grace);
  cut_timer.async_wait([this](const boost::system::error_code& error) {
    if (!error) connections_.CutAll();
  });
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  // The timer goes where its handlers run. Whoever waits may be gone before set_value() returns.
  const auto is_cancelled = std::make_shared<std::promise<void>>();
  boost::asio::post(io_, [&cut_timer, is_cancelled] {
    cut_timer.cancel();
    is_cancelled->set_value();
  });
  is_cancelled->get_future().wait();
}

}  // namespace forge
