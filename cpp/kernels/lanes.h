// The sum rule of docs/arithmetic.md for sequences that include the last axis, and row maxima.
#pragma once

#include "simd/vec.h"

namespace chainrule {
namespace {

constexpr int64_t kSumLanes = 16;
constexpr int64_t kSumChunk = 4096;

// Sum of f(0), f(1), ..., f(n-1): element i of a chunk goes to lane i mod 16; f(i, w) gives w <= lanes elements from i
// on, the other lanes being +0. Adding that +0 changes nothing: a lane starts at +0 and can never become -0.
template <class T, class F>
CR_INLINE T lane_sum_chunk(int64_t begin, int64_t end, F f) {
  constexpr int64_t L = Vec<T>::lanes, kVectors = kSumLanes / L;
  Vec<T> acc[kVectors];
  CR_UNROLL
  for (int64_t v = 0; v < kVectors; ++v) acc[v] = splat(T(0));
  int64_t i = begin;
  for (; i + kSumLanes <= end; i += kSumLanes) {
    CR_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) acc[v] = acc[v] + f(i + v * L, L);
  }
  CR_UNROLL
  for (int64_t v = 0; v < kVectors; ++v) {
    const int64_t left = end - i - v * L;
    if (left > 0) acc[v] = acc[v] + f(i + v * L, left < L ? left : L);
  }
  T lanes[kSumLanes];
  CR_UNROLL
  for (int64_t v = 0; v < kVectors; ++v) store(lanes + v * L, acc[v]);
  CR_UNROLL
  for (int64_t half = kSumLanes / 2; half > 0; half /= 2) {
    CR_UNROLL
    for (int64_t l = 0; l < half; ++l) lanes[l] = lanes[l] + lanes[l + half];
  }
  return lanes[0];
}

template <class T, class F>
CR_INLINE T lane_sum(int64_t n, F f) {
  T total = lane_sum_chunk<T>(0, n < kSumChunk ? n : kSumChunk, f);
  for (int64_t begin = kSumChunk; begin < n; begin += kSumChunk) {
    total = total + lane_sum_chunk<T>(begin, begin + kSumChunk < n ? begin + kSumChunk : n, f);
  }
  return total;
}

template <class T>
T lane_sum(const T* x, int64_t n) {
  return lane_sum<T>(n, [x](int64_t i, int64_t w) { return load_or_n(x + i, w); });
}

// Largest (or smallest) of n >= 1 elements: the rule has no order, so any grouping gives the same bits.
template <class T, class Pick>
CR_INLINE T fold_row(const T* x, int64_t n, Pick pick) {
  constexpr int64_t L = Vec<T>::lanes;
  T lanes[L] = {};
  const int64_t filled = n < L ? n : L;
  if (n >= L) {
    Vec<T> acc = load(x);
    int64_t i = L;
    for (; i + L <= n; i += L) acc = pick(acc, load(x + i));
    // The last vector overlaps the one before: an element counted twice changes nothing.
    if (i < n) acc = pick(acc, load(x + n - L));
    store(lanes, acc);
  } else {
    for (int64_t i = 0; i < n; ++i) lanes[i] = x[i];
  }
  Vec<T> result = splat(lanes[0]);
  for (int64_t i = 1; i < filled; ++i) result = pick(result, splat(lanes[i]));
  store(lanes, result);
  return lanes[0];
}

template <class T>
T row_max(const T* x, int64_t n) {
  return fold_row(x, n, [](Vec<T> a, Vec<T> b) { return maximum(a, b); });
}
template <class T>
T row_min(const T* x, int64_t n) {
  return fold_row(x, n, [](Vec<T> a, Vec<T> b) { return minimum(a, b); });
}

}  // namespace
}  // namespace chainrule
