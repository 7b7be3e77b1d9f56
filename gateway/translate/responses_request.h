#pragma once

#include <forge/v1/forge.pb.h>

#include <optional>

#include "gateway/json_fields.h"
#include "gateway/translate/forced_call.h"
#include "gateway/translate/responses_tools.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// A request of POST /v1/responses.
struct ResponsesRequest {
  v1::GenerateRequest::Turn turn;
  bool stream = false;
  bool one_tool_call = false;   // parallel_tool_calls is false: the first call counts
  bool seals_thoughts = false;  // `include` asks for reasoning.encrypted_content
  std::optional<ForcedCall> forced_call;
  NamespacedNames names;
  Json settings = Json::object();  // that an answer repeats
};

// kInvalidArgument naming the field, if something is wrong with one or cannot be had.
Result<ResponsesRequest> ReadResponsesRequest(const Json& body);

}  // namespace forge::gateway
