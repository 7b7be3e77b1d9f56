#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/gguf/gguf_metadata.h"
#include "engine/text/merge.h"
#include "engine/text/token_table.h"
#include "engine/text/vocabulary.h"
#include "kernels/base/result.h"

namespace forge {

// The merges of tokenizer.ggml.merges, best first: which pairs of tokens may be joined.
// Thread-compatible.
class PairMerges {
 public:
  // `text_of`: the bytes that a token stands for, of what the file holds. Fails as
  // Tokenizer::Create does. A merge that leads to or from a control token is left out.
  static Result<PairMerges> Read(const GgufMetadata& metadata, const Vocabulary& vocabulary,
                                 std::string (*text_of)(std::string_view token));

  PairMerges() = default;
  // What two tokens become; ids that are none become nothing.
  MergeCandidate Find(TokenId left, TokenId right) const;

 private:
  PairTable merges_;  // key: both ids
};

}  // namespace forge
