#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/unary_call.h"

namespace forge {
namespace {

Status GetModel(ServiceContext& service, const v1::GetModelRequest& request,
                v1::GetModelResponse& response) {
  FORGE_ASSIGN_OR_RETURN(const LoadRequest options, LoadRequestFromProto(request.options()));
  std::optional<ModelSnapshot> snapshot = service.residency.Find(request.model());
  ModelFile file;
  if (snapshot) {
    file = snapshot->file;
  } else {
    FORGE_ASSIGN_OR_RETURN(file, service.residency.catalogue().Resolve(request.model()));
    snapshot = service.residency.Find(file.name);
  }
  std::optional<ModelStatus> status;
  if (snapshot && snapshot->state == ModelState::kReady) {
    FORGE_ASSIGN_OR_RETURN(status, service.engine.GetModel(snapshot->id));
  }
  *response.mutable_model() = snapshot ? ModelToProto(*snapshot, status) : ModelToProto(file);
  // A resident model is described as it is, unless the caller asks about other options.
  if (status && options.empty()) return Status();
  const Result<ModelFileInfo> info = service.residency.Inspect(file, options);
  if (info.ok()) {
    *response.mutable_model()->mutable_details() = DetailsToProto(*info);
    return Status();
  }
  // Why a load failed is worth more than that the header is broken, too.
  if (snapshot && snapshot->state == ModelState::kFailed && options.empty()) return Status();
  return info.status();
}

}  // namespace

grpc::ServerUnaryReactor* HandleGetModel(ServiceContext& service,
                                         grpc::CallbackServerContext* context,
                                         const v1::GetModelRequest* request,
                                         v1::GetModelResponse* response) {
  return RunOnWorker(service, context, [&service, request, response] {
    return GetModel(service, *request, *response);
  });
}

}  // namespace forge
