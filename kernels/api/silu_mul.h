#pragma once

#include <cstdint>

#include "kernels/base/status.h"

namespace forge {

// y[i] = gate[i] / (1 + exp(-gate[i])) * up[i]. `y` may be `gate` or `up`.
struct SiluMulArgs {
  const float* gate = nullptr;  // [n]
  const float* up = nullptr;    // [n]
  float* y = nullptr;           // [n]
  int64_t n = 0;
};
Status Validate(const SiluMulArgs& args);

}  // namespace forge
