// Optimizer updates, in place. The sequences of roundings are in docs/arithmetic.md.
//
// To add a rule (update_rows.h describes them): a struct, and its row in the table below it.
#include "kernels/update_rules.h"

namespace chainrule {
namespace {

// nesterov is 0 or 1. State: the velocity. Dampened: the step state counts the steps, the first of which starts the
// velocity with the gradient itself.
template <class T, bool Dampened>
struct Sgd {
  CR_HYPERPARAMETERS(lr, momentum, weight_decay, nesterov, dampening)
  static constexpr int min_states = Dampened ? 1 : 0, max_states = 1, step_numbers = Dampened ? 1 : 0;
  Vec<T> rate, mu, decay, share;
  bool has_decay, has_last, nesterov, starts;

  Sgd(const Hyperparameters& h, const double* step_state)
      : rate(rounded<T>(-h.lr)),
        mu(rounded<T>(h.momentum)),
        decay(rounded<T>(h.weight_decay)),
        share(rounded<T>(1 - h.dampening)),
        has_decay(nonzero<T>(h.weight_decay)),
        has_last(nonzero<T>(h.momentum)),
        nesterov(h.nesterov != 0),
        starts(Dampened && step_state[0] == 0) {}

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    if (has_decay) d = fma(decay, p, d);
    if constexpr (S == 1) {
      s[0] = starts ? d : fma(mu, s[0], Dampened ? share * d : d);
      d = nesterov ? fma(mu, s[0], d) : s[0];
    }
    return fma(rate, d, p);
  }
};
template <class T>
using SgdPlain = Sgd<T, false>;
template <class T>
using SgdDampened = Sgd<T, true>;

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
    row<SgdPlain>("sgd", 0.14f),
    row<SgdDampened>("sgd_dampened", 0.2f),
    row<AdamL2>("adam", 0.3f),
    row<AdamW>("adamw", 0.3f),
    row<RmsPropPlain>("rmsprop", 0.25f),
    row<RmsPropCentered>("rmsprop_centered", 0.3f),
    row<Adagrad>("adagrad", 0.25f),
    row<Nadam>("nadam", 0.3f),
    row<Radam>("radam", 0.3f),
    row<Adadelta>("adadelta", 0.5f),
    row<Adamax>("adamax", 0.3f),
    row<Lion>("lion", 0.2f),
    row<MuonDirection>("muon_direction", 0.2f),
    row<Muon>("muon", 0.14f),
    row<ScheduleFreeAdamW>("schedule_free_adamw", 0.3f),
};

}  // namespace

namespace CR_LEVEL {
void register_update(KernelTable& table) {
  table.updates = kRows;
  table.n_updates = sizeof kRows / sizeof kRows[0];
}
}  // namespace CR_LEVEL
}  // namespace chainrule
