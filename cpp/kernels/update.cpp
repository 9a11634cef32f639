// Optimizer updates, in place. The sequences of roundings are in docs/arithmetic.md.
//
// A rule is a struct: its hyperparameters, what it takes from them, rounded to T once, and `step`, which returns the
// new p from p, the gradient d and S states, which it changes. The last state is optional. To add a rule: a struct, and
// its row in the table below it.
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

// nesterov is 0 or 1. State: the velocity.
template <class T>
struct Sgd {
  CR_HYPERPARAMETERS(lr, momentum, weight_decay, nesterov)
  static constexpr int min_states = 0, max_states = 1, step_numbers = 0;
  Vec<T> rate, mu, decay;
  bool has_decay, has_last, nesterov;

  Sgd(const Hyperparameters& h, const double*)
      : rate(rounded<T>(-h.lr)),
        mu(rounded<T>(h.momentum)),
        decay(rounded<T>(h.weight_decay)),
        has_decay(nonzero<T>(h.weight_decay)),
        has_last(nonzero<T>(h.momentum)),
        nesterov(h.nesterov != 0) {}

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    if (has_decay) d = fma(decay, p, d);
    if constexpr (S == 1) {
      s[0] = fma(mu, s[0], d);
      d = nesterov ? fma(mu, s[0], d) : s[0];
    }
    return fma(rate, d, p);
  }
};

// Step state: steps, beta1^steps, beta2^steps. States: averages of the gradient and of its square; with amsgrad the
// largest of the latter. Decoupled: weight decay on p alone (AdamW).
template <class T, bool Decoupled>
struct Adam {
  CR_HYPERPARAMETERS(lr, beta1, beta2, eps, weight_decay, eps_hat)
  static constexpr int min_states = 2, max_states = 3, step_numbers = 3;
  static constexpr bool has_last = true;
  Average<T> first, second;
  Vec<T> rate, eps, decay;
  bool has_decay;

  Adam(const Hyperparameters& h, const double* step_state) : first(h.beta1), second(h.beta2) {
    const double correction1 = 1 - step_state[1] * h.beta1, correction2 = root(1 - step_state[2] * h.beta2);
    rate = rounded<T>(-(h.lr * correction2 / correction1));
    eps = rounded<T>(h.eps_hat != 0 ? h.eps : h.eps * correction2);
    decay = rounded<T>(Decoupled ? 1 - h.lr * h.weight_decay : h.weight_decay);
    has_decay = nonzero<T>(h.weight_decay);
  }

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    if (has_decay) {
      if constexpr (Decoupled) {
        p = p * decay;
      } else {
        d = fma(decay, p, d);
      }
    }
    s[0] = first.of(d, s[0]);
    s[1] = second.of_square(d, s[1]);
    if constexpr (S == 3) s[2] = maximum(s[2], s[1]);
    return fma(rate, s[0] / (sqrt(s[S - 1]) + eps), p);
  }
};
template <class T>
using AdamL2 = Adam<T, false>;
template <class T>
using AdamW = Adam<T, true>;

// States: the average of the gradient's square, when centered that of the gradient, with momentum the velocity.
template <class T, bool Centered>
struct RmsProp {
  CR_HYPERPARAMETERS(lr, alpha, eps, weight_decay, momentum)
  static constexpr int min_states = Centered ? 2 : 1, max_states = min_states + 1, step_numbers = 0;
  Average<T> average;
  Vec<T> rate, eps, decay, mu;
  bool has_decay, has_last;

  RmsProp(const Hyperparameters& h, const double*)
      : average(h.alpha),
        rate(rounded<T>(-h.lr)),
        eps(rounded<T>(h.eps)),
        decay(rounded<T>(h.weight_decay)),
        mu(rounded<T>(h.momentum)),
        has_decay(nonzero<T>(h.weight_decay)),
        has_last(nonzero<T>(h.momentum)) {}

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    if (has_decay) d = fma(decay, p, d);
    s[0] = average.of_square(d, s[0]);
    Vec<T> spread = s[0];
    if constexpr (Centered) {
      s[1] = average.of(d, s[1]);
      spread = maximum(fma(neg(s[1]), s[1], s[0]), splat(T(0)));
    }
    d = d / (sqrt(spread) + eps);
    if constexpr (S == max_states) d = s[S - 1] = fma(mu, s[S - 1], d);
    return fma(rate, d, p);
  }
};
template <class T>
using RmsPropPlain = RmsProp<T, false>;
template <class T>
using RmsPropCentered = RmsProp<T, true>;

// Step state: steps. State: the sum of the gradient's squares.
template <class T>
struct Adagrad {
  CR_HYPERPARAMETERS(lr, lr_decay, weight_decay, eps)
  static constexpr int min_states = 1, max_states = 1, step_numbers = 1;
  static constexpr bool has_last = true;
  Vec<T> rate, decay, eps;
  bool has_decay;

  Adagrad(const Hyperparameters& h, const double* step_state)
      : rate(rounded<T>(-(h.lr / (1 + step_state[0] * h.lr_decay)))),
        decay(rounded<T>(h.weight_decay)),
        eps(rounded<T>(h.eps)),
        has_decay(nonzero<T>(h.weight_decay)) {}

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    if (has_decay) d = fma(decay, p, d);
    s[0] = fma(d, d, s[0]);
    return fma(rate, d / (sqrt(s[0]) + eps), p);
  }
};

constexpr UpdateRow kRows[] = {
    row<Sgd>("sgd", 0.14f),
    row<AdamL2>("adam", 0.3f),
    row<AdamW>("adamw", 0.3f),
    row<RmsPropPlain>("rmsprop", 0.25f),
    row<RmsPropCentered>("rmsprop_centered", 0.3f),
    row<Adagrad>("adagrad", 0.25f),
};

}  // namespace

namespace CR_LEVEL {
void register_update(KernelTable& table) {
  table.updates = kRows;
  table.n_updates = sizeof kRows / sizeof kRows[0];
}
}  // namespace CR_LEVEL
}  // namespace chainrule
