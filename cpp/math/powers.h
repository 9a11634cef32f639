// rsqrt, cbrt, hypot, exp2, log2, log10 and x^y, as pairs.
#pragma once

#include "math/exp.h"
#include "math/log.h"
#include "math/pair_arithmetic.h"
#include "math/power_tables.h"

namespace chainrule {
namespace {
namespace math {

constexpr double kInfinity = __builtin_inf();

// The nearest integer, for |x| < 2^51.
CR_INLINE Double nearest_integer(Double x) { return (x + constant(0x1.8p52)) - constant(0x1.8p52); }

// 2^n for an integer n in [-1022, 1023].
CR_INLINE Double integer_power(Double n) { return value(shl<52>(bits(n + constant(0x1.8p52 + 1023.0)))); }

// 1 / sqrt(x). A subnormal x is scaled, so that the remainders are exact.
CR_INLINE Pair rsqrt_pair(Double x) {
  const Mask<double> tiny = lt(x, constant(0x1p-900));
  const Double scaled = select(tiny, x * constant(0x1p200), x);
  const Pair y =
      times(divide(exactly(constant(1.0)), root_of(exactly(scaled))), select(tiny, constant(0x1p100), constant(1.0)));
  const Double special = select(eq(x, constant(0.0)), with_sign(constant(kInfinity), x),
                                select(eq(x, constant(kInfinity)), constant(0.0), constant(__builtin_nan(""))));
  return instead(!(gt(x, constant(0.0)) & lt(x, constant(kInfinity))), special, y);
}

// The cube root: |x| = 2^(3 n) m, a first value by logarithm, one step of Newton in binary64, one of pairs.
CR_INLINE Pair cbrt_pair(Double x) {
  const Double a = abs(x);
  const Mask<double> tiny = lt(a, constant(0x1p-1022));
  const Double normal = select(tiny, a * constant(0x1p54), a);
  const Double k = log_parts(normal).k - select(tiny, constant(54.0), constant(0.0));
  const Double n = nearest_integer(k * constant(1.0 / 3)), step = n + n - nearest_integer(n * constant(0.5));
  const Double m = (a * integer_power(neg(step))) * integer_power(step - (n + n + n));
  const QuickExp e = quick_exp<5>(quick_log(m) * constant(1.0 / 3));
  const Double first = fma(e.m, e.q, e.s);
  const Double y = fma(fma(neg(first) * first, first, m) / (first * first), constant(1.0 / 3), first);
  const Pair square = two_product(y, y), cube = multiply(square, y);
  const Double rest = ((m - cube.hi) - cube.lo) / (constant(3.0) * square.hi);
  const Pair root = times(fast_two_sum(y, rest), integer_power(n));
  return instead(!(gt(a, constant(0.0)) & lt(a, constant(kInfinity))), x, with_sign(root, x));
}

// sqrt(x^2 + y^2); an infinity is stronger than a NaN.
CR_INLINE Pair hypot_pair(Double x, Double y) {
  const Double a = abs(x), b = abs(y), high = larger(a, b);
  const Mask<double> far = gt(high, constant(0x1p500)), near = lt(high, constant(0x1p-400));
  const Double scale = select(far, constant(0x1p-600), select(near, constant(0x1p700), constant(1.0)));
  const Double back = select(far, constant(0x1p600), select(near, constant(0x1p-700), constant(1.0)));
  const Pair p = two_product(larger(a, b) * scale, larger(a, b) * scale);
  const Pair q = two_product(smaller(a, b) * scale, smaller(a, b) * scale);
  const Pair r = root_of(fast_add(p, q));
  const Mask<double> infinite = eq(a, constant(kInfinity)) | eq(b, constant(kInfinity));
  const Double specials = select(infinite, constant(kInfinity), a + b);
  return instead(infinite | isnan(a + b), specials, times(fast_two_sum(r.hi, r.lo), back));
}

CR_INLINE Mask<double> is_integer(Double x) {
  const Double a = abs(x);
  return le(constant(0x1p52), a) | eq((a + constant(0x1p52)) - constant(0x1p52), a);
}

// 2^x = e^(x ln 2), the exponent as a pair. Far above the largest number the low part would be infinite, too. Of whole
// x it is 0: 2^-150 lies in the middle of two float32.
CR_INLINE Pair exp2_pair(Double x) {
  const Double bounded = clamp(x, -1100.0, 1030.0);
  const Pair u = multiply({constant(kLn2), constant(kLn2Rest)}, bounded);
  ExpParts e = exp_parts(u.hi);
  e.tail = e.tail + fma(u.lo, e.r, u.lo);
  const Pair y = mantissa(e);
  return {scale(y.hi, e.raised), select(is_integer(bounded), constant(0.0), scale(y.lo, e.raised))};
}

// log(x.hi + x.lo) for finite x > 0.
CR_INLINE Pair log_pair(Pair x) {
  const Mask<double> tiny = lt(x.hi, constant(0x1p-1022));
  const LogParts p = log_parts(select(tiny, x.hi * constant(0x1p54), x.hi));
  const Double twice_inverse = value(shl<52>(splat_bits<double>(2047) - p.raised));
  return log_sum(p, p.k - select(tiny, constant(54.0), constant(0.0)), (x.lo * constant(0.5)) * twice_inverse);
}
CR_INLINE Pair log_pair(Double x) { return log_pair(exactly(x)); }
CR_INLINE Mask<double> is_ordinary(Double x) { return gt(x, constant(0.0)) & lt(x, constant(kInfinity)); }

CR_INLINE Pair log2_pair(Double x) {
  const Pair y = multiply(log_pair(x), {constant(0x1.71547652b82fep+0), constant(0x1.777d0ffda0d24p-56)});
  return instead(!is_ordinary(x), log_specials(x, x), y);
}
CR_INLINE Pair log10_pair(Double x) {
  const Pair y = multiply(log_pair(x), {constant(0x1.bcb7b1526e50ep-2), constant(0x1.95355baaafad3p-57)});
  return instead(!is_ordinary(x), log_specials(x, x), y);
}

// log(x) to 2^-68 of it, for x^y: the square and the cube of the series are pairs, too.
CR_INLINE Pair long_log(Double x) {
  constexpr double kTail[] = {-0x1.0000000000000p-2, 0x1.9999999999941p-3,  -0x1.55555555553dep-3,
                              0x1.24924925ba3e3p-3,  -0x1.00000002817adp-3, 0x1.c71c507d60496p-4,
                              -0x1.9999685a9be99p-4, 0x1.750e8d07f56b5p-4,  -0x1.561ecb8cf6bc1p-4};
  const Mask<double> tiny = lt(x, constant(0x1p-1022));
  const Double normal = select(tiny, x * constant(0x1p54), x);
  const LogParts p = log_parts(normal);
  const Bits<double> part = shr<48>(bits(normal) - splat_bits<double>(kLogStart));
  const Double k = p.k - select(tiny, constant(54.0), constant(0.0));
  const Pair product = two_product(p.z, p.inverse);
  const Double r = product.hi - constant(1.0);
  const Pair square = two_product(r, r), cube = multiply(square, r);
  const Pair third = multiply(cube, {constant(0x1.5555555555555p-2), constant(0x1.5555555555555p-56)});
  const Double one = constant(1.0);
  const Double rest = product.lo * fma(neg(r), fma(neg(r), one - r, one), one);  // product.lo / (1 + r)
  const Double low = fma(k, constant(kLn2Low), lookup16(kLogCLow, part)) + rest;
  const Pair a = fast_two_sum(fma(k, constant(kLn2High), p.log_c), r);
  const Pair b = two_sum(a.hi, square.hi * constant(-0.5));
  const Pair c = two_sum(b.hi, third.hi);
  const Double tail = square.hi * square.hi * polynomial(r, square.hi, kTail);
  const Double lows = (a.lo + b.lo) + (c.lo + fma(square.lo, constant(-0.5), third.lo));
  return fast_two_sum(c.hi, tail + (lows + low));
}

// |x|^e for e = e.hi + e.lo, and the sign; `odd` and `whole` say whether e is an odd integer, an integer.
CR_INLINE Pair power_of(Double x, Pair e, Mask<double> odd, Mask<double> whole) {
  const Double a = abs(x), zero = constant(0.0), one = constant(1.0);
  const Pair l = instead(!is_ordinary(a), log_specials(a, a), long_log(a));
  const Pair p = two_product(e.hi, l.hi);
  const Double low = p.lo + fma(e.hi, l.lo, e.lo * l.hi);
  const Double u = clamp(p.hi, -1100.0, 720.0);
  ExpParts parts = exp_parts(u);
  const Double rest = select(eq(u, p.hi), low, zero);
  parts.tail = parts.tail + fma(rest, parts.r, rest);
  const Pair m = mantissa(parts);
  const Pair y = instead(isnan(p.hi), p.hi, {scale(m.hi, parts.raised), scale(m.lo, parts.raised)});
  const Double sign = select(odd, bits_and(x, constant(-0.0)), zero);
  const Double high = bits_xor(y.hi, sign);
  const Pair signed_y = instead(eq(high, zero), high, {high, bits_xor(y.lo, sign)});
  const Mask<double> undefined = lt(x, zero) & lt(a, constant(kInfinity)) & !whole & lt(abs(e.hi), constant(kInfinity));
  const Pair defined = instead(undefined, constant(__builtin_nan("")), signed_y);
  const Mask<double> unit = eq(x, one) | (eq(a, one) & eq(abs(e.hi), constant(kInfinity)));
  return instead(unit | (eq(e.hi, zero) & eq(e.lo, zero)), one, defined);
}

// x^(y - n), n an integer. Where the value has no more than 25 bits it may be the middle of two floats: then it is that
// number exactly, not one beside it.
CR_INLINE Pair power_pair(Double x, Double y, double n) {
  const Pair e = two_sum(y, constant(-n));
  const Mask<double> whole = is_integer(y), even = is_integer(y * constant(0.5));
  const bool odd_shift = n != 2 * static_cast<double>(static_cast<int64_t>(n / 2));
  const Mask<double> odd = odd_shift ? even & lt(abs(y), constant(0x1p53)) : whole & !even;
  const Pair exponent = {e.hi, select(isnan(e.lo), constant(0.0), e.lo)};
  const Pair p = power_of(x, exponent, odd, whole);
  const Pair s = fast_two_sum(p.hi, p.lo);
  const Double high = value(bits(s.hi) & splat_bits<double>(-(int64_t{1} << 28)));
  return instead(eq(high, s.hi) & le(abs(s.lo), abs(s.hi) * constant(0x1p-57)), s.hi, p);
}

}  // namespace math
}  // namespace
}  // namespace chainrule
