// Step states that hold more than the step count and powers of the hyperparameters: the numbers of a step, and how the
// state advances at its end. In binary64, the same for every instruction set.
#pragma once

#include <cstring>
#include <string_view>

namespace chainrule {
namespace {  // compiled for several instruction sets
namespace step_states {

// 0.96^momentum_decay is momentum_base, whose powers let the momentum grow to beta1. State: steps, powers of beta1,
// beta2 and momentum_base, the product of the momenta.
struct Nadam {
  double lr, beta1, beta2, momentum_base, momentum_decay, eps, weight_decay, decoupled_weight_decay;
};
inline double momentum(const Nadam& h, double power) { return h.beta1 * (1 - 0.5 * power); }
inline void advance(double* state, const Nadam& h) {
  state[0] += 1;
  state[1] *= h.beta1;
  state[2] *= h.beta2;
  state[3] *= h.momentum_base;
  state[4] *= momentum(h, state[3]);
}

// State: steps, powers of beta1 and beta2, the sum of the weights of the average, the largest rate.
struct ScheduleFree {
  double lr, beta1, beta2, eps, weight_decay, warmup_steps, r, weight_lr_power;
};
inline double whole_power(double x, double n) {
  double y = 1;
  for (; n >= 1; n -= 1) y *= x;
  return y;
}
struct Weights {
  double lr, largest, weight, sum;
  Weights(const double* state, const ScheduleFree& h) {
    const double steps = state[0] + 1;
    lr = steps <= h.warmup_steps ? h.lr * (steps / h.warmup_steps) : h.lr;
    largest = lr > state[4] ? lr : state[4];
    weight = whole_power(steps, h.r) * whole_power(largest, h.weight_lr_power);
    sum = state[3] + weight;
  }
};
inline void advance(double* state, const ScheduleFree& h) {
  const Weights w(state, h);
  state[0] += 1;
  state[1] *= h.beta1;
  state[2] *= h.beta2;
  state[3] = w.sum;
  state[4] = w.largest;
}

// How the state of an update advances, whose state and hyperparameters are of so many numbers.
struct Row {
  std::string_view update;
  int state, hyperparameters;
  void (*advance)(double* state, const double* hyperparameters);
};
template <class H>
void advance_by(double* state, const double* hyperparameters) {
  H h;
  std::memcpy(&h, hyperparameters, sizeof h);
  advance(state, h);
}
template <class H>
constexpr Row row(std::string_view update, int state) {
  return {update, state, sizeof(H) / sizeof(double), advance_by<H>};
}
constexpr Row kRows[] = {row<Nadam>("nadam", 5), row<ScheduleFree>("schedule_free_adamw", 5)};
inline const Row* find(std::string_view update) {
  for (const Row& row : kRows) {
    if (row.update == update) return &row;
  }
  return nullptr;
}

}  // namespace step_states
}  // namespace
}  // namespace chainrule
