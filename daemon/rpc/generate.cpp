#include "daemon/rpc/generate_call.h"
#include "daemon/rpc/handlers.h"
#include "daemon/rpc/unary_call.h"

namespace forge {

grpc::ServerBidiReactor<v1::GenerateRequest, v1::GenerateResponse>* HandleGenerate(
    ServiceContext& service, grpc::CallbackServerContext* context) {
  using Reactor = grpc::ServerBidiReactor<v1::GenerateRequest, v1::GenerateResponse>;
  std::optional<CallAdmission::Ticket> ticket = service.stream_admission.TryAdmit();
  if (!ticket)
    return new RefusedCall<Reactor>(service,
                                    TooManyCalls("streaming", service.stream_admission.limit()));
  return StartRegistered<Reactor>(
      service, std::make_shared<GenerateCall>(service, *context, *std::move(ticket)));
}

}  // namespace forge
