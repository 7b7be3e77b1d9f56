#pragma once

#include <cstdint>

#include "kernels/base/status.h"

namespace forge {

// y[i] = cap * tanh(x[i] / cap): nearly x where |x| is small, never beyond the cap. `y` may be `x`.
// Bounds the logits of the gemma2 family (Gemma Team, arXiv:2408.00118).
struct SoftCapArgs {
  const float* x = nullptr;  // [n]
  float* y = nullptr;        // [n]
  int64_t n = 0;
  float cap = 0.0f;  // positive
};
Status Validate(const SoftCapArgs& args);

}  // namespace forge
