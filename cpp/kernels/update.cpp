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

// V vectors, the last one of w elements. All reads come before the writes: where p and v lie a multiple of 4 KiB apart,
// give or take, a read would wait for the write before it.
template <class T, int V>
CR_INLINE void sgd_vectors(const Hyper<T>& h, int64_t w, T* p, const T* g, T* v) {
  constexpr int64_t L = Vec<T>::lanes;
  Vec<T> old[V], d[V], buffer[V];
  const auto read = [w](const T* from, int x)
                        CR_LAMBDA { return x < V - 1 ? load(from + x * L) : load_or_n(from + x * L, w); };
  const auto write = [w](T* to, int x, Vec<T> y) CR_LAMBDA {
    if (x < V - 1) {
      store(to + x * L, y);
    } else {
      store_or_n(to + x * L, y, w);
    }
  };
  CR_UNROLL
  for (int x = 0; x < V; ++x) {
    old[x] = read(p, x);
    d[x] = read(g, x);
    if (h.has_decay) d[x] = fma(h.decay, old[x], d[x]);
    if (h.has_momentum) buffer[x] = fma(h.mu, read(v, x), d[x]);
  }
  CR_UNROLL
  for (int x = 0; x < V; ++x) {
    if (h.has_momentum) {
      write(v, x, buffer[x]);
      d[x] = h.nesterov ? fma(h.mu, buffer[x], d[x]) : buffer[x];
    }
    write(p, x, fma(h.rate, d[x], old[x]));
  }
}

template <class T>
CR_INLINE void sgd_row(const Hyper<T>& h, int64_t n, T* p, const T* g, T* v) {
  constexpr int64_t L = Vec<T>::lanes;
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) sgd_vectors<T, 4>(h, L, p + i, g + i, v + i);
  for (; i < n; i += L) sgd_vectors<T, 1>(h, n - i, p + i, g + i, v + i);
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
    sgd_row(h, n, p + r * s.ld, g + r * s.ld_g, h.has_momentum ? v + r * s.ld : p);
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
