// Activations and elementary functions: value and gradient side by side.
//
// To add one: a struct with a name, what its gradient reads (`Keeps::input` x or `Keeps::output` y), `value(x)` and
// `gradient(kept, g)`, and its line in the list at the end. It becomes the kernels `name` and `name_grad` on every
// level; the row in python/chainrule/ops and the truth in tests/reference are the other two places. `param` are the
// op's numbers (a slope, two bounds). docs/arithmetic.md has the roundings. units.h goes on with less common ones.
#pragma once

#include "math/elementary.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

enum class Keeps { input, output };

struct Exp {
  static constexpr const char* names[2] = {"exp", "exp_grad"};
  static constexpr Keeps keeps = Keeps::output;
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
  static constexpr Keeps keeps = Keeps::output;
  explicit Expm1(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::expm1(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> y, Vec<T> g) const {
    return g * (y + splat(T(1)));
  }
};

struct Log {
  static constexpr const char* names[2] = {"log", "log_grad"};
  static constexpr Keeps keeps = Keeps::input;
  explicit Log(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::log(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g / x;
  }
};

struct Log1p {
  static constexpr const char* names[2] = {"log1p", "log1p_grad"};
  static constexpr Keeps keeps = Keeps::input;
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
  static constexpr Keeps keeps = Keeps::output;
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
  static constexpr Keeps keeps = Keeps::output;
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

struct Sigmoid {
  static constexpr const char* names[2] = {"sigmoid", "sigmoid_grad"};
  static constexpr Keeps keeps = Keeps::output;
  explicit Sigmoid(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::sigmoid(x);
  }
  template <class T>
    requires(sizeof(T) == 4 && Vec<T>::lanes > 1)
  CR_INLINE void values(Vec<T> (&x)[4]) const {
    math::sigmoid(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> y, Vec<T> g) const {
    return g * (y * (splat(T(1)) - y));
  }
};

struct Softplus {
  static constexpr const char* names[2] = {"softplus", "softplus_grad"};
  static constexpr Keeps keeps = Keeps::input;
  static constexpr float cost = 1.3f;
  explicit Softplus(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::softplus(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g * math::sigmoid(x);
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
  static constexpr Keeps keeps = Keeps::input;
  static constexpr float gradient_cost = 0.6f;
  static constexpr double kSlope = 1.1283791670955126;  // 2 / sqrt(pi)
  explicit Erf(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::erf(x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g * (splat(static_cast<T>(kSlope)) * bell(x, T(1)));
  }
};

// The distribution function of the normal distribution.
struct Ndtr {
  static constexpr const char* names[2] = {"ndtr", "ndtr_grad"};
  static constexpr Keeps keeps = Keeps::input;
  static constexpr float cost = 1.0f, gradient_cost = 0.6f;
  static constexpr double kSlope = 0.3989422804014327;  // 1 / sqrt(2 pi)
  explicit Ndtr(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return math::normal_cdf(x);
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

// relu(-0) = +0, relu(NaN) = NaN
struct Relu {
  static constexpr const char* names[2] = {"relu", "relu_grad"};
  static constexpr Keeps keeps = Keeps::output;
  static constexpr float cost = 0.1f;
  explicit Relu(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    const Vec<T> zero = splat(T(0));
    return select(le(x, zero), zero, x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> y, Vec<T> g) const {
    const Vec<T> zero = splat(T(0));
    return select(lt(zero, chainrule::abs(y)), g, y + zero);  // not g: y is a zero of either sign, or NaN
  }
};

struct LeakyRelu {
  static constexpr const char* names[2] = {"leaky_relu", "leaky_relu_grad"};
  static constexpr Keeps keeps = Keeps::input;
  static constexpr float cost = 0.1f;
  const double slope;
  explicit LeakyRelu(const double* param) : slope(param[0]) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return select(gt(x, splat(T(0))), x, splat(static_cast<T>(slope)) * x);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    const Vec<T> passed = select(gt(x, splat(T(0))), g, splat(static_cast<T>(slope)) * g);
    return select(isnan(x), x, passed);
  }
};

template <class... Ops>
struct List {
  static constexpr int64_t size = sizeof...(Ops);
};
using Activations = List<Exp, Expm1, Log, Log1p, Sqrt, Tanh, Sigmoid, Softplus, Erf, Ndtr, Relu, LeakyRelu>;

}  // namespace
}  // namespace chainrule
