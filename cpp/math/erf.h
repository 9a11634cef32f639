// erf, and the distribution function of the normal distribution.
#pragma once

#include "math/erf_tables.h"
#include "math/exp.h"
#include "math/float_pair.h"

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
CR_INLINE Vec<float> erf_in_binary64(Vec<float> x) {
  Wide y = widen(smaller(splat(3.99f), abs(x)));
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) y.part[i] = polynomial<0>(equal_cell(y.part[i], 33.0 / 128), kQuickErf);
  return with_sign(round_once<erf<Last::odd>, 13>(x, y), x);
}

// By table, like tanh: little more than half the time of binary64 (Zen 4, 28 cycles for 16 elements). 1.65625 |x| +
// 0.46875 has eight cells in a binade. y + rest differs from erf |x| by less than 2^-9.2 of half a unit in the last
// place, most in the cell around 2.2; elsewhere by 2^-10.
template <int N>
CR_INLINE void erf(Vec<float> (&x)[N]) {
  if constexpr (Vec<float>::lanes != 16) {
    CR_UNROLL
    for (int i = 0; i < N; ++i) x[i] = erf_in_binary64(x[i]);
  } else {
    Bits<float> cell[N];
    Float c[N], y[N], doubt[N];
    CellTerms<N> e;
    CR_UNROLL
    for (int i = 0; i < N; ++i) e.d[i] = smaller(splat(3.925f), abs(x[i]));
    CR_UNROLL
    for (int i = 0; i < N; ++i) cell[i] = shr<20>(bits(fma(e.d[i], splat(1.65625f), splat(0.46875f))));
    CR_UNROLL
    for (int i = 0; i < N; ++i) c[i] = lookup(kErfFloat[0], cell[i]);
    CR_UNROLL
    for (int i = 0; i < N; ++i) e.d[i] = e.d[i] - c[i];
    CR_UNROLL
    for (int i = 0; i < N; ++i) e.slope[i] = lookup(kErfFloat[2], cell[i]);
    CR_UNROLL
    for (int i = 0; i < N; ++i) e.p[i] = lookup(kErfFloat[7], cell[i]);
    CR_UNROLL
    for (int i = 0; i < N; ++i) e.curve[i] = c[i] * e.slope[i];
    CR_UNROLL
    for (int i = 0; i < N; ++i) e.p[i] = fma(e.d[i], e.p[i], lookup(kErfFloat[6], cell[i]));
    CR_UNROLL
    for (int i = 0; i < N; ++i) e.t[i] = lookup(kErfFloat[1], cell[i]);
    CR_UNROLL
    for (int i = 0; i < N; ++i) e.p[i] = fma(e.d[i], e.p[i], lookup(kErfFloat[5], cell[i]));
    CR_UNROLL
    for (int i = 0; i < N; ++i) e.p[i] = fma(e.d[i], e.p[i], lookup(kErfFloat[4], cell[i]));
    const auto slope_low = [&cell](Float lo, int i) CR_LAMBDA { return lo + lookup(kErfFloat[3], cell[i]); };
    cell_sums(e, slope_low, 1.0f + 0x1.1p-9f, y, doubt);
    // Below 2^-100 the low parts underflow: the sign bit of y - 2^-100 and not of y - 1, as integers. 0 is right.
    CR_UNROLL
    for (int i = 0; i < N; ++i) {
      const Bits<float> b = bits(y[i]), tiny = (b - splat_bits<float>(27 << 23)) & (splat_bits<float>(0) - b);
      doubt[i] = bits_or(doubt[i], value(shr<31>(tiny)));
    }
    CR_UNROLL
    for (int i = 0; i < N; ++i) y[i] = with_sign(y[i], x[i]);
    decide<of_doubtful<erf_in_binary64>>(x, y, doubt);
  }
}
CR_INLINE Vec<float> erf(Vec<float> x) {
  Vec<float> one[1] = {x};
  erf(one);
  return one[0];
}

