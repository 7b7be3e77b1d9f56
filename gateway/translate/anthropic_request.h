#pragma once

#include <forge/v1/forge.pb.h>

#include <optional>

#include "gateway/json_fields.h"
#include "gateway/translate/forced_call.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// A request of POST /v1/messages.
struct AnthropicRequest {
  v1::GenerateRequest::Turn turn;
  bool stream = false;
  bool shows_thoughts = true;
  bool one_tool_call = false;  // disable_parallel_tool_use: the first call counts
  std::optional<ForcedCall> forced_call;
};

// kInvalidArgument naming the field, if something is wrong with one or cannot be had.
Result<AnthropicRequest> ReadAnthropicRequest(const Json& body);

// Reads what POST /v1/messages/count_tokens counts: the model, the conversation and the tools of
// such a request.
Result<v1::TokenizeRequest> ReadCountRequest(const Json& body);

}  // namespace forge::gateway
