#include "tests/support/tiny_sizes.h"

#include <algorithm>

namespace forge::testing {
namespace {

// Half the dense net, or where that is no whole number of blocks, all of it.
uint32_t HalfLength(const TinyModelOptions& options) {
  return options.matrix_type == 0 ? options.n_ff / 2 : options.n_ff;
}

}  // namespace

TinyFamily FamilyOf(const TinyModelOptions& options) {
  TinyFamily family = TinyFamilyOf(options.architecture);
  if (options.is_lite)
    family.has_selection_bias = family.has_sigmoids = family.has_weight_scale = false;
  return family;
}

uint64_t HeadLength(const TinyModelOptions& options) {
  return options.head_dim != 0 ? options.head_dim : options.n_embd / options.n_heads;
}

LatentSizes LatentSizesOf(const TinyModelOptions& options) {
  if (options.matrix_type != 0) return {256, 256, 256, 16, options.n_embd / options.n_heads};
  return {24, 40, 12, 8, 20};
}

DeltaSizes DeltaSizesOf(const TinyModelOptions& options) {
  const uint32_t period = options.n_layers >= 4 ? 4 : std::min(2u, options.n_layers);
  return {2, 4, options.matrix_type != 0 ? 64u : 12u, 4, period};
}

// llama.cpp demands twice the embedding's length.
StateSpaceSizes StateSpaceSizesOf(const TinyModelOptions& options) {
  return {4, 2, 2 * uint64_t{options.n_embd}, 12, 4};
}

SinglePart SinglePartOf(const TinyModelOptions& options, uint32_t layer) {
  if (options.n_layers < 3) return layer == 0 ? SinglePart::kAttention : SinglePart::kNet;
  constexpr SinglePart kTurns[] = {SinglePart::kStateSpace, SinglePart::kNet,
                                   SinglePart::kAttention};
  return kTurns[layer % 3];
}

bool HasAttention(const TinyModelOptions& options, uint32_t layer) {
  if (!FamilyOf(options).has_single_parts) return !IsRecurrent(options, layer);
  return SinglePartOf(options, layer) == SinglePart::kAttention;
}

bool HasNet(const TinyModelOptions& options, uint32_t layer) {
  return !FamilyOf(options).has_single_parts || SinglePartOf(options, layer) == SinglePart::kNet;
}

bool IsRecurrent(const TinyModelOptions& options, uint32_t layer) {
  if (FamilyOf(options).has_single_parts)
    return SinglePartOf(options, layer) == SinglePart::kStateSpace;
  const uint32_t period = DeltaSizesOf(options).period;
  return FamilyOf(options).has_recurrent_layers() && layer < options.n_layers &&
         layer % period != period - 1;
}

uint32_t ExpertLength(const TinyModelOptions& options) {
  const TinyFamily family = FamilyOf(options);
  return family.has_dense_layer || family.has_layer_kinds ? HalfLength(options) : options.n_ff;
}

uint32_t SharedLength(const TinyModelOptions& options) {
  return FamilyOf(options).counts_shared_experts ? kSharedCount * ExpertLength(options)
                                                 : HalfLength(options);
}

bool IsDense(const TinyModelOptions& options, uint32_t layer) {
  const bool begins_dense = FamilyOf(options).has_dense_layer && options.n_layers > 1 && layer == 0;
  return options.n_experts == 0 || begins_dense;
}

}  // namespace forge::testing
