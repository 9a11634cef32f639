// Optimizer updates, in place. The sequence of roundings is in docs/arithmetic.md.
#include "kernels/registry.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

template <class T>
struct Hyper {
  Vec<T> rate, mu, decay;
  bool has_decay, has_momentum, nesterov;
};

template <class T>
CR_INLINE void sgd_row(const Hyper<T>& h, int64_t n, T* p, const T* g, T* v) {
  constexpr int64_t L = Vec<T>::lanes;
  for (int64_t i = 0; i < n; i += L) {
    const int64_t w = n - i;
    const Vec<T> old = load_or_n(p + i, w);
    Vec<T> d = load_or_n(g + i, w);
    if (h.has_decay) d = fma(h.decay, old, d);
    if (h.has_momentum) {
      const Vec<T> buffer = fma(h.mu, load_or_n(v + i, w), d);
      store_or_n(v + i, buffer, w);
      d = h.nesterov ? fma(h.mu, buffer, d) : buffer;
    }
    store_or_n(p + i, fma(h.rate, d, old), w);
  }
}

template <class T>
void sgd(const SgdArgs& s) {
  const T lr = static_cast<T>(s.hyper[0]), momentum = static_cast<T>(s.hyper[1]);
  const T weight_decay = static_cast<T>(s.hyper[2]);
  // As rounded: a tiny number that is 0 in T must not turn an infinite p into NaN.
  const Hyper<T> h = {
      splat(-lr),     splat(momentum), splat(weight_decay), weight_decay != T(0), s.v != nullptr && momentum != T(0),
      s.hyper[3] != 0};
  T* const p = static_cast<T*>(s.p);
  const T* const g = static_cast<const T*>(s.g);
  T* const v = static_cast<T*>(s.v);
  const bool follow = s.rows <= 1 || (s.ld == s.n && s.ld_g == s.n);
  const int64_t rows = follow ? 1 : s.rows, n = follow ? s.rows * s.n : s.n;
  for (int64_t r = 0; r < rows; ++r) {
    sgd_row(h, n, p + r * s.ld, g + r * s.ld_g, h.has_momentum ? v + r * s.ld : nullptr);
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
