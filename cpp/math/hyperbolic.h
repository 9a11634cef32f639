// sinh, cosh and their inverses, and log(e^x + e^y), as pairs.
#pragma once

#include "math/powers.h"

namespace chainrule {
namespace {
namespace math {

// e^x 2^shift as a pair, for x in [-760, 720] and a small shift.
CR_INLINE Pair exp_pair(Double x, int64_t shift = 0) {
  const ExpParts e = exp_parts(x);
  const Pair y = mantissa(e);
  const Bits<double> raised = e.raised + splat_bits<double>(shift);
  return {scale(y.hi, raised), scale(y.lo, raised)};
}

// e^x - 1 for x in [0, 60], as in expm1.
CR_INLINE Pair expm1_pair(Double x) {
  const ExpParts e = exp_parts(x);
  const Double inverse = power_of_two(splat_bits<double>(1023 + 2046) - e.raised);
  const Pair offset = two_sum(e.s, neg(inverse));
  const Pair product = two_product(e.s, e.r);
  const Pair high = two_sum(offset.hi, product.hi);
  const Double low = (offset.lo + product.lo) + fma(e.s, e.tail, fma(e.s_low, e.r, e.s_low));
  const Pair y = fast_two_sum(high.hi, high.lo + low);
  return {scale(y.hi, e.raised), scale(y.lo, e.raised)};
}

// Beyond 40 sinh and cosh are e^|x| / 2; below, with m = e^|x| - 1, sinh is (m + m / (1 + m)) / 2 and cosh
// ((1 + m) + 1 / (1 + m)) / 2: sums of positive numbers.
template <bool Cosine>
CR_INLINE Pair hyperbolic_pair(Double x) {
  const Double a = smaller(constant(720.0), abs(x));
  const Pair m = expm1_pair(smaller(constant(40.0), a)), e = add(m, exactly(constant(1.0)));
  const Pair near = fast_add(Cosine ? e : m, divide(Cosine ? exactly(constant(1.0)) : m, e));
  const Pair y = select(gt(a, constant(40.0)), exp_pair(a, -1), times(near, constant(0.5)));
  return instead(isnan(x), x, Cosine ? y : with_sign(y, x));
}
CR_INLINE Pair sinh_pair(Double x) {
  // Below 2^-20 the series: x + x^3 / 6. A zero keeps its sign.
  const Pair y = hyperbolic_pair<false>(x);
  return select(lt(abs(x), constant(0x1p-20)), Pair{x, x * (x * x) * constant(1.0 / 6)}, y);
}
CR_INLINE Pair cosh_pair(Double x) { return hyperbolic_pair<true>(x); }

// log(1 + u) for u >= 0.
CR_INLINE Pair log1p_pair(Pair u) {
  const Pair one = two_sum(constant(1.0), u.hi);
  return log_of_pair({one.hi, one.lo + u.lo});
}
// log(2 x) for large x.
CR_INLINE Pair log_of_twice(Double x) {
  const LogParts p = log_parts(x);
  return log_sum(p, p.k + constant(1.0), constant(0.0));
}
constexpr double kFar = 0x1p60;

// log(|x| + sqrt(x^2 + 1)), the logarithm of 1 + (|x| + x^2 / (1 + sqrt(x^2 + 1))).
CR_INLINE Pair asinh_pair(Double x) {
  const Double a = abs(x), b = smaller(constant(kFar), a);
  const Pair square = two_product(b, b);
  const Pair root = root_of(add(square, exactly(constant(1.0))));
  const Pair u = add(exactly(b), divide(square, add(root, exactly(constant(1.0)))));
  const Pair y = select(gt(a, constant(kFar)), log_of_twice(a), log1p_pair(u));
  const Pair series = {a, (a * constant(-1.0 / 6)) * (a * a)};
  const Pair right = select(lt(a, constant(0x1p-20)), series, y);
  const Mask<double> ordinary = lt(a, constant(kInfinity)) & lt(constant(0.0), a);
  return instead(!ordinary, x, with_sign(right, x));
}

// log(x + sqrt(x^2 - 1)), the logarithm of 1 + ((x - 1) + sqrt(x^2 - 1)); NaN below 1.
CR_INLINE Pair acosh_pair(Double x) {
  const Double b = smaller(constant(kFar), larger(constant(1.0), x));
  const Pair square = two_product(b, b), less = two_sum(square.hi, constant(-1.0));
  const Pair root = root_of(two_sum(less.hi, less.lo + square.lo));
  const Pair y = log1p_pair(add(two_sum(b, constant(-1.0)), root));
  const Pair right = select(gt(x, constant(kFar)), log_of_twice(x), y);
  const Double special = select(eq(x, constant(kInfinity)), x, constant(__builtin_nan("")));
  const Pair defined = instead(!(ge(x, constant(1.0)) & lt(x, constant(kInfinity))), special, right);
  return instead(eq(x, constant(1.0)), constant(0.0), defined);
}

// log((1 + |x|) / (1 - |x|)) / 2, the logarithm of 1 + 2 |x| / (1 - |x|); NaN beyond 1.
CR_INLINE Pair atanh_pair(Double x) {
  const Double a = abs(x), b = smaller(constant(0x1.fffffffffffffp-1), a), one = constant(1.0);
  const Pair rest = fast_two_sum(one, neg(b));
  const Pair y = times(log1p_pair(divide(exactly(b + b), rest)), constant(0.5));
  const Pair series = {a, (a * constant(1.0 / 3)) * (a * a)};
  const Pair right = with_sign(select(lt(a, constant(0x1p-20)), series, y), x);
  const Double special = select(eq(a, one), with_sign(constant(kInfinity), x), constant(__builtin_nan("")));
  return instead(!lt(a, one), special, right);
}

// log(e^x + e^y) = max + log(1 + e^-|x - y|).
CR_INLINE Pair logaddexp_pair(Double x, Double y) {
  const Double high = maximum(x, y);
  const Pair d = two_sum(high, neg(minimum(x, y)));
  const Double far = smaller(constant(760.0), d.hi);
  ExpParts parts = exp_parts(neg(far));
  const Double low = neg(select(eq(far, d.hi), d.lo, constant(0.0)));
  parts.tail = parts.tail + fma(low, parts.r, low);
  const Pair m = mantissa(parts);
  const Pair sum = add(exactly(high), log1p_pair({scale(m.hi, parts.raised), scale(m.lo, parts.raised)}));
  return instead(!(lt(abs(high), constant(kInfinity)) & lt(d.hi, constant(kInfinity))), high + constant(0.0), sum);
}

// x log(y); 0 where x is 0 and y not NaN.
CR_INLINE Pair xlogy_pair(Double x, Double y) {
  const Pair l = instead(!is_ordinary(y), log_specials(y, y), log_pair(y));
  const Pair p = multiply(l, x);
  const Double product = l.hi * x;
  const Mask<double> ordinary = lt(abs(product), constant(kInfinity)) & !eq(product, constant(0.0));
  return instead(eq(x, constant(0.0)) & eq(y, y), constant(0.0), instead(!ordinary, product, p));
}

}  // namespace math
}  // namespace
}  // namespace chainrule
