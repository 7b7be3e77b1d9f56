#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/check.h"
#include "kernels/reference/reference.h"

namespace forge {
namespace {

// A binary floating-point format that float32 is rounded to.
struct Precision {
  int significant_bits;
  int least_exponent;  // numbers are multiples of 2^least_exponent
  double greatest;
};
constexpr Precision kBinary16 = {11, -24, 65504.0};
constexpr Precision kBfloat16 = {8, -133, 0x1.fep127};

double Round(double exact, const Precision& precision) {
  if (!std::isfinite(exact) || exact == 0.0) return exact;
  int exponent = 0;
  std::frexp(exact, &exponent);  // |exact| is in [2^(exponent - 1), 2^exponent)
  const double unit =
      std::ldexp(1.0, std::max(exponent - precision.significant_bits, precision.least_exponent));
  const double rounded = std::nearbyint(exact / unit) * unit;
  if (std::abs(rounded) > precision.greatest)
    return std::copysign(std::numeric_limits<double>::infinity(), exact);
  return rounded;
}

void HoldQ8Block(const float* values, double* held) {
  float greatest = 0.0f;
  for (int i = 0; i < kKvBlockElements; ++i) greatest = std::max(greatest, std::abs(values[i]));
  const double scale = Round(static_cast<double>(greatest / 127.0f), kBinary16);
  for (int i = 0; i < kKvBlockElements; ++i) {
    const float quotient = scale == 0.0 ? 0.0f : values[i] / static_cast<float>(scale);
    held[i] = std::clamp(std::nearbyint(static_cast<double>(quotient)), -127.0, 127.0) * scale;
  }
}

}  // namespace

double ReferenceKvElement(float value, KvDType dtype) {
  FORGE_CHECK(dtype != KvDType::kQ8_0, "a q8_0 element has no value alone");
  const double exact = value;
  if (dtype == KvDType::kF32) return exact;
  return Round(exact, dtype == KvDType::kF16 ? kBinary16 : kBfloat16);
}

void ReferenceKvElements(const float* values, int64_t n, KvDType dtype, double* held) {
  if (dtype != KvDType::kQ8_0) {
    for (int64_t i = 0; i < n; ++i) held[i] = ReferenceKvElement(values[i], dtype);
    return;
  }
  FORGE_CHECK(n % kKvBlockElements == 0, "not whole blocks");
  for (int64_t i = 0; i < n; i += kKvBlockElements) HoldQ8Block(values + i, held + i);
}

}  // namespace forge
