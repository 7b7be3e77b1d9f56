#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace forge {

// A byte-level BPE vocabulary of any size, made by rule instead of from text.
//
// Tokens 0 to 255 are the bytes. Token 256 + k joins tokens k / 256 and k % 256, so that all pairs
// of bytes come first, then threes; every one is reached by merging. The last three are control
// tokens of ChatML: <|endoftext|>, <|im_start|>, <|im_end|>.
struct SynthVocabulary {
  std::vector<std::string> tokens;
  std::vector<std::string> merges;
  std::vector<int32_t> types;  // as in tokenizer.ggml.token_type
};

// REQUIRES: 260 <= n_tokens <= 2^24.
SynthVocabulary MakeSynthVocabulary(uint32_t n_tokens);

}  // namespace forge
