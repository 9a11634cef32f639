// exp and expm1.
#pragma once

#include "math/float_pair.h"

namespace chainrule {
namespace {
namespace math {

// e^x = 2^k (s + s_low) (1 + r + tail), s = 2^(j/16), |r| <= ln 2 / 32 + a little.
struct ExpParts {
  Double s, s_low, r, tail;
  Bits<double> raised;  // k + 2046 > 0
};

// 2^((16 k + j) / 16) from j, in the low four bits of the index, and 16 k + j: shifted by 48 that adds k to the
// exponent and j / 16 to the mantissa, which the table lacks.
CR_INLINE Double root(Bits<double> index, Bits<double> steps) {
  return value(bits(lookup16(kPower, index)) + shl<48>(steps));
}

// For |x| <= 1100. The low word of 16 x / ln 2 + a large constant is 16 (k + 2046) + j. (16 k + j) * kStepHigh has at
// most 53 bits and the first difference is exact (Sterbenz). tail = r^2/2 + r^3/6 + ..., below 2^-12, has an error
// below 2^-58 |r|.
CR_INLINE ExpParts exp_parts(Double x) {
  constexpr double kTail[] = {0x1.0000000000003p-1, 0x1.5555555555559p-3,  0x1.55555554ad4cep-5,
                              0x1.111111108f2f6p-7, 0x1.6c181f3d13582p-10, 0x1.a01b893572ab6p-13};
  const Double magic = constant(0x1.8p52 + 16 * 2046);
  const Double t = fma(x, constant(kSteps), magic);
  const Double steps = t - magic;
  const Double coarse = fma(steps, constant(-kStepHigh), x);
  const Double r = fma(steps, constant(-kStepLow), coarse);
  const Double r_low = fma(steps, constant(-kStepLow), coarse - r);
  const Double square = r * r;
  return {root(bits(t), bits(t) & splat_bits<double>(15)), lookup16(kPowerLow, bits(t)), r,
          fma(square, polynomial(r, square, kTail), r_low), shr<4>(bits(t)) & splat_bits<double>(0xfff)};
}

// e^x without its power of two, in [1, 2 + a little), with an error of 2^-58.
CR_INLINE Pair mantissa(const ExpParts& e) { return fast_two_sum(e.s, fma(e.s, e.r + e.tail, e.s_low)); }

// 2^(field - 1023) from an exponent field in [0, 2046], where 0 stands for the number 0.
CR_INLINE Double power_of_two(Bits<double> field) { return value(shl<52>(field)); }

// y * 2^k for raised = k + 2046: the first product is exact, the second rounds once, to a subnormal number too.
CR_INLINE Double scale(Double y, Bits<double> raised) {
  const Bits<double> half = shr<1>(raised);
  return (y * power_of_two(half)) * power_of_two(raised - half);
}

// e^x on float64: at most 0.54 ULP, subnormal results 0.75.
template <Last L = Last::nearest>
CR_INLINE Double exp(Double x) {
  const ExpParts e = exp_parts(clamp(x, -760.0, 760.0));
  return scale(sum<L>({e.s, fma(e.s, e.r + e.tail, e.s_low)}), e.raised);
}

// e^x - 1 on float64: 2^k ((s - 2^-k) + s r + ...), the first two terms exact. At most 0.53 ULP. Below -40 the result
// is -1, above 60 the one no longer counts.
template <Last L = Last::nearest>
CR_INLINE Double expm1(Double x) {
  const ExpParts e = exp_parts(clamp(x, -40.0, 760.0));
  const Double inverse = power_of_two(splat_bits<double>(1023 + 2046) - e.raised);
  const Pair offset = two_sum(e.s, select(gt(x, constant(60.0)), constant(0.0), neg(inverse)));
  const Pair product = two_product(e.s, e.r);
  const Pair high = two_sum(offset.hi, product.hi);
  const Double low = (offset.lo + product.lo) + fma(e.s, e.tail, fma(e.s_low, e.r, e.s_low));
  return with_sign(scale(sum<L>({high.hi, high.lo + low}), e.raised), x);
}

// In binary64 for float32: e^x = s + m q with s = 2^k 2^(j/16), m = s r, q = (e^r - 1) / r. For |x| <= 700.
// `Terms` coefficients of q: with 4 of them s + m q is good to 2^-38.4, with 5 m q alone is good to 2^-41. A polynomial
// of degree 8 without the table takes 15 % longer with AVX-512, and as long with AVX2, whose lookup is four loads.
struct QuickExp {
  Double s, m, q;
};
template <int Terms>
CR_INLINE QuickExp quick_exp(Double x) {
  constexpr double kFour[] = {0x1.fffffffb14d86p-1, 0x1.fffffffc8fdbfp-2, 0x1.5557e515973adp-3, 0x1.5557982dd0258p-5};
  constexpr double kFive[] = {0x1.0000000000006p+0, 0x1.fffffffe5bc54p-2, 0x1.555555541d29ep-3, 0x1.55570aa83ec7bp-5,
                              0x1.11126eecebd04p-7};
  const Double magic = constant(0x1.8p52);
  const Double t = fma(x, constant(kSteps), magic);
  const Double r = fma(t - magic, constant(-kStep), x);
  const Double s = root(bits(t), bits(t));
  if constexpr (Terms == 4) {
    return {s, s * r, polynomial(r, kFour)};
  } else {
    return {s, s * r, polynomial(r, kFive)};
  }
}

// e^kExpLow is 2^-46 of itself from the middle of two floats, so always doubtful to the quick evaluation. With it as
// lower bound everything below takes the exact way without a test of its own; the subnormal results have to, their
// middles are elsewhere.
constexpr float kExpLow = -0x1.5ce26ap+6f;  // -87.22
constexpr float kExpLimit = 87.0f;          // e^-87 is not subnormal; what is beyond takes the exact way

// What the float pairs leave open, in binary64.
CR_INLINE Vec<float> exp_of_ordinary(Vec<float> x) {
  Wide y = widen(clamp(x, kExpLow, 89.0f));
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) {
    const QuickExp e = quick_exp<4>(y.part[i]);
    y.part[i] = fma(e.m, e.q, e.s);
  }
  return round_once<exp<Last::odd>, 15>(x, y);
}
__attribute__((noinline, cold)) Vec<float> exp_in_binary64(Vec<float> x) {
  return between<exp_of_ordinary>(x, -104.0f, 88.73f, __builtin_inff());
}

// e^x of N vectors.
template <int N>
CR_INLINE void exp(Vec<float> (&x)[N]) {
  constexpr float kError = kRoots == 32 ? 0x1p-35f : 0x1p-33f;  // of hi + lo, which lies in [0.98, 2)
  ExpTerms e[N];
  Float y[N], doubt[N];
  exp_terms(x, e);
  CR_UNROLL
  for (int i = 0; i < N; ++i) {
    const Float s = e[i].s, hi = fma(s, e[i].r, s), lo = fma(s, e[i].w, fma(s, e[i].r, s - hi));
    const Float above = hi + (lo + splat(kError)), below = hi + (lo - splat(kError));
    doubt[i] = select(le(abs(x[i]), splat(kExpLimit)), bits_xor(above, below), splat(1.0f));
    y[i] = scale(above, e[i].power);
  }
  decide<exp_in_binary64>(x, y, doubt);
}
CR_INLINE Vec<float> exp(Vec<float> x) {
  Vec<float> one[1] = {x};
  exp(one);
  return one[0];
}

// e^x - 1; below -20 it rounds to -1.
CR_INLINE Vec<float> expm1(Vec<float> x) {
  Wide y = widen(clamp(x, -20.0f, 89.0f));
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) {
    const QuickExp e = quick_exp<5>(y.part[i]);
    y.part[i] = fma(e.m, e.q, e.s - constant(1.0));
  }
  return with_sign(round_once<expm1<Last::odd>, 13>(x, y), x);
}

}  // namespace math
}  // namespace
}  // namespace chainrule
