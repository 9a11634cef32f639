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

// x - m; 0 where x is the maximum, also where both are infinite: equal scores are equal, whatever their size.
template <class T>
CR_INLINE Vec<T> centred(Vec<T> x, Vec<T> m) {
  return select(eq(x, m), splat(T(0)), x - m);
}

// Which sums of the exponentials of a row are wanted: S of all of them, R = S - 1 without one of the terms 1, which
// keeps the small ones that S would round away.
enum class Sums { all, rest, both };

template <class T>
struct RowSums {
  Vec<T> all, rest;
};

// The terms of these sums, of elements in the order of the sum rule.
template <Sums W, class T>
struct RowTerms {
  static constexpr bool kAll = W != Sums::rest, kRest = W != Sums::all;
  SumLanes<T> all, below, ones;

  CR_INLINE void add(int64_t v, Vec<T> e) {
    if constexpr (kAll) all.acc[v] = all.acc[v] + e;
    if constexpr (kRest) {
      const Vec<T> zero = splat(T(0)), one = splat(T(1));
      const Mask<T> is_one = eq(e, one);
      below.acc[v] = below.acc[v] + select(is_one, zero, e);
      ones.acc[v] = ones.acc[v] + select(is_one, one, zero);
    }
  }
};

// e^(x - m) of elements [begin, end) of a row, a chunk of the sum rule, to the same places of `out` where Keep says so;
// adds their sums to `total`, the number of ones to `ones`. also(i, w) does other work on w elements from i on.
template <bool Keep, Sums W, class T, class Also>
CR_INLINE void exponentials_chunk(int64_t begin, int64_t end, const T* x, Vec<T> m, [[maybe_unused]] T* out, Also also,
                                  RowSums<T>& total, Vec<T>& ones) {
  constexpr int64_t L = Vec<T>::lanes, kVectors = SumLanes<T>::kVectors, V = kVectors > 2 ? kVectors : 2;
  RowTerms<W, T> terms;
  int64_t i = begin;
  // The scalar level has no vector to fill: 16 copies of exp would only take the compiler minutes.
  for (; L > 1 && i + V * L <= end; i += V * L) {
    Vec<T> e[V];
    CR_UNROLL
    for (int64_t v = 0; v < V; ++v) e[v] = centred(load(x + i + v * L), m);
    exponentials(e);
    CR_UNROLL
    for (int64_t v = 0; v < V; ++v) terms.add(v % kVectors, e[v]);
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
      const Vec<T> e = math::exp(centred(load_or_n(x + i, w), m));
      if constexpr (Keep) store_or_n(out + i, e, w);
      also(i, w);
      store(part + at, select(first_lanes<T>(w), e, splat(T(0))));
    }
    CR_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) terms.add(v, load(part + v * L));
  }
  if constexpr (W != Sums::rest) total.all = total.all + terms.all.folded();
  if constexpr (W != Sums::all) {
    total.rest = total.rest + terms.below.folded();
    ones = ones + terms.ones.folded();
  }
}

template <bool Keep, Sums W, class T, class Also>
CR_INLINE RowSums<T> exponentials(int64_t n, const T* x, Vec<T> m, T* out, Also also) {
  RowSums<T> total = {splat(T(0)), splat(T(0))};
  Vec<T> ones = splat(T(0));
  for (int64_t begin = 0; begin < n; begin += kSumChunk) {
    const int64_t end = begin + kSumChunk < n ? begin + kSumChunk : n;
    exponentials_chunk<Keep, W>(begin, end, x, m, out, also, total, ones);
  }
  if constexpr (W != Sums::all) total.rest = total.rest + (ones - splat(T(1)));
  return total;
}
// R alone.
template <class T>
CR_INLINE Vec<T> sum_of_others(int64_t n, const T* x, Vec<T> m) {
  return exponentials<false, Sums::rest, T>(n, x, m, nullptr, [](int64_t, int64_t) CR_LAMBDA {}).rest;
}

}  // namespace
}  // namespace chainrule
