#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/matmul_kernels.h"

namespace forge {

// Panels for the tokens of prompts, on processors whose tiles multiply bfloat16: weights are
// expanded to it once for many tokens, and nothing is left to scale behind the products.
//
// Activations are kept in digits: the first is the value rounded to bfloat16, the second what that
// left over, rounded again. Tokens are in tiles of kPanelTileTokens; a tile is an array along the
// columns, of kPanelBlockColumns each, of an array over the digits of
// bfloat16 [kPanelTileTokens, kPanelBlockColumns]. Columns behind the last are zero; tokens behind
// the last are unspecified, and so are their sums.

constexpr int kPanelTileTokens = 16;
constexpr int kPanelBlockColumns = 32;
// Bytes of a token's 32 columns: of a digit, and of two, which is the most.
constexpr int64_t kPanelDigitBytes = 2 * kPanelBlockColumns;
constexpr int64_t kMaxPanelTokenBytes = 2 * kPanelDigitBytes;

// A token's sum runs over the columns in an order that depends on neither the other rows nor the
// other tokens, as in MatmulKernels, but is not the same as there.
struct PromptKernels {
  struct OfFormat {
    PanelKernel kernel;  // null: there is none
    int n_digits;        // of activations
  };
  // Rounds one token's activations into slot `token` of a tile.
  void (*round)(const float* x, int64_t n_cols, int token, int n_digits, std::byte* tile);
  OfFormat formats[MatmulKernels::kFormats];  // [index in Formats]
};

#if defined(__x86_64__)
extern const PromptKernels kPromptKernelsAmx;
#endif

// REQUIRES: HasCpuLevel(level). Null: the level has none.
const PromptKernels* PromptKernelsAt(CpuLevel level);

}  // namespace forge
