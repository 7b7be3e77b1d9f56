#include "gateway/translate/completion_request.h"

#include "gateway/translate/token_ids.h"

namespace forge::gateway {

namespace {

constexpr int64_t kMostLogprobs = 20;

Status ReadPrompt(const Fields& body, v1::GenerateRequest::Turn& turn) {
  const Json* prompt = body.Find("prompt");
  if (prompt == nullptr) return BadField("prompt", "is missing");
  const bool is_list = prompt->is_array() && !prompt->empty() && !prompt->front().is_number();
  if (is_list && prompt->size() > 1)
    return BadField("prompt", "has " + std::to_string(prompt->size()) +
                                  " texts, but one request takes one: send a request for each");
  if (is_list) prompt = &prompt->front();
  if (prompt->is_string()) {
    turn.mutable_text()->set_text(prompt->get<std::string>());
    // As other servers of this API: clients write the tokens for filling in into the text.
    turn.mutable_text()->set_parse_special(true);
    return Status();
  }
  if (prompt->is_array()) return ReadTokenIds(*prompt, "prompt", *turn.mutable_tokens());
  return BadField("prompt", "must be a string or an array of token ids");
}

}  // namespace

Result<CompletionRequest> ReadCompletionRequest(const Json& body) {
  const Fields fields{body, ""};
  CompletionRequest request;
  FORGE_TRY(ReadTurnFields(fields, request.turn));
  FORGE_TRY(ReadPrompt(fields, request.turn));
  FORGE_ASSIGN_OR_RETURN(request.delivery, ReadDelivery(fields));
  FORGE_ASSIGN_OR_RETURN(const auto logprobs, fields.Integer("logprobs"));
  if (!logprobs) return request;
  if (*logprobs < 0 || *logprobs > kMostLogprobs)
    return BadField("logprobs", "is " + std::to_string(*logprobs) + ", but must be from 0 to " +
                                    std::to_string(kMostLogprobs));
  request.logprobs = true;
  request.turn.set_top_logprobs(static_cast<uint32_t>(*logprobs));
  return request;
}

}  // namespace forge::gateway
