#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/text/tokenizer.h"

namespace forge {

// How the next token is chosen. Applied in this order: logit bias, penalties, temperature 0 takes
// the most likely token; else top-k, typical-p, top-p, min-p, temperature, and a draw.
struct SamplingOptions {
  float temperature = 0.8f;         // >= 0; 0 is greedy
  int32_t top_k = 40;               // 0: all
  float top_p = 0.95f;              // (0, 1]; 1: off
  float min_p = 0.05f;              // [0, 1); 0: off
  float typical_p = 1.0f;           // (0, 1]; 1: off
  float repetition_penalty = 1.0f;  // > 0; divides positive and multiplies negative logits
  float presence_penalty = 0.0f;    // subtracted once from tokens seen
  float frequency_penalty = 0.0f;   // subtracted for each time seen
  int32_t penalty_window = 64;      // last tokens looked at; -1: all, 0: none
  uint64_t seed = 0;                // the same seed gives the same text
  std::vector<std::pair<TokenId, float>> logit_bias;  // added to the logits
};

}  // namespace forge
