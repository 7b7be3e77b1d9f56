#include "gateway/endpoints/endpoints.h"

namespace forge::gateway {

// Whether the daemon answers and takes work.
void AnswerHealth(const Exchange& exchange, const std::string&) {
  v1::GetServerInfoResponse info;
  const grpc::Status status = CallWhileWanted(exchange, [&](grpc::ClientContext& call) {
    call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    return exchange.daemon.stub().GetServerInfo(&call, v1::GetServerInfoRequest(), &info);
  });
  if (!status.ok()) return SendError(exchange, status);
  if (!info.draining()) {
    exchange.responder.SendJson(200, R"({"status":"ok"})");
    return;
  }
  SendError(exchange, Unavailable("the daemon is shutting down").WithReason("SHUTTING_DOWN"));
}

}  // namespace forge::gateway
