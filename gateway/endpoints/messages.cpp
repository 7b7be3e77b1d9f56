#include "gateway/endpoints/endpoints.h"
#include "gateway/translate/anthropic_answer.h"
#include "gateway/translate/anthropic_request.h"

namespace forge::gateway {

void AnswerMessages(const Exchange& exchange, const std::string&) {
  const Result<Json> body = ParseBody(exchange.request.body);
  if (!body.ok()) return SendError(exchange, body.status());
  const Result<AnthropicRequest> request = ReadAnthropicRequest(*body);
  if (!request.ok()) return SendError(exchange, request.status());
  const AnswerHead head = MakeHead("msg_", request->turn.model());
  const AnthropicAnswerOptions options = {.shows_thoughts = request->shows_thoughts,
                                          .one_tool_call = request->one_tool_call,
                                          .forced_call = request->forced_call};
  if (request->stream) {
    StreamedAnthropicAnswer answer(head, options);
    return AnswerStreamed(exchange, request->turn, answer);
  }
  WholeAnthropicAnswer answer(head, options);
  AnswerWhole(exchange, request->turn, answer);
}

// Of a resident model: counting loads none.
void AnswerCountTokens(const Exchange& exchange, const std::string&) {
  const Result<Json> body = ParseBody(exchange.request.body);
  if (!body.ok()) return SendError(exchange, body.status());
  const Result<v1::TokenizeRequest> request = ReadCountRequest(*body);
  if (!request.ok()) return SendError(exchange, request.status());
  v1::TokenizeResponse response;
  const grpc::Status status = CallWhileWanted(exchange, [&](grpc::ClientContext& call) {
    return exchange.daemon.stub().Tokenize(&call, *request, &response);
  });
  if (!status.ok()) return SendError(exchange, status);
  exchange.responder.SendJson(200, Dump({{"input_tokens", response.ids_size()}}));
}

}  // namespace forge::gateway
