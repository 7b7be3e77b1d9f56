#include "client/commands/model_pages.h"

#include <utility>

namespace forge::client {

grpc::Status FetchModels(const Connection& connection, bool resident_only,
                         std::vector<v1::Model>& models) {
  v1::ListModelsRequest request;
  request.set_resident_only(resident_only);
  for (;;) {
    grpc::ClientContext call;
    v1::ListModelsResponse response;
    const grpc::Status status = connection.stub().ListModels(&call, request, &response);
    if (!status.ok()) return status;
    for (v1::Model& model : *response.mutable_models()) models.push_back(std::move(model));
    if (response.next_page_token().empty()) return status;
    request.set_page_token(response.next_page_token());
  }
}

std::string StateName(v1::ModelState state) {
  switch (state) {
    case v1::MODEL_STATE_ON_DISK:
      return "on disk";
    case v1::MODEL_STATE_LOADING:
      return "loading";
    case v1::MODEL_STATE_READY:
      return "ready";
    case v1::MODEL_STATE_UNLOADING:
      return "unloading";
    case v1::MODEL_STATE_FAILED:
      return "failed";
    default:
      return "unknown";
  }
}

}  // namespace forge::client
