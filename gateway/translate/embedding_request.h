#pragma once

#include <forge/v1/forge.pb.h>

#include "gateway/json_fields.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// A request of POST /v1/embeddings.
struct EmbeddingRequest {
  v1::EmbedRequest embed;
  bool is_base64 = false;  // vectors as bytes instead of numbers
};

// kInvalidArgument naming the field, if something is wrong with one or cannot be had.
Result<EmbeddingRequest> ReadEmbeddingRequest(const Json& body);

}  // namespace forge::gateway
