#pragma once

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "engine/arch/architecture.h"
#include "engine/gguf/gguf_file.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge::testing {

// What the engine makes of a file with these contents.
inline Result<ModelDescription> Describe(const GgufBuilder& builder) {
  const TempFile path(builder.Build());
  auto file = GgufFile::Open(path.path());
  if (!file.ok()) return file.status();
  return DescribeModel(**file);
}

// The same of a file that must be taken.
inline ModelDescription Described(const GgufBuilder& builder) {
  auto model = Describe(builder);
  EXPECT_TRUE(model.ok()) << model.status().ToString();
  return model.ok() ? std::move(model).value() : ModelDescription();
}

inline ModelDescription Described(const TinyModelOptions& options) {
  return Described(MakeTinyModel(options));
}

inline std::vector<bool> RecurrentLayers(const ModelConfig& config) {
  std::vector<bool> recurrent;
  for (uint32_t layer = 0; layer < config.n_layers; ++layer)
    recurrent.push_back(config.IsRecurrent(layer));
  return recurrent;
}

inline const TensorSpec* Find(const ModelDescription& model, WeightRole role, int layer) {
  for (const TensorSpec& spec : model.tensors)
    if (spec.role == role && spec.layer == layer) return &spec;
  return nullptr;
}

}  // namespace forge::testing
