// erf, and the distribution function of the normal distribution.
#pragma once

#include "math/erf_tables.h"
#include "math/exp.h"

namespace chainrule {
namespace {
namespace math {

// A point in its cell: d from the centre, and the cell in the low four bits.
struct Cell {
  Double d;
  Bits<double> index;
};

// Cells with centres 0, width, 2 width, ...; d is exact (Sterbenz).
CR_INLINE Cell equal_cell(Double a, double width) {
  const Double magic = constant(0x1.8p52);
  const Double t = fma(a, constant(1.0 / width), magic);
  return {fma(t - magic, constant(-width), a), bits(t)};
}

// The cell of u + first by the exponent and the upper `Part` bits of the mantissa; d from u itself, exact from 2^-32
// on.
template <int Part>
CR_INLINE Cell binade_cell(Double u, double first) {
  constexpr int kShift = 52 - Part;
  constexpr int64_t kHalf = int64_t{1} << (kShift - 1);
  const Bits<double> v = bits(u + constant(first));
  const Double centre = value((v & splat_bits<double>(-2 * kHalf)) | splat_bits<double>(kHalf));
  return {u - (centre - constant(first)), shr<kShift>(v)};
}

// c[From] + c[From + 1] d + ... of the cell.
template <int From, int N>
CR_INLINE Double polynomial(Cell x, const double (&c)[N][16]) {
  Double sum = lookup16(c[N - 1], x.index);
  CR_UNROLL
  for (int i = N - 2; i >= From; --i) sum = fma(sum, x.d, lookup16(c[i], x.index));
  return sum;
}

// The same with low parts of the first two coefficients, as a pair good to 2^-56: the products below c[4] are exact.
template <int N>
CR_INLINE Pair polynomial_pair(Cell x, const double (&c)[N][16]) {
  const Pair slope = two_product(lookup16(c[2], x.index), x.d);
  const Pair high = fast_two_sum(lookup16(c[0], x.index), slope.hi);
  const Double rest = fma(lookup16(c[3], x.index), x.d, lookup16(c[1], x.index)) + slope.lo;
  return fast_two_sum(high.hi, fma(x.d * x.d, polynomial<4>(x, c), rest + high.lo));
}

// erf(x) on float64: at most 0.62 ULP. Beyond 6 it is 1.
template <Last L = Last::nearest>
CR_INLINE Double erf(Double x) {
  return with_sign(sum<L>(polynomial_pair(equal_cell(smaller(constant(6.0), abs(x)), 25.0 / 64), kErf)), x);
}

// P(N(0, 1) <= x) on float64: with t = e^(-x^2 / 2) mills(|x|), t for x < 0 and 1 - t for x >= 0. t is scaled at the
// end like sigmoid. At most 0.64 ULP, subnormal results 0.78.
template <Last L = Last::nearest>
CR_INLINE Double normal_cdf(Double x) {
  const Double u = smaller(constant(40.0), abs(x));
  const Pair q = two_product(u, u);
  ExpParts e = exp_parts(q.hi * constant(-0.5));
  const Double low = q.lo * constant(-0.5);
  e.tail = e.tail + fma(low, e.r, low);
  const Pair m = mantissa(e), v = polynomial_pair(binade_cell<2>(u, 3.0), kMills);
  const Pair p = two_product(m.hi, v.hi);
  const Pair t = fast_two_sum(p.hi, p.lo + fma(m.hi, v.lo, m.lo * v.hi));
  const Pair rest = fast_two_sum(constant(1.0), neg(scale(t.hi, e.raised)));
  const Double above = sum<L>({rest.hi, rest.lo - scale(t.lo, e.raised)});
  return select(lt(x, constant(0.0)), scale(sum<L>(t), e.raised), above);
}

// erf(x); beyond 3.99 it rounds to 1.
CR_INLINE Vec<float> erf(Vec<float> x) {
  Wide y = widen(smaller(splat(3.99f), abs(x)));
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) y.part[i] = polynomial<0>(equal_cell(y.part[i], 33.0 / 128), kQuickErf);
  return with_sign(round_once<erf<Last::odd>, 13>(x, y), x);
}

// P(N(0, 1) <= x). The value at kCdfLow is doubtful, as that of e^x at kExpLow: below, and NaN, take the exact way.
// Beyond 6 it rounds to 1.
constexpr float kCdfLow = -0x1.9e4078p+3f;  // -12.945
CR_INLINE Vec<float> normal_cdf(Vec<float> x) {
  Wide y = widen(smaller(larger(x, splat(kCdfLow)), splat(6.0f)));
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) {
    const Double z = y.part[i];
    const QuickExp e = quick_exp<5>(z * z * constant(-0.5));
    const Double t = fma(e.m, e.q, e.s) * polynomial<0>(binade_cell<3>(abs(z), 4.5), kQuickMills);
    y.part[i] = select(lt(z, constant(0.0)), t, constant(1.0) - t);
  }
  return round_once<normal_cdf<Last::odd>, 13>(x, y);
}

}  // namespace math
}  // namespace
}  // namespace chainrule
