// Correct rounding of float32 functions in two steps (Ziv's strategy).
// The quick evaluation has a relative error below 2^-(53 - window): that of its polynomial, known from the fit, and a
// few roundings near 2^-53. Its binary64 value rounds like the exact one unless it lies within that error of the middle
// of two floats, which the low 29 bits show. Of random values one in 2^(28 - window) does; the vector is then evaluated
// again by the float64 function with its last sum rounded to odd, good to about 2^-58, and tests/exhaustive proves that
// this decides every case there is. The test costs a tenth of exp; the exact way alone would take three times as long.
#pragma once

#include "math/pair.h"

namespace chainrule {
namespace {
namespace math {

// Out of the way of the loops that call it: its constants would take their registers.
template <Double (*Exact)(Double)>
__attribute__((noinline, cold)) Vec<float> round_exactly(Vec<float> x) {
  Wide w = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) w.part[i] = Exact(w.part[i]);
  return narrow(w);
}

// quick: the values of Exact at x, good to 2^-(53 - Window). Lanes that are special to the quick evaluation are named
// in `special`.
template <Double (*Exact)(Double), int Window>
CR_INLINE Vec<float> round_once(Vec<float> x, Wide quick, bool special = false) {
  constexpr uint32_t kMiddle = 1u << 28, kLow = (1u << 29) - 1;
  constexpr uint32_t kHalfWidth = 1u << Window, kInside = 2 * kHalfWidth - 1;
  const bool doubtful = any_low_word(quick, kMiddle + kHalfWidth, kLow & ~kInside);
  if (__builtin_expect(doubtful | special, false)) return round_exactly<Exact>(x);
  return narrow(quick);
}

}  // namespace math
}  // namespace
}  // namespace chainrule
