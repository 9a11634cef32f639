// tanh, sigmoid and softplus: quotients and logarithms of 1 + e^x, evaluated as one function.
#pragma once

#include "math/exp.h"
#include "math/log.h"
#include "math/tanh_tables.h"

namespace chainrule {
namespace {
namespace math {

// tanh(x) on float64: (e^2|x| - 1) / (e^2|x| + 1), both ends as pairs: s - 1 and s r are exact, s = 2^k 2^(j/16). At
// most 0.52 ULP. Beyond 22 the quotient is 1.
template <Last L = Last::nearest>
CR_INLINE Double tanh(Double x) {
  const Double a = smaller(constant(22.0), abs(x));
  const ExpParts e = exp_parts(a + a);
  const Double power = power_of_two(e.raised - splat_bits<double>(1023));
  const Double s = power * e.s;
  const Pair product = two_product(s, e.r);
  const Double low = product.lo + fma(s, e.tail, power * fma(e.s_low, e.r, e.s_low));
  const Pair less = fast_two_sum(s, constant(-1.0)), more = fast_two_sum(s, constant(1.0));
  const Pair n = fast_two_sum(less.hi, product.hi), d = fast_two_sum(more.hi, product.hi);
  const Pair nn = fast_two_sum(n.hi, (n.lo + less.lo) + low), dd = fast_two_sum(d.hi, (d.lo + more.lo) + low);
  return with_sign(sum<L>(divide(nn, dd)), x);
}

// 1 / (1 + e^-x) on float64: with e = e^-|x|, 1 / (1 + e) for x >= 0 and e / (1 + e) for x < 0. There the numerator is
// kept in [1, 2] and the quotient is scaled at the end, so that subnormal results round once. At most 0.54 ULP,
// subnormal results 0.75.
template <Last L = Last::nearest>
CR_INLINE Double sigmoid(Double x) {
  const Mask<double> negative = lt(x, constant(0.0));
  const ExpParts e = exp_parts(neg(smaller(constant(760.0), abs(x))));
  const Pair y = mantissa(e);
  const Pair d = fast_two_sum(constant(1.0), scale(y.hi, e.raised));
  const Pair n = {select(negative, y.hi, constant(1.0)), select(negative, y.lo, constant(0.0))};
  const Double q = sum<L>(divide(n, {d.hi, d.lo + scale(y.lo, e.raised)}));
  return select(negative, scale(q, e.raised), q);
}

// log(1 + e^x) on float64: max(x, 0) + log(1 + e), e = e^-|x|. Above 40 it is x. Below -17 it is e - e^2/2 + e^3/3,
// scaled at the end like sigmoid. At most 0.54 ULP, subnormal results 0.75.
template <Last L = Last::nearest>
CR_INLINE Double softplus(Double x) {
  const ExpParts e = exp_parts(neg(smaller(constant(760.0), abs(x))));
  const Pair y = mantissa(e);
  const Double power = scale(y.hi, e.raised);
  const Double curve = power * fma(power, constant(0x1.5555555555555p-2), constant(-0.5));
  const Double small = scale(sum<L>({y.hi, fma(y.hi, curve, y.lo)}), e.raised);
  const Pair u = fast_two_sum(constant(1.0), power);
  const Pair l = log_of_pair({u.hi, u.lo + scale(y.lo, e.raised)});
  const Pair high = two_sum(larger(constant(0.0), x), l.hi);
  const Double result = select(gt(x, constant(40.0)), x, sum<L>({high.hi, high.lo + l.lo}));
  return select(lt(x, constant(-17.0)), small, result);
}

// n[i] / d[i] by one division for both halves: n0 / d0 = n0 d1 / (d0 d1). A NaN or infinity reaches the other half too.
template <class W>
CR_INLINE W divide_halves(W n, W d) {
  if constexpr (W::parts == 1) {
    return {{n.part[0] / d.part[0]}};
  } else {
    const Double inverse = constant(1.0) / (d.part[0] * d.part[1]);
    return {{n.part[0] * (d.part[1] * inverse), n.part[1] * (d.part[0] * inverse)}};
  }
}

// (e^2x - 1) / (e^2x + 1); beyond 10 it rounds to 1.
__attribute__((noinline, cold)) Vec<float> tanh_in_binary64(Vec<float> x) {
  const Vec<float> a = clamp(x, -10.0f, 10.0f);
  Wide n = widen(a + a), d = n;
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) {
    const QuickExp e = quick_exp<5>(n.part[i]);
    n.part[i] = fma(e.m, e.q, e.s - constant(1.0));
    d.part[i] = n.part[i] + constant(2.0);
  }
  return with_sign(round_once<tanh<Last::odd>, 13>(x, divide_halves(n, d), first_bits(isnan(x)) != 0), x);
}

// By table, for vectors in which one instruction looks up 32 floats: four fifths of the time of the quotient below (Zen
// 4, 29 cycles for 16 elements; a lookup takes as long as an fma). 1.4375 |x| + 0.903 has eight cells in a binade, so
// that they widen as tanh flattens. What floats make of 1 - T^2 is as good as 1 - T^2 itself; y + rest differs from
// tanh |x| by less than 2^-10.8 of half a unit in the last place, most in the cell around 0.1.
template <int N>
CR_INLINE void tanh_by_table(Vec<float> (&x)[N]) {
  Bits<float> cell[N];
  Float y[N], doubt[N];
  CellTerms<N> e;
  CR_UNROLL
  for (int i = 0; i < N; ++i) e.d[i] = smaller(splat(9.1f), abs(x[i]));
  CR_UNROLL
  for (int i = 0; i < N; ++i) cell[i] = shr<20>(bits(fma(e.d[i], splat(1.4375f), splat(0.903f))));
  CR_UNROLL
  for (int i = 0; i < N; ++i) e.d[i] = e.d[i] - lookup(kTanh[0], cell[i]);
  CR_UNROLL
  for (int i = 0; i < N; ++i) e.t[i] = lookup(kTanh[1], cell[i]);
  CR_UNROLL
  for (int i = 0; i < N; ++i) e.p[i] = lookup(kTanh[5], cell[i]);
  CR_UNROLL
  for (int i = 0; i < N; ++i) e.p[i] = fma(e.d[i], e.p[i], lookup(kTanh[4], cell[i]));
  CR_UNROLL
  for (int i = 0; i < N; ++i) e.slope[i] = fma(neg(e.t[i]), e.t[i], splat(1.0f));
  CR_UNROLL
  for (int i = 0; i < N; ++i) e.p[i] = fma(e.d[i], e.p[i], lookup(kTanh[3], cell[i]));
  CR_UNROLL
  for (int i = 0; i < N; ++i) e.curve[i] = e.t[i] * e.slope[i];
  CR_UNROLL
  for (int i = 0; i < N; ++i) e.p[i] = fma(e.d[i], e.p[i], lookup(kTanh[2], cell[i]));
  cell_sums(e, [](Float lo, int) CR_LAMBDA { return lo; }, 1.0f + 0x1.4p-10f, y, doubt);
  CR_UNROLL
  for (int i = 0; i < N; ++i) y[i] = with_sign(y[i], x[i]);
  decide<tanh_in_binary64>(x, y, doubt);
}

// n = e^2|x| - 1 and d = n + 2 as pairs. n has the error of w; where it is so large that s - 1 is not exact, that does
// no harm: d has the same error.
template <int N>
CR_INLINE void tanh(Vec<float> (&x)[N]) {
  if constexpr (Vec<float>::lanes == 16) return tanh_by_table(x);
  const Float two = splat(2.0f);
  ExpTerms e[N];
  Float y[N], doubt[N];
  CR_UNROLL
  for (int i = 0; i < N; ++i) {
    y[i] = smaller(splat(10.0f), abs(x[i]));
    y[i] = y[i] + y[i];
  }
  exp_terms(y, e);
  CR_UNROLL
  for (int i = 0; i < N; ++i) {
    const Float s = scale(e[i].s, e[i].power), less = s - splat(1.0f);
    const Float p = e[i].r + e[i].w, p_low = e[i].w - (p - e[i].r);
    const Float n = fma(s, p, less), n_low = fma(s, p_low, fma(s, p, less - n));
    const Float d = n + two, d_low = (smaller(n, two) - (d - larger(n, two))) + n_low;
    const Float inverse = splat(1.0f) / d, q = n * inverse;
    const Float rest = fma(neg(q), d, n) + fma(neg(q), d_low, n_low);
    const Float error = fma(n, splat(0x1p-42f), (s * splat(0x1p-22f)) * e[i].square);
    const Float above = fma(rest + error, inverse, q), below = fma(rest - error, inverse, q);
    doubt[i] = bits_xor(above, below);
    y[i] = with_sign(above, x[i]);
  }
  decide<tanh_in_binary64>(x, y, doubt);
}

// Near 0 the value 1/2 + x/4 - x^3/48 can be nearer to the middle of two floats than 2^-54. There a slope a little
// below 1/4 stands for the third term: x/4 is in the middle, or further from it than the 2^-25 of itself that are taken
// off.
CR_INLINE Double sigmoid_to_round(Double x) {
  const Double near_half = fma(x, constant(0.25 - 0x1p-27), constant(0.5));
  return select(lt(abs(x), constant(0x1p-11)), near_half, sigmoid<Last::odd>(x));
}

// 1 / (1 + e^-x). Below kExpLow, where this is e^x, it takes the exact way like exp. Beyond 30 it rounds to 1.
CR_INLINE Vec<float> sigmoid_of_ordinary(Vec<float> x) {
  Wide n = widen(neg(smaller(larger(x, splat(kExpLow)), splat(30.0f)))), d = n;
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) {
    const QuickExp e = quick_exp<4>(n.part[i]);
    n.part[i] = constant(1.0);
    d.part[i] = fma(e.m, e.q, e.s + constant(1.0));
  }
  return round_once<sigmoid_to_round, 15>(x, divide_halves(n, d));
}
__attribute__((noinline, cold)) Vec<float> sigmoid_in_binary64(Vec<float> x) {
  return between<sigmoid_of_ordinary>(x, -104.0f, 30.0f, 1.0f);
}

// 1 / d, d = 1 + e^-x as a pair, good to 2^-35.8. NaN becomes a bound here and is left to binary64.
template <int N>
CR_INLINE void sigmoid(Vec<float> (&x)[N]) {
  constexpr float kError = kRoots == 32 ? 0x1.3p-36f : 0x1p-33f;
  const Float one = splat(1.0f);
  ExpTerms e[N];
  Float y[N], doubt[N];
  CR_UNROLL
  for (int i = 0; i < N; ++i) y[i] = neg(smaller(larger(x[i], splat(kExpLow)), splat(30.0f)));
  exp_terms(y, e);
  CR_UNROLL
  for (int i = 0; i < N; ++i) {
    const Float s = scale(e[i].s, e[i].power), hi = fma(s, e[i].r, s), lo = fma(s, e[i].w, fma(s, e[i].r, s - hi));
    const Float d = hi + one, d_low = (smaller(hi, one) - (d - larger(hi, one))) + lo;
    const Float q = one / d, first = fma(neg(q), d_low, fma(neg(q), d, one)), rest = fma(first, first, first);
    y[i] = fma(q, rest + splat(kError), q);
    doubt[i] = bits_xor(y[i], fma(q, rest - splat(kError), q));
  }
  decide<sigmoid_in_binary64>(x, y, doubt);
}
CR_INLINE Vec<float> tanh(Vec<float> x) {
  Vec<float> one[1] = {x};
  tanh(one);
  return one[0];
}
CR_INLINE Vec<float> sigmoid(Vec<float> x) {
  Vec<float> one[1] = {x};
  sigmoid(one);
  return one[0];
}

// max(x, 0) + log(1 + e), e = e^-|x|; what 1 + e loses of e is added at the end. Below kExpLow, where this is e^x, it
// takes the exact way like exp.
CR_INLINE Vec<float> softplus(Vec<float> x) {
  Wide y = widen(x), a = widen(larger(neg(abs(x)), splat(kExpLow)));
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) {
    const QuickExp e = quick_exp<4>(a.part[i]);
    const Pair u = fast_two_sum(constant(1.0), fma(e.m, e.q, e.s));
    y.part[i] = larger(constant(0.0), y.part[i]) + (quick_log(u.hi) + u.lo);
  }
  return round_once<softplus<Last::odd>, 17>(x, y);
}

}  // namespace math
}  // namespace
}  // namespace chainrule
