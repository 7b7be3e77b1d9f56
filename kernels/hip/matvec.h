#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/api/activation.h"
#include "kernels/formats/formats.h"
#include "kernels/hip/hip_stream.h"
#include "kernels/hip/quantize.h"

namespace forge {

// Products of matrices with few vectors, where reading the weights is the work: a wave takes some
// rows and a tile of tokens, its lanes the columns. A token's result has the same bits whatever
// shares its tile and however large tiles are.

constexpr int kMaxTileTokens = 8;

// One matrix, or the same matrix of several experts.
struct MatvecTarget {
  const std::byte* weights = nullptr;  // packed
  const float* bias = nullptr;         // [n_rows], or null; of experts [n_experts, n_rows]
  const float* residual = nullptr;     // [n_tokens, n_rows], or null
  float* y = nullptr;                  // [n_tokens, n_rows]
  int64_t n_rows = 0;
  uint64_t expert_stride = 0;  // bytes from one expert's matrix to the next
  int64_t first_block = 0;     // set by the launchers
};

// Adjacent entries of a list of pairs that is sorted by expert.
struct ExpertTile {
  int32_t expert;  // n_experts: of pairs whose expert there is not; they get NaN
  int32_t first;
  int32_t count;  // 0: nothing to do
};

struct MatvecArgs {
  const float* x = nullptr;        // [n_tokens, n_cols], for floating-point weights
  QuantizedActivations quantized;  // of x, for others
  int64_t n_cols = 0;
  int n_tokens = 0;  // rows of x
  int n_targets = 0;
  MatvecTarget targets[3];  // of one format
  // Halves of a word, for the sake of the assertion below. Gated: the two targets are gate and up,
  // and y of the former is activation(gate, up); LaunchMatvec gives the kernel n_targets of 1.
  // Activated: y is activation(sum, 1). LaunchMatvec only.
  int16_t is_gated = 0;
  int16_t is_activated = 0;
  Activation activation = Activation::kSilu;
  // For experts: token t of the tile is pair order[first + t], with x row pair / pairs_per_row.
  const ExpertTile* tiles = nullptr;  // [n_tiles], or null: tokens in order
  const int32_t* order = nullptr;
  int pairs_per_row = 1;
  int n_experts = 0;
  int64_t n_tiles = 0;  // set by the launchers where `tiles` is null
};

// Without padding, so that equal arguments of a step that comes again are equal bytes
// (LaunchGroup).
static_assert(std::has_unique_object_representations_v<MatvecArgs>);

// REQUIRES: n_tokens and n_targets are positive, tile_tokens is 1, 2, 4 or 8.
template <typename Format>
Status LaunchMatvec(MatvecArgs args, int tile_tokens, HipStream& stream);

// The launchers by format (see batch_matmul.h for that of batches), and what they need of the
// activations.
struct MatvecFormat {
  DType dtype;
  bool is_float;
  bool needs_digits;
  Status (*launch)(MatvecArgs args, int tile_tokens, HipStream& stream);
  Status (*launch_batch)(MatvecArgs args, HipStream& stream);  // null for F32
};
// REQUIRES: the format is known.
const MatvecFormat& FindMatvecFormat(DType dtype);

// What the products of an op need of the activations.
struct ActivationNeeds {
  bool floats = false;
  bool quantized = false;
  bool digits = false;  // second ones, see QuantizedActivations

  void Add(const MatvecFormat& format) {
    (format.is_float ? floats : quantized) = true;
    digits |= format.needs_digits;
  }
};

// Whether launch_batch is what many vectors take. Floating-point weights are better off with
// `launch` where no matrix units multiply them.
inline bool HasBatch(const MatvecFormat& format, const HipStream& stream) {
  if (format.dtype == F16Format::kDType) return stream.traits().MultipliesF16();
  if (format.dtype == Bf16Format::kDType) return stream.traits().MultipliesBf16();
  return format.launch_batch != nullptr;
}

// The least tile that holds n_tokens, or the largest there is.
constexpr int TileTokens(int64_t n_tokens) {
  int tile = 1;
  while (tile < n_tokens && tile < kMaxTileTokens) tile *= 2;
  return tile;
}

}  // namespace forge
