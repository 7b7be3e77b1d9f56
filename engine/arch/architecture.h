#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/arch/model_config.h"
#include "engine/gguf/gguf_file.h"
#include "kernels/base/result.h"

namespace forge {

// Where a weight belongs in the forward pass.
enum class WeightRole {
  kTokenEmbedding,
  kLayerInputs,  // of each token, a part for each layer
  kLayerInputProjection,
  kLayerInputNorm,
  kTokenTypes,
  kPositionEmbedding,
  kEmbeddingNorm,
  kEmbeddingNormBias,
  kOutputNorm,
  kOutputNormBias,
  kOutput,
  kOutputBias,
  kRopeFactors,
  kRopeFactorsLong,
  kRopeFactorsShort,
  kAttnNorm,
  kAttnNormBias,
  kAttnQ,
  kAttnK,
  kAttnV,
  kAttnQBias,
  kAttnKBias,
  kAttnVBias,
  kQueryLatent,  // what queries are made of
  kQueryLatentNorm,
  kLatent,  // what the keys and values of all heads are made of
  kLatentNorm,
  kHeadKeys,        // of each head, from latent to keys, transposed: queries pass it instead
  kHeadValues,      // of each head, from latent to values
  kMixed,           // what is convolved in a recurrent layer: of a delta net queries, keys, values
  kMixedGate,       // of that
  kMixerGate,       // of what the layer gives
  kDeltaBeta,       // how strongly each head learns
  kMixerAlpha,      // how much it forgets; of a state space the step too
  kDeltaStrengths,  // both, by key heads
  kConv,
  kConvBias,
  kMixerAlphaBias,
  kMixerDecay,
  kMixerSkip,  // how much of what a state space takes it gives at once
  kMixerNorm,
  kAttnQNorm,
  kAttnKNorm,
  kAttnSinks,
  kAttnOutput,
  kAttnOutputBias,
  kAttnPostNorm,
  kAttnSumNorm,
  kAttnSumNormBias,
  kFfnNorm,
  kFfnNormBias,
  kFfnGate,
  kFfnUp,
  kFfnDown,
  kFfnGateBias,
  kFfnUpBias,
  kFfnDownBias,
  kFfnPostNorm,
  kFfnSumNorm,
  kFfnSumNormBias,
  kFfnMadeNorm,  // of what the dense net makes, beside experts
  kLayerInputGate,
  kLayerInputOutput,
  kLayerInputPostNorm,
  kLayerScale,
  kRouterNorm,
  kRouter,
  kRouterBias,
  kSelectionBias,   // of each expert, for choosing it
  kExpertNorm,      // of what they take, where it is their own
  kExpertMadeNorm,  // of what they make
  kExpertScales,
  kExpertGate,
  kExpertUp,
  kExpertDown,
  kExpertGateBias,
  kExpertUpBias,
  kExpertDownBias,
  kSharedRouter,  // the gate of the shared expert
  kSharedGate,
  kSharedUp,
  kSharedDown,
};

std::string_view WeightRoleName(WeightRole role);

// One weight of the model and the place in the file it comes from: rows
// [first_row, first_row + n_rows) of tensor `file_tensor`. A fused tensor feeds several specs,
// which together take every row of it. For a vector, which has one row, `first_row` is the first
// element instead: a fused bias feeds several specs too.
struct TensorSpec {
  WeightRole role;
  int layer;  // -1 for weights outside the layers
  std::string file_tensor;
  uint64_t first_row;
  uint64_t n_rows;
  uint64_t n_cols;  // row length
  // Norms, biases, factors: kept as float32 vectors of n_cols elements, n_rows 1. In the file they
  // are F32, F16 or BF16.
  bool is_vector;
  // Matrices or vectors of this shape that lie one after the other in the file's tensor, as its
  // last extent: one of each expert, or head.
  uint32_t n_slices = 1;
  // Rows from slice to slice where a matrix has them among its other rows; 0: see n_slices.
  uint64_t slice_stride = 0;
  uint32_t expert = 0;  // of the first
  double scale = 1.0;   // of a vector: its elements are multiplied by this
  // Of a matrix: its rows are the columns of the weight, which has F32 or BF16 numbers where the
  // file has, and else F16.
  bool is_transposed = false;
};

// A family of models: how to read its configuration, and which tensors it has.
struct Architecture {
  std::string_view name;  // "general.architecture" in the file, and the prefix of its keys
  // kInvalidArgument (reason MODEL_FILE_INVALID) naming key, value and offset.
  Result<ModelConfig> (*read_config)(const GgufFile& file);
  // No kOutput where the output is tied, no kRopeFactors where there are none.
  std::vector<TensorSpec> (*tensors)(const ModelConfig& config);
};

// Every family the engine knows, ordered by name.
std::span<const Architecture> Architectures();
// nullptr if there is none of that name.
const Architecture* FindArchitecture(std::string_view name);

// A model file understood: its configuration and its weights, each checked to exist in the file
// with the shape and a format the engine supports.
struct ModelDescription {
  ModelConfig config;
  std::vector<TensorSpec> tensors;
};

// Reads and checks a file's configuration and tensor table. kUnimplemented (reason
// ARCHITECTURE_UNSUPPORTED) for an unknown family or weight format, or a tensor or key that the
// family's forward pass would leave out; else as read_config. docs/gguf.md lists every check.
Result<ModelDescription> DescribeModel(const GgufFile& file);

}  // namespace forge
