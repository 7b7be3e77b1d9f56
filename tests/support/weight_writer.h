#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/base/check.h"
#include "tests/kernels/random_weights.h"
#include "tests/support/gguf_builder.h"

namespace forge::testing {

// Draws the weights one after the other from one generator.
class WeightWriter {
 public:
  WeightWriter(uint64_t seed, GgufBuilder& builder)
      : random_(seed), quantised_random_(static_cast<uint32_t>(seed)), builder_(builder) {}

  std::vector<float> Draw(uint64_t n, float deviation) {
    std::vector<float> values(n);
    // Own scaling of raw bits: std::uniform_real_distribution differs between libraries.
    for (float& value : values) {
      const float unit = static_cast<float>(random_() >> 40) * 0x1p-23f - 1.0f;  // [-1, 1)
      value = unit * deviation * std::sqrt(3.0f);
    }
    return values;
  }
  std::vector<float> DrawMatrix(uint64_t n_cols, uint64_t n_rows) {
    return Draw(n_cols * n_rows, 1.0f / std::sqrt(static_cast<float>(n_cols)));
  }
  void Matrix(const std::string& name, uint64_t n_cols, uint64_t n_rows, uint32_t type = 0) {
    if (type != 0) return Quantised(name, Shape(n_cols, n_rows), type);
    builder_.AddF32Tensor(name, Shape(n_cols, n_rows), DrawMatrix(n_cols, n_rows));
  }
  void Quantised(const std::string& name, const std::vector<uint64_t>& shape, uint32_t type) {
    int64_t n_rows = 1;
    for (size_t i = 1; i < shape.size(); ++i) n_rows *= static_cast<int64_t>(shape[i]);
    const std::vector<std::byte> bytes =
        RandomWeightsOfSize(static_cast<DType>(type), n_rows, static_cast<int64_t>(shape[0]),
                            1.0f / std::sqrt(static_cast<float>(shape[0])), quantised_random_);
    FORGE_CHECK(!bytes.empty(), "a type that formats.h knows");
    builder_.AddTensor(name, shape, type,
                       std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  void Bias(const std::string& name, uint64_t n) {
    builder_.AddF32Tensor(name, Shape(n), Draw(n, 0.5f));
  }
  void Norm(const std::string& name, uint64_t n) {
    std::vector<float> values = Draw(n, 0.1f);
    for (float& value : values) value += 1.0f;
    builder_.AddF32Tensor(name, Shape(n), values);
  }
  // As wide as weights differ from 1, or wider than what it is added to by nature.
  void NormBias(const std::string& name, uint64_t n) {
    builder_.AddF32Tensor(name, Shape(n), Draw(n, 0.2f));
  }
  // Weights for each of `n_heads` heads.
  void HeadNorms(const std::string& name, uint64_t head_dim, uint64_t n_heads) {
    std::vector<float> values = Draw(head_dim * n_heads, 0.3f);
    for (float& value : values) value += 1.0f;
    builder_.AddF32Tensor(name, Shape(head_dim, n_heads), values);
  }
  template <typename... Extent>
  static std::vector<uint64_t> Shape(Extent... extents) {
    return {extents...};
  }

 private:
  std::mt19937_64 random_;
  std::mt19937 quantised_random_;
  GgufBuilder& builder_;
};

}  // namespace forge::testing
