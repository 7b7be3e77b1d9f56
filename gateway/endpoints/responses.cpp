#include "gateway/endpoints/endpoints.h"
#include "gateway/translate/responses_answer.h"
#include "gateway/translate/responses_request.h"

namespace forge::gateway {

void AnswerResponses(const Exchange& with, const std::string&) {
  Exchange exchange = with;
  const Result<Json> body = ParseBody(exchange.request.body);
  if (!body.ok()) return SendError(exchange, body.status());
  const Result<ResponsesRequest> request = ReadResponsesRequest(*body);
  if (!request.ok()) return SendError(exchange, request.status());
  const AnswerHead head = MakeHead("resp_", request->turn.model());
  const ResponsesAnswerOptions options = {.one_tool_call = request->one_tool_call,
                                          .seals_thoughts = request->seals_thoughts,
                                          .forced_call = request->forced_call,
                                          .names = request->names,
                                          .settings = request->settings};
  exchange.schema_field = request->forced_call ? "tools" : "text.format";
  if (request->stream) {
    StreamedResponse answer(head, options);
    return AnswerStreamed(exchange, request->turn, answer);
  }
  WholeResponse answer(head, options);
  AnswerWhole(exchange, request->turn, answer);
}

}  // namespace forge::gateway
