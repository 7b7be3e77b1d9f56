#include "daemon/rpc/handlers.h"
#include "daemon/rpc/proto_convert.h"
#include "daemon/rpc/unary_call.h"

namespace forge {
namespace {

// What the header says, and the plan.
Status Describe(ServiceContext& service, const ModelFile& file, const LoadRequest& options,
                const std::optional<ModelSnapshot>& snapshot, v1::Model& model) {
  const Result<ModelFileInfo> info = service.residency.Inspect(file, options);
  if (info.ok()) {
    *model.mutable_details() = DetailsToProto(*info);
    return Status();
  }
  // Why a load failed is worth more than that the header is broken, too.
  if (snapshot && snapshot->state == ModelState::kFailed && options.empty()) return Status();
  return info.status();
}

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
  v1::Model& model = *response.mutable_model();
  model = snapshot ? ModelToProto(*snapshot, status) : ModelToProto(file);
  // A resident model is described as it is, unless the caller asks about other options.
  if (!status || !options.empty()) FORGE_TRY(Describe(service, file, options, snapshot, model));
  if (!request.full() || !model.has_details()) return Status();
  const Result<ModelReport> report = service.residency.Report(file, options);
  // The file of a resident model may be gone.
  if (!report.ok()) return status ? Status() : report.status();
  AddReport(*report, *model.mutable_details());
  return Status();
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
