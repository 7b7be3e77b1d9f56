#pragma once

// How far a kernel may be from its double-precision reference. A result passes when
// |got - want| <= absolute + relative * |want|. One place, so that loosening one shows.
namespace forge::testing {

struct Tolerance {
  double relative;
  double absolute;
};

// Half a unit in the last place of float32.
constexpr double kFloatEpsilon = 0x1p-24;

// Sums of up to 8192 squares in 64 or fewer partial sums, one square root, three roundings.
constexpr Tolerance kRmsNormTolerance = {.relative = 16 * kFloatEpsilon, .absolute = 1e-30};

// A centred row may cancel what it had in common, and a bias what is left: the error is that of
// numbers up to some 15 and of the mean, which tests keep within ten deviations.
constexpr Tolerance kLayerNormTolerance = {.relative = 16 * kFloatEpsilon, .absolute = 2e-5};

// With a residual the sum may cancel: the error is that of the norm's own values, up to some 15.
constexpr Tolerance kResidualNormTolerance = {.relative = 16 * kFloatEpsilon, .absolute = 1.5e-5};

// Sine and cosine are rounded once and each product once; a difference of two numbers near 1 keeps
// the error of the greater, so it is absolute.
constexpr Tolerance kRopeTolerance = {.relative = 4 * kFloatEpsilon, .absolute = 1e-6};

// The above of numbers around 1, divided by their root mean square. Of two numbers that is small
// where both are, and what is then divided has the absolute error of the rotation.
constexpr Tolerance kTurnedNormTolerance = {.relative = 16 * kFloatEpsilon, .absolute = 1e-5};

// An exponential good to 1.5 units, an addition, a division and a product. Below -88.7 the
// exponential of the negated gate is infinite and the result 0 instead of some -2.6e-37 times the
// other factor, which tests keep below 18.
constexpr Tolerance kSiluTolerance = {.relative = 10 * kFloatEpsilon, .absolute = 5e-36};

// As above, but the exponent x is itself a product: its roundings make the exponential off by up to
// 4 |x| units, and x reaches 88.
constexpr Tolerance kGeluTolerance = {.relative = 400 * kFloatEpsilon, .absolute = 1e-36};
constexpr Tolerance kSwigluTolerance = {.relative = 200 * kFloatEpsilon, .absolute = 1e-35};

// Sums of up to eight products of numbers around 1, which may cancel: their error is that of
// numbers up to some 10, and so is what silu makes of them.
constexpr Tolerance kConvTolerance = {.relative = 10 * kFloatEpsilon, .absolute = 5e-6};

// Sums of up to 128 products of numbers below 1, over and over into one state, which forgets; the
// norm at the end divides by what may be a tenth of them.
constexpr Tolerance kDeltaTolerance = {.relative = 1e-5, .absolute = 2e-5};

// The same without a norm; a state of 256 rows grows to some hundreds.
constexpr Tolerance kStateSpaceTolerance = {.relative = 1e-5, .absolute = 1e-4};

// Two products.
constexpr Tolerance kReluTolerance = {.relative = 4 * kFloatEpsilon, .absolute = 1e-36};

// Two roundings and a tanh good to 2 units, whose argument is rounded once.
constexpr Tolerance kSoftCapTolerance = {.relative = 8 * kFloatEpsilon, .absolute = 1e-37};

// Exponents are differences rounded once, so that an exponential is off by up to |x| units, x down
// to -88; sums and quotients are exact beside that.
constexpr Tolerance kRouteTolerance = {.relative = 100 * kFloatEpsilon, .absolute = 1e-36};

// Sums of up to ten products of numbers around 1 to 5.
constexpr Tolerance kCombineTolerance = {.relative = 16 * kFloatEpsilon, .absolute = 5e-6};

// Scores are sums of up to 256 products of numbers around 1, so they are off by some 1e-6, and a
// weight exp(score) by the same fraction; the weighted mean of values around 1 inherits that.
// A log-probability may be off by 5e-4 after all layers, which is far above.
constexpr Tolerance kAttentionTolerance = {.relative = 1e-5, .absolute = 5e-6};

// With queries 200 times as long, scores reach 1000, where float32 is exact to some 1e-4.
constexpr Tolerance kLargeScoreTolerance = {.relative = 1e-3, .absolute = 1e-3};

// Copies and single roundings are exact.
constexpr Tolerance kExact = {.relative = 0.0, .absolute = 0.0};

}  // namespace forge::testing
