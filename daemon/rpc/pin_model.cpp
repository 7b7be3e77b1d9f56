#include "daemon/rpc/handlers.h"
#include "daemon/rpc/unary_call.h"

namespace forge {

grpc::ServerUnaryReactor* HandlePinModel(ServiceContext& service,
                                         grpc::CallbackServerContext* context,
                                         const v1::PinModelRequest* request,
                                         v1::PinModelResponse* /*response*/) {
  return RunOnWorker(service, context, [&service, request]() -> Status {
    FORGE_ASSIGN_OR_RETURN(const ModelSnapshot model,
                           service.residency.FindReady(request->model()));
    return service.residency.SetPinned(model.file.name, request->pinned());
  });
}

}  // namespace forge
