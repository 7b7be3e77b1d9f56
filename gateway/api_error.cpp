#include "gateway/api_error.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>

#include "client/error_details.h"
#include "client/failure.h"

namespace forge::gateway {

namespace {

using std::chrono::seconds;

// The HTTP status of an error. The first row that fits counts.
struct Row {
  int code;            // gRPC's; -1: any
  const char* reason;  // of its google.rpc.ErrorInfo; nullptr: any
  int http_status;
};
constexpr int kAny = -1;
constexpr Row kRows[] = {
    // Memory that others hold now, whatever the daemon's code.
    {kAny, "PINNED_MODELS_IN_THE_WAY", 429},
    // What the request asks for cannot be had, whatever the daemon's code.
    {kAny, "GRAMMAR_TOO_COMPLEX", 400},
    {kAny, "ARCHITECTURE_UNSUPPORTED", 400},
    // It comes back when it is loaded again.
    {kAny, "MODEL_NOT_LOADED", 503},
    {kAny, "LOAD_CANCELLED", 503},
    {kAny, "HOST_MEMORY_EXHAUSTED", 503},
    {kAny, "LOAD_CRASHED", 500},
    // The daemon's own refusals have reasons; this is gRPC's, of a message that is too large.
    {grpc::StatusCode::RESOURCE_EXHAUSTED, "", 413},
    {grpc::StatusCode::INVALID_ARGUMENT, nullptr, 400},
    {grpc::StatusCode::OUT_OF_RANGE, nullptr, 400},
    {grpc::StatusCode::FAILED_PRECONDITION, nullptr, 400},
    {grpc::StatusCode::NOT_FOUND, nullptr, 404},
    {grpc::StatusCode::RESOURCE_EXHAUSTED, nullptr, 429},
    {grpc::StatusCode::UNAVAILABLE, nullptr, 503},
    {kAny, nullptr, 500},
};
constexpr seconds kRetryDefault(5);

int HttpStatusOf(int code, std::string_view reason) {
  const auto* const row = std::ranges::find_if(kRows, [&](const Row& candidate) {
    return (candidate.code == kAny || candidate.code == code) &&
           (candidate.reason == nullptr || candidate.reason == reason);
  });
  return row->http_status;
}

const char* TypeOf(int http_status) {
  switch (http_status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "service_unavailable_error";
    default:
      return http_status >= 500 ? "server_error" : "invalid_request_error";
  }
}

const char* AnthropicTypeOf(int http_status) {
  switch (http_status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return http_status >= 500 ? "api_error" : "invalid_request_error";
  }
}

// Anthropic's API has no codes. Its clients know by these words that a conversation outgrew the
// context, and shorten it.
std::string AnthropicMessageOf(const ApiError& error) {
  const bool is_too_long = error.code == "context_length_exceeded";
  return (is_too_long ? "prompt is too long: " : "") + error.message;
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

// The field of the JSON that a field of forge.v1 was made of.
std::string ParamOf(std::string field) {
  struct Name {
    std::string_view ours;
    std::string_view theirs;
  };
  constexpr std::array kNames = {
      Name{"turn.json_schema", "response_format"},
      Name{"json_schema", "response_format"},
      Name{"turn.chat.template_options_json", "chat_template_kwargs"},
      Name{"inputs", "input"},
      Name{"turn.text", "prompt"},
      Name{"turn.tokens", "prompt"},
      Name{"logit_bias", "logit_bias"},
      Name{"stop_strings", "stop"},
      Name{"stop_tokens", "stop_token_ids"},
      Name{"penalty_window", "repeat_last_n"},
      Name{"turn.stop_strings", "stop"},
  };
  for (const Name& name : kNames) {
    if (!field.starts_with(name.ours)) continue;
    const std::string rest = field.substr(name.ours.size());
    return std::string(name.theirs) + rest.substr(0, rest.find('.'));
  }
  for (const std::string_view prefix : {"turn.chat.", "turn.sampling.", "turn.", "chat."}) {
    if (field.starts_with(prefix)) return field.substr(prefix.size());
  }
  return field;
}

// The field of the request where the daemon names none.
const char* ParamOfReason(std::string_view reason) {
  if (reason == "MODEL_NOT_FOUND") return "model";
  return reason.starts_with("SCHEMA_") ? "response_format" : "";
}

}  // namespace

std::string ToJson(const ApiError& error, ApiDialect dialect) {
  using Json = nlohmann::ordered_json;
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json json = {{"error",
                {{"message", error.message},
                 {"type", TypeOf(error.http_status)},
                 {"param", or_null(error.param)},
                 {"code", or_null(error.code)}}}};
  if (dialect == ApiDialect::kAnthropic)
    json = {
        {"type", "error"},
        {"error",
         {{"type", AnthropicTypeOf(error.http_status)}, {"message", AnthropicMessageOf(error)}}}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

ApiError ErrorOf(const Status& status) {
  ApiError error;
  error.http_status = HttpStatusOf(static_cast<int>(status.code()), status.reason());
  error.message = status.message();
  error.code = LowerCase(status.reason());
  for (const auto& [key, value] : status.details()) {
    if (key == "field") error.param = value;
  }
  if (error.http_status == 503 || error.http_status == 429) error.retry_after = kRetryDefault;
  return error;
}

ApiError ErrorOf(const grpc::Status& status, const std::string& address) {
  const client::Failure failure = client::ExplainFailure(status, address, "--forge");
  const client::ErrorDetails details = client::ReadErrorDetails(status);
  ApiError error;
  error.http_status = HttpStatusOf(status.error_code(), failure.reason);
  error.message = failure.message;
  error.param = details.field.empty() ? ParamOfReason(failure.reason) : ParamOf(details.field);
  error.code = failure.reason.empty() && error.http_status == 503 ? "daemon_unavailable"
                                                                  : LowerCase(failure.reason);
  if (error.http_status == 503 || error.http_status == 429)
    error.retry_after = std::max(
        seconds(1), std::chrono::ceil<seconds>(details.retry_after.value_or(kRetryDefault)));
  return error;
}

Status BadField(std::string_view field, std::string_view problem) {
  return InvalidArgument(std::string(field) + " " + std::string(problem))
      .WithReason("INVALID_REQUEST")
      .WithDetail("field", field);
}

}  // namespace forge::gateway
