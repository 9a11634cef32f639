// Quick evaluations of float32 functions in pairs of floats, all lanes of a vector at once; binary64 takes two vectors
// for them and half as long again. They check themselves like those of rounding.h: both ends of the interval in which
// the exact value must lie round to the same float, or another evaluation decides.
#pragma once

#include "math/rounding.h"
#include "math/tables.h"

namespace chainrule {
namespace {
namespace math {

using Float = Vec<float>;

// e^x = 2^k s (1 + r + w), s = 2^(j / kRoots), |r| <= ln 2 / (2 kRoots) + a little; s and r are exact floats.
struct ExpTerms {
  Float s, r, w;
  Float square;       // (r + w)^2 about: the error of w is below 2^-22 of it
  Bits<float> power;  // k in the exponent field
};

// The low word of x / ln 2 + a large constant, a multiple of 1 / kRoots, is kRoots k + j. A multiple of the float ln 2
// is subtracted exactly; w = (r + rest)^2 / 2 + ... + rest, the rest being the low parts of ln 2 and s. N vectors step
// by step: GCC keeps this order, and each chain fills the others' gaps (four: tanh 10 % faster than two with AVX-512,
// 27 % faster than one with AVX2).
template <int N>
CR_INLINE void exp_terms(const Float (&x)[N], ExpTerms (&e)[N]) {
  constexpr int kBits = kRoots == 32 ? 5 : 4;
  constexpr float kMagic = kRoots == 32 ? 0x1.8p18f : 0x1.8p19f;
  constexpr float kThird = kRoots == 32 ? 0x1.5555c8p-3f : 0x1.55571ep-3f;
  constexpr float kFourth = kRoots == 32 ? 0x1.5555acp-5f : 0x1.5556b4p-5f;
  Float t[N], steps[N], rest[N], full[N], half[N];
  CR_UNROLL
  for (int i = 0; i < N; ++i) t[i] = fma(x[i], splat(0x1.715476p+0f), splat(kMagic));
  CR_UNROLL
  for (int i = 0; i < N; ++i) steps[i] = t[i] - splat(kMagic);
  CR_UNROLL
  for (int i = 0; i < N; ++i) e[i].r = fma(steps[i], splat(-kLn2Float), x[i]);
  CR_UNROLL
  for (int i = 0; i < N; ++i) rest[i] = lookup(kRootTable.rest, bits(t[i]));
  CR_UNROLL
  for (int i = 0; i < N; ++i) rest[i] = fma(steps[i], splat(kLn2FloatExcess), rest[i]);
  CR_UNROLL
  for (int i = 0; i < N; ++i) full[i] = e[i].r + rest[i];
  CR_UNROLL
  for (int i = 0; i < N; ++i) e[i].s = lookup(kRootTable.s, bits(t[i]));
  CR_UNROLL
  for (int i = 0; i < N; ++i) e[i].power = shl<23 - kBits>(bits(t[i])) & splat_bits<float>(-0x800000);
  CR_UNROLL
  for (int i = 0; i < N; ++i) half[i] = fma(full[i], splat(kFourth), splat(kThird));
  CR_UNROLL
  for (int i = 0; i < N; ++i) half[i] = fma(full[i], half[i], splat(0.5f));
  CR_UNROLL
  for (int i = 0; i < N; ++i) e[i].square = full[i] * full[i];
  CR_UNROLL
  for (int i = 0; i < N; ++i) e[i].w = fma(e[i].square, half[i], rest[i]);
}

// y 2^k; neither y nor the result is subnormal.
CR_INLINE Float scale(Float y, Bits<float> power) { return value(bits(y) + power); }

// y where both ends of the interval are the same, otherwise what the other evaluation gives.
template <Float (*Otherwise)(Float)>
CR_INLINE Float decide(Float x, Float y, Mask<float> sure) {
  if (__builtin_expect(!all(sure), false)) return Otherwise(x);
  return y;
}

}  // namespace math
}  // namespace
}  // namespace chainrule
