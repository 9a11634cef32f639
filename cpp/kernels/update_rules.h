// Rules after Adam: NAdam, RAdam, Adadelta, Adamax, Lion, Muon, schedule-free AdamW.
#pragma once

#include "kernels/step_states.h"
#include "kernels/update_rows.h"

namespace chainrule {
namespace {

// States: as of Adam.
template <class T>
struct Nadam {
  using Hyperparameters = step_states::Nadam;
  static constexpr const char* hyperparameter_names =
      "lr, beta1, beta2, momentum_base, momentum_decay, eps, weight_decay, decoupled_weight_decay";
  static constexpr int min_states = 2, max_states = 2, step_numbers = 5;
  static constexpr bool has_last = true;
  Average<T> first, second;
  Decay<T> decay;
  Vec<T> rate, average_rate, eps;

  Nadam(const Hyperparameters& h, const double* step_state)
      : first(h.beta1), second(h.beta2), decay(h.lr, h.weight_decay, h.decoupled_weight_decay) {
    const double power = step_state[3] * h.momentum_base, correction = root(1 - step_state[2] * h.beta2);
    const double mu = step_states::momentum(h, power), next = step_states::momentum(h, power * h.momentum_base),
                 product = step_state[4] * mu;
    rate = rounded<T>(-(h.lr * correction * (1 - mu) / (1 - product)));
    average_rate = rounded<T>(-(h.lr * correction * next / (1 - product * next)));
    eps = rounded<T>(h.eps * correction);
  }

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    decay.apply(p, d);
    s[0] = first.of(d, s[0]);
    s[1] = second.of_square(d, s[1]);
    return p + fma(rate, d, average_rate * s[0]) / (sqrt(s[1]) + eps);
  }
};

// Step state and states: as of Adam. While the length of the average of squares is at most 5, the step is that of the
// first average alone.
template <class T>
struct Radam {
  CR_HYPERPARAMETERS(lr, beta1, beta2, eps, weight_decay, decoupled_weight_decay)
  static constexpr int min_states = 2, max_states = 2, step_numbers = 3;
  static constexpr bool has_last = true;
  Average<T> first, second;
  Decay<T> decay;
  Vec<T> rate, eps;
  bool rectified;

  Radam(const Hyperparameters& h, const double* step_state)
      : first(h.beta1), second(h.beta2), decay(h.lr, h.weight_decay, h.decoupled_weight_decay), eps(rounded<T>(h.eps)) {
    const double power = step_state[2] * h.beta2, rate_of_first = h.lr / (1 - step_state[1] * h.beta1);
    const double most = 2 / (1 - h.beta2) - 1, length = most - 2 * (step_state[0] + 1) * power / (1 - power);
    rectified = length > 5;
    const double share = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length);
    rate = rounded<T>(rectified ? -(rate_of_first * root(1 - power) * root(share)) : -rate_of_first);
  }

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    decay.apply(p, d);
    s[0] = first.of(d, s[0]);
    s[1] = second.of_square(d, s[1]);
    return fma(rate, rectified ? s[0] / (sqrt(s[1]) + eps) : s[0], p);
  }
};

// States: averages of the squares of the gradient and of the step.
template <class T>
struct Adadelta {
  CR_HYPERPARAMETERS(lr, rho, eps, weight_decay)
  static constexpr int min_states = 2, max_states = 2, step_numbers = 0;
  static constexpr bool has_last = true;
  Average<T> average;
  Decay<T> decay;
  Vec<T> rate, eps;

  Adadelta(const Hyperparameters& h, const double*)
      : average(h.rho), decay(h.lr, h.weight_decay, 0), rate(rounded<T>(-h.lr)), eps(rounded<T>(h.eps)) {}

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    decay.apply(p, d);
    s[0] = average.of_square(d, s[0]);
    d = sqrt(s[1] + eps) / sqrt(s[0] + eps) * d;
    s[1] = average.of_square(d, s[1]);
    return fma(rate, d, p);
  }
};

// Step state: steps, powers of beta1. States: the average of the gradient, the decaying maximum of its magnitude.
template <class T>
struct Adamax {
  CR_HYPERPARAMETERS(lr, beta1, beta2, eps, weight_decay)
  static constexpr int min_states = 2, max_states = 2, step_numbers = 2;
  static constexpr bool has_last = true;
  Average<T> first;
  Decay<T> decay;
  Vec<T> rate, keep, eps;

