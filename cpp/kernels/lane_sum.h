// The sum rule of docs/arithmetic.md for sequences that include the last axis, and row maxima.
#pragma once

#include "simd/vec.h"

namespace chainrule {
namespace {

constexpr int64_t kSumLanes = 16;
constexpr int64_t kSumChunk = 4096;

// The 16 lanes of a sum in vectors, and their fold 16, 8, 4, 2, 1: in every lane of the result.
template <class T>
struct SumLanes {
  static constexpr int64_t L = Vec<T>::lanes, kVectors = kSumLanes / L;
  Vec<T> acc[kVectors];
  CR_INLINE SumLanes() {
    CR_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) acc[v] = splat(T(0));
  }
  CR_INLINE Vec<T> folded() const {
    Vec<T> half[kVectors];
    CR_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) half[v] = acc[v];
    CR_UNROLL
    for (int64_t n = kVectors / 2; n > 0; n /= 2) {
      CR_UNROLL
      for (int64_t v = 0; v < n; ++v) half[v] = half[v] + half[v + n];
    }
    return fold(half[0], [](Vec<T> a, Vec<T> b) { return a + b; });
  }
};

// Sum of f(0), f(1), ..., f(n-1): element i of a chunk goes to lane i mod 16; f(i, w) gives w <= lanes elements from i
// on, the other lanes being +0. Adding that +0 changes nothing: a lane starts at +0 and can never become -0.
template <class T, class F>
CR_INLINE Vec<T> lane_sum_chunk(int64_t begin, int64_t end, F f) {
  SumLanes<T> sum;
  constexpr int64_t L = Vec<T>::lanes, kVectors = SumLanes<T>::kVectors;
  int64_t i = begin;
  for (; i + kSumLanes <= end; i += kSumLanes) {
    CR_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) sum.acc[v] = sum.acc[v] + f(i + v * L, L);
  }
  CR_UNROLL
  for (int64_t v = 0; v < kVectors; ++v) {
    const int64_t left = end - i - v * L;
    if (left > 0) sum.acc[v] = sum.acc[v] + f(i + v * L, left < L ? left : L);
  }
  return sum.folded();
}

template <class T, class F>
CR_INLINE Vec<T> lane_sum(int64_t n, F f) {
  Vec<T> total = lane_sum_chunk<T>(0, n < kSumChunk ? n : kSumChunk, f);
  for (int64_t begin = kSumChunk; begin < n; begin += kSumChunk) {
    total = total + lane_sum_chunk<T>(begin, begin + kSumChunk < n ? begin + kSumChunk : n, f);
  }
  return total;
}

template <class T>
CR_INLINE Vec<T> lane_sum(const T* x, int64_t n) {
  return lane_sum<T>(n, [x](int64_t i, int64_t w) CR_LAMBDA { return load_or_n(x + i, w); });
}

// The n >= 1 elements of a row folded by an op that has no order (a maximum), so that any grouping gives the same bits
// and an element taken twice changes nothing. Four chains: the latency of one would be the time.
template <class T, class Pick>
CR_INLINE Vec<T> fold_row(const T* x, int64_t n, Pick pick) {
  constexpr int64_t L = Vec<T>::lanes, kChains = 4;
  if (n < L) return fold(select(first_lanes<T>(n), load_n(x, n), splat(*x)), pick);
  Vec<T> acc[kChains];
  const Vec<T> last = load(x + n - L);
  int64_t i = 0;
  CR_UNROLL
  for (int64_t c = 0; c < kChains; ++c) acc[c] = last;
  for (; i + kChains * L <= n; i += kChains * L) {
    CR_UNROLL
    for (int64_t c = 0; c < kChains; ++c) acc[c] = pick(acc[c], load(x + i + c * L));
  }
  CR_UNROLL
  for (int64_t c = 0; c < kChains - 1; ++c) {
    if (i + (c + 1) * L <= n) acc[c] = pick(acc[c], load(x + i + c * L));
  }
  return fold(pick(pick(acc[0], acc[1]), pick(acc[2], acc[3])), pick);
}

template <class T>
CR_INLINE Vec<T> row_max(const T* x, int64_t n) {
  return fold_row(x, n, [](Vec<T> a, Vec<T> b) CR_LAMBDA { return maximum(a, b); });
}
template <class T>
CR_INLINE Vec<T> row_min(const T* x, int64_t n) {
  return fold_row(x, n, [](Vec<T> a, Vec<T> b) CR_LAMBDA { return minimum(a, b); });
}

}  // namespace
}  // namespace chainrule
