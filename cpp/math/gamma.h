// The logarithm of the gamma function and its derivatives.
#pragma once

#include "math/angles.h"
#include "math/erf.h"
#include "math/gamma_tables.h"

namespace chainrule {
namespace {
namespace math {

// sin(pi f) and cos(pi f), up to a common sign, of the distance f of a from the nearest integer.
struct Turn {
  Pair sine, cosine;
};
CR_INLINE Turn half_turn(Double a) {
  const Double large = constant(0x1p52), magic = constant(0x1.8p52);
  const Double f = select(le(large, a), constant(0.0), a - ((a + large) - large));
  const Double t = fma(f, constant(16.0), magic);
  const Pair r = multiply({constant(kPi), constant(kPiLow)}, fma(t - magic, constant(-0x1p-4), f));
  Arc arc = {r.hi, r.lo, bits(t)};
  const Pair sine = sine_pair(arc);
  arc.index = arc.index + splat_bits<double>(8);
  return {sine, sine_pair(arc)};
}

// For x > 0 both functions have polynomials in z = x - 1 from 0 to 2, which others reach by steps of 1: up from x < 1,
// down from x < 8. Beyond 8 there are series in 1 / x^2.
struct Strip {
  Double z;
  Mask<double> below, beyond;
};
CR_INLINE Strip strip(Double x) {
  const Mask<double> below = lt(x, constant(1.0)), beyond = le(constant(8.0), x);
  return {select(beyond, constant(1.0), select(below, x, x - constant(1.0))), below, beyond};
}
constexpr int kSteps8 = 5;  // from 7 to 2
constexpr double kStrip = 17.0 / 128;

// log(gamma(x)) for finite x > 0. The polynomials are of log(gamma(1 + z)) / (z (z - 1)).
CR_INLINE Pair lgamma_right(Double x) {
  Strip v = strip(x);
  Pair product = exactly(constant(1.0));
  CR_UNROLL
  for (int i = 0; i < kSteps8; ++i) {
    const Mask<double> above = lt(constant(2.0), v.z);
    product = select(above, multiply(product, v.z), product);
    v.z = select(above, v.z - constant(1.0), v.z);
  }
  const Pair l = log_pair(instead(v.below | v.beyond, x, product));
  const Pair curve =
      multiply(polynomial_pair(equal_cell(v.z, kStrip), kLogGamma), multiply(two_sum(v.z, constant(-1.0)), v.z));
  const Pair near = add(curve, select(v.below, neg(l), l));
  // (x - 1/2) (log x - 1) + (log(2 pi) - 1) / 2 + ...
  const Double inverse = constant(1.0) / x, square = inverse * inverse;
  const Pair rise = add(l, exactly(constant(-1.0))), width = two_sum(x, constant(-0.5));
  const Pair end = {constant(0x1.d67f1c864beb5p-1 - 0.5), constant(-0x1.65b5a1b7ff5dfp-55)};
  const Pair far = add(multiply(rise, width), end);
  const Pair series = add(far, exactly(inverse * polynomial(square, square * square, kStirling)));
  const Double about = rise.hi * x;
  return instead(eq(about, constant(kInfinity)), about, select(v.beyond, series, near));
}

// log |gamma(x)|, on the left by gamma(x) gamma(-x) = -pi / (x sin(pi x)); infinite at 0, -1, -2, ... and at +-inf.
CR_INLINE Pair lgamma_pair(Double x) {
  const Double a = abs(x), zero = constant(0.0), infinity = constant(kInfinity);
  const Pair right = lgamma_right(a), area = multiply(half_turn(a).sine, a);
  const Pair lengths = select(lt(area.hi, zero), neg(area), area);
  const Pair log_pi = {constant(0x1.250d048e7a1bdp+0), constant(0x1.7abf2ad8d5088p-57)};
  const Pair left = add(log_pi, neg(add(log_pair(lengths), right)));
  const Pair y = select(lt(x, constant(-0x1p-100)), left, right);
  return instead(isnan(x), x, instead((le(x, zero) & is_integer(x)) | eq(a, infinity), infinity, y));
}

// The derivative of log(gamma(x)) for finite x > 0. The polynomials are of it at 1 + z, divided by z less its zero.
CR_INLINE Pair digamma_right(Double x) {
  const Double one = constant(1.0);
  Strip v = strip(x);
  Pair steps = {constant(0.0), constant(0.0)};
  CR_UNROLL
  for (int i = 0; i < kSteps8; ++i) {
    const Mask<double> above = lt(constant(2.0), v.z);
    steps = select(above, add(steps, divide(exactly(one), exactly(v.z))), steps);
    v.z = select(above, v.z - one, v.z);
  }
  const Pair inverse = divide(exactly(one), exactly(x));
  const Pair root = {constant(kDigammaRoot), constant(kDigammaRootLow)};
  const Pair curve = multiply(polynomial_pair(equal_cell(v.z, kStrip), kDigamma), add(exactly(v.z), neg(root)));
  const Pair near = add(curve, select(v.below, neg(inverse), steps));
  // log x - 1 / (2 x) - ...
  const Double square = inverse.hi * inverse.hi;
  const Pair far = add(log_pair(exactly(x)), times(inverse, constant(-0.5)));
  const Double series = square * polynomial(square, square * square, kDigammaSeries);
  return select(v.beyond, add(far, exactly(neg(series))), near);
}

// On the left psi(-a) = psi(a) + 1 / a + pi cot(pi a); NaN at -1, -2, ... and -inf; -inf at 0, inf at -0.
CR_INLINE Pair digamma_pair(Double x) {
  const Double a = abs(x), zero = constant(0.0), one = constant(1.0), infinity = constant(kInfinity);
  const Turn turn = half_turn(a);
  const Pair right = digamma_right(a), cotangent = divide(turn.cosine, turn.sine);
  const Pair reflected = multiply(cotangent, {constant(kPi), constant(kPiLow)});
  const Pair left = add(add(right, divide(exactly(one), exactly(a))), reflected);
  const Pair y = instead(lt(a, constant(0x1p-900)), neg(one / x), select(lt(x, zero), left, right));
  const Pair defined = instead(lt(x, zero) & is_integer(x), constant(__builtin_nan("")), y);
  return instead(isnan(x) | eq(x, infinity), x, defined);
}

// The derivatives of digamma, of order n from 1 on, in binary64 throughout: (-1)^(n+1) n! times the sum of (x +
// i)^-(n+1) over all i >= 0. Of the sum `steps` terms are added, the rest is the series of Euler and Maclaurin. On the
// left f(x) = (-1)^n f(1 - x) - pi^(n+1) P(cot(pi x)), whose coefficients follow from the derivatives of the cotangent.
struct Polygamma {
  static constexpr int kMost = 100, kTerms = 12;
  int n, steps;
  double factor;            // (-1)^(n+1) n!
  double rest[kTerms + 2];  // of x^-n, x^-(n+1), x^-(n+2), x^-(n+4), ...
  double cotangent[kMost + 2];