// P(N(0, 1) <= x). The value at kCdfLow is doubtful, as that of e^x at kExpLow: below, and NaN, take the exact way.
// Beyond 6 it rounds to 1.
constexpr float kCdfLow = -0x1.9e4078p+3f;  // -12.945
CR_INLINE Vec<float> cdf_of_ordinary(Vec<float> x) {
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
CR_INLINE Vec<float> normal_cdf_in_binary64(Vec<float> x) { return between<cdf_of_ordinary>(x, -14.2f, 6.0f, 1.0f); }

// By a table of the logarithm, for vectors in which one instruction looks up 32 floats: six tenths of the time of
// binary64 (Zen 4, 50 cycles for 16 elements). With c the nearest multiple of 11/32 to u = min(|x|, kCdfEnd) and u = c
// + d, log P(N(0, 1) <= -u) = L + d (L' + d (L''/2 + d p(d))) is a pair, and its exponential hi + lo, or what that
// lacks of
// 1. The sum of both differs from the value by less than 2^-9.3 of half a unit in the last place. At kCdfEnd, which
// stands for all below -kCdfEnd, it is doubtful.
template <int N>
CR_INLINE void normal_cdf(Vec<float> (&x)[N]) {
  if constexpr (Vec<float>::lanes != 16) {
    CR_UNROLL
    for (int i = 0; i < N; ++i) x[i] = cdf_of_ordinary(x[i]);
  } else {
    constexpr float kMagic = 0x1.8p23f;
    const Float one = splat(1.0f), longer = splat(1.0f + 0x1.bp-10f);
    Bits<float> cell[N];
    Float d[N], p[N], hi[N], lo[N], y[N], doubt[N];
    ExpTerms e[N];
    CR_UNROLL
    for (int i = 0; i < N; ++i) d[i] = smaller(splat(kCdfEnd), abs(x[i]));
    CR_UNROLL
    for (int i = 0; i < N; ++i) {
      const Float t = fma(d[i], splat(32.0f / 11), splat(kMagic));
      cell[i] = bits(t);
      d[i] = fma(t - splat(kMagic), splat(-11.0f / 32), d[i]);
    }
    CR_UNROLL
    for (int i = 0; i < N; ++i) p[i] = lookup(kLogCdf[9], cell[i]);
    CR_UNROLL
    for (int k = 8; k >= 5; --k) {
      CR_UNROLL
      for (int i = 0; i < N; ++i) p[i] = fma(d[i], p[i], lookup(kLogCdf[k], cell[i]));
    }
    CR_UNROLL
    for (int i = 0; i < N; ++i) {
      const Float curve = lookup(kLogCdf[4], cell[i]), slope = lookup(kLogCdf[2], cell[i]);
      hi[i] = fma(d[i], curve, slope);
      lo[i] = fma(d[i], curve, slope - hi[i]);
    }
    CR_UNROLL
    for (int i = 0; i < N; ++i) p[i] = fma(d[i], p[i], lookup(kLogCdf[3], cell[i]));
    CR_UNROLL
    for (int i = 0; i < N; ++i) lo[i] = lo[i] + p[i];
    CR_UNROLL
    for (int i = 0; i < N; ++i) {
      const Float l = lookup(kLogCdf[0], cell[i]);
      y[i] = fma(d[i], hi[i], l);
      lo[i] = fma(d[i], lo[i], fma(d[i], hi[i], l - y[i]));
    }
    exp_terms(y, e, [&](Float rest, int i) CR_LAMBDA { return rest + (lo[i] + lookup(kLogCdf[1], cell[i])); });
    CR_UNROLL
    for (int i = 0; i < N; ++i) {
      const Mask<float> negative = lt(x[i], splat(0.0f));
      const Float s = scale(e[i].s, e[i].power);
      const Float h = fma(s, e[i].r, s), l = fma(s, e[i].w, fma(s, e[i].r, s - h));
      const Float other = one - h, other_low = ((one - other) - h) - l;
      const Float high = select(negative, h, other), low = select(negative, l, other_low);
      y[i] = high + low;
      doubt[i] = bits_xor(y[i], fma(low - (y[i] - high), longer, y[i]));
    }
    decide<of_doubtful<normal_cdf_in_binary64>>(x, y, doubt);
  }
}
CR_INLINE Vec<float> normal_cdf(Vec<float> x) {
  Vec<float> one[1] = {x};
  normal_cdf(one);
  return one[0];
}

}  // namespace math
}  // namespace
}  // namespace chainrule
