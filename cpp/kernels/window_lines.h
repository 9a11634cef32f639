// Windows over planes, element by element: for which windows an element of theirs is inside of the plane.
#pragma once

#include "kernel_table.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

// Positions i in [begin, end) of n have i * stride + at in [0, length).
struct Inside {
  int64_t begin, end;
};
inline Inside inside(int64_t n, int64_t stride, int64_t at, int64_t length) {
  const int64_t begin = at >= 0 ? 0 : (-at + stride - 1) / stride;
  const int64_t end = at >= length ? 0 : (length - 1 - at) / stride + 1;
  const int64_t last = end < n ? end : n;
  return {begin < last ? begin : last, last};
}

template <class T>
CR_INLINE void fill(T* to, int64_t n, T value) {
  constexpr int64_t L = Vec<T>::lanes;
  for (int64_t i = 0; i < n; i += L) store_or_n(to + i, splat(value), n - i);
}

}  // namespace
}  // namespace chainrule
