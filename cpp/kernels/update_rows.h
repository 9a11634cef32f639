// What the rules of optimizers are written in, and the loops that apply them.
//
// A rule is a struct: its hyperparameters, what it takes from them, rounded to T once, and `step`, which returns the
// new p from p, the gradient d and S states, which it changes. The last state is optional.
#pragma once

#include <cstring>

#include "kernels/registry.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

// Scalars of a step are computed in binary64 and rounded once.
template <class T>
CR_INLINE Vec<T> rounded(double x) {
  return splat(static_cast<T>(x));
}
template <class T>
CR_INLINE bool nonzero(double x) {  // as rounded: a tiny number that is 0 in T must not turn an infinite p into NaN
  return static_cast<T>(x) != T(0);
}

// Hyperparameters of a rule: fields of a struct in the order of their numbers in memory, and their names for the table.
#define CR_HYPERPARAMETERS(...) \
  struct Hyperparameters {      \
    double __VA_ARGS__;         \
  };                            \
  static constexpr const char* hyperparameter_names = #__VA_ARGS__;

// Running averages with the factor beta, of the gradient d and of its square. Where 1 - beta is 1 after rounding,
// nothing of the old average stays: (d - s) + s would keep its rounding, and 0 * s is NaN where s has overflown.
template <class T>
struct Average {
  Vec<T> beta, share;
  bool replaces, replaces_square;

  explicit Average(double b)
      : beta(rounded<T>(b)),
        share(rounded<T>(1 - b)),
        replaces(static_cast<T>(1 - b) == T(1)),
        replaces_square(replaces && !nonzero<T>(b)) {}

  CR_INLINE Vec<T> of(Vec<T> d, Vec<T> s) const { return replaces ? d : fma(share, d - s, s); }
  CR_INLINE Vec<T> of_square(Vec<T> d, Vec<T> s) const { return replaces_square ? d * d : fma(share * d, d, beta * s); }
};

inline double root(double x) { return first(sqrt(splat(x))); }

template <class T, int S>
struct Row {
  T* p;
  const T* g;
  T* s[S + 1];
};

// V vectors from element i on, the last one of w elements. All reads come before the writes: where p and a state lie a
// multiple of 4 KiB apart, give or take, a read would wait for the write before it.
template <int V, class T, int S, class Rule>
CR_INLINE void update_vectors(const Rule& rule, const Row<T, S>& row, int64_t i, int64_t w) {
  constexpr int64_t L = Vec<T>::lanes;
  Vec<T> p[V], g[V], s[V][S + 1];
  const auto read = [i, w](const T* from, int x) CR_LAMBDA {
    if (x < V - 1) return load(from + i + x * L);
    return load_or_n(from + i + x * L, w);
  };
  const auto write = [i, w](T* to, int x, Vec<T> y) CR_LAMBDA {
    if (x < V - 1) {
      store(to + i + x * L, y);
    } else {
      store_or_n(to + i + x * L, y, w);
    }
  };
  CR_UNROLL
  for (int x = 0; x < V; ++x) {
    p[x] = read(row.p, x);
    g[x] = read(row.g, x);
    CR_UNROLL
    for (int k = 0; k < S; ++k) s[x][k] = read(row.s[k], x);
  }
  CR_UNROLL
  for (int x = 0; x < V; ++x) {
    p[x] = rule.template step<S>(p[x], g[x], s[x]);
    CR_UNROLL
    for (int k = 0; k < S; ++k) write(row.s[k], x, s[x][k]);
    write(row.p, x, p[x]);
  }
}

template <class T>
CR_INLINE bool all_zero(const T* g, int64_t n) {
  constexpr int64_t L = Vec<T>::lanes;
  for (int64_t i = 0; i < n; i += L) {
    if (first_bits(!eq(load_or_n(g + i, n - i), splat(T(0)))) != 0) return false;  // the other lanes are 0
  }
  return true;
}

