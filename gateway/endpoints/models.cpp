#include "gateway/endpoints/endpoints.h"
#include "gateway/translate/model_json.h"

namespace forge::gateway {

// Every model in the daemon's directories: one that is not resident is loaded when it is asked.
void AnswerModels(const Exchange& exchange, const std::string&) {
  constexpr int kPageSize = 1000;
  Json models = Json::array();
  v1::ListModelsRequest request;
  request.set_page_size(kPageSize);
  do {
    v1::ListModelsResponse page;
    const grpc::Status status = CallWhileWanted(exchange, [&](grpc::ClientContext& call) {
      return exchange.daemon.stub().ListModels(&call, request, &page);
    });
    if (!status.ok()) return SendError(exchange, status);
    for (const v1::Model& model : page.models()) models.push_back(ModelJson(model));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  exchange.responder.SendJson(200, Dump({{"object", "list"}, {"data", std::move(models)}}));
}

void AnswerModel(const Exchange& exchange, const std::string& name) {
  v1::GetModelRequest request;
  request.set_model(name);
  v1::GetModelResponse response;
  const grpc::Status status = CallWhileWanted(exchange, [&](grpc::ClientContext& call) {
    return exchange.daemon.stub().GetModel(&call, request, &response);
  });
  if (!status.ok()) return SendError(exchange, status);
  exchange.responder.SendJson(200, Dump(ModelJson(response.model())));
}

}  // namespace forge::gateway
