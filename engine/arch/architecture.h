#pragma once

#include <cstdint>
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
  kOutputNorm,
  kOutput,
  kRopeFactors,
  kAttnNorm,
  kAttnQ,
  kAttnK,
  kAttnV,
  kAttnQBias,
  kAttnKBias,
  kAttnVBias,
  kAttnOutput,
  kAttnOutputBias,
  kFfnNorm,
  kFfnGate,
  kFfnUp,
  kFfnDown,
};

std::string_view WeightRoleName(WeightRole role);

// One weight of the model and the place in the file it comes from: rows
// [first_row, first_row + n_rows) of tensor `file_tensor`. A fused tensor feeds several specs.
struct TensorSpec {
  WeightRole role;
  int layer;  // -1 for weights outside the layers
  std::string file_tensor;
  uint64_t first_row;
  uint64_t n_rows;
  uint64_t n_cols;  // row length
  bool is_vector;   // norms, biases, factors: kept as float32 vectors of n_cols elements, n_rows 1
};

// A family of models: how to read its configuration, and which tensors it has.
struct Architecture {
  std::string_view name;  // "general.architecture" in the file, and the prefix of its keys
  // kInvalidArgument (reason MODEL_FILE_INVALID) naming key, value and offset.
  Result<ModelConfig> (*read_config)(const GgufFile& file);
  std::vector<TensorSpec> (*tensors)(const ModelConfig& config);
};

// A model file understood: its configuration and its weights, each checked to exist in the file
// with the shape and a format the engine supports.
struct ModelDescription {
  ModelConfig config;
  std::vector<TensorSpec> tensors;
};

// Reads and checks a file's configuration and tensor table. kUnimplemented (reason
// ARCHITECTURE_UNSUPPORTED) for an unknown family or weight format, else as read_config.
Result<ModelDescription> DescribeModel(const GgufFile& file);

}  // namespace forge
