// Softmax and log-softmax with their gradients (docs/arithmetic.md).
#include "kernels/loops.h"
#include "kernels/registry.h"
#include "kernels/transposed_rows.h"

namespace chainrule {
namespace {

// out[i] = f(x[i]), f on vectors.
template <class T, class F>
CR_INLINE void transform(int64_t n, const T* x, T* out, F f) {
  for_each(n, out, f, Operand<T, false>(x));
}

template <class T>
CR_INLINE void softmax_block(const RowBlock<const T>& x, const RowBlock<T>& y) {
  alignas(64) ColumnBuffer<T> columns;
  const Vec<T> m = transpose_rows(x, columns);
  const Vec<T> s = exponentials<false>(x.cols, columns, m, columns).all;
  write_rows(y, [s, &columns](int64_t j) CR_LAMBDA { return load(columns + j * Vec<T>::lanes) / s; });
}

// The exponentials of a row are divided while the next row's are computed, when the divider is idle: 256 x 1000 takes
// 105 us so, 118 with divisions of their own.
template <class T>
CR_INLINE void softmax_rows(int64_t rows, int64_t cols, const T* x, T* y) {
  T* before = nullptr;
  Vec<T> s = splat(T(1));
  for (; rows > 0; --rows, x += cols, y += cols) {
    const auto divide = [before, s](int64_t i, int64_t w) CR_LAMBDA {
      if (before != nullptr) store_or_n(before + i, load_or_n(before + i, w) / s, w);
    };
    s = exponentials<true, false>(cols, x, row_largest(x, cols), y, divide).all;
    before = y;
  }
  if (before != nullptr) transform(cols, before, before, [s](Vec<T> e) { return e / s; });
}

template <class T>
CR_INLINE void log_softmax_block(const RowBlock<const T>& x, const RowBlock<T>& y) {
  alignas(64) ColumnBuffer<T> columns, e;
  const Vec<T> m = transpose_rows(x, columns);
  const Vec<T> log_s = math::log1p(exponentials<true>(x.cols, columns, m, e).rest);
  write_rows(y, [m, log_s, &columns](int64_t j) CR_LAMBDA { return (load(columns + j * Vec<T>::lanes) - m) - log_s; });
}

// One logarithm for the sums of some rows; they should still be in the first cache when they are read again.
template <class T>
CR_INLINE void log_softmax_rows(int64_t rows, int64_t cols, const T* x, T* y) {
  constexpr int64_t L = Vec<T>::lanes, kCached = 16384 / sizeof(T);
  while (rows > 0) {
    int64_t n = 0;
    T maxima[L], logs[L];
    Vec<T> sums = splat(T(0));
    do {
      const Vec<T> m = row_largest(x + n * cols, cols);
      maxima[n] = first(m);
      sums = collect(sums, n, sum_of_others(cols, x + n * cols, m));
    } while (++n < L && n < rows && (n + 1) * cols <= kCached);
    store(logs, math::log1p(sums));
    for (int64_t i = 0; i < n; ++i, x += cols, y += cols) {
      const Vec<T> m = splat(maxima[i]), log_s = splat(logs[i]);
      transform(cols, x, y, [m, log_s](Vec<T> v) CR_LAMBDA { return centred(v, m) - log_s; });
    }
    rows -= n;
  }
}

// Blocks while they are worth it, then row by row.
template <class T, class Block, class RowByRow>
CR_INLINE void by_rows(int64_t rows, int64_t cols, const T* x, T* y, Block block, RowByRow row_by_row) {
  constexpr int64_t L = Vec<T>::lanes;
  if (cols == 0) return;
  const T* const x_end = x + rows * cols;
  T* const y_end = y + rows * cols;
  for (; worth_transposing<T>(rows, cols); rows -= L, x += L * cols, y += L * cols) {
    const int64_t n = rows < L ? rows : L;
    block({x, x_end, n, cols}, {y, y_end, n, cols});
  }
  row_by_row(rows, cols, x, y);
}

template <class T>
void softmax(int64_t rows, int64_t cols, const void* const* in, void* out) {
  by_rows(rows, cols, static_cast<const T*>(in[0]), static_cast<T*>(out), softmax_block<T>, softmax_rows<T>);
}
template <class T>
void log_softmax(int64_t rows, int64_t cols, const void* const* in, void* out) {
  by_rows(rows, cols, static_cast<const T*>(in[0]), static_cast<T*>(out), log_softmax_block<T>, log_softmax_rows<T>);
}

template <class T>
void softmax_grad(int64_t rows, int64_t cols, const void* const* in, void* out) {
  if (cols == 0) return;
  for (int64_t i = 0; i < rows; ++i) {
    const T* const y = static_cast<const T*>(in[0]) + i * cols;
    const T* const g = static_cast<const T*>(in[1]) + i * cols;
    const Vec<T> s =
        lane_sum<T>(cols, [y, g](int64_t j, int64_t w) CR_LAMBDA { return load_or_n(y + j, w) * load_or_n(g + j, w); });
    for_each(
        cols, static_cast<T*>(out) + i * cols, [s](Vec<T> a, Vec<T> b) { return a * (b - s); }, Operand<T, false>(y),
        Operand<T, false>(g));
  }
}

// g - e^y s. Where e^y is near 1, from e^y - 1: the gradient of a confident row is small, not 0.
template <class T>
CR_INLINE Vec<T> log_softmax_slope(Vec<T> y, Vec<T> g, Vec<T> s) {
  const Vec<T> e = math::exp(y), slope = fma(neg(e), s, g);
  const Mask<T> most = gt(e, splat(T(0.5)));
  if (__builtin_expect(first_bits(most) == 0, true)) return slope;
  return select(most, fma(neg(math::expm1(y)), s, g - s), slope);
}

template <class T>
void log_softmax_grad(int64_t rows, int64_t cols, const void* const* in, void* out) {
  if (cols == 0) return;
  for (int64_t i = 0; i < rows; ++i) {
    const T* const y = static_cast<const T*>(in[0]) + i * cols;
    const T* const g = static_cast<const T*>(in[1]) + i * cols;
    const Vec<T> s = lane_sum(g, cols);
    for_each(
        cols, static_cast<T*>(out) + i * cols, [s](Vec<T> a, Vec<T> b) CR_LAMBDA { return log_softmax_slope(a, b, s); },
        Operand<T, false>(y), Operand<T, false>(g));
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
}
}  // namespace CR_LEVEL
}  // namespace chainrule
