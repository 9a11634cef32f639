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
// is subtracted exactly; w = (r + rest)^2 / 2 + ... + rest, the rest being the low parts of ln 2 and s,
// to which `low` adds that of x. N vectors step
// by step: GCC keeps this order, and each chain fills the others' gaps (four: tanh 10 % faster than two with AVX-512,
// 27 % faster than one with AVX2).
template <int N, class Low>
CR_INLINE void exp_terms(const Float (&x)[N], ExpTerms (&e)[N], Low low) {
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
  for (int i = 0; i < N; ++i) rest[i] = low(lookup(kRootTable.rest, bits(t[i])), i);
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
template <int N>
CR_INLINE void exp_terms(const Float (&x)[N], ExpTerms (&e)[N]) {
  exp_terms(x, e, [](Float rest, int) CR_LAMBDA { return rest; });
}

// y 2^k; neither y nor the result is subnormal.
CR_INLINE Float scale(Float y, Bits<float> power) { return value(bits(y) + power); }

// T + S (d - h d^2) + d^3 p(d) of a cell about a point, given `curve` = S h and p; what S lacks is in `slope_low`. hi +
// lo is S (1 - h d), and y + rest the sum. What rounding leaves of y + rest, made longer by the factor, must round back
// to the same float. The doubtful bits of each vector are returned, 0 where there are none.
template <int N>
struct CellTerms {
  Float d[N], t[N], slope[N], curve[N], p[N];
};
template <int N, class SlopeLow>
CR_INLINE void cell_sums(const CellTerms<N>& c, SlopeLow slope_low, float longer, Float (&sum)[N], Float (&doubt)[N]) {
  Float hi[N], lo[N], y[N], rest[N];
  CR_UNROLL
  for (int i = 0; i < N; ++i) hi[i] = fma(neg(c.d[i]), c.curve[i], c.slope[i]);
  CR_UNROLL
  for (int i = 0; i < N; ++i) lo[i] = fma(neg(c.d[i]), c.curve[i], c.slope[i] - hi[i]);
  CR_UNROLL
  for (int i = 0; i < N; ++i) y[i] = fma(c.d[i], hi[i], c.t[i]);
  CR_UNROLL
  for (int i = 0; i < N; ++i) lo[i] = fma(c.d[i] * c.d[i], c.p[i], slope_low(lo[i], i));
  CR_UNROLL
  for (int i = 0; i < N; ++i) rest[i] = fma(c.d[i], lo[i], fma(c.d[i], hi[i], c.t[i] - y[i]));
  CR_UNROLL
  for (int i = 0; i < N; ++i) {
    sum[i] = y[i] + rest[i];
    doubt[i] = bits_xor(sum[i], fma(rest[i] - (sum[i] - y[i]), splat(longer), sum[i]));
  }
}

// Evaluate(x) for x between the bounds, 0 below and `top` above; NaN stays. None of these three takes the exact way.
template <Float (*Evaluate)(Float)>
CR_INLINE Float between(Float x, float low, float high, float top) {
  const Mask<float> ordinary = ge(x, splat(low)) & le(x, splat(high));
  const Float beyond = select(isnan(x), x, select(lt(x, splat(0.0f)), splat(0.0f), splat(top)));
  return select(ordinary, Evaluate(select(ordinary, x, splat(0.0f))), beyond);
}

// An evaluation that is fast enough to be used alone, as a call for the doubtful.
template <Vec<float> (*Evaluate)(Vec<float>)>
__attribute__((noinline, cold)) Vec<float> of_doubtful(Vec<float> x) {
  return Evaluate(x);
}

// y[i], but what the other evaluation gives of x[i] where there are doubtful bits.
template <Float (*Otherwise)(Float), int N>
__attribute__((noinline, cold)) void decide_exactly(const Float (&x)[N], const Float (&doubt)[N], Float (&y)[N]) {
  for (int i = 0; i < N; ++i) {
    if (!all(eq(doubt[i], splat(0.0f)))) y[i] = Otherwise(x[i]);
  }
}
// The arrays of the call are copies: those of the loop stay in registers.
template <Float (*Otherwise)(Float), int N>
CR_INLINE void decide(Float (&x)[N], const Float (&y)[N], const Float (&doubt)[N]) {
  Float any = doubt[0];
  CR_UNROLL
  for (int i = 1; i < N; ++i) any = bits_or(any, doubt[i]);
  if (__builtin_expect(!all(eq(any, splat(0.0f))), false)) {
    Float arguments[N], doubts[N], values[N];
    CR_UNROLL
    for (int i = 0; i < N; ++i) arguments[i] = x[i], doubts[i] = doubt[i], values[i] = y[i];
    decide_exactly<Otherwise>(arguments, doubts, values);
    CR_UNROLL
    for (int i = 0; i < N; ++i) x[i] = values[i];
  } else {
    CR_UNROLL
    for (int i = 0; i < N; ++i) x[i] = y[i];
  }
}

}  // namespace math
}  // namespace
}  // namespace chainrule
