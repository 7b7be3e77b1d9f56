#include "daemon/rpc/handlers.h"
#include "daemon/rpc/unary_call.h"

namespace forge {

grpc::ServerUnaryReactor* HandleYield(ServiceContext& service, grpc::CallbackServerContext* context,
                                      const v1::YieldRequest* /*request*/,
                                      v1::YieldResponse* response) {
  return RunOnWorker(service, context, [&service, response]() -> Status {
    for (std::string& name : service.residency.Yield()) response->add_models(std::move(name));
    return Status();
  });
}

}  // namespace forge
