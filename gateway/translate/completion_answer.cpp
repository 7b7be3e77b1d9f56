#include "gateway/translate/completion_answer.h"

#include <utility>

namespace forge::gateway {

namespace {

Json Choice(const std::string& text, const Json& logprobs, const char* finish_reason) {
  return {{"index", 0},
          {"text", text},
          {"logprobs", logprobs},
          {"finish_reason", finish_reason == nullptr ? Json() : Json(finish_reason)}};
}

}  // namespace

WholeCompletion::WholeCompletion(AnswerHead head, bool logprobs)
    : head_(std::move(head)), has_logprobs_(logprobs) {}

void WholeCompletion::Take(const v1::GenerateResponse& event) {
  if (event.has_token()) {
    if (has_logprobs_) logprobs_.Add(event.token(), CountCharacters(text_));
    text_ += event.token().text();
  }
  if (!event.has_finished()) return;
  finished_ = event.finished();
  text_ += finished_.text();
}

Json WholeCompletion::ToJson() const {
  Json json = head_.ToJson("text_completion");
  json["choices"] = Json::array({Choice(text_, has_logprobs_ ? logprobs_.ToJson() : Json(),
                                        FinishReasonName(finished_.reason()))});
  json["usage"] = UsageJson(finished_.usage(), /*n_reasoning=*/0);
  return json;
}

StreamedCompletion::StreamedCompletion(AnswerHead head, bool logprobs, bool include_usage)
    : head_(std::move(head)), has_logprobs_(logprobs), include_usage_(include_usage) {}

std::string StreamedCompletion::Take(const v1::GenerateResponse& event) {
  if (IsProgress(event)) return ServerSentProgress(event);
  if (event.has_token()) return TakeToken(event.token());
  return event.has_finished() ? TakeFinished(event.finished()) : std::string();
}

std::string StreamedCompletion::Chunk(const std::string& text, const Json& logprobs,
                                      const char* finish_reason) const {
  Json json = head_.ToJson("text_completion");
  json["choices"] = Json::array({Choice(text, logprobs, finish_reason)});
  if (include_usage_) json["usage"] = nullptr;
  return ServerSentEvent(json);
}

std::string StreamedCompletion::TakeToken(const v1::GenerateResponse::Token& token) {
  if (token.text().empty() && !has_logprobs_) return {};
  CompletionLogprobs logprobs;
  logprobs.Add(token, n_characters_);
  n_characters_ += CountCharacters(token.text());
  return Chunk(token.text(), has_logprobs_ ? logprobs.ToJson() : Json(), nullptr);
}

std::string StreamedCompletion::TakeFinished(const v1::GenerateResponse::Finished& finished) const {
  std::string text = Chunk(finished.text(), nullptr, FinishReasonName(finished.reason()));
  if (include_usage_) {
    Json json = head_.ToJson("text_completion");
    json["choices"] = Json::array();
    json["usage"] = UsageJson(finished.usage(), /*n_reasoning=*/0);
    text += ServerSentEvent(json);
  }
  return text + kStreamEnd;
}

}  // namespace forge::gateway
