#include "daemon/rpc/unary_call.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>

#include "daemon/rpc/status_map.h"

namespace forge {

Status TooManyCalls(std::string_view kind, uint32_t limit) {
  return ResourceExhausted(
             fmt::format("{} {} calls are running, which is the limit; try again shortly", limit,
                         kind))
      .WithReason("TOO_MANY_STREAMS")
      .WithDetail("limit", limit);
}

grpc::ServerUnaryReactor* StartOnWorker(ServiceContext& service,
                                        grpc::CallbackServerContext* context,
                                        std::function<void(FinishCall finish)> work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  std::optional<CallAdmission::Ticket> ticket = service.unary_admission.TryAdmit();
  if (!ticket) {
    reactor->Finish(ToGrpc(TooManyCalls("unary", service.unary_admission.limit())));
    return reactor;
  }
  // Shared, because a std::function must be copyable; gives the place back before Finish, after
  // which the client may already be making its next call.
  auto place = std::make_shared<std::optional<CallAdmission::Ticket>>(std::move(ticket));
  FinishCall finish = [reactor, place](const Status& status) {
    place->reset();
    reactor->Finish(ToGrpc(status));
  };
  boost::asio::post(service.workers, [context, finish, work = std::move(work)] {
    if (context->IsCancelled()) {
      return finish(Cancelled("the client is gone").WithReason("CLIENT_GONE"));
    }
    work(finish);
  });
  return reactor;
}

grpc::ServerUnaryReactor* RunOnWorker(ServiceContext& service, grpc::CallbackServerContext* context,
                                      std::function<Status()> work) {
  return StartOnWorker(service, context,
                       [work = std::move(work)](const FinishCall& finish) { finish(work()); });
}

}  // namespace forge
