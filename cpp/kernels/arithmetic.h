// Elementwise arithmetic, comparisons, and a term of a loss. To add one: a struct and its line in the list at the end.
#pragma once

#include "kernels/op_list.h"
#include "math/elementary.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

#define CR_UNARY(Name, text, body)                \
  struct Name {                                   \
    static constexpr const char* name = text;     \
    explicit Name(const double*) {}               \
    template <class T>                            \
    CR_INLINE Vec<T> operator()(Vec<T> x) const { \
      body;                                       \
    }                                             \
  };
#define CR_BINARY(Name, text, body)                         \
  struct Name {                                             \
    static constexpr const char* name = text;               \
    explicit Name(const double*) {}                         \
    template <class T>                                      \
    CR_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b) const { \
      body;                                                 \
    }                                                       \
  };
#define CR_COMPARISON(Name, text, body)                  \
  struct Name {                                          \
    static constexpr const char* name = text;            \
    template <class T>                                   \
    CR_INLINE static Mask<T> apply(Vec<T> a, Vec<T> b) { \
      body;                                              \
    }                                                    \
  };

CR_UNARY(Neg, "neg", return neg(x))
CR_UNARY(Abs, "abs", return abs(x))
CR_UNARY(Square, "square", return x * x)
CR_UNARY(Sign, "sign",
         return select(gt(x, splat(T(0))), splat(T(1)), select(lt(x, splat(T(0))), splat(T(-1)), x + splat(T(0)))))
CR_BINARY(Add, "add", return a + b)
CR_BINARY(Sub, "sub", return a - b)
CR_BINARY(Mul, "mul", return a * b)
CR_BINARY(Div, "div", return a / b)
CR_BINARY(Maximum, "maximum", return maximum(a, b))
CR_BINARY(Minimum, "minimum", return minimum(a, b))
CR_COMPARISON(Equal, "equal", return eq(a, b))
CR_COMPARISON(NotEqual, "not_equal", return !eq(a, b))
CR_COMPARISON(Less, "less", return lt(a, b))
CR_COMPARISON(LessEqual, "less_equal", return le(a, b))
CR_COMPARISON(Greater, "greater", return gt(a, b))
CR_COMPARISON(GreaterEqual, "greater_equal", return ge(a, b))

#undef CR_UNARY
#undef CR_BINARY
#undef CR_COMPARISON

// One term of binary_cross_entropy_with_logits: u |x| + softplus(-|x|), u the share of the other class, whose product
// with an infinite score is 0 where it is 0.
struct BceTerm {
  static constexpr const char* name = "bce_with_logits";
  explicit BceTerm(const double*) {}
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> x, Vec<T> t) const {
    const Vec<T> zero = splat(T(0)), size = chainrule::abs(x);
    const Vec<T> other = select(lt(x, zero), t, splat(T(1)) - t);
    return fma(other, select(eq(other, zero), zero, size), math::softplus(neg(size)));
  }
};

// Its derivative by x, sigmoid(x) - t, from the smaller of sigmoid(x) and 1 - sigmoid(x): exactly as small at x, t as
// at -x, 1 - t.
struct BceError {
  static constexpr const char* name = "bce_error";
  explicit BceError(const double*) {}
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> x, Vec<T> t) const {
    const Vec<T> q = math::sigmoid(neg(chainrule::abs(x)));
    return select(lt(x, splat(T(0))), q - t, (splat(T(1)) - t) - q);
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
using Binary = List<Add, Sub, Mul, Div, Maximum, Minimum, BceTerm, BceError>;
using Comparisons = List<Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual>;

}  // namespace
}  // namespace chainrule
