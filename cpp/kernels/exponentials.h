// e^(x - max) of rows and its lane sum: what softmax and cross-entropy share. One row at a time, elements along the
// lanes; narrow.h has many rows at a time.
#pragma once

#include "kernels/lanes.h"
#include "math/elementary.h"

namespace chainrule {
namespace {

// e^v of N vectors, in pairs where the level has the registers.
template <class T, int N>
CR_INLINE void exponentials(Vec<T> (&v)[N]) {
  if constexpr (N % 2 == 0 && kRegisters == 32 && sizeof(T) == 4) {
    CR_UNROLL
    for (int i = 0; i < N; i += 2) {
      Vec<T> pair[2] = {v[i], v[i + 1]};
      math::exp(pair);
      v[i] = pair[0];
      v[i + 1] = pair[1];
    }
  } else {
    CR_UNROLL
    for (int i = 0; i < N; ++i) v[i] = math::exp(v[i]);
  }
}

// The maximum that is subtracted. A NaN may get lost here, it makes the row's sum NaN; of +0 and -0 any will do, it
// only reaches results that are above 0.
template <class T>
CR_INLINE Vec<T> row_largest(const T* x, int64_t n) {
  return fold_row(x, n, [](Vec<T> a, Vec<T> b) CR_LAMBDA { return larger(a, b); });
}

// `all` with v in lane i and those behind it: lane by lane from the first, with no lane left unset.
template <class T>
CR_INLINE Vec<T> collect(Vec<T> all, int64_t i, Vec<T> v) {
  return select(first_lanes<T>(i), all, v);
}

// e^(x - m) of elements [begin, end) of a row, a chunk of the sum rule, to the same places of `out` where Keep says so;
// returns their sum.
template <bool Keep, class T>
CR_INLINE Vec<T> exponentials_chunk(int64_t begin, int64_t end, const T* x, Vec<T> m, [[maybe_unused]] T* out) {
  constexpr int64_t L = Vec<T>::lanes, kVectors = SumLanes<T>::kVectors, V = kVectors > 2 ? kVectors : 2;
  SumLanes<T> sum;
  int64_t i = begin;
  // The scalar level has no vector to fill: 16 copies of exp would only take the compiler minutes.
  for (; L > 1 && i + V * L <= end; i += V * L) {
    Vec<T> e[V];
    CR_UNROLL
    for (int64_t v = 0; v < V; ++v) e[v] = load(x + i + v * L) - m;
    exponentials(e);
    CR_UNROLL
    for (int64_t v = 0; v < V; ++v) sum.acc[v % kVectors] = sum.acc[v % kVectors] + e[v];
    CR_UNROLL
    for (int64_t v = 0; Keep && v < V; ++v) store(out + i + v * L, e[v]);
  }
  while (i < end) {
    T part[kSumLanes] = {};
    for (int64_t at = 0; at < kSumLanes && i < end; at += L, i += L) {
      const int64_t w = end - i < L ? end - i : L;
      const Vec<T> e = math::exp(load_or_n(x + i, w) - m);
      if constexpr (Keep) store_or_n(out + i, e, w);
      store(part + at, select(first_lanes<T>(w), e, splat(T(0))));
    }
    CR_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) sum.acc[v] = sum.acc[v] + load(part + v * L);
  }
  return sum.folded();
}

template <bool Keep, class T>
CR_INLINE Vec<T> exponentials(int64_t n, const T* x, Vec<T> m, T* out) {
  Vec<T> total = splat(T(0));
  for (int64_t begin = 0; begin < n; begin += kSumChunk) {
    const int64_t end = begin + kSumChunk < n ? begin + kSumChunk : n;
    total = total + exponentials_chunk<Keep>(begin, end, x, m, out);
  }
  return total;
}

}  // namespace
}  // namespace chainrule
