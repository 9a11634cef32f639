// exp and expm1.
#pragma once

#include "math/pair.h"

namespace chainrule {
namespace {
namespace math {

// x = k ln 2 + r, |r| <= ln 2 / 2 (and a hair), e^r = 1 + tail.hi + tail.lo, so that e^x = 2^k (1 + tail).
struct ExpParts {
  Double k;
  Pair tail;
};

// For |x| <= 1100. The low word of x * log2(e) + 1.5 * 2^52 is k. k * kLn2High is exact and so is the first difference
// (Sterbenz). tail = r + r^2/2 + r^3 (c0 + c1 r + ...): the first two terms are exact pairs, the third is below 0.007, so
// its three roundings stay below 2^-58. The pair is normalised: a quotient counts on a small low part.
CR_INLINE ExpParts exp_parts(Double x) {
  constexpr double kTail[] = {0x1.555555555555bp-3,  0x1.555555555555ap-5,  0x1.111111110ec00p-7,
                              0x1.6c16c16c14157p-10, 0x1.a01a01b3a2551p-13, 0x1.a01a01b1fc623p-16,
                              0x1.71ddefc937889p-19, 0x1.27e4c2c4dce81p-22, 0x1.af6c7a4a0bbb0p-26,
                              0x1.1f99b8bff1ee8p-29};
  const Double magic = constant(0x1.8p52);
  const Double k = fma(x, constant(0x1.71547652b82fep+0), magic) - magic;
  const Double coarse = fma(neg(k), constant(kLn2High), x);
  const Double r = fma(neg(k), constant(kLn2Low), coarse);
  const Double r_low = fma(neg(k), constant(kLn2Low), coarse - r);
  const Pair square = two_product(r, r * constant(0.5));
  const Double cube = square.hi * (r + r);
  const Pair sum = fast_two_sum(r, square.hi);
  const Double low = square.lo + fma(r_low, r, r_low);
  return {k, fast_two_sum(sum.hi, sum.lo + fma(cube, polynomial(r, kTail), low))};
}

// 2^k for integers k in [-1022, 1023].
CR_INLINE Double power_of_two(Double k) {
  const Double magic = constant(0x1.8p52 + 1023.0);
  return value(shl<52>(bits(k + magic)));
}
// y * 2^k for |k| <= 2044: the first product is exact, the second rounds once.
CR_INLINE Double scale(Double y, Double k) {
  const Double magic = constant(0x1.8p52);
  const Double half = fma(k, constant(0.5), magic) - magic;
  return (y * power_of_two(half)) * power_of_two(k - half);
}

// 1 + tail.
CR_INLINE Pair one_plus(Pair tail) {
  const Pair sum = fast_two_sum(constant(1.0), tail.hi);
  return {sum.hi, sum.lo + tail.lo};
}

// e^x, float64.
CR_INLINE Double exp(Double x) {
  const ExpParts e = exp_parts(at_most(at_least(x, -760.0), 760.0));
  const Pair y = one_plus(e.tail);
  return scale(y.hi + y.lo, e.k);
}

// e^x - 1, float64: 2^k ((1 - 2^-k) + tail). Below -40 the result is -1; above k = 100, 2^-k no longer counts.
CR_INLINE Double expm1(Double x) {
  const ExpParts e = exp_parts(at_most(at_least(x, -40.0), 760.0));
  const Pair offset = two_sum(constant(1.0), neg(power_of_two(neg(at_most(e.k, 100.0)))));
  const Pair sum = two_sum(offset.hi, e.tail.hi);
  const Double y = sum.hi + (sum.lo + (offset.lo + e.tail.lo));
  return with_sign(scale(y, e.k), x);
}

CR_INLINE Vec<float> exp(Vec<float> x) {
  Wide w = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) w.part[i] = exp(w.part[i]);
  return narrow(w);
}
CR_INLINE Vec<float> expm1(Vec<float> x) {
  Wide w = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) w.part[i] = expm1(w.part[i]);
  return narrow(w);
}

}  // namespace math
}  // namespace
}  // namespace chainrule
