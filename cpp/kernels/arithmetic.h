// Elementwise arithmetic, comparisons, and a term of a loss. To add one: a struct and its line in the list at the end.
#pragma once

#include "kernels/op_list.h"
#include "math/elementary.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

// To an integer: the nearest one (a half goes to the even one), the nearest below, towards 0. Beside `limit` a number
// has no digits after the point; above it all are integers.
template <class T>
CR_INLINE Vec<T> with_sign_of(Vec<T> x, Vec<T> size) {
  return bits_or(size, bits_and(x, splat(T(-0.0))));
}
template <class T>
CR_INLINE Vec<T> nearest_integer(Vec<T> x) {
  const Vec<T> limit = splat(sizeof(T) == 4 ? T(0x1p23) : T(0x1p52)), size = chainrule::abs(x);
  return select(lt(size, limit), with_sign_of(x, (size + limit) - limit), x);
}
template <class T>
CR_INLINE Vec<T> floor_of(Vec<T> x) {
  const Vec<T> near = nearest_integer(x);
  return select(lt(x, near), near - splat(T(1)), near);
}
template <class T>
CR_INLINE Vec<T> ceil_of(Vec<T> x) {
  return chainrule::neg(floor_of(chainrule::neg(x)));
}
template <class T>
CR_INLINE Vec<T> trunc_of(Vec<T> x) {
  return with_sign_of(x, floor_of(chainrule::abs(x)));
}

// r less the multiple of d nearest to it, until it is below d. Each step is exact: the quotient q is an integer, and
// r - q d a multiple of its last digit times that of d, below 2^p of them.
template <class T>
CR_INLINE Vec<T> reduced(Vec<T> r, Vec<T> d) {
  for (;;) {
    r = fma(chainrule::neg(nearest_integer(r / d)), d, r);
    if (first_bits(le(d, chainrule::abs(r))) == 0) return r;
  }
}
// |a| modulo |b|, exactly; NaN for an infinite a and for b = 0.
template <class T>
CR_INLINE Vec<T> modulo(Vec<T> a, Vec<T> b) {
  const Vec<T> size = chainrule::abs(a), d = chainrule::abs(b);
  const Vec<T> largest = splat(sizeof(T) == 4 ? T(0x1.fffffep127) : T(0x1.fffffffffffffp1023));
  const Mask<T> far = lt(largest, size / d);
  Vec<T> r = size;
  if (first_bits(far) != 0) {  // the quotient overflows: first modulo multiples of d
    const Vec<T> scale = splat(sizeof(T) == 4 ? T(0x1p100) : T(0x1p600)), multiple = select(far, d * scale, d);
    r = reduced(r, select(lt(largest, size / multiple), multiple * scale, multiple));
    r = reduced(r, multiple);
  }
  r = reduced(r, d);
  r = select(lt(r, splat(T(0))), r + d, r);
  return select(lt(size, d), size, r);
}
// a modulo b with the sign of b, and the quotient that belongs to it: as Python's and NumPy's.
template <class T>
struct Division {
  Vec<T> a, b, part;  // part: with the sign of a
  Mask<T> other_sign;
  CR_INLINE Division(Vec<T> dividend, Vec<T> divisor)
      : a(dividend), b(divisor), part(with_sign_of(a, modulo(a, b))), other_sign(lt(part, zero()) & lt(zero(), b)) {
    other_sign = other_sign | (lt(zero(), part) & lt(b, zero()));
  }
  CR_INLINE static Vec<T> zero() { return splat(T(0)); }
  CR_INLINE Vec<T> remainder() const {
    return select(eq(part, zero()), with_sign_of(b, zero()), select(other_sign, part + b, part));
  }
  CR_INLINE Vec<T> quotient() const {
    const Vec<T> exact = a / b, rest = (a - part) / b, near = select(other_sign, rest - splat(T(1)), rest);
    const Vec<T> below = floor_of(near);
    const Vec<T> whole = select(lt(splat(T(0.5)), near - below), below + splat(T(1)), below);
    return select(eq(b, zero()), exact, select(eq(near, zero()), with_sign_of(exact, zero()), whole));
  }
};

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
CR_UNARY(Floor, "floor", return floor_of(x))
CR_UNARY(Ceil, "ceil", return ceil_of(x))
CR_UNARY(Trunc, "trunc", return trunc_of(x))
CR_UNARY(Round, "round", return nearest_integer(x))
CR_BINARY(Add, "add", return a + b)
CR_BINARY(Sub, "sub", return a - b)
CR_BINARY(Mul, "mul", return a * b)
CR_BINARY(Div, "div", return a / b)
CR_BINARY(FloorDivide, "floor_divide", return Division<T>(a, b).quotient())
CR_BINARY(Remainder, "remainder", return Division<T>(a, b).remainder())
CR_BINARY(Fmod, "fmod", return with_sign_of(a, modulo(a, b)))
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

using Unary = List<Neg, Abs, Square, Sign, Floor, Ceil, Trunc, Round, Heaviside>;
using Binary = List<Add, Sub, Mul, Div, FloorDivide, Remainder, Fmod, Maximum, Minimum, BceTerm, BceError>;
using Comparisons = List<Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual>;

}  // namespace
}  // namespace chainrule
