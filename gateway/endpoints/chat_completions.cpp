#include "gateway/endpoints/endpoints.h"
#include "gateway/translate/chat_answer.h"
#include "gateway/translate/chat_request.h"

namespace forge::gateway {

void AnswerChat(const Exchange& with, const std::string&) {
  Exchange exchange = with;
  const Result<Json> body = ParseBody(exchange.request.body);
  if (!body.ok()) return SendError(exchange, body.status());
  const Result<ChatRequest> request = ReadChatRequest(*body);
  if (!request.ok()) return SendError(exchange, request.status());
  const AnswerHead head = MakeHead("chatcmpl-", request->turn.model());
  const ChatAnswerOptions options = {.logprobs = request->logprobs,
                                     .one_tool_call = request->one_tool_call,
                                     .include_usage = request->delivery.include_usage,
                                     .forced_call = request->forced_call};
  if (request->forced_call) exchange.schema_field = "tools";
  if (request->delivery.stream) {
    StreamedChatAnswer answer(head, options);
    return AnswerStreamed(exchange, request->turn, answer);
  }
  WholeChatAnswer answer(head, options);
  AnswerWhole(exchange, request->turn, answer);
}

}  // namespace forge::gateway
