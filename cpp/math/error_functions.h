// erfc and the inverse of erf, as pairs.
#pragma once

#include "math/erf.h"
#include "math/normal.h"
#include "math/pair_arithmetic.h"

namespace chainrule {
namespace {
namespace math {

// 1 - erf(x) for x in [0, 28], with a power of two still to come: with u = sqrt(2) x = u.hi + u.lo it is 2 e^-x^2
// mills(u), whose derivative is u mills(u) - 1 / sqrt(2 pi).
struct Scaled {
  Pair y;
  Bits<double> raised;
};
CR_INLINE Scaled erfc_tail(Double x) {
  const Pair square = two_product(x, x),
             u = multiply({constant(0x1.6a09e667f3bcdp+0), constant(-0x1.bdd3413b26456p-54)}, x);
  ExpParts e = exp_parts(neg(square.hi));
  e.tail = e.tail - fma(square.lo, e.r, square.lo);
  Pair v = polynomial_pair(binade_cell<2>(u.hi, 3.0), kMills);
  v.lo = fma(u.lo, fma(u.hi, v.hi, constant(-0.3989422804014327)), v.lo);
  return {times(multiply(mantissa(e), v), constant(2.0)), e.raised};
}
CR_INLINE Pair unscaled(const Scaled& s) { return {scale(s.y.hi, s.raised), scale(s.y.lo, s.raised)}; }

// 1 - erf(x), small where erf is near 1; 2 - erfc(-x) for x < 0.
CR_INLINE Pair erfc_pair(Double x) {
  const Pair t = unscaled(erfc_tail(smaller(constant(28.0), abs(x))));
  const Pair y = select(lt(x, constant(0.0)), fast_add(exactly(constant(2.0)), neg(t)), t);
  return instead(isnan(x), x, y);
}

// y with erf(y) = x: a first value, by a quantile of the normal distribution or near 0 by the series, then one step of
// Newton with the residual of erf, beyond 1/2 of 1 - erf.
CR_INLINE Pair erfinv_pair(Double x) {
  const Double one = constant(1.0), half = constant(0.5);
  const Double a = smaller(constant(0x1.fffffffffffffp-1), abs(x)), rest = one - a;
  const Double series = (a * constant(0x1.c5bf891b4ef6bp-1)) * fma(a * a, constant(0x1.0c152382d7366p-2), one);
  const Double quantile = normal_quantile(rest * half) * constant(-0x1.6a09e667f3bcdp-1);
  const Double y = select(lt(a, constant(0x1p-10)), series, quantile);
  const Pair near = polynomial_pair(equal_cell(smaller(constant(6.0), y), 25.0 / 64), kErf);
  const Pair far = unscaled(erfc_tail(y));
  const Double residual = select(le(a, half), (near.hi - a) + near.lo, (rest - far.hi) - far.lo);
  const Double slope = constant(0x1.20dd750429b6dp+0) * exp(neg(y * y));  // 2 / sqrt(pi) e^-y^2
  const Pair root = with_sign(fast_two_sum(y, neg(residual / slope)), x);
  const Double special = select(eq(abs(x), one), with_sign(constant(__builtin_inf()), x), constant(__builtin_nan("")));
  return instead(eq(x, constant(0.0)), x, instead(!lt(abs(x), one), special, root));
}

}  // namespace math
}  // namespace
}  // namespace chainrule