  Adamax(const Hyperparameters& h, const double* step_state)
      : first(h.beta1),
        decay(h.lr, h.weight_decay, 0),
        rate(rounded<T>(-(h.lr / (1 - step_state[1] * h.beta1)))),
        keep(rounded<T>(h.beta2)),
        eps(rounded<T>(h.eps)) {}

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    decay.apply(p, d);
    s[0] = first.of(d, s[0]);
    s[1] = maximum(keep * s[1], chainrule::abs(d) + eps);
    return fma(rate, s[0] / s[1], p);
  }
};

// Decoupled weight decay. State: the average of the gradient.
template <class T>
struct Lion {
  CR_HYPERPARAMETERS(lr, beta1, beta2, weight_decay)
  static constexpr int min_states = 1, max_states = 1, step_numbers = 0;
  static constexpr bool has_last = true;
  Average<T> direction, average;
  Decay<T> decay;
  Vec<T> rate;

  Lion(const Hyperparameters& h, const double*)
      : direction(h.beta1), average(h.beta2), decay(h.lr, h.weight_decay, 1), rate(rounded<T>(-h.lr)) {}

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    decay.apply(p, d);
    const Vec<T> c = direction.of(d, s[0]), zero = splat(T(0)), one = splat(T(1));
    s[0] = average.of(d, s[0]);
    return fma(rate, select(gt(c, zero), one, select(lt(c, zero), neg(one), c)), p);
  }
};

// The direction in place of p, from the gradient; it is then made orthogonal. State: the average of the gradient.
template <class T>
struct MuonDirection {
  CR_HYPERPARAMETERS(lr, momentum, nesterov, weight_decay)
  static constexpr int min_states = 1, max_states = 1, step_numbers = 0;
  static constexpr bool has_last = true;
  Average<T> average;
  Vec<T> mu;
  bool nesterov;

  MuonDirection(const Hyperparameters& h, const double*)
      : average(h.momentum), mu(rounded<T>(h.momentum)), nesterov(h.nesterov != 0) {}

  template <int S>
  CR_INLINE Vec<T> step(Vec<T>, Vec<T> d, Vec<T>* s) const {
    s[0] = average.of(d, s[0]);
    return nesterov ? fma(mu, s[0] - d, d) : s[0];
  }
};

// A step along a direction, with decoupled weight decay.
template <class T>
struct Muon {
  CR_HYPERPARAMETERS(lr, momentum, nesterov, weight_decay)
  static constexpr int min_states = 0, max_states = 1, step_numbers = 0;
  static constexpr bool has_last = false;
  Decay<T> decay;
  Vec<T> rate;

  Muon(const Hyperparameters& h, const double*) : decay(h.lr, h.weight_decay, 1), rate(rounded<T>(-h.lr)) {}

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>*) const {
    decay.apply(p, d);
    return fma(rate, d, p);
  }
};

// p is the point y at which gradients are taken. States: z, which starts at p, and the average of the gradient's
// square.
template <class T>
struct ScheduleFreeAdamW {
  using Hyperparameters = step_states::ScheduleFree;
  static constexpr const char* hyperparameter_names =
      "lr, beta1, beta2, eps, weight_decay, warmup_steps, r, weight_lr_power";
  static constexpr int min_states = 2, max_states = 2, step_numbers = 5;
  static constexpr bool has_last = true;

  Average<T> second;
  Vec<T> decay, correction, eps, share, along, rate;
  bool has_decay, starts;

  ScheduleFreeAdamW(const Hyperparameters& h, const double* step_state)
      : second(h.beta2),
        decay(rounded<T>(h.weight_decay)),
        correction(rounded<T>(1 / root(1 - step_state[2] * h.beta2))),
        eps(rounded<T>(h.eps)),
        has_decay(nonzero<T>(h.weight_decay)),
        starts(step_state[0] == 0) {
    const step_states::Weights w(step_state, h);
    const double c = w.sum > 0 ? w.weight / w.sum : 0;
    share = rounded<T>(c);
    along = rounded<T>(w.lr * (h.beta1 * (1 - c) - 1));
    rate = rounded<T>(-w.lr);
  }

  template <int S>
  CR_INLINE Vec<T> step(Vec<T> p, Vec<T> d, Vec<T>* s) const {
    if (starts) s[0] = p;
    s[1] = second.of_square(d, s[1]);
    d = d / (sqrt(s[1]) * correction + eps);
    if (has_decay) d = fma(decay, p, d);
    p = fma(along, d, fma(share, s[0] - p, p));
    s[0] = fma(rate, d, s[0]);
    return p;
  }
};

}  // namespace
}  // namespace chainrule
