#include "daemon/rpc/handlers.h"
#include "daemon/rpc/unary_call.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

Status Tokenize(ServiceContext& service, const v1::TokenizeRequest& request,
                v1::TokenizeResponse& response) {
  FORGE_ASSIGN_OR_RETURN(const ModelSnapshot model, service.residency.FindReady(request.model()));
  FORGE_ASSIGN_OR_RETURN(const std::vector<TokenId> ids,
                         service.engine.Tokenize(model.id, request.text(), request.add_special(),
                                                 request.parse_special()));
  response.mutable_ids()->Add(ids.begin(), ids.end());
  for (const TokenId id : ids) {
    FORGE_ASSIGN_OR_RETURN(const std::string text, service.engine.TokenText(model.id, id));
    response.add_texts(SanitizeUtf8(text));
  }
  return Status();
}

}  // namespace

grpc::ServerUnaryReactor* HandleTokenize(ServiceContext& service,
                                         grpc::CallbackServerContext* context,
                                         const v1::TokenizeRequest* request,
                                         v1::TokenizeResponse* response) {
  return RunOnWorker(service, context, [&service, request, response] {
    return Tokenize(service, *request, *response);
  });
}

}  // namespace forge
