// log and log1p.
#pragma once

#include "math/float_pair.h"
#include "math/tables.h"

namespace chainrule {
namespace {
namespace math {

// x = 2^k z for positive normal x, z in [45/64, 45/32) and about c = 1 / inverse, log_c = log(c).
struct LogParts {
  Double k, z, inverse, log_c;
  Bits<double> raised;  // k + 1023
};
CR_INLINE LogParts log_parts(Double x) {
  constexpr int64_t kOne = 0x3ff0000000000000, kMantissa = 0x000fffffffffffff;
  const Bits<double> t = bits(x) + splat_bits<double>(kOne - kLogStart);
  const Bits<double> raised = shr<52>(t), part = shr<48>(t);
  const Double z = value((t & splat_bits<double>(kMantissa)) + splat_bits<double>(kLogStart));
  const Double k = value(raised | splat_bits<double>(0x4330000000000000)) - constant(0x1p52 + 1023.0);
  return {k, z, lookup16(kInverse, part), lookup16(kLogC, part), raised};
}

// k ln 2 + log(z + low), |low| < 2^-52. With z / c = 1 + r + the error of the product, both exact, |r| <= 2^-5:
// (k ln 2 + log c) + r exactly, plus r^2 P(r) < 2^-11, plus log(1 + d) = d (1 - r - d/2) of the small rest d.
CR_INLINE Pair log_sum(const LogParts& p, Double k, Double low) {
  constexpr double kTail[] = {-0x1.0000000000000p-1, 0x1.5555555555555p-2, -0x1.ffffffffffdb8p-3, 0x1.9999999999414p-3,
                              -0x1.5555555889b08p-3, 0x1.2492492a0970ap-3, -0x1.ffffc551e0800p-4, 0x1.c71c2429708bep-4,
                              -0x1.9a8472de2ecb8p-4, 0x1.755be252aa8b1p-4};
  const Pair product = two_product(p.z, p.inverse);
  const Double r = product.hi - constant(1.0);
  const Double square = r * r;
  const Double d = fma(low, p.inverse, product.lo);
  const Double rest = fma(neg(d), fma(d, constant(0.5), r), d);
  const Pair high = fast_two_sum(fma(k, constant(kLn2High), p.log_c), r);
  return {high.hi, fma(square, polynomial(r, square, kTail), high.lo + fma(k, constant(kLn2Low), rest))};
}

// log(0) = -inf, log(+inf) = +inf, NaN below zero and for NaN.
CR_INLINE Double log_specials(Double x, Double y) {
  const Double infinity = constant(__builtin_inf());
  y = select(eq(x, infinity), infinity, y);
  y = select(ge(x, constant(0.0)), y, constant(__builtin_nan("")));
  return select(eq(x, constant(0.0)), neg(infinity), y);
}

// log(x) on float64: at most 0.53 ULP.
template <Last L = Last::nearest>
CR_INLINE Double log(Double x) {
  const Mask<double> tiny = lt(x, constant(0x1p-1022));
  const LogParts p = log_parts(select(tiny, x * constant(0x1p54), x));
  const Pair y = log_sum(p, p.k - select(tiny, constant(54.0), constant(0.0)), constant(0.0));
  return log_specials(x, sum<L>(y));
}

// log(u.hi + u.lo), u >= 2^-1022: the low part is scaled with the high one. 2^(1-k) has the exponent field 1024 - k,
// which is not below zero for any u.
CR_INLINE Pair log_of_pair(Pair u) {
  const LogParts p = log_parts(u.hi);
  const Double twice_inverse = value(shl<52>(splat_bits<double>(2047) - p.raised));
  return log_sum(p, p.k, (u.lo * constant(0.5)) * twice_inverse);
}

// log(1 + x) on float64: 1 + x is an exact pair. At most 0.54 ULP. Below 2^-30 the result is x - x^2/2.
template <Last L = Last::nearest>
CR_INLINE Double log1p(Double x) {
  const Pair u = two_sum(constant(1.0), x);
  const Pair y = log_of_pair(u);
  const Double result = log_specials(u.hi, sum<L>(y));
  return select(lt(abs(x), constant(0x1p-30)), fma(x * constant(-0.5), x, x), result);
}

// The quick evaluation for float32: good to 2^-37.4, also near 1, where k = log c = 0 and c = 1.
CR_INLINE Double quick_log(Double x) {
  constexpr double kTail[] = {-0x1.0000000024e0fp-1, 0x1.55555163e848dp-2, -0x1.ffffeece24f3bp-3, 0x1.99ff863e49bfap-3,
                              -0x1.55d0f154c21d4p-3};
  const LogParts p = log_parts(x);
  const Double r = fma(p.z, p.inverse, constant(-1.0));
  const Double square = r * r;
  return fma(square, polynomial(r, square, kTail), fma(p.k, constant(kLn2), p.log_c) + r);
}

CR_INLINE Mask<float> is_positive(Vec<float> x) { return gt(x, splat(0.0f)) & lt(x, splat(__builtin_inff())); }

// Of positive finite float32; the function after it of any, none of the others takes the exact way.
CR_INLINE Vec<float> log_of_positive(Vec<float> x) {
  Wide y = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) y.part[i] = quick_log(y.part[i]);
  return round_once<log<Last::odd>, 16>(x, y);
}
CR_INLINE Vec<float> log_in_binary64(Vec<float> x) {
  const Mask<float> positive = is_positive(x);
  const Vec<float> special = select(gt(x, splat(0.0f)), x, splat(__builtin_nanf("")));
  const Vec<float> other = select(eq(x, splat(0.0f)), splat(-__builtin_inff()), special);
  return select(positive, log_of_positive(select(positive, x, splat(1.0f))), other);
}

// In pairs of floats, for vectors in which one instruction looks up 32 of them: three quarters of the time of binary64
// (Zen 4, 25 cycles for 16 elements). x = 2^k z with z beside 1 / inverse, so that r = z inverse - 1 is exact, and so
// is k ln 2 - log(inverse) but for their low parts. Relative error 2^-36. Below 2^-126, at infinity and NaN it is left
// to binary64: the sign bit of one of two differences of integers.
template <int N>
CR_INLINE void log(Vec<float> (&x)[N]) {
  if constexpr (Vec<float>::lanes != 16) {
    CR_UNROLL
    for (int i = 0; i < N; ++i) {
      const bool special = first_bits(!is_positive(x[i])) != 0;
      x[i] = __builtin_expect(special, false) ? of_doubtful<log_in_binary64>(x[i]) : log_of_positive(x[i]);
    }
  } else {
    constexpr int64_t kOne = 0x3f800000, kMantissa = 0x7fffff, kLeast = 0x00800000, kMost = 0x7f7fffff;
    constexpr float kTail[] = {0x1.555554p-2f, -0x1.fffffep-3f, 0x1.99c29ep-3f, -0x1.557bcap-3f};
    const Float half = splat(-0.5f), one = splat(1.0f);
    Bits<float> t[N];
    Float r[N], k[N], high[N], low[N], p[N], h[N], y[N], doubt[N];
    CR_UNROLL
    for (int i = 0; i < N; ++i) t[i] = bits(x[i]) + splat_bits<float>(kOne - kFloatLogStart);
    CR_UNROLL
    for (int i = 0; i < N; ++i) {
      const Float z = value((t[i] & splat_bits<float>(kMantissa)) + splat_bits<float>(kFloatLogStart));
      r[i] = fma(z, lookup(kFloatLog[0], shr<18>(t[i])), neg(one));
    }
    CR_UNROLL
    for (int i = 0; i < N; ++i) k[i] = value(shr<23>(t[i]) | splat_bits<float>(0x4b000000)) - splat(0x1p23f + 127.0f);
    CR_UNROLL
    for (int i = 0; i < N; ++i) high[i] = fma(k[i], splat(kLn2FloatHigh), lookup(kFloatLog[1], shr<18>(t[i])));
    CR_UNROLL
    for (int i = 0; i < N; ++i) low[i] = fma(k[i], splat(kLn2FloatLow), lookup(kFloatLog[2], shr<18>(t[i])));
    CR_UNROLL
    for (int i = 0; i < N; ++i) p[i] = fma(r[i], splat(kTail[3]), splat(kTail[2]));
    CR_UNROLL
    for (int i = 0; i < N; ++i) p[i] = fma(r[i], p[i], splat(kTail[1]));
    CR_UNROLL
    for (int i = 0; i < N; ++i) p[i] = fma(r[i], p[i], splat(kTail[0]));
    CR_UNROLL
    for (int i = 0; i < N; ++i) low[i] = fma((r[i] * r[i]) * r[i], p[i], low[i]);
    CR_UNROLL
    for (int i = 0; i < N; ++i) {  // r - r^2 / 2 as a pair
      const Float m = r[i] * half;
      h[i] = fma(m, r[i], r[i]);
      p[i] = fma(m, r[i], r[i] - h[i]);
    }
    CR_UNROLL
    for (int i = 0; i < N; ++i) {
      const Float sum = high[i] + h[i];
      const Float rest = (((high[i] - sum) + h[i]) + low[i]) + p[i];
      y[i] = sum + rest;
      doubt[i] = bits_xor(y[i], fma(rest - (y[i] - sum), splat(1.0f + 0x1.cp-10f), y[i]));
      const Bits<float> b = bits(x[i]);
      const Bits<float> outside = (b - splat_bits<float>(kLeast)) | (splat_bits<float>(kMost) - b);
      doubt[i] = bits_or(doubt[i], value(shr<31>(outside)));
    }
    decide<of_doubtful<log_in_binary64>>(x, y, doubt);
  }
}
CR_INLINE Vec<float> log(Vec<float> x) {
  Vec<float> one[1] = {x};
  log(one);
  return one[0];
}

// log(1 + x), likewise. 1 + x is exact in binary64 for |x| >= 2^-29; below, log(1 + x) rounds to x.
CR_INLINE Vec<float> log1p(Vec<float> x) {
  const Mask<float> ordinary = gt(x, splat(-1.0f)) & lt(x, splat(__builtin_inff()));
  Wide y = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) y.part[i] = quick_log(y.part[i] + constant(1.0));
  return select(lt(abs(x), splat(0x1p-29f)), x, round_once<log1p<Last::odd>, 16>(x, y, first_bits(!ordinary) != 0));
}

}  // namespace math
}  // namespace
}  // namespace chainrule