// The row of p for row r of g, or -1 where there is nothing to do.
template <class T>
CR_INLINE int64_t target(const UpdateArgs& u, int64_t r) {
  const int64_t to = u.index == nullptr ? r : u.index[r];
  return u.by_rows && (to < 0 || all_zero(static_cast<const T*>(u.g) + r * u.ld_g, u.n)) ? -1 : to;
}

// Rows by index lie where the prefetchers of the CPU do not expect them.
template <class T>
void prefetch_row(const UpdateArgs& u, int states, int64_t r) {
  constexpr int64_t kLine = 64 / sizeof(T), kMost = 512;
  if (u.index == nullptr || r >= u.rows || u.index[r] < 0) return;
  const int64_t at = u.index[r] * u.ld;
  for (int64_t i = 0; i < u.n && i < kMost; i += kLine) {
    __builtin_prefetch(static_cast<const T*>(u.p) + at + i, 1);
    for (int k = 0; k < states; ++k) __builtin_prefetch(static_cast<const T*>(u.s[k]) + at + i, 1);
  }
}

template <class T, int S, class Rule>
CR_INLINE void update_rows(const Rule& rule, const UpdateArgs& u) {
  constexpr int64_t L = Vec<T>::lanes;
  constexpr int V = S < 2 ? 4 : 2;  // as many as the registers take
  constexpr int64_t kAhead = 8;
  const bool follow = !u.by_rows && (u.rows <= 1 || (u.ld == u.n && u.ld_g == u.n));
  const int64_t rows = follow ? 1 : u.rows, n = follow ? u.rows * u.n : u.n;
  if (u.by_rows) {
    for (int64_t r = 0; r < kAhead; ++r) prefetch_row<T>(u, S, r);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t to = target<T>(u, r);
    if (u.by_rows) prefetch_row<T>(u, S, r + kAhead);
    if (to < 0) continue;
    Row<T, S> row = {static_cast<T*>(u.p) + to * u.ld, static_cast<const T*>(u.g) + r * u.ld_g, {}};
    for (int k = 0; k < S; ++k) row.s[k] = static_cast<T*>(u.s[k]) + to * u.ld;
    int64_t i = 0;
    for (; i + V * L <= n; i += V * L) update_vectors<V>(rule, row, i, L);
    for (; i < n; i += L) update_vectors<1>(rule, row, i, n - i);
  }
}

template <template <class> class Rule, class T>
void update(const UpdateArgs& u) {
  typename Rule<T>::Hyperparameters hyperparameters;
  std::memcpy(&hyperparameters, u.hyperparameters, sizeof hyperparameters);
  const Rule<T> rule(hyperparameters, u.step_state);
  constexpr int min_states = Rule<T>::min_states, max_states = Rule<T>::max_states;
  if (u.s[max_states - 1] != nullptr && rule.has_last) {
    update_rows<T, max_states>(rule, u);
  } else {
    update_rows<T, min_states>(rule, u);
  }
}

template <template <class> class Rule>
constexpr UpdateRow row(const char* name, float cost) {
  using R = Rule<float>;
  constexpr int count = sizeof(typename R::Hyperparameters) / sizeof(double);
  return {name,  R::min_states,   R::max_states, R::hyperparameter_names,
          count, R::step_numbers, cost,          {update<Rule, float>, update<Rule, double>}};
}

// Weight decay on the gradient, or decoupled, on p alone.
template <class T>
struct Decay {
  Vec<T> factor;
  bool any, decoupled;

  Decay(double lr, double weight_decay, double is_decoupled)
      : factor(rounded<T>(is_decoupled != 0 ? 1 - lr * weight_decay : weight_decay)),
        any(nonzero<T>(weight_decay)),
        decoupled(is_decoupled != 0) {}

  CR_INLINE void apply(Vec<T>& p, Vec<T>& d) const {
    if (!any) return;
    if (decoupled) {
      p = p * factor;
    } else {
      d = fma(factor, p, d);
    }
  }
};

}  // namespace
}  // namespace chainrule
