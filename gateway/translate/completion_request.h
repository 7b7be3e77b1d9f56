#pragma once

#include <forge/v1/forge.pb.h>

#include "gateway/json_fields.h"
#include "gateway/translate/turn_fields.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// A request of POST /v1/completions.
struct CompletionRequest {
  v1::GenerateRequest::Turn turn;
  Delivery delivery;
  bool logprobs = false;  // of the answer's tokens
};

// kInvalidArgument naming the field, if something is wrong with one or cannot be had.
Result<CompletionRequest> ReadCompletionRequest(const Json& body);

}  // namespace forge::gateway
