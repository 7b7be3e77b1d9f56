#include "gateway/endpoints/endpoints.h"
#include "gateway/translate/completion_answer.h"
#include "gateway/translate/completion_request.h"

namespace forge::gateway {

void AnswerCompletion(const Exchange& exchange, const std::string&) {
  const Result<Json> body = ParseBody(exchange.request.body);
  if (!body.ok()) return SendError(exchange, body.status());
  const Result<CompletionRequest> request = ReadCompletionRequest(*body);
  if (!request.ok()) return SendError(exchange, request.status());
  const AnswerHead head = MakeHead("cmpl-", request->turn.model());
  if (request->delivery.stream) {
    StreamedCompletion answer(head, request->logprobs, request->delivery.include_usage);
    return AnswerStreamed(exchange, request->turn, answer);
  }
  WholeCompletion answer(head, request->logprobs);
  AnswerWhole(exchange, request->turn, answer);
}

}  // namespace forge::gateway
