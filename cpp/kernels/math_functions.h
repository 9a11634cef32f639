// Elementary functions: value and gradient side by side. activations.h has the activation functions.
//
// To add one: a struct with its two names, `value(x)` and `gradient(saved, g)` for the upstream gradient g, and its
// line in the list at the end. What is saved for the gradient, the input x or the output y, is said by the op's row in
// python/chainrule/ops. The struct becomes the kernels `name` and `name_grad` on every level; the row in
// python/chainrule/ops and the reference in tests/reference are the other two places. `param` are the op's parameters
// (a slope, two bounds). docs/arithmetic.md has the sequences of roundings.
#pragma once

#include "kernels/op_list.h"
#include "math/elementary.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

struct Exp {
  static constexpr const char* names[2] = {"exp", "exp_grad"};
  explicit Exp(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::exp(x);
  }
  // Optional: four vectors step by step; the scalar level has no latency to fill.
  template <class T>
    requires(sizeof(T) == 4 && Vec<T>::lanes > 1)
  CR_INLINE void values(Vec<T> (&x)[4]) const {
    math::exp(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> y, Vec<T> g) const {
    return g * y;
  }
};

struct Expm1 {
  static constexpr const char* names[2] = {"expm1", "expm1_grad"};
  static constexpr float gradient_cost = 0.5f;
  explicit Expm1(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::expm1(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g * math::exp(x);
  }
};

struct Log {
  static constexpr const char* names[2] = {"log", "log_grad"};
  explicit Log(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::log(x);
  }
  template <class T>
    requires(sizeof(T) == 4 && Vec<T>::lanes == 16)
  CR_INLINE void values(Vec<T> (&x)[4]) const {
    math::log(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g / x;
  }
};

struct Log1p {
  static constexpr const char* names[2] = {"log1p", "log1p_grad"};
  explicit Log1p(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::log1p(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g / (splat(T(1)) + x);
  }
};

struct Sqrt {
  static constexpr const char* names[2] = {"sqrt", "sqrt_grad"};
  static constexpr float cost = 0.2f;
  explicit Sqrt(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return chainrule::sqrt(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> y, Vec<T> g) const {
    return g / (y + y);
  }
};

struct Tanh {
  static constexpr const char* names[2] = {"tanh", "tanh_grad"};
  explicit Tanh(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::tanh(x);
  }
  template <class T>
    requires(sizeof(T) == 4 && Vec<T>::lanes > 1)
  CR_INLINE void values(Vec<T> (&x)[4]) const {
    math::tanh(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> y, Vec<T> g) const {
    return g * fma(neg(y), y, splat(T(1)));
  }
};

// e^(-f x^2) for f = 1 or 1/2, within 2 ULP: the square is an exact pair, whose low part the exponential takes as a
// factor. Beyond 40 it is 0.
template <class T>
CR_INLINE Vec<T> bell(Vec<T> x, T f) {
  const Vec<T> u = math::clamp(x, T(-40), T(40)), q = u * u, rest = fma(u, u, neg(q));
  const Vec<T> e = math::exp(splat(-f) * q);
  return fma(splat(-f) * rest, e, e);
}

struct Erf {
  static constexpr const char* names[2] = {"erf", "erf_grad"};
  static constexpr float gradient_cost = 0.6f;
  static constexpr double kSlope = 1.1283791670955126;  // 2 / sqrt(pi)
  explicit Erf(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::erf(x);
  }
  template <class T>
    requires(sizeof(T) == 4 && Vec<T>::lanes == 16)
  CR_INLINE void values(Vec<T> (&x)[4]) const {
    math::erf(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g * (splat(static_cast<T>(kSlope)) * bell(x, T(1)));
  }
};

// The distribution function of the normal distribution.
struct Ndtr {
  static constexpr const char* names[2] = {"ndtr", "ndtr_grad"};
  static constexpr float cost = 1.0f, gradient_cost = 0.6f;
  static constexpr double kSlope = 0.3989422804014327;  // 1 / sqrt(2 pi)
  explicit Ndtr(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::normal_cdf(x);
  }
  template <class T>
    requires(sizeof(T) == 4 && Vec<T>::lanes == 16)
  CR_INLINE void values(Vec<T> (&x)[4]) const {
    math::normal_cdf(x);
  }
  template <class T>
  CR_INLINE static Vec<T> density(Vec<T> x) {
    return splat(static_cast<T>(kSlope)) * bell(x, T(0.5));
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g * density(x);
  }
};

struct Sin {
  static constexpr const char* names[2] = {"sin", "sin_grad"};
  static constexpr float gradient_cost = 0.6f;
  explicit Sin(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::sin(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g * math::cos(x);
  }
};

struct Cos {
  static constexpr const char* names[2] = {"cos", "cos_grad"};
  static constexpr float gradient_cost = 0.6f;
  explicit Cos(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::cos(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g * neg(math::sin(x));
  }
};

using MathFunctions = List<Exp, Expm1, Log, Log1p, Sqrt, Tanh, Erf, Ndtr, Sin, Cos>;

}  // namespace
}  // namespace chainrule
