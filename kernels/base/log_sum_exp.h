#pragma once

#include <span>

namespace forge {

// log(sum_i exp(values[i])), within 2e-7, around the maximum. NaN if a value is NaN, and
// not finite if none is finite.
double LogSumExp(std::span<const float> values);

// sum_i exp(values[i] - maximum), within 2e-7 of itself; NaN if a value is NaN.
// REQUIRES: `maximum` is finite and no value exceeds it.
double SumOfExponentials(std::span<const float> values, float maximum);

// The largest; NaN if one is NaN, -infinity if there is none.
float Maximum(std::span<const float> values);

}  // namespace forge
