// Softmax cross-entropy with int64 labels: loss per row, gradient by the logits, or both in one pass
// (docs/arithmetic.md).
#include "kernels/loops.h"
#include "kernels/narrow.h"
#include "kernels/registry.h"

namespace chainrule {
namespace {

enum class Want { loss, gradient, both };

// g[i * g_step] is the gradient that arrives at row i's loss. What is not wanted is null.
template <class T>
struct Args {
  const T* x;
  const int64_t* labels;
  const T* g;
  int64_t g_step;
  T *loss, *dx;
};

// dx = (e/S - onehot) * g and loss = log(S) - (x[label] - m), a row in each lane.
template <Want W, class T>
CR_INLINE void block(const Args<T>& a, int64_t first_row, int64_t rows, int64_t cols) {
  constexpr int64_t L = Vec<T>::lanes;
  const int64_t n = rows - first_row < L ? rows - first_row : L;
  alignas(64) T labels[L] = {}, arrived[L] = {};
  for (int64_t i = 0; i < n; ++i) labels[i] = static_cast<T>(a.labels[first_row + i]);
  const Vec<T> label = load(labels);
  alignas(64) Columns<T> columns;
  const Vec<T> m = gather<T>({a.x + first_row * cols, a.x + rows * cols, n, cols}, columns);
  Vec<T> picked = m;
  for (int64_t j = 0; W != Want::gradient && j < cols; ++j) {
    picked = select(eq(label, splat(static_cast<T>(j))), load(columns + j * L), picked);
  }
  const Vec<T> s = exponentials(cols, columns, m, columns);
  if constexpr (W != Want::gradient) store_or_n(a.loss + first_row, math::log(s) - (picked - m), n);
  if constexpr (W != Want::loss) {
    for (int64_t i = 0; i < n; ++i) arrived[i] = a.g[(first_row + i) * a.g_step];
    const Vec<T> g = load(arrived);
    scatter<T>({a.dx + first_row * cols, a.dx + rows * cols, n, cols}, [&](int64_t j) CR_LAMBDA {
      const Vec<T> onehot = select(eq(label, splat(static_cast<T>(j))), splat(T(1)), splat(T(0)));
      return (load(columns + j * L) / s - onehot) * g;
    });
  }
}

// One row; returns S and leaves the loss to the caller.
template <Want W, class T>
CR_INLINE Vec<T> row(const Args<T>& a, int64_t i, int64_t cols, Vec<T> m) {
  const T* const x = a.x + i * cols;
  if constexpr (W == Want::loss) {
    return exponentials<false, T>(cols, x, m, nullptr);
  } else {
    T* const d = a.dx + i * cols;
    const Vec<T> s = exponentials<true>(cols, x, m, d), g = splat(a.g[i * a.g_step]);
    const Vec<T> at_label = (splat(d[a.labels[i]]) / s - splat(T(1))) * g;
    for_each(cols, d, [s, g](Vec<T> e) { return (e / s) * g; }, Operand<T, false>(d));
    d[a.labels[i]] = first(at_label);
    return s;
  }
}

// One logarithm for the sums of a vector of rows.
template <Want W, class T>
CR_INLINE void row_by_row(const Args<T>& a, int64_t begin, int64_t end, int64_t cols) {
  constexpr int64_t L = Vec<T>::lanes;
  for (int64_t at = begin; at < end; at += L) {
    const int64_t n = end - at < L ? end - at : L;
    Vec<T> sums = splat(T(1)), picked = sums;
    for (int64_t i = 0; i < n; ++i) {
      const T* const x = a.x + (at + i) * cols;
      const Vec<T> m = row_largest(x, cols);
      if constexpr (W != Want::gradient) picked = collect(picked, i, splat(x[a.labels[at + i]]) - m);
      sums = collect(sums, i, row<W>(a, at + i, cols, m));
    }
    if constexpr (W != Want::gradient) store_or_n(a.loss + at, math::log(sums) - picked, n);
  }
}

template <Want W, class T>
CR_INLINE void run(int64_t rows, int64_t cols, const Args<T>& a) {
  int64_t i = 0;
  for (; worth_a_block<T>(rows - i, cols); i += Vec<T>::lanes) block<W>(a, i, rows, cols);
  row_by_row<W>(a, i, rows, cols);
}

template <class T>
void cross_entropy(int64_t rows, int64_t cols, const void* x, const int64_t* labels, void* loss) {
  run<Want::loss, T>(rows, cols, {static_cast<const T*>(x), labels, nullptr, 0, static_cast<T*>(loss), nullptr});
}
template <class T>
void cross_entropy_grad(int64_t rows, int64_t cols, const void* x, const int64_t* labels, const void* g, void* dx) {
  run<Want::gradient, T>(rows, cols,
                         {static_cast<const T*>(x), labels, static_cast<const T*>(g), 1, nullptr, static_cast<T*>(dx)});
}
template <class T>
void cross_entropy_both(int64_t rows, int64_t cols, const void* x, const int64_t* labels, const void* g, int64_t g_step,
                        void* loss, void* dx) {
  run<Want::both, T>(
      rows, cols,
      {static_cast<const T*>(x), labels, static_cast<const T*>(g), g_step, static_cast<T*>(loss), static_cast<T*>(dx)});
}

}  // namespace

namespace CR_LEVEL {
void register_cross_entropy(KernelTable& table) {
  table.cross_entropy[kFloat32] = cross_entropy<float>;
  table.cross_entropy[kFloat64] = cross_entropy<double>;
  table.cross_entropy_grad[kFloat32] = cross_entropy_grad<float>;
  table.cross_entropy_grad[kFloat64] = cross_entropy_grad<double>;
  table.cross_entropy_both[kFloat32] = cross_entropy_both<float>;
  table.cross_entropy_both[kFloat64] = cross_entropy_both<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
