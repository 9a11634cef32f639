// Activation functions: value and gradient side by side, as math_functions.h describes. At infinity each takes the
// limit of its formula. docs/arithmetic.md has the sequences of roundings, and what is done at kinks.
#pragma once

#include "kernels/math_functions.h"
#include "kernels/op_list.h"
#include "math/elementary.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

// relu(-0) = +0, relu(NaN) = NaN
struct Relu {
  static constexpr const char* names[2] = {"relu", "relu_grad"};
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

// x where it is above 0, slope * x elsewhere; the slopes are an array.
struct Prelu {
  static constexpr const char* name = "prelu";
  explicit Prelu(const double*) {}
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> x, Vec<T> slope) const {
    return select(gt(x, splat(T(0))), x, slope * x);
  }
};

// x between two bounds. The gradient passes where x is inside, the bounds included.
struct Clip {
  static constexpr const char* names[2] = {"clip", "clip_grad"};
  static constexpr float cost = 0.1f;
  const double low, high;
  explicit Clip(const double* param) : low(param[0]), high(param[1]) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return minimum(maximum(x, splat(static_cast<T>(low))), splat(static_cast<T>(high)));
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    const Mask<T> inside = ge(x, splat(static_cast<T>(low))) & le(x, splat(static_cast<T>(high)));
    return select(inside, g, select(isnan(x), x, splat(T(0))));
  }
};

// Clip, but that the gradient passes inside only.
struct Hardtanh : Clip {
  static constexpr const char* names[2] = {"hardtanh", "hardtanh_grad"};
  using Clip::Clip;
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> y, Vec<T> g) const {
    const Mask<T> inside = gt(y, splat(static_cast<T>(low))) & lt(y, splat(static_cast<T>(high)));
    return select(inside, g, select(isnan(y), y, splat(T(0))));
  }
};

struct Sigmoid {
  static constexpr const char* names[2] = {"sigmoid", "sigmoid_grad"};
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

struct Hardsigmoid {
  static constexpr const char* names[2] = {"hardsigmoid", "hardsigmoid_grad"};
  static constexpr float cost = 0.1f;
  const double slope;
  explicit Hardsigmoid(const double* param) : slope(param[0]) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return minimum(maximum(fma(splat(static_cast<T>(slope)), x, splat(T(0.5))), splat(T(0))), splat(T(1)));
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> y, Vec<T> g) const {
    const Mask<T> inside = gt(y, splat(T(0))) & lt(y, splat(T(1)));
    return select(inside, splat(static_cast<T>(slope)) * g, select(isnan(y), y, splat(T(0))));
  }
};

struct LogSigmoid {
  static constexpr const char* names[2] = {"logsigmoid", "logsigmoid_grad"};
  static constexpr float cost = 1.3f, gradient_cost = 0.6f;
  explicit LogSigmoid(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return neg(math::softplus(neg(x)));
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    return g * math::sigmoid(neg(x));
  }
};

struct Softplus {
  static constexpr const char* names[2] = {"softplus", "softplus_grad"};
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

struct Softsign {
  static constexpr const char* names[2] = {"softsign", "softsign_grad"};
  static constexpr float cost = 0.2f, gradient_cost = 0.3f;
  explicit Softsign(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    constexpr T kMost = sizeof(T) == 4 ? T(__FLT_MAX__) : T(__DBL_MAX__);
    const Vec<T> u = math::clamp(x, -kMost, kMost);
    return u / (splat(T(1)) + chainrule::abs(u));
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    const Vec<T> d = splat(T(1)) + chainrule::abs(x);
    return (g / d) / d;
  }
};

// up * x above 0, down * (e^x - 1) elsewhere.
struct Elu {
  static constexpr const char* names[2] = {"elu", "elu_grad"};
  static constexpr float gradient_cost = 0.6f;
  const double up, down;
  explicit Elu(const double* param) : Elu(1.0, param[0]) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    const Vec<T> below = splat(static_cast<T>(down)) * math::expm1(x);
    return select(gt(x, splat(T(0))), splat(static_cast<T>(up)) * x, below);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    const Vec<T> below = g * (splat(static_cast<T>(down)) * math::exp(x));
    return select(gt(x, splat(T(0))), splat(static_cast<T>(up)) * g, below);
  }

 protected:
  Elu(double slope, double scale) : up(slope), down(scale) {}
};

// The numbers for which mean 0 and variance 1 are a fixed point (Klambauer et al., 2017).
struct Selu : Elu {
  static constexpr const char* names[2] = {"selu", "selu_grad"};
  explicit Selu(const double*) : Elu(1.0507009873554805, 1.7580993408473768) {}
};

// x * s for a gate s >= 0. The gate closes faster than x grows: where s is 0 the product is a zero with the sign of x,
// at infinity too.
template <class T>
CR_INLINE Vec<T> gated(Vec<T> x, Vec<T> s) {
  return select(eq(s, splat(T(0))), math::with_sign(s, x), x * s);
}

// s = sigmoid(z) and 1 - s, both with a small relative error: one from the other, the one below 1/2 first.
template <class T>
struct Logistic {
  Vec<T> s, rest;
  CR_INLINE explicit Logistic(Vec<T> z) {
    const Vec<T> small = math::sigmoid(neg(chainrule::abs(z))), large = splat(T(1)) - small;
    const Mask<T> negative = lt(z, splat(T(0)));
    s = select(negative, small, large);
    rest = select(negative, large, small);
  }
};

