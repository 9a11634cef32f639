// Unevaluated sums hi + lo of two doubles, and polynomials: the basis of the elementary functions.
#pragma once

#include "simd/vec.h"

namespace chainrule {
namespace {
namespace math {

using Double = Vec<double>;

CR_INLINE Double constant(double x) { return splat<double>(x); }

struct Pair {
  Double hi, lo;
};

// Exact a + b where |a| >= |b| or a = 0 (Dekker).
CR_INLINE Pair fast_two_sum(Double a, Double b) {
  const Double s = a + b;
  return {s, b - (s - a)};
}
// Exact a + b for any order (Knuth).
CR_INLINE Pair two_sum(Double a, Double b) {
  const Double s = a + b;
  const Double t = s - a;
  return {s, (a - (s - t)) + (b - t)};
}
// Exact a * b while the low part does not underflow.
CR_INLINE Pair two_product(Double a, Double b) {
  const Double p = a * b;
  return {p, fma(a, b, neg(p))};
}

// (n.hi + n.lo) / (d.hi + d.lo) of normalised pairs: the quotient of the high parts, then its exact remainder divided
// again.
CR_INLINE Pair divide(Pair n, Pair d) {
  const Double q = n.hi / d.hi;
  const Double rest = fma(neg(q), d.hi, n.hi) + fma(neg(q), d.lo, n.lo);
  return {q, rest / d.hi};
}

// x between the bounds; a NaN stays.
template <class T>
CR_INLINE Vec<T> clamp(Vec<T> x, T low, T high) {
  return larger(splat(low), smaller(splat(high), x));
}

// y with the sign of x, for y >= 0 or NaN and for y that has this sign already.
template <class T>
CR_INLINE Vec<T> with_sign(Vec<T> y, Vec<T> x) {
  return bits_or(y, bits_and(x, splat<T>(T(-0.0))));
}

// How the last sum of a function rounds: to nearest where its value is the result, and to odd where it will be rounded
// once more to float32. Odd is the neighbour with an odd last bit unless the sum is exact: then a value beside the
// middle of two floats never becomes the middle, and the second rounding does what a single one would (Boldo and
// Melquiond, 2008).
enum class Last { nearest, odd };

template <Last L>
CR_INLINE Double sum(Pair p) {
  if constexpr (L == Last::nearest) {
    return p.hi + p.lo;
  } else {
    const Pair s = fast_two_sum(p.hi, p.lo);
    const Double away = value(bits(s.hi) | splat_bits<double>(1));
    const Double towards = value((bits(s.hi) - splat_bits<double>(1)) | splat_bits<double>(1));
    const Mask<double> grows = eq(with_sign(constant(1.0), s.hi), with_sign(constant(1.0), s.lo));
    return select(eq(s.lo, constant(0.0)) | isnan(s.lo), s.hi, select(grows, away, towards));
  }
}

// c[0] + c[1] x + ... by Horner's rule.
template <int N>
CR_INLINE Double polynomial(Double x, const double (&c)[N]) {
  Double sum = constant(c[N - 1]);
  CR_UNROLL
  for (int i = N - 2; i >= 0; --i) sum = fma(sum, x, constant(c[i]));
  return sum;
}
// The same where square = x * x is there already: Horner's rule in the square over the pairs c[0] + c[1] x, c[2] + c[3]
// x, ...: as many operations as Horner's rule in x, half the latency.
template <int N>
CR_INLINE Double polynomial(Double x, Double square, const double (&c)[N]) {
  constexpr int kLast = (N - 1) / 2 * 2;
  Double sum = constant(c[kLast]);
  if constexpr (N % 2 == 0) sum = fma(constant(c[N - 1]), x, sum);
  CR_UNROLL
  for (int i = kLast - 2; i >= 0; i -= 2) sum = fma(sum, square, fma(constant(c[i + 1]), x, constant(c[i])));
  return sum;
}

}  // namespace math
}  // namespace
}  // namespace chainrule
