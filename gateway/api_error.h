#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/base/status.h"

namespace forge::gateway {

// An error as clients of an HTTP API take it.
struct ApiError {
  int http_status = 500;
  std::string message;  // one sentence, what to do included
  std::string param;    // the field of the request that is at fault; empty: none
  std::string code;     // of the cause, in lower case: "model_not_found"; empty: none
  // When the same request may succeed; unset: not by waiting.
  std::optional<std::chrono::seconds> retry_after;
};

// Whose API a client speaks.
enum class ApiDialect { kOpenAi, kAnthropic };

// {"error": {"message", "type", "param", "code"}}, or as Anthropic's API has it {"type": "error",
// "error": {"type", "message"}}; the inner type follows from the status.
std::string ToJson(const ApiError& error, ApiDialect dialect = ApiDialect::kOpenAi);

// What the gateway itself refuses. `reason` and the detail "field" become code and param.
ApiError ErrorOf(const Status& status);

// What the daemon at `address` answered, or that it did not. REQUIRES: !status.ok().
ApiError ErrorOf(const grpc::Status& status, const std::string& address);

// An error in a field of a request: "<field> <problem>".
Status BadField(std::string_view field, std::string_view problem);

}  // namespace forge::gateway