  explicit Polygamma(double order) : n(static_cast<int>(order)), steps(12 + n), factor(n % 2 == 0 ? -1.0 : 1.0) {
    // The Bernoulli numbers B(2 k) / (2 k)!.
    constexpr double kBernoulli[kTerms] = {0x1.5555555555555p-4,   -0x1.6c16c16c16c17p-10, 0x1.1566abc011567p-15,
                                           -0x1.bbd779334ef0bp-21, 0x1.66a8f2bf70ebep-26,  -0x1.22805d644267fp-31,
                                           0x1.d6db2c4e09162p-37,  -0x1.7da4e1f79955cp-42, 0x1.355871d652e9ep-47,
                                           -0x1.f57d968caacf1p-53, 0x1.967e1f09c376fp-58,  -0x1.497d9033a2b5cp-63};
    for (int i = 2; i <= n; ++i) factor *= i;
    rest[0] = 1.0 / n;
    rest[1] = 0.5;
    double rising = n + 1.0;
    for (int k = 0; k < kTerms; ++k) {
      rest[k + 2] = kBernoulli[k] * rising;
      rising *= (n + 2.0 * k + 2) * (n + 2.0 * k + 3);
    }
    // d/dt of a power c^i of c = cot(t) is -i c^(i-1) (1 + c^2).
    for (double& c : cotangent) c = 0;
    cotangent[1] = 1;
    for (int j = 0; j < n; ++j) {
      double next[kMost + 2] = {};
      for (int i = 1; i <= j + 1; ++i) {
        next[i - 1] -= i * cotangent[i];
        next[i + 1] -= i * cotangent[i];
      }
      for (int i = 0; i < kMost + 2; ++i) cotangent[i] = next[i];
    }
  }

  // x^-e for e >= 1.
  static CR_INLINE Double power(Double inverse, int e) {
    Double y = constant(1.0);
    for (Double b = inverse; e > 0; e >>= 1, b = b * b) y = (e & 1) != 0 ? y * b : y;
    return y;
  }

  __attribute__((noinline)) Double operator()(Double x) const {
    const Double one = constant(1.0), zero = constant(0.0);
    const Mask<double> left = lt(x, zero);
    Double z = select(left, one - x, x), sum = zero;
    for (int i = 0; i < steps; ++i) {
      const Mask<double> near = lt(z, constant(steps));
      sum = sum + select(near, power(one / z, n + 1), zero);
      z = select(near, z + one, z);
    }
    const Double inverse = one / z, square = inverse * inverse;
    Double tail = constant(rest[kTerms + 1]);
    for (int k = kTerms; k >= 2; --k) tail = fma(tail, square, constant(rest[k]));
    const Double head = fma(fma(tail, inverse, constant(rest[1])), inverse, constant(rest[0]));
    const Double right = constant(factor) * fma(power(inverse, n), head, sum);
    const Turn turn = half_turn(abs(x));
    const Double c = neg(turn.cosine.hi / turn.sine.hi);
    Double p = constant(cotangent[n + 1]), scale = constant(kPi);
    for (int i = n; i >= 0; --i) p = fma(p, c, constant(cotangent[i]));
    for (int i = 0; i < n; ++i) scale = scale * constant(kPi);
    const Double reflected = fma(neg(scale), p, n % 2 == 0 ? right : neg(right));
    const Double y = select(left, select(is_integer(x), constant(__builtin_nan("")), reflected), right);
    return select(isnan(x), x, select(eq(x, constant(kInfinity)), zero * constant(factor), y));
  }
};

}  // namespace math
}  // namespace
}  // namespace chainrule
