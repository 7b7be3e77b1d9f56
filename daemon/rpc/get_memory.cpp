#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/unary_call.h"

namespace forge {

grpc::ServerUnaryReactor* HandleGetMemory(ServiceContext& service,
                                          grpc::CallbackServerContext* context,
                                          const v1::GetMemoryRequest* /*request*/,
                                          v1::GetMemoryResponse* response) {
  return RunOnWorker(service, context, [&service, response] {
    const std::vector<ModelSnapshot> models = service.residency.List();
    for (const DeviceMemory& device : service.engine.Memory()) {
      *response->add_devices() = DeviceMemoryToProto(device, models);
    }
    return Status();
  });
}

}  // namespace forge
