#include "daemon/rpc/handlers.h"
#include "daemon/rpc/unary_call.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

Status Detokenize(ServiceContext& service, const v1::DetokenizeRequest& request,
                  v1::DetokenizeResponse& response) {
  FORGE_ASSIGN_OR_RETURN(const ModelSnapshot model, service.residency.FindReady(request.model()));
  const std::vector<TokenId> ids(request.ids().begin(), request.ids().end());
  FORGE_ASSIGN_OR_RETURN(const std::string text,
                         service.engine.Detokenize(model.id, ids, request.render_special()));
  response.set_text(SanitizeUtf8(text));
  return Status();
}

}  // namespace

grpc::ServerUnaryReactor* HandleDetokenize(ServiceContext& service,
                                           grpc::CallbackServerContext* context,
                                           const v1::DetokenizeRequest* request,
                                           v1::DetokenizeResponse* response) {
  return RunOnWorker(service, context, [&service, request, response] {
    return Detokenize(service, *request, *response);
  });
}

}  // namespace forge
