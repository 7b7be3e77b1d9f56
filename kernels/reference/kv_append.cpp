#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/reference/reference.h"

namespace forge {

double ReferenceKvElement(float value, KvDType dtype) {
  const double exact = value;
  if (dtype == KvDType::kF32 || !std::isfinite(exact) || exact == 0.0) return exact;
  // binary16 has 11 significant bits, and multiples of 2^-24 below 2^-14.
  int exponent = 0;
  std::frexp(exact, &exponent);  // |exact| is in [2^(exponent - 1), 2^exponent)
  const double unit = std::ldexp(1.0, std::max(exponent - 11, -24));
  const double rounded = std::nearbyint(exact / unit) * unit;
  if (std::abs(rounded) > 65504.0)
    return std::copysign(std::numeric_limits<double>::infinity(), exact);
  return rounded;
}

}  // namespace forge
