// Elementwise arithmetic and comparisons. To add one: a struct and its line in the list at the end.
#pragma once

#include "simd/vec.h"

namespace chainrule {
namespace {

#define CR_UNARY(Name, text, expression)          \
  struct Name {                                   \
    static constexpr const char* name = text;     \
    explicit Name(const double*) {}               \
    template <class T>                            \
    CR_INLINE Vec<T> operator()(Vec<T> x) const { \
      return expression;                          \
    }                                             \
  };
#define CR_BINARY(Name, text, expression)                   \
  struct Name {                                             \
    static constexpr const char* name = text;               \
    explicit Name(const double*) {}                         \
    template <class T>                                      \
    CR_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b) const { \
      return expression;                                    \
    }                                                       \
  };
#define CR_COMPARISON(Name, text, expression)            \
  struct Name {                                          \
    static constexpr const char* name = text;            \
    template <class T>                                   \
    CR_INLINE static Mask<T> apply(Vec<T> a, Vec<T> b) { \
      return expression;                                 \
    }                                                    \
  };

CR_UNARY(Neg, "neg", neg(x))
CR_UNARY(Abs, "abs", abs(x))
CR_UNARY(Square, "square", x* x)
CR_UNARY(Sign, "sign",
         select(gt(x, splat(T(0))), splat(T(1)), select(lt(x, splat(T(0))), splat(T(-1)), x + splat(T(0)))))
CR_BINARY(Add, "add", a + b)
CR_BINARY(Sub, "sub", a - b)
CR_BINARY(Mul, "mul", a* b)
CR_BINARY(Div, "div", a / b)
CR_BINARY(Maximum, "maximum", maximum(a, b))
CR_BINARY(Minimum, "minimum", minimum(a, b))
CR_BINARY(Prelu, "prelu", select(gt(a, splat(T(0))), a, b* a))
CR_COMPARISON(Equal, "equal", eq(a, b))
CR_COMPARISON(NotEqual, "not_equal", !eq(a, b))
CR_COMPARISON(Less, "less", lt(a, b))
CR_COMPARISON(LessEqual, "less_equal", le(a, b))
CR_COMPARISON(Greater, "greater", gt(a, b))
CR_COMPARISON(GreaterEqual, "greater_equal", ge(a, b))

#undef CR_UNARY
#undef CR_BINARY
#undef CR_COMPARISON

// One term of binary_cross_entropy_with_logits: (1 - t) x + softplus(-x), see docs/arithmetic.md.
struct BceTerm {
  static constexpr const char* name = "bce_with_logits";
  explicit BceTerm(const double*) {}
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> x, Vec<T> t) const {
    return fma(splat(T(1)) - t, x, math::softplus(neg(x)));
  }
};

// The unit step; its value at 0 is a choice.
struct Heaviside {
  static constexpr const char* name = "heaviside";
  const double at_zero;
  explicit Heaviside(const double* param) : at_zero(param[0]) {}
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> x) const {
    const Vec<T> zero = splat(T(0));
    const Vec<T> step = select(gt(x, zero), splat(T(1)), select(lt(x, zero), zero, x));
    return select(eq(x, zero), splat(static_cast<T>(at_zero)), step);
  }
};

using Unary = List<Neg, Abs, Square, Sign, Heaviside>;
using Binary = List<Add, Sub, Mul, Div, Maximum, Minimum, Prelu, BceTerm>;
using Comparisons = List<Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual>;

}  // namespace
}  // namespace chainrule
