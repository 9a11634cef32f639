// Unevaluated sums hi + lo of two doubles, and polynomials: the common ground of the elementary functions.
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

// (n.hi + n.lo) / (d.hi + d.lo), rounded once but for an error of about 2^-58: the quotient of the high parts, then its
// exact remainder divided again.
CR_INLINE Double divide(Pair n, Pair d) {
  const Double q = n.hi / d.hi;
  const Double rest = fma(neg(q), d.hi, n.hi) + fma(neg(q), d.lo, n.lo);
  return q + rest / d.hi;
}

// c[0] + c[1] x + ... by Horner's rule.
template <int N>
CR_INLINE Double polynomial(Double x, const double (&c)[N]) {
  Double sum = constant(c[N - 1]);
  CR_UNROLL
  for (int i = N - 2; i >= 0; --i) sum = fma(sum, x, constant(c[i]));
  return sum;
}

CR_INLINE Double sign_of(Double x) { return bits_and(x, constant(-0.0)); }
// y >= 0 with the sign of x; a NaN stays NaN.
CR_INLINE Double with_sign(Double y, Double x) { return bits_or(y, sign_of(x)); }

// NaN stays NaN: the comparison is false.
CR_INLINE Double at_least(Double x, double low) { return select(lt(x, constant(low)), constant(low), x); }
CR_INLINE Double at_most(Double x, double high) { return select(gt(x, constant(high)), constant(high), x); }

constexpr double kLn2High = 0x1.62e42fefa3800p-1;  // 42 bits: its product with an exponent is exact
constexpr double kLn2Low = 0x1.ef35793c76730p-45;

}  // namespace math
}  // namespace
}  // namespace chainrule
