#pragma once

#include <forge/v1/forge.pb.h>

#include <string>
#include <vector>

#include "gateway/json_fields.h"

namespace forge::gateway {

// Collects vectors as an object "list" of objects "embedding", which is kept as text: as Json every
// number would take several times its size.
class EmbeddingAnswer {
 public:
  EmbeddingAnswer(std::string model, bool is_base64);

  void Take(const v1::EmbedResponse& response);
  std::string Body() const;

 private:
  const std::string model_;
  const bool is_base64_;
  uint64_t n_tokens_ = 0;
  std::string data_;  // the objects
};

// Numbers as the base64 of their bytes, little-endian, which openai-python asks for.
std::string Base64(const std::vector<float>& values);

}  // namespace forge::gateway
