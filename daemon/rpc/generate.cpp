#include "daemon/rpc/generate_call.h"
#include "daemon/rpc/handlers.h"
#include "daemon/rpc/unary_call.h"

namespace forge {

grpc::ServerBidiReactor<v1::GenerateRequest, v1::GenerateResponse>* HandleGenerate(
    ServiceContext& service, grpc::CallbackServerContext* context) {
  using Refused = RefusedStream<v1::GenerateRequest, v1::GenerateResponse>;
  std::optional<CallAdmission::Ticket> ticket = service.stream_admission.TryAdmit();
  if (!ticket) {
    return new Refused(service, TooManyCalls("streaming", service.stream_admission.limit()));
  }
  const auto call = std::make_shared<GenerateCall>(service, *context, *std::move(ticket));
  if (!service.running_calls.Add(call)) {
    return new Refused(service, ShuttingDown());
  }
  call->Start();
  return call.get();
}

}  // namespace forge
