#pragma once

#include <forge/v1/forge.pb.h>

#include <optional>

#include "gateway/json_fields.h"
#include "gateway/translate/forced_call.h"
#include "gateway/translate/turn_fields.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// A request of POST /v1/chat/completions.
struct ChatRequest {
  v1::GenerateRequest::Turn turn;
  Delivery delivery;
  bool logprobs = false;       // of the answer's tokens
  bool one_tool_call = false;  // parallel_tool_calls is false: the first call counts
  std::optional<ForcedCall> forced_call;
};

// kInvalidArgument naming the field, if something is wrong with one or cannot be had.
Result<ChatRequest> ReadChatRequest(const Json& body);

}  // namespace forge::gateway
