// tan, atan2, atan, asin and acos, as pairs.
#pragma once

#include "math/angle_tables.h"
#include "math/powers.h"
#include "math/sine.h"

namespace chainrule {
namespace {
namespace math {

CR_INLINE Pair sine_pair(const Arc& a) {
  const Pair sum = sine_sum(a), y = fast_two_sum(sum.hi, sum.lo);
  return {bits_xor(y.hi, half_turn(a)), bits_xor(y.lo, half_turn(a))};
}

// tan(x); NaN at infinity. tan(-0) is -0.
CR_INLINE Pair tan_pair(Double x) {
  const Arc a = arc(x);
  Arc b = a;
  b.index = a.index + splat_bits<double>(8);
  return instead(eq(x, constant(0.0)), x, divide(sine_pair(a), sine_pair(b)));
}

// The angle of the point (x, y), y >= 0 and x >= 0, not both 0: with q = n / d the smaller over the larger coordinate
// and c the multiple of 1/16 beside it, atan q = atan c + atan t, t = (n - c d) / (d + c n), |t| < 0.0334.
CR_INLINE Pair quarter_angle(Pair y, Pair x) {
  constexpr double kTail[] = {-0x1.5555555555555p-2, 0x1.9999999999999p-3,  -0x1.2492492491e7cp-3,
                              0x1.c71c71bbcf998p-4,  -0x1.745ccb64c3e03p-4, 0x1.3a28c76142afcp-4};
  const Mask<double> steep = lt(x.hi, y.hi);
  const Pair n = select(steep, x, y), d = select(steep, y, x);
  const Double magic = constant(0x1.8p52);
  const Double j = fma(smaller(n.hi / d.hi, constant(0.9375)), constant(16.0), magic);
  const Double c = (j - magic) * constant(0x1p-4);
  const Pair t = divide(add(n, neg(multiply(d, c))), fast_add(d, multiply(n, c)));
  const Pair r = fast_two_sum(t.hi, t.lo);
  const Double square = r.hi * r.hi;
  const Double tail = r.hi * square * polynomial(square, square * square, kTail);
  const Pair base = {lookup16(kAngles, bits(j)), lookup16(kAnglesLow, bits(j))};
  const Pair high = two_sum(base.hi, r.hi);
  const Pair angle = fast_two_sum(high.hi, high.lo + (base.lo + (r.lo + tail)));
  const Pair quarter = {constant(kPi / 2), constant(kPiLow / 2)};
  return select(steep, add(quarter, neg(angle)), angle);
}

// The angle of the point (x, y), y >= 0: pi minus that of (-x, y) on the left.
CR_INLINE Pair half_angle(Pair y, Pair x) {
  const Mask<double> left = lt(x.hi, constant(0.0));
  const Pair a = quarter_angle(y, select(left, neg(x), x));
  return select(left, add({constant(kPi), constant(kPiLow)}, neg(a)), a);
}

// The angle of (x, y) in (-pi, pi], as C's atan2: signed zeros and infinities count. Coordinates are scaled, so that
// products neither overflow nor vanish; below 2^-500 an angle is y / x.
CR_INLINE Pair atan2_pair(Double y, Double x) {
  const Double infinity = constant(kInfinity), zero = constant(0.0), one = constant(1.0);
  const Double a = abs(y), b = abs(x);
  const Mask<double> both = eq(a, infinity) & eq(b, infinity), origin = eq(a, zero) & eq(b, zero);
  const Mask<double> a_far = eq(a, infinity), b_far = eq(b, infinity);
  const Double u = select(both | a_far, one, select(b_far, zero, a));
  const Double v = select(both | b_far | origin, one, select(a_far, zero, b));
  const Double high = larger(u, v);
  const Double scale = select(gt(high, constant(0x1p500)), constant(0x1p-600),
                              select(lt(high, constant(0x1p-400)), constant(0x1p600), one));
  const Double right = with_sign(one, x);
  const Pair angle = half_angle(exactly(u * scale), exactly(right * (v * scale)));
  const Double slope = u / v;
  const Mask<double> flat = lt(slope, constant(0x1p-500));
  const Pair low = select(lt(right, zero), Pair{constant(kPi), constant(kPiLow)}, exactly(slope));
  return instead(isnan(x) | isnan(y), x + y, with_sign(select(flat, low, angle), y));
}

CR_INLINE Pair atan_pair(Double x) {
  const Double a = abs(x);
  const Double b = smaller(a, constant(0x1p200));
  const Pair y = instead(lt(a, constant(0x1p-200)), a, quarter_angle(exactly(b), exactly(constant(1.0))));
  return instead(isnan(x), x, with_sign(y, x));
}

// sqrt(1 - x^2), for |x| <= 1.
CR_INLINE Pair other_side(Double a) {
  const Pair square = two_product(a, a), less = fast_two_sum(constant(1.0), neg(square.hi));
  return root_of(fast_two_sum(less.hi, less.lo - square.lo));
}

// The angle of a right triangle whose hypotenuse is 1; NaN beyond 1.
CR_INLINE Pair asin_pair(Double x) {
  const Double a = abs(x), b = smaller(constant(1.0), a);
  const Pair y = instead(lt(a, constant(0x1p-200)), a, quarter_angle(exactly(b), other_side(b)));
  return instead(!le(a, constant(1.0)), constant(__builtin_nan("")), with_sign(y, x));
}
CR_INLINE Pair acos_pair(Double x) {
  const Double b = clamp(x, -1.0, 1.0);
  const Pair y = half_angle(other_side(b), exactly(b));
  return instead(!le(abs(x), constant(1.0)), constant(__builtin_nan("")), y);
}

}  // namespace math
}  // namespace
}  // namespace chainrule
