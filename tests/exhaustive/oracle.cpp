// The correctly rounded float32 value of each elementary function, and the number of results that differ from it.
//
// glibc's double function is assumed accurate to a relative 2^-46 (its error is a few 2^-53). If this error bound
// determines the rounding, its value is used; otherwise, for about one in 2^21 inputs, 113-bit arithmetic decides.
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <quadmath.h>
using Quad = __float128;
#define QUAD(f) f##q
#else
using Quad = long double;  // 113 bits on AArch64 Linux
#define QUAD(f) f##l
#endif

namespace {

double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double softplus(double x) { return x < 0 ? std::log1p(std::exp(x)) : x + std::log1p(std::exp(-x)); }
Quad sigmoid_quad(Quad x) { return x < 0 ? QUAD(exp)(x) / (1 + QUAD(exp)(x)) : 1 / (1 + QUAD(exp)(-x)); }
Quad softplus_quad(Quad x) { return x < 0 ? QUAD(log1p)(QUAD(exp)(x)) : x + QUAD(log1p)(QUAD(exp)(-x)); }

// erfc(-x / sqrt 2) / 2. In double, the rounding error of the quotient, up to 2^-46 of the result, is corrected to
// first order.
Quad ndtr_quad(Quad x) { return QUAD(erfc)(-x / QUAD(sqrt)(Quad(2))) / 2; }
double ndtr(double x) {
  if (!(std::fabs(x) < 40)) return x < 0 ? 0 : x > 0 ? 1 : x;
  if (std::fabs(x) < 0x1p-60) return 0.5;
  const double root = 0x1.6a09e667f3bcdp-1, rest = -0x1.bdd3413b26456p-55, t = -x * root;
  const double lost = std::fma(-x, root, -t) - x * rest;
  return 0.5 * std::erfc(t) - 0x1.20dd750429b6dp-1 * std::exp(-t * t) * lost;
}

double rsqrt(double x) { return 1 / std::sqrt(x); }
Quad rsqrt_quad(Quad x) { return 1 / QUAD(sqrt)(x); }

struct Function {
  const char* name;
  double (*fast)(double);
  Quad (*exact)(Quad);
};
const Function kFunctions[] = {
    {"exp", std::exp, QUAD(exp)},          {"expm1", std::expm1, QUAD(expm1)}, {"log", std::log, QUAD(log)},
    {"log1p", std::log1p, QUAD(log1p)},    {"tanh", std::tanh, QUAD(tanh)},    {"sigmoid", sigmoid, sigmoid_quad},
    {"softplus", softplus, softplus_quad}, {"erf", std::erf, QUAD(erf)},       {"ndtr", ndtr, ndtr_quad},
    {"sin", std::sin, QUAD(sin)},          {"cos", std::cos, QUAD(cos)},       {"rsqrt", rsqrt, rsqrt_quad},
    {"cbrt", std::cbrt, QUAD(cbrt)},       {"exp2", std::exp2, QUAD(exp2)},    {"log2", std::log2, QUAD(log2)},
    {"log10", std::log10, QUAD(log10)},    {"tan", std::tan, QUAD(tan)},       {"asin", std::asin, QUAD(asin)},
    {"acos", std::acos, QUAD(acos)},       {"atan", std::atan, QUAD(atan)},    {"sinh", std::sinh, QUAD(sinh)},
    {"cosh", std::cosh, QUAD(cosh)},       {"asinh", std::asinh, QUAD(asinh)}, {"acosh", std::acosh, QUAD(acosh)},
    {"atanh", std::atanh, QUAD(atanh)},    {"erfc", std::erfc, QUAD(erfc)},    {"lgamma", std::lgamma, QUAD(lgamma)},
};

float expected(const Function& f, float x) {
  const double y = f.fast(x);
  const float low = static_cast<float>(y - y * 0x1p-46), high = static_cast<float>(y + y * 0x1p-46);
  // Unambiguous, or NaN or infinite (for which the difference is NaN).
  if (low == high || !std::isfinite(y)) return static_cast<float>(y);
  return static_cast<float>(f.exact(x));
}

uint32_t pattern(float x) {
  uint32_t u;
  std::memcpy(&u, &x, sizeof u);
  return u;
}

}  // namespace

// The number of the n results y that are misrounded; the first `room` of their inputs are written to `where`.
// -1: unknown function.
extern "C" int64_t misrounded(const char* name, int64_t n, const float* x, const float* y, int64_t room, float* where) {
  for (const Function& f : kFunctions) {
    if (std::strcmp(f.name, name) != 0) continue;
    int64_t count = 0;
    for (int64_t i = 0; i < n; ++i) {
      const float right = expected(f, x[i]);
      if (pattern(right) == pattern(y[i]) || (std::isnan(right) && std::isnan(y[i]))) continue;
      if (count < room) where[count] = x[i];
      ++count;
    }
    return count;
  }
  return -1;
}
