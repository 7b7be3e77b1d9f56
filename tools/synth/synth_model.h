#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/result.h"
#include "tools/synth/gguf_header.h"
#include "tools/synth/model_shape.h"

namespace forge {

struct SynthOptions {
  std::string shape;      // a name of ModelShapes()
  std::string type;       // a name of FormatMixNames()
  bool is_pure = false;   // the type's base format in every matrix
  uint32_t n_layers = 0;  // 0: the shape's default_layers
  uint64_t seed = 1;
  int n_threads = 0;  // 0: one for each processor
};

// How the values of a tensor are drawn.
enum class SynthValues {
  kMatrix,       // mean 0, deviation 1 / sqrt(row length): keeps activations near 1
  kNorm,         // mean 1, deviation 0.1
  kBias,         // mean 0, deviation 0.1
  kDecay,        // mean -0.5, deviation 0.1: how fast a delta net forgets
  kRopeFactors,  // Llama 3's frequency factors
};

// A model file before it is written: all but the random numbers.
struct SynthModel {
  ModelShape shape;
  uint32_t n_layers = 0;
  std::string header;  // the file's bytes up to the tensor data
  std::vector<GgufTensorEntry> tensors;
  std::vector<SynthValues> values;  // of tensors
  uint64_t file_bytes() const;
};

// Chooses tensors, formats and metadata. kNotFound for an unknown shape, and as FormatMix.
Result<SynthModel> PlanSynthModel(const SynthOptions& options);

// Draws the weights on `options.n_threads` threads and writes the file; the same options give the
// same bytes, whatever the number of threads. The file appears under `path` when it is whole.
// kFailedPrecondition naming the file and what the system says.
Status WriteSynthModel(const SynthModel& model, const SynthOptions& options,
                       const std::string& path);

}  // namespace forge
