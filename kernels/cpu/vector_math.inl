// Functions of vectors in terms of those of the simd_*.h that was included before; compiled once
// for each instruction set, like vector_kernels.inl.

namespace forge {
namespace {

// Within 1.5 units in the last place; 0 below -104 and infinity above 89. With n = round(x / ln 2)
// and r = x - n ln 2 it is 2^n exp(r), exp(r) by the polynomial of Cephes (S. Moshier, expf).
// Always inlined, which g++ does or not by what else is in a file: calls cost loops up to a fifth.
[[gnu::always_inline]] inline Vec Exp(Vec x) {
  x = Max(Set(-104.0f), Min(Set(89.0f), x));  // NaN stays: it is the second operand
  const Vec round = Set(0x1.8p23f);           // adding it leaves the nearest integer
  const Vec shifted = Fma(x, Set(0x1.715476p+0f), round);
  const Vec n = shifted - round;
  Vec r = Fma(n, Set(-0x1.62e400p-1f), x);  // ln 2 in two parts; n times the first is exact
  r = Fma(n, Set(-0x1.7f7d1cp-20f), r);
  Vec p = Set(1.9875691500e-4f);
  p = Fma(p, r, Set(1.3981999507e-3f));
  p = Fma(p, r, Set(8.3334519073e-3f));
  p = Fma(p, r, Set(4.1665795894e-2f));
  p = Fma(p, r, Set(1.6666665459e-1f));
  p = Fma(p, r, Set(5.0000001201e-1f));
  p = Fma(p * r, r, r) + Set(1.0f);
  return TimesPowerOfTwo(p, shifted);
}

inline float Exp(float x) { return Exp(Set(x))[0]; }

// Within 2 units in the last place. Near 0 the polynomial of Cephes (S. Moshier, tanhf); beyond,
// the quotient of exponentials, which would cancel there.
inline Vec Tanh(Vec x) {
  const Vec square = x * x;
  Vec p = Set(-5.70498872745e-3f);
  p = Fma(p, square, Set(2.06390887954e-2f));
  p = Fma(p, square, Set(-5.37397155531e-2f));
  p = Fma(p, square, Set(1.33314422036e-1f));
  p = Fma(p, square, Set(-3.33332819422e-1f));
  const Vec near = Fma(p * square, x, x);
  const Vec magnitude = Max(x, -x);  // of NaN, NaN
  const Vec far = Set(1.0f) - Set(2.0f) / (Exp(magnitude + magnitude) + Set(1.0f));
  const Vec signed_far = x < Set(0.0f) ? -far : far;
  return magnitude < Set(0.625f) ? near : signed_far;
}

inline Vec SoftCap(Vec x, Vec cap) { return cap * Tanh(x / cap); }

}  // namespace
}  // namespace forge
