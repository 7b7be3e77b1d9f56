#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api/matmul.h"
#include "kernels/hip/hip_stream.h"

namespace forge {

// Activations for quantised weights: parts of 32 columns rounded to int8 with a float32 scale,
//   value = scale * code, or scale * (code + digit / 254) where the second digits are used.
// A part with an infinity or NaN has the scale NaN, so that it shows in the result.
struct QuantizedActivations {
  int8_t* codes = nullptr;   // [n_tokens, n_cols], in [-127, 127], 16-byte aligned
  int8_t* digits = nullptr;  // [n_tokens, n_cols], as codes; what rounding left over
  float* scales = nullptr;   // [n_tokens, n_cols / 32]
  int32_t* sums = nullptr;   // [n_tokens, n_cols / 32], of the codes: columns 0-15 of a part in the
                             // low 16 bits, as a signed number, columns 16-31 in the high ones
};

// Steps of a second digit in one of a code.
constexpr float kDigitStep = 1.0f / 254;

// Bytes of the activations, a multiple of 64; 0 unless both are positive.
uint64_t QuantizedActivationBytes(int n_tokens, int64_t n_cols);

// Lays them out at `data`, 64-byte aligned.
QuantizedActivations PlaceQuantizedActivations(void* data, int n_tokens, int64_t n_cols);

// Quantises x [n_tokens, n_cols], or what `norm` makes of it, whose scratch stays as it is.
// REQUIRES: n_cols is a multiple of 32, n_tokens is positive.
Status QuantizeActivations(const float* x, const InputNorm& norm, int n_tokens, int64_t n_cols,
                           bool needs_digits, const QuantizedActivations& activations,
                           HipStream& stream);

}  // namespace forge
