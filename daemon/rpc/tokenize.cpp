#include <fmt/format.h>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/chat_conversation.h"
#include "daemon/rpc/handlers.h"
#include "daemon/rpc/unary_call.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

// A token of one byte takes some 60 bytes in the response, so a text of this length takes 180 MiB.
constexpr size_t kMaxTextBytes = size_t{3} << 20;
// Past this length a call counts as large.
constexpr size_t kLargeTextBytes = size_t{64} << 10;

size_t SizeBytes(const v1::TokenizeRequest& request) {
  return request.has_chat() ? request.chat().ByteSizeLong() : request.text().size();
}

Status CheckSize(const v1::TokenizeRequest& request) {
  const size_t n_bytes = SizeBytes(request);
  if (n_bytes <= kMaxTextBytes) return Status();
  return BadField(request.has_chat() ? "chat" : "text",
                  fmt::format("has {} bytes, but one call takes at most {}{}", n_bytes,
                              kMaxTextBytes, request.has_chat() ? "" : "; send it in pieces"));
}

Result<std::vector<TokenId>> TokensOf(const ServiceContext& service, const ModelSnapshot& model,
                                      const v1::TokenizeRequest& request) {
  if (!request.has_chat())
    return service.engine.Tokenize(model.id, request.text(), request.add_special(),
                                   request.parse_special());
  if (!request.text().empty())
    return BadField("chat", "is set, and so is text: one of them counts");
  FORGE_ASSIGN_OR_RETURN(const Conversation conversation,
                         ChatConversation().With(request.chat(), "chat"));
  FORGE_ASSIGN_OR_RETURN(ChatPrompt prompt,
                         RenderChat(service.engine, model, conversation, /*place=*/std::nullopt));
  return std::move(prompt.tokens);
}

Status Tokenize(ServiceContext& service, const v1::TokenizeRequest& request,
                v1::TokenizeResponse& response) {
  FORGE_TRY(CheckSize(request));
  FORGE_ASSIGN_OR_RETURN(const ModelSnapshot model, service.residency.FindReady(request.model()));
  FORGE_ASSIGN_OR_RETURN(const std::vector<TokenId> ids, TokensOf(service, model, request));
  response.mutable_ids()->Add(ids.begin(), ids.end());
  if (request.ids_only()) return Status();
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
  CallAdmission& admission = SizeBytes(*request) > kLargeTextBytes ? service.large_text_admission
                                                                   : service.unary_admission;
  return RunOnWorker(service, context, admission, [&service, request, response] {
    return Tokenize(service, *request, *response);
  });
}

}  // namespace forge
