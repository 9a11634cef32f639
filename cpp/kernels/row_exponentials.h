// e^(x - max) of rows and its lane sum: what softmax and cross-entropy share. One row at a time, elements along the
// lanes; transposed_rows.h has many rows at a time.
#pragma once

#include "kernels/lane_sum.h"
#include "math/elementary.h"

namespace chainrule {
namespace {

// e^v of N vectors.
template <class T, int N>
CR_INLINE void exponentials(Vec<T> (&v)[N]) {
  if constexpr (sizeof(T) == 4) {
    math::exp(v);
  } else {
    CR_UNROLL
    for (int i = 0; i < N; ++i) v[i] = math::exp(v[i]);
  }
}

// The maximum that is subtracted. A NaN may be lost here: it makes the row's sum NaN. Of +0 and -0 either will do: the
// difference is a zero that changes no exponential, and the logarithm of such a sum is above 0.
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
// returns their sum. also(i, w) does other work on w elements from i on.
template <bool Keep, class T, class Also>
CR_INLINE Vec<T> exponentials_chunk(int64_t begin, int64_t end, const T* x, Vec<T> m, [[maybe_unused]] T* out,
                                    Also also) {
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
    for (int64_t v = 0; v < V; ++v) {
      if constexpr (Keep) store(out + i + v * L, e[v]);
      also(i + v * L, L);
    }
  }
  while (i < end) {
    T part[kSumLanes] = {};
    for (int64_t at = 0; at < kSumLanes && i < end; at += L, i += L) {
      const int64_t w = end - i < L ? end - i : L;
      const Vec<T> e = math::exp(load_or_n(x + i, w) - m);
      if constexpr (Keep) store_or_n(out + i, e, w);
      also(i, w);
      store(part + at, select(first_lanes<T>(w), e, splat(T(0))));
    }
    CR_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) sum.acc[v] = sum.acc[v] + load(part + v * L);
  }
  return sum.folded();
}

template <bool Keep, class T, class Also>
CR_INLINE Vec<T> exponentials(int64_t n, const T* x, Vec<T> m, T* out, Also also) {
  Vec<T> total = splat(T(0));
  for (int64_t begin = 0; begin < n; begin += kSumChunk) {
    const int64_t end = begin + kSumChunk < n ? begin + kSumChunk : n;
    total = total + exponentials_chunk<Keep>(begin, end, x, m, out, also);
  }
  return total;
}
// Their sum alone.
template <class T>
CR_INLINE Vec<T> sum_of_exponentials(int64_t n, const T* x, Vec<T> m) {
  return exponentials<false, T>(n, x, m, nullptr, [](int64_t, int64_t) CR_LAMBDA {});
}

}  // namespace
}  // namespace chainrule
