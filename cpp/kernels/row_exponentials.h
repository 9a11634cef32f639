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
template <class T>
CR_INLINE Mask<T> infinite(Vec<T> m) {
  return eq(chainrule::abs(m), splat(static_cast<T>(__builtin_inf())));
}

// S of all exponentials of a row, and R = S - 1, which below 1 is added up without the term 1, so that it keeps the
// small ones that S rounds away.
template <class T>
struct RowSums {
  Vec<T> all, rest;
};
template <class T>
CR_INLINE Vec<T> rest_of(Vec<T> all, Vec<T> below_one) {
  return select(lt(all, splat(T(2))), below_one, all - splat(T(1)));
}

// The terms of these sums, of elements in the order of the sum rule.
template <bool Rest, class T>
struct RowTerms {
  SumLanes<T> all, below;

  CR_INLINE void add(int64_t v, Vec<T> e) {
    all.acc[v] = all.acc[v] + e;
    if constexpr (Rest) below.acc[v] = below.acc[v] + select(eq(e, splat(T(1))), splat(T(0)), e);
  }
};

// The same for a row whose maximum is infinite: its exponentials are 1 and 0, or NaN.
template <bool Keep, class T, class Also>
RowSums<T> exponentials_of_infinite(int64_t n, const T* x, Vec<T> m, [[maybe_unused]] T* out, Also also) {
  constexpr int64_t L = Vec<T>::lanes;
  const T largest = first(m);
  T ones = T(0), nan = T(0);
  for (int64_t i = 0; i < n; ++i) {
    const T e = x[i] == largest ? T(1) : (x[i] != x[i] ? x[i] : T(0));
    if (e == T(1)) ones = ones + T(1);
    if (e != e) nan = e;
    if constexpr (Keep) out[i] = e;
    if (i % L == 0) also(i, n - i < L ? n - i : L);
  }
  const Vec<T> all = splat(ones + nan);
  return {all, all - splat(T(1))};
}

// e^(x - m) of elements [begin, end) of a row, a chunk of the sum rule, to the same places of `out` where Keep says so;
// adds their sums to those of the row. also(i, w) does other work on w elements from i on.
template <bool Keep, bool Rest, class T, class Also>
CR_INLINE void exponentials_chunk(int64_t begin, int64_t end, const T* x, Vec<T> m, [[maybe_unused]] T* out, Also also,
                                  Vec<T>& all, Vec<T>& below) {
  constexpr int64_t L = Vec<T>::lanes, kVectors = SumLanes<T>::kVectors, V = kVectors > 2 ? kVectors : 2;
  RowTerms<Rest, T> terms;
  int64_t i = begin;
  // The scalar level has no vector to fill: 16 copies of exp would only take the compiler minutes.
  for (; L > 1 && i + V * L <= end; i += V * L) {
    Vec<T> e[V];
    CR_UNROLL
    for (int64_t v = 0; v < V; ++v) e[v] = load(x + i + v * L) - m;
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
      const Vec<T> e = math::exp(load_or_n(x + i, w) - m);
      if constexpr (Keep) store_or_n(out + i, e, w);
      also(i, w);
      store(part + at, select(first_lanes<T>(w), e, splat(T(0))));
    }
    CR_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) terms.add(v, load(part + v * L));
  }
  all = all + terms.all.folded();
  if constexpr (Rest) below = below + terms.below.folded();
}

template <bool Keep, bool Rest, class T, class Also>
CR_INLINE RowSums<T> exponentials(int64_t n, const T* x, Vec<T> m, T* out, Also also) {
  if (__builtin_expect(first_bits(infinite(m)) != 0, false)) return exponentials_of_infinite<Keep>(n, x, m, out, also);
  Vec<T> all = splat(T(0)), below = all;
  for (int64_t begin = 0; begin < n; begin += kSumChunk) {
    const int64_t end = begin + kSumChunk < n ? begin + kSumChunk : n;
    exponentials_chunk<Keep, Rest>(begin, end, x, m, out, also, all, below);
  }
  return {all, rest_of(all, below)};
}
// R alone.
template <class T>
CR_INLINE Vec<T> sum_of_others(int64_t n, const T* x, Vec<T> m) {
  return exponentials<false, true, T>(n, x, m, nullptr, [](int64_t, int64_t) CR_LAMBDA {}).rest;
}

}  // namespace
}  // namespace chainrule
