#pragma once

#include <cstdint>

#include "tests/support/gguf_builder.h"
#include "tests/support/tiny_model.h"
#include "tests/support/weight_writer.h"

// What tiny models of gemma4 have, whose layers with a window and without differ in their heads.
namespace forge::testing {

// Each `period`-th layer sees all positions; the others have the heads of the options. As E2B, half
// the layers have no keys and values, and nets of twice the length, where they are two periods.
struct Gemma4Sizes {
  uint32_t period;
  uint32_t head_dim, n_kv_heads;            // of layers with a window
  uint32_t full_head_dim, full_n_kv_heads;  // of the others
  uint32_t n_input;                         // of the input of a layer
  uint32_t n_shared;                        // layers
};
Gemma4Sizes Gemma4SizesOf(const TinyModelOptions& options);

void AddGemma4Parameters(const TinyModelOptions& options, GgufBuilder& builder);
// Those outside the layers that other families lack.
void AddGemma4Tables(const TinyModelOptions& options, uint64_t n_vocab, WeightWriter& writer,
                     GgufBuilder& builder);
void AddGemma4Layer(const TinyModelOptions& options, uint32_t layer, WeightWriter& writer,
                    GgufBuilder& builder);

}  // namespace forge::testing
