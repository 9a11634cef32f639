// tanh, sigmoid and softplus: quotients and logarithms of 1 + e^x, evaluated as one function.
#pragma once

#include "math/exp.h"
#include "math/log.h"

namespace chainrule {
namespace {
namespace math {

// tanh(x), float64: with 2|x| = k ln 2 + r, (2^k - 1 + 2^k tail) / (2^k + 1 + 2^k tail); beyond 22 the quotient is 1.
CR_INLINE Double tanh(Double x) {
  const Double a = at_most(abs(x), 22.0);
  const ExpParts e = exp_parts(a + a);
  const Double power = power_of_two(e.k);
  const Pair larger = fast_two_sum(power, constant(1.0));
  const Pair smaller = fast_two_sum(power, constant(-1.0));
  const Pair n = fast_two_sum(smaller.hi, power * e.tail.hi);
  const Pair d = fast_two_sum(larger.hi, power * e.tail.hi);
  const Double low = power * e.tail.lo;
  return with_sign(divide({n.hi, (n.lo + smaller.lo) + low}, {d.hi, (d.lo + larger.lo) + low}), x);
}

// 1 / (1 + e^-x), float64: with e = e^-|x|, 1 / (1 + e) for x >= 0 and e / (1 + e) for x < 0. There the numerator is kept
// in [sqrt(1/2), sqrt(2)] and the quotient is scaled at the end, so that subnormal results round once.
CR_INLINE Double sigmoid(Double x) {
  const Mask<double> negative = lt(x, constant(0.0));
  const ExpParts e = exp_parts(neg(at_most(abs(x), 760.0)));
  const Pair y = one_plus(e.tail);
  const Pair d = fast_two_sum(constant(1.0), scale(y.hi, e.k));
  const Pair n = {select(negative, y.hi, constant(1.0)), select(negative, y.lo, constant(0.0))};
  const Double q = divide(n, {d.hi, d.lo + scale(y.lo, e.k)});
  return scale(q, select(negative, e.k, constant(0.0)));
}

// log(1 + e^x), float64: max(x, 0) + log(1 + e^-|x|). Above 40 it is x. Below -17 it is
// e - e^2/2 + e^3/3, scaled at the end like sigmoid.
CR_INLINE Double softplus(Double x) {
  const ExpParts e = exp_parts(neg(at_most(abs(x), 760.0)));
  const Pair y = one_plus(e.tail);
  const Double power = scale(y.hi, e.k);
  const Double curve = power * fma(power, constant(0x1.5555555555555p-2), constant(-0.5));
  const Double small = scale(y.hi + fma(y.hi, curve, y.lo), e.k);
  const Pair u = fast_two_sum(constant(1.0), power);
  const Pair l = log_of_pair({u.hi, u.lo + scale(y.lo, e.k)});
  const Pair sum = two_sum(at_least(x, 0.0), l.hi);
  const Double y_or_x = select(gt(x, constant(40.0)), x, sum.hi + (sum.lo + l.lo));
  return select(lt(x, constant(-17.0)), small, y_or_x);
}

CR_INLINE Vec<float> tanh(Vec<float> x) {
  Wide w = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) w.part[i] = tanh(w.part[i]);
  return narrow(w);
}
CR_INLINE Vec<float> sigmoid(Vec<float> x) {
  Wide w = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) w.part[i] = sigmoid(w.part[i]);
  return narrow(w);
}
CR_INLINE Vec<float> softplus(Vec<float> x) {
  Wide w = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) w.part[i] = softplus(w.part[i]);
  return narrow(w);
}

}  // namespace math
}  // namespace
}  // namespace chainrule
