#include <fmt/format.h>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/handlers.h"
#include "daemon/rpc/unary_call.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

// A token of one byte takes some 60 bytes in the response, so a text of this length takes 180 MiB.
constexpr size_t kMaxTextBytes = size_t{3} << 20;
// Past this length a call counts as large.
constexpr size_t kLargeTextBytes = size_t{64} << 10;

Status Tokenize(ServiceContext& service, const v1::TokenizeRequest& request,
                v1::TokenizeResponse& response) {
  if (request.text().size() > kMaxTextBytes)
    return BadField("text", fmt::format("has {} bytes, but one call takes at most {}; send it in "
                                        "pieces",
                                        request.text().size(), kMaxTextBytes));
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
  CallAdmission& admission = request->text().size() > kLargeTextBytes ? service.large_text_admission
                                                                      : service.unary_admission;
  return RunOnWorker(service, context, admission, [&service, request, response] {
    return Tokenize(service, *request, *response);
  });
}

}  // namespace forge
