// Estimated costs in nanoseconds of a float32 on one thread, measured on Zen 4 with AVX-512; a float64 takes twice as
// long. Only the decision between one thread and more depends on them: they are right within a factor of 1.5 or so.
#pragma once

#include <cstdint>

namespace chainrule {

constexpr double kPerElement = 0.1;  // read or written in a stream
constexpr double kPerScore = 0.8;    // softmax, cross-entropy and their gradients
constexpr double kPerFma = 0.017;
constexpr double kPerOperand = 0.04;  // an element of a product's operands: what bounds a product of one row
constexpr double kPerRow = 3;         // a row of a reduction
constexpr double kPerChained = 1;     // of a chain that one element at a time continues
constexpr double kPerDraw = 14;       // a uniform or normal number
constexpr double kPerBernoulli = 1.5;

// The product of sizes, without overflow.
template <class... Sizes>
double volume(Sizes... sizes) {
  return (1.0 * ... * static_cast<double>(sizes));
}
inline double volume_of(const int64_t* dims, int64_t n) {
  double result = 1;
  for (int64_t i = 0; i < n; ++i) result *= static_cast<double>(dims[i]);
  return result;
}

}  // namespace chainrule
