#include "gateway/translate/answer.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>

namespace forge::gateway {

Json AnswerHead::ToJson(const char* object) const {
  return {{"id", id}, {"object", object}, {"created", created}, {"model", model}};
}

AnswerHead MakeHead(const char* prefix, const std::string& model) {
  std::random_device device;
  std::string id = prefix;
  for (int i = 0; i < 3; ++i) {
    char digits[16];
    std::snprintf(digits, sizeof(digits), "%08x", device());
    id += digits;
  }
  return {id, static_cast<int64_t>(std::time(nullptr)), model};
}

std::string ServerSentEvent(const Json& json) { return "data: " + Dump(json) + "\n\n"; }

std::string NamedEvent(const Json& json) {
  return "event: " + json.at("type").get<std::string>() + "\n" + ServerSentEvent(json);
}

bool IsProgress(const v1::GenerateResponse& event) {
  if (event.has_load_progress())
    return event.load_progress().phase() == v1::LOAD_PHASE_LOADING_WEIGHTS;
  return event.has_queued() || event.has_prompt_progress();
}

std::string ServerSentProgress(const v1::GenerateResponse& event) {
  const auto of = [](const char* what, auto done, auto total, const char* unit) {
    return std::string(": ") + what + ": " + std::to_string(done) + " of " + std::to_string(total) +
           " " + unit + "\n\n";
  };
  if (event.has_queued())
    return ": queue: " + std::to_string(event.queued().position()) + " before this\n\n";
  if (event.has_load_progress())
    return of("load", event.load_progress().bytes_done(), event.load_progress().bytes_total(),
              "bytes");
  return of("prompt", event.prompt_progress().tokens_done(), event.prompt_progress().tokens_total(),
            "tokens");
}

std::string ServerSentError(const ApiError& error, ApiDialect dialect) {
  const std::string data = "data: " + ToJson(error, dialect) + "\n\n";
  return (dialect == ApiDialect::kAnthropic ? "event: error\n" : "") + data;
}

std::string StreamedAnswer::Fail(const ApiError& error) { return ServerSentError(error); }

const char* FinishReasonName(v1::FinishReason reason) {
  switch (reason) {
    case v1::FINISH_REASON_TOOL_CALLS:
      return "tool_calls";
    case v1::FINISH_REASON_MAX_TOKENS:
    case v1::FINISH_REASON_CONTEXT_FULL:
    case v1::FINISH_REASON_CANCELLED:
      return "length";  // the answer is not whole
    default:
      return "stop";
  }
}

Json UsageJson(const v1::Usage& usage, uint32_t n_reasoning) {
  const uint32_t accepted = usage.accepted_tokens();
  const uint32_t rejected = usage.drafted_tokens() - std::min(usage.drafted_tokens(), accepted);
  return {{"prompt_tokens", usage.prompt_tokens()},
          {"completion_tokens", usage.output_tokens()},
          {"total_tokens", uint64_t{usage.prompt_tokens()} + usage.output_tokens()},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens()}}},
          {"completion_tokens_details",
           {{"reasoning_tokens", n_reasoning},
            {"accepted_prediction_tokens", accepted},
            {"rejected_prediction_tokens", rejected}}}};
}

}  // namespace forge::gateway