struct Silu {
  static constexpr const char* names[2] = {"silu", "silu_grad"};
  static constexpr float gradient_cost = 0.7f;
  const double beta;
  explicit Silu(const double* param) : beta(param[0]) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return gated(x, math::sigmoid(splat(static_cast<T>(beta)) * x));
  }
  template <class T>
    requires(sizeof(T) == 4 && Vec<T>::lanes > 1)
  CR_INLINE void values(Vec<T> (&x)[4]) const {
    Vec<T> s[4];
    CR_UNROLL
    for (int i = 0; i < 4; ++i) s[i] = splat(static_cast<T>(beta)) * x[i];
    math::sigmoid(s);
    CR_UNROLL
    for (int i = 0; i < 4; ++i) x[i] = gated(x[i], s[i]);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    constexpr T kMost = sizeof(T) == 4 ? T(__FLT_MAX__) : T(__DBL_MAX__);
    const Vec<T> z = math::clamp(splat(static_cast<T>(beta)) * x, -kMost, kMost);
    const Logistic<T> l(z);
    return g * (l.s * fma(z, l.rest, splat(T(1))));
  }
};

// x tanh(log(1 + e^x)) = x n / (n + 2) with n = e (e + 2), e = e^x: one exponential and one quotient.
struct Mish {
  static constexpr const char* names[2] = {"mish", "mish_grad"};
  static constexpr float gradient_cost = 0.9f;
  explicit Mish(const double*) {}
  template <class T>
  CR_INLINE static Vec<T> power(Vec<T> u) {
    const Vec<T> e = math::exp(u);
    return e * (e + splat(T(2)));
  }
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    const Vec<T> n = power(math::clamp(x, T(-1000), T(40)));
    return gated(x, n / (n + splat(T(2))));
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    const Vec<T> u = math::clamp(x, T(-1000), T(40));
    const Vec<T> n = power(u), d = n + splat(T(2)), q = n / d;
    const Vec<T> slope = (splat(T(2)) / d * (splat(T(1)) + q)) * math::sigmoid(u);
    return g * fma(u, slope, q);
  }
};

struct Gelu {
  static constexpr const char* names[2] = {"gelu", "gelu_grad"};
  static constexpr float cost = 1.0f, gradient_cost = 1.5f;
  explicit Gelu(const double*) {}
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return gated(x, math::normal_cdf(x));
  }
  template <class T>
    requires(sizeof(T) == 4 && Vec<T>::lanes == 16)
  CR_INLINE void values(Vec<T> (&x)[4]) const {
    Vec<T> s[4];
    CR_UNROLL
    for (int i = 0; i < 4; ++i) s[i] = x[i];
    math::normal_cdf(s);
    CR_UNROLL
    for (int i = 0; i < 4; ++i) x[i] = gated(x[i], s[i]);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    const Vec<T> u = math::clamp(x, T(-40), T(40));
    return g * fma(u, Ndtr::density(u), math::normal_cdf(u));
  }
};

// The approximation by tanh, in terms of the logistic function: (1 + tanh(z/2)) / 2 = sigmoid(z).
struct GeluTanh {
  static constexpr const char* names[2] = {"gelu_tanh", "gelu_tanh_grad"};
  static constexpr float gradient_cost = 0.8f;
  static constexpr double kLinear = 1.5957691216057308, kCubic = 0.07135481627260025;  // 2 sqrt(2/pi) (1, 0.044715)
  explicit GeluTanh(const double*) {}
  template <class T>
  CR_INLINE static Vec<T> argument(Vec<T> x) {
    return x * fma(splat(static_cast<T>(kCubic)), x * x, splat(static_cast<T>(kLinear)));
  }
  template <class T>
  CR_INLINE Vec<T> value(Vec<T> x) const {
    return gated(x, math::sigmoid(argument(x)));
  }
  template <class T>
    requires(sizeof(T) == 4 && Vec<T>::lanes > 1)
  CR_INLINE void values(Vec<T> (&x)[4]) const {
    Vec<T> s[4];
    CR_UNROLL
    for (int i = 0; i < 4; ++i) s[i] = argument(x[i]);
    math::sigmoid(s);
    CR_UNROLL
    for (int i = 0; i < 4; ++i) x[i] = gated(x[i], s[i]);
  }
  template <class T>
  CR_INLINE Vec<T> gradient(Vec<T> x, Vec<T> g) const {
    const Vec<T> u = math::clamp(x, T(-40), T(40));
    const Vec<T> slope = fma(splat(static_cast<T>(3 * kCubic)), u * u, splat(static_cast<T>(kLinear)));
    const Logistic<T> l(argument(u));
    return g * (l.s * fma(u * slope, l.rest, splat(T(1))));
  }
};

using Activations = List<Relu, LeakyRelu, Clip, Hardtanh, Sigmoid, Hardsigmoid, LogSigmoid, Softplus, Softsign, Elu,
                         Selu, Silu, Mish, Gelu, GeluTanh>;
using BinaryActivations = List<Prelu>;

}  // namespace
}  // namespace chainrule
