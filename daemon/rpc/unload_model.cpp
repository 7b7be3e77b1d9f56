#include "daemon/rpc/handlers.h"
#include "daemon/rpc/unary_call.h"

namespace forge {

grpc::ServerUnaryReactor* HandleUnloadModel(ServiceContext& service,
                                            grpc::CallbackServerContext* context,
                                            const v1::UnloadModelRequest* request,
                                            v1::UnloadModelResponse* response) {
  return StartOnWorker(service, context, [&service, request, response](const FinishCall& finish) {
    std::string name = request->model();
    // A resident model is known by its name even when its file is gone.
    if (!service.residency.Find(name)) {
      const Result<ModelFile> file = service.residency.catalogue().Resolve(name);
      if (!file.ok()) return finish(file.status());
      name = file->name;
    }
    service.residency.Unload(name, [response, finish](const Result<uint64_t>& freed_bytes) {
      if (freed_bytes.ok()) response->set_freed_bytes(static_cast<int64_t>(*freed_bytes));
      finish(freed_bytes.status());
    });
  });
}

}  // namespace forge
