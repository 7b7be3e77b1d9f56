#pragma once

#include "kernels/hip/block_reduce.h"

namespace forge {

// Threads of the kernels that normalise whole rows: one number, so that a row has the same bits in
// all of them.
constexpr int kNormThreads = 256;

// 1 / sqrt(mean(x^2) + epsilon) of a row, in every thread of the block. `partial`: see BlockSum.
template <int kWave, int kThreads>
FORGE_DEVICE float InverseRms(const float* x, int dim, float epsilon, float* partial) {
  float squares = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < dim; i += kThreads)
    squares = fmaf(x[i], x[i], squares);
  squares = BlockSum<kWave, kThreads>(squares, partial);
  return 1.0f / sqrtf(squares / static_cast<float>(dim) + epsilon);
}

// What the elements of a row are normalised by: (x - mean) * inverse * weight. A norm that is not
// centred has a mean of 0, which changes no bit.
struct RowScale {
  float mean;
  float inverse;
};

// The scale of a row, in every thread of the block. Squares are those of differences from the mean.
template <int kWave, int kThreads>
FORGE_DEVICE RowScale MeasureRow(const float* x, int dim, float epsilon, bool is_centred,
                                 float* partial) {
  if (!is_centred) return {0.0f, InverseRms<kWave, kThreads>(x, dim, epsilon, partial)};
  float sum = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < dim; i += kThreads) sum += x[i];
  const float mean = BlockSum<kWave, kThreads>(sum, partial) / static_cast<float>(dim);
  float squares = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < dim; i += kThreads)
    squares = fmaf(x[i] - mean, x[i] - mean, squares);
  squares = BlockSum<kWave, kThreads>(squares, partial);
  return {mean, 1.0f / sqrtf(squares / static_cast<float>(dim) + epsilon)};
}

// `weight` and `bias` may be null.
FORGE_DEVICE float NormElement(float x, const RowScale& scale, const float* weight,
                               const float* bias, int i) {
  const float plain = (x - scale.mean) * scale.inverse;
  const float normed = weight == nullptr ? plain : plain * weight[i];
  return bias == nullptr ? normed : normed + bias[i];
}

}  // namespace forge
