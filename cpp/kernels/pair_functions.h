// Elementary functions that are evaluated as pairs of float64 for both dtypes; their derivatives are made of other ops.
//
// To add one: its pair function in cpp/math and a line here and in the list at the end. `cost` is the time of a float32
// in nanoseconds.
#pragma once

#include "kernels/op_list.h"
#include "math/error_functions.h"
#include "math/gamma.h"
#include "math/hyperbolic.h"

namespace chainrule {
namespace {

template <auto F>
struct PairFunction {
  explicit PairFunction(const double*) {}
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> x) const {
    return math::rounded<F>(x);
  }
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> x, Vec<T> y) const {
    return math::rounded<F>(x, y);
  }
};

#define CR_FUNCTION(Name, text, nanoseconds)             \
  struct Name : PairFunction<math::Name##_pair> {        \
    using PairFunction<math::Name##_pair>::PairFunction; \
    static constexpr const char* name = text;            \
    static constexpr float cost = nanoseconds;           \
  };

CR_FUNCTION(rsqrt, "rsqrt", 3.0f)
CR_FUNCTION(cbrt, "cbrt", 6.0f)
CR_FUNCTION(exp2, "exp2", 3.0f)
CR_FUNCTION(log2, "log2", 4.0f)
CR_FUNCTION(log10, "log10", 4.0f)
CR_FUNCTION(tan, "tan", 8.0f)
CR_FUNCTION(asin, "asin", 8.0f)
CR_FUNCTION(acos, "acos", 8.0f)
CR_FUNCTION(atan, "atan", 7.0f)
CR_FUNCTION(sinh, "sinh", 7.0f)
CR_FUNCTION(cosh, "cosh", 7.0f)
CR_FUNCTION(asinh, "asinh", 9.0f)
CR_FUNCTION(acosh, "acosh", 9.0f)
CR_FUNCTION(atanh, "atanh", 7.0f)
CR_FUNCTION(erfc, "erfc", 8.0f)
CR_FUNCTION(erfinv, "erfinv", 20.0f)
CR_FUNCTION(lgamma, "lgamma", 20.0f)
CR_FUNCTION(digamma, "digamma", 20.0f)
CR_FUNCTION(atan2, "atan2", 9.0f)
CR_FUNCTION(hypot, "hypot", 5.0f)
CR_FUNCTION(logaddexp, "logaddexp", 8.0f)
CR_FUNCTION(xlogy, "xlogy", 4.0f)
#undef CR_FUNCTION

// x^(y - n); n is 0 or, in derivatives, their order.
template <math::Last L>
__attribute__((noinline)) math::Double power_value(math::Double x, math::Double y, double n) {
  return math::sum<L>(math::power_pair(x, y, n));
}
struct Power {
  static constexpr const char* name = "pow";
  static constexpr float cost = 9.0f;
  const double n;
  explicit Power(const double* param) : n(param[0]) {}
  CR_INLINE Vec<double> operator()(Vec<double> x, Vec<double> y) const {
    return power_value<math::Last::nearest>(x, y, n);
  }
  CR_INLINE Vec<float> operator()(Vec<float> x, Vec<float> y) const {
    Wide w = widen(x);
    const Wide v = widen(y);
    for (int i = 0; i < Wide::parts; ++i) w.part[i] = power_value<math::Last::odd>(w.part[i], v.part[i], n);
    return narrow(w);
  }
};

struct Polygamma {
  static constexpr const char* name = "polygamma";
  static constexpr float cost = 60.0f;
  const math::Polygamma f;
  explicit Polygamma(const double* param) : f(param[0]) {}
  CR_INLINE Vec<double> operator()(Vec<double> x) const { return f(x); }
  CR_INLINE Vec<float> operator()(Vec<float> x) const {
    Wide w = widen(x);
    for (int i = 0; i < Wide::parts; ++i) w.part[i] = f(w.part[i]);
    return narrow(w);
  }
};

using PairFunctions = List<rsqrt, cbrt, exp2, log2, log10, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh, erfc,
                           erfinv, lgamma, digamma, Polygamma>;
using PairFunctions2 = List<atan2, hypot, logaddexp, xlogy, Power>;

}  // namespace
}  // namespace chainrule
