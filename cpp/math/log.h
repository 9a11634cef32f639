// log and log1p.
#pragma once

#include "math/pair.h"

namespace chainrule {
namespace {
namespace math {

// x = 2^k m with m in [sqrt(1/2), sqrt(2)), for positive normal x.
struct LogParts {
  Double k, m;
  Bits<double> biased;  // k + 1023
};
CR_INLINE LogParts log_parts(Double x) {
  constexpr int64_t kRootHalf = 0x3fe6a09e667f3bcd;
  constexpr int64_t kOne = 0x3ff0000000000000;
  const Bits<double> biased = shr<52>(bits(x) + splat_bits(kOne - kRootHalf));
  const Bits<double> m = bits(x) - shl<52>(biased) + splat_bits(kOne);
  const Double k = value(biased | splat_bits(0x4330000000000000)) - constant(0x1p52 + 1023.0);
  return {k, value(m), biased};
}

// k ln 2 + log(1 + f.hi + f.lo), 1 + f in [sqrt(1/2), sqrt(2)], |f.lo| < 2^-52.
// With s = f / (2 + f): log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)). The first two terms are exact pairs, the third is below
// 0.02 and f.lo enters through log(1 + d) = d - d^2/2, d = f.lo / (1 + f.hi).
CR_INLINE Pair log_sum(Double k, Pair f) {
  constexpr double kTail[] = {0x1.5555555555555p-1, 0x1.9999999999dfep-2, 0x1.249249242b510p-2, 0x1.c71c7258eacf4p-3,
                              0x1.745cde3b9497bp-3, 0x1.3b20aa88e4ce0p-3, 0x1.0f5ce04f587ddp-3, 0x1.0f623cd6527f7p-3};
  const Double s = f.hi / (f.hi + constant(2.0));
  const Double z = s * s;
  const Pair square = two_product(f.hi, f.hi * constant(0.5));
  const Double third = s * fma(z, polynomial(z, kTail), square.hi);
  const Double d = f.lo / (f.hi + constant(1.0));
  const Double shift = fma(d * constant(-0.5), d, d);
  const Pair a = fast_two_sum(k * constant(kLn2High), f.hi);
  const Pair b = fast_two_sum(a.hi, neg(square.hi));
  const Double low = (shift - square.lo) + fma(k, constant(kLn2Low), a.lo + b.lo);
  return {b.hi, third + low};
}

// log(0) = -inf, log(+inf) = +inf, NaN below zero and for NaN.
CR_INLINE Double log_specials(Double x, Double y) {
  const Double infinity = constant(__builtin_inf());
  y = select(eq(x, infinity), infinity, y);
  y = select(ge(x, constant(0.0)), y, constant(__builtin_nan("")));
  return select(eq(x, constant(0.0)), neg(infinity), y);
}

// log(x), float64.
CR_INLINE Double log(Double x) {
  const Mask<double> tiny = lt(x, constant(0x1p-1022));
  const LogParts p = log_parts(select(tiny, x * constant(0x1p54), x));
  const Pair y = log_sum(p.k - select(tiny, constant(54.0), constant(0.0)), {p.m - constant(1.0), constant(0.0)});
  return log_specials(x, y.hi + y.lo);
}

// log(u.hi + u.lo), u >= 2^-1022: the low part is scaled with the high one. 2^(1-k) has the exponent field 1024 - k, which is
// not below zero for any u.
CR_INLINE Pair log_of_pair(Pair u) {
  const LogParts p = log_parts(u.hi);
  const Double twice_inverse = value(shl<52>(splat_bits(2047) - p.biased));
  return log_sum(p.k, {p.m - constant(1.0), (u.lo * constant(0.5)) * twice_inverse});
}

// log(1 + x), float64: 1 + x is an exact pair. Below 2^-54 the result is x.
CR_INLINE Double log1p(Double x) {
  const Pair u = two_sum(constant(1.0), x);
  const Pair y = log_of_pair(u);
  const Double result = log_specials(u.hi, y.hi + y.lo);
  return select(lt(abs(x), constant(0x1p-54)), x, result);
}

CR_INLINE Vec<float> log(Vec<float> x) {
  Wide w = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) w.part[i] = log(w.part[i]);
  return narrow(w);
}
CR_INLINE Vec<float> log1p(Vec<float> x) {
  Wide w = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) w.part[i] = log1p(w.part[i]);
  return narrow(w);
}

}  // namespace math
}  // namespace
}  // namespace chainrule
