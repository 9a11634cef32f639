// Optimizer updates, in place. The sequence of roundings is in docs/arithmetic.md.
#include "kernels/registry.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

template <class T>
void sgd(const SgdArgs& s) {
  constexpr int64_t L = Vec<T>::lanes;
  T* const p = static_cast<T*>(s.p);
  const T* const g = static_cast<const T*>(s.g);
  T* const v = static_cast<T*>(s.v);
  const Vec<T> rate = splat(-static_cast<T>(s.lr)), mu = splat(static_cast<T>(s.momentum));
  const Vec<T> decay = splat(static_cast<T>(s.weight_decay));
  // As rounded: a tiny number that is 0 in T must not turn an infinite p into NaN.
  const bool has_decay = static_cast<T>(s.weight_decay) != T(0);
  const bool has_momentum = v != nullptr && static_cast<T>(s.momentum) != T(0);
  for (int64_t i = 0; i < s.n; i += L) {
    const int64_t w = s.n - i;
    const Vec<T> old = load_or_n(p + i, w);
    Vec<T> d = load_or_n(g + i, w);
    if (has_decay) d = fma(decay, old, d);
    if (has_momentum) {
      const Vec<T> buffer = fma(mu, load_or_n(v + i, w), d);
      store_or_n(v + i, buffer, w);
      d = s.nesterov ? fma(mu, buffer, d) : buffer;
    }
    store_or_n(p + i, fma(rate, d, old), w);
  }
}

}  // namespace

namespace CR_LEVEL {
void register_update(KernelTable& table) {
  table.sgd[kFloat32] = sgd<float>;
  table.sgd[kFloat64] = sgd<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
