// Linear recurrences: cumulative sums and products, and their gradients.
#include "kernels/registry.h"

namespace chainrule {
namespace {

// y = c * previous + b for n elements; c null: ones.
template <class T>
void step(int64_t n, const T* c, const T* previous, const T* b, T* y) {
  if (c == nullptr) {
    for (int64_t j = 0; j < n; ++j) y[j] = previous[j] + b[j];
  } else {
    for (int64_t j = 0; j < n; ++j) y[j] = c[j] * previous[j] + b[j];
  }
}

// One line, its last element in a register: a call of `step` for each took ten times as long.
template <bool Factors, class T>
void scan_line(const ScanArgs& s, const T* a, const T* b, T* y) {
  const int64_t by = s.reverse ? -s.ld : s.ld, factor = s.reverse ? s.ld : 0;
  int64_t k = s.reverse ? (s.length - 1) * s.ld : 0;
  T last = b[k];
  y[k] = last;
  for (int64_t i = 1; i < s.length; ++i) {
    k += by;
    last = Factors ? a[k + factor] * last + b[k] : last + b[k];
    y[k] = last;
  }
}

template <class T>
void scan(const ScanArgs& s) {
  const T *const a = static_cast<const T*>(s.a), *const b = static_cast<const T*>(s.b);
  T* const y = static_cast<T*>(s.y);
  if (s.length == 0) return;
  if (s.n == 1) return a == nullptr ? scan_line<false>(s, a, b, y) : scan_line<true>(s, a, b, y);
  const int64_t first = s.reverse ? s.length - 1 : 0, by = s.reverse ? -1 : 1;
  for (int64_t j = 0; j < s.n; ++j) y[first * s.ld + j] = b[first * s.ld + j];
  for (int64_t i = 1; i < s.length; ++i) {
    const int64_t k = first + by * i, from = k - by;  // the factor is that of the later one of the two
    const T* const c = a == nullptr ? nullptr : a + (s.reverse ? from : k) * s.ld;
    step(s.n, c, y + from * s.ld, b + k * s.ld, y + k * s.ld);
  }
}

}  // namespace

namespace CR_LEVEL {
void register_scan(KernelTable& table) {
  table.scan[kFloat32] = scan<float>;
  table.scan[kFloat64] = scan<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
