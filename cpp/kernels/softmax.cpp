// Softmax, log-softmax and softmax cross-entropy with their gradients, one row at a time (docs/arithmetic.md).
#include "kernels/lanes.h"
#include "kernels/loops.h"
#include "kernels/registry.h"
#include "math/elementary.h"

namespace chainrule {
namespace {

// out[i] = f(x[i]), f on vectors.
template <class T, class F>
CR_INLINE void transform(int64_t n, const T* x, T* out, F f) {
  for_each(n, out, f, Operand<T, false>(x));
}

template <class T>
CR_INLINE T scalar_log(T x) {
  T lanes[Vec<T>::lanes];
  store(lanes, math::log(splat(x)));
  return lanes[0];
}
// e = exp(x - max) into out; returns the lane sum of e.
template <class T>
CR_INLINE T exponentials(int64_t n, const T* x, T* out) {
  const Vec<T> m = splat(row_max(x, n));
  transform(n, x, out, [m](Vec<T> v) CR_LAMBDA { return math::exp(v - m); });
  return lane_sum(out, n);
}

template <class T>
void softmax(int64_t rows, int64_t cols, const void* const* in, void* out) {
  if (cols == 0) return;
  for (int64_t i = 0; i < rows; ++i) {
    T* const y = static_cast<T*>(out) + i * cols;
    const Vec<T> s = splat(exponentials(cols, static_cast<const T*>(in[0]) + i * cols, y));
    transform(cols, y, y, [s](Vec<T> e) { return e / s; });
  }
}

template <class T>
void softmax_grad(int64_t rows, int64_t cols, const void* const* in, void* out) {
  if (cols == 0) return;
  for (int64_t i = 0; i < rows; ++i) {
    const T* const y = static_cast<const T*>(in[0]) + i * cols;
    const T* const g = static_cast<const T*>(in[1]) + i * cols;
    const Vec<T> s =
        splat(lane_sum<T>(cols, [y, g](int64_t j, int64_t w) { return load_or_n(y + j, w) * load_or_n(g + j, w); }));
    for_each(
        cols, static_cast<T*>(out) + i * cols, [s](Vec<T> a, Vec<T> b) { return a * (b - s); }, Operand<T, false>(y),
        Operand<T, false>(g));
  }
}

template <class T>
void log_softmax(int64_t rows, int64_t cols, const void* const* in, void* out) {
  if (cols == 0) return;
  for (int64_t i = 0; i < rows; ++i) {
    const T* const x = static_cast<const T*>(in[0]) + i * cols;
    T* const y = static_cast<T*>(out) + i * cols;
    const Vec<T> m = splat(row_max(x, cols));
    const Vec<T> log_s = splat(scalar_log(exponentials(cols, x, y)));
    transform(cols, x, y, [m, log_s](Vec<T> v) { return (v - m) - log_s; });
  }
}

template <class T>
void log_softmax_grad(int64_t rows, int64_t cols, const void* const* in, void* out) {
  if (cols == 0) return;
  for (int64_t i = 0; i < rows; ++i) {
    const T* const y = static_cast<const T*>(in[0]) + i * cols;
    const T* const g = static_cast<const T*>(in[1]) + i * cols;
    const Vec<T> s = splat(lane_sum(g, cols));
    for_each(
        cols, static_cast<T*>(out) + i * cols,
        [s](Vec<T> a, Vec<T> b) CR_LAMBDA { return fma(neg(math::exp(a)), s, b); }, Operand<T, false>(y),
        Operand<T, false>(g));
  }
}

// The same sum without a place for all of e: a chunk of the sum rule at a time.
template <class T>
CR_INLINE T sum_of_exponentials(int64_t n, const T* x, T max) {
  T e[kSumChunk];
  const Vec<T> m = splat(max);
  T total = T(0);
  for (int64_t begin = 0; begin < n; begin += kSumChunk) {
    const int64_t w = n - begin < kSumChunk ? n - begin : kSumChunk;
    transform(w, x + begin, e, [m](Vec<T> v) CR_LAMBDA { return math::exp(v - m); });
    const T chunk = lane_sum(e, w);
    total = begin == 0 ? chunk : total + chunk;
  }
  return total;
}

template <class T>
void cross_entropy(int64_t rows, int64_t cols, const void* x, const int64_t* labels, void* loss) {
  for (int64_t i = 0; i < rows; ++i) {
    const T* const row = static_cast<const T*>(x) + i * cols;
    const T m = row_max(row, cols);
    const T s = sum_of_exponentials(cols, row, m);
    static_cast<T*>(loss)[i] = scalar_log(s) - (row[labels[i]] - m);
  }
}

template <class T>
void cross_entropy_grad(int64_t rows, int64_t cols, const void* x, const int64_t* labels, const void* g, void* dx) {
  for (int64_t i = 0; i < rows; ++i) {
    T* const d = static_cast<T*>(dx) + i * cols;
    const T s = exponentials(cols, static_cast<const T*>(x) + i * cols, d);
    const T gi = static_cast<const T*>(g)[i];
    const T at_label = (d[labels[i]] / s - T(1)) * gi;
    const Vec<T> vs = splat(s), vg = splat(gi);
    transform(cols, d, d, [vs, vg](Vec<T> e) { return (e / vs) * vg; });
    d[labels[i]] = at_label;
  }
}

constexpr RowwiseRow kRows[] = {
    {"softmax", 1, {softmax<float>, softmax<double>}},
    {"softmax_grad", 2, {softmax_grad<float>, softmax_grad<double>}},
    {"log_softmax", 1, {log_softmax<float>, log_softmax<double>}},
    {"log_softmax_grad", 2, {log_softmax_grad<float>, log_softmax_grad<double>}},
};

}  // namespace

namespace CR_LEVEL {
void register_rowwise(KernelTable& table) {
  table.rowwise = kRows;
  table.n_rowwise = sizeof kRows / sizeof kRows[0];
  table.cross_entropy[kFloat32] = cross_entropy<float>;
  table.cross_entropy[kFloat64] = cross_entropy<double>;
  table.cross_entropy_grad[kFloat32] = cross_entropy_grad<float>;
  table.cross_entropy_grad[kFloat64] = cross_entropy_grad<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
