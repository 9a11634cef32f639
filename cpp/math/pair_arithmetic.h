// Arithmetic of unevaluated sums hi + lo, good to about 2^-100, and functions that are evaluated as such sums once for
// both dtypes: `nearest` rounds the sum to float64, `rounded` to odd and then to float32. They are calls, not inlined:
// a function is some hundred operations, and its loops are four. docs/arithmetic.md states the errors.
#pragma once

#include "math/pair.h"

namespace chainrule {
namespace {
namespace math {

CR_INLINE Pair exactly(Double x) { return {x, constant(0.0)}; }
CR_INLINE Pair neg(Pair x) { return {neg(x.hi), neg(x.lo)}; }
CR_INLINE Pair select(Mask<double> m, Pair a, Pair b) { return {select(m, a.hi, b.hi), select(m, a.lo, b.lo)}; }
// By a power of two.
CR_INLINE Pair times(Pair x, Double power) { return {x.hi * power, x.lo * power}; }

// For |a| >= |b| or a = 0.
CR_INLINE Pair fast_add(Pair a, Pair b) {
  const Pair s = fast_two_sum(a.hi, b.hi);
  return fast_two_sum(s.hi, s.lo + (a.lo + b.lo));
}
CR_INLINE Pair add(Pair a, Pair b) {
  const Pair s = two_sum(a.hi, b.hi);
  return fast_two_sum(s.hi, s.lo + (a.lo + b.lo));
}
CR_INLINE Pair multiply(Pair a, Pair b) {
  const Pair p = two_product(a.hi, b.hi);
  return fast_two_sum(p.hi, p.lo + fma(a.hi, b.lo, a.lo * b.hi));
}
CR_INLINE Pair multiply(Pair a, Double b) {
  const Pair p = two_product(a.hi, b);
  return fast_two_sum(p.hi, fma(a.lo, b, p.lo));
}
// sqrt(x), 0 for 0.
CR_INLINE Pair root_of(Pair x) {
  const Double s = sqrt(x.hi);
  const Double rest = fma(neg(s), s, x.hi) + x.lo;
  return {s, select(eq(s, constant(0.0)), constant(0.0), rest / (s + s))};
}

// `x` in place of the sum where m is set: infinities, NaN, and numbers that need no low part; a zero keeps its sign.
CR_INLINE Pair instead(Mask<double> m, Double x, Pair y) {
  return {select(m, x, y.hi), select(m, bits_and(x, constant(-0.0)), y.lo)};
}
CR_INLINE Pair with_sign(Pair y, Double x) {
  const Double sign = bits_and(x, constant(-0.0));
  return {bits_xor(y.hi, sign), bits_xor(y.lo, sign)};
}

template <Last L, Pair (*F)(Double)>
__attribute__((noinline)) Double evaluated(Double x) {
  return sum<L>(F(x));
}
template <Last L, Pair (*F)(Double, Double)>
__attribute__((noinline)) Double evaluated(Double x, Double y) {
  return sum<L>(F(x, y));
}

// F of vectors of either dtype.
template <auto F>
CR_INLINE Vec<double> rounded(Vec<double> x) {
  return evaluated<Last::nearest, F>(x);
}
template <auto F>
CR_INLINE Vec<float> rounded(Vec<float> x) {
  Wide w = widen(x);
  for (int i = 0; i < Wide::parts; ++i) w.part[i] = evaluated<Last::odd, F>(w.part[i]);
  return narrow(w);
}
template <auto F>
CR_INLINE Vec<double> rounded(Vec<double> x, Vec<double> y) {
  return evaluated<Last::nearest, F>(x, y);
}
template <auto F>
CR_INLINE Vec<float> rounded(Vec<float> x, Vec<float> y) {
  Wide w = widen(x);
  const Wide v = widen(y);
  for (int i = 0; i < Wide::parts; ++i) w.part[i] = evaluated<Last::odd, F>(w.part[i], v.part[i]);
  return narrow(w);
}

}  // namespace math
}  // namespace
}  // namespace chainrule
