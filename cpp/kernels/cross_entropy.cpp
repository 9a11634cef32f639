// Softmax cross-entropy with int64 labels: loss per row, gradient by the logits, or both in one pass
// (docs/arithmetic.md).
#include "kernels/loops.h"
#include "kernels/registry.h"
#include "kernels/transposed_rows.h"

namespace chainrule {
namespace {

enum class Want { loss, gradient, both };

// g[i * g_stride] is the upstream gradient of row i's loss. What is not wanted is null.
template <class T>
struct Args {
  const T* x;
  const int64_t* labels;
  const T* g;
  int64_t g_stride;
  T *loss, *dx;
};

// Where the gradient at the label is -R/S, not e/S - 1, of which rounding would leave nothing: the label has the
// largest score, and more than half of the probability.
template <class T>
CR_INLINE Mask<T> confident(Vec<T> x, Vec<T> m, const RowSums<T>& sums) {
  return eq(x, m) & lt(sums.all, splat(T(2)));
}

// dx = (e/S - onehot) * g, (-R/S) * g at a confident label; loss = log1p(R) - (x[label] - m). A row in each lane.
template <Want W, class T>
CR_INLINE void block(const Args<T>& a, int64_t first_row, int64_t rows, int64_t cols) {
  constexpr int64_t L = Vec<T>::lanes;
  const int64_t n = rows - first_row < L ? rows - first_row : L;
  alignas(64) T labels[L] = {}, upstream[L] = {};
  for (int64_t i = 0; i < n; ++i) labels[i] = static_cast<T>(a.labels[first_row + i]);
  const Vec<T> label = load(labels);
  alignas(64) ColumnBuffer<T> columns;
  const Vec<T> m = transpose_rows<T>({a.x + first_row * cols, a.x + rows * cols, n, cols}, columns);
  Vec<T> picked = m;
  for (int64_t j = 0; j < cols; ++j) {
    picked = select(eq(label, splat(static_cast<T>(j))), load(columns + j * L), picked);
  }
  const RowSums<T> sums = exponentials<true>(cols, columns, m, columns);
  if constexpr (W != Want::gradient) store_or_n(a.loss + first_row, math::log1p(sums.rest) - (picked - m), n);
  if constexpr (W != Want::loss) {
    for (int64_t i = 0; i < n; ++i) upstream[i] = a.g[(first_row + i) * a.g_stride];
    const Vec<T> g = load(upstream), s = sums.all, others = neg(sums.rest), none = splat(T(-1));
    const Mask<T> right = confident(picked, m, sums);
    const Vec<T> at_right = select(right, label, none), elsewhere = select(right, none, label);
    write_rows<T>({a.dx + first_row * cols, a.dx + rows * cols, n, cols}, [&](int64_t j) CR_LAMBDA {
      const Vec<T> column = splat(static_cast<T>(j));
      const Vec<T> e = select(eq(at_right, column), others, load(columns + j * L));
      return (e / s - select(eq(elsewhere, column), splat(T(1)), splat(T(0)))) * g;
    });
  }
}

// A row of exponentials that are not a gradient yet. They become one while the next row's exponentials are computed,
// when the divider is idle.
template <class T>
struct Unfinished {
  T* d = nullptr;
  Vec<T> s = splat(T(1)), g = s;
  int64_t label = 0;
  T at_label = T(0);

  CR_INLINE void operator()(int64_t i, int64_t w) const {
    if (d != nullptr) store_or_n(d + i, (load_or_n(d + i, w) / s) * g, w);
  }
  CR_INLINE void finish() const {
    if (d != nullptr) d[label] = at_label;
  }
};

// The exponentials of row i, for a gradient where W wants it; returns R.
template <Want W, class T>
CR_INLINE Vec<T> row(const Args<T>& a, int64_t i, int64_t cols, Vec<T> m, Unfinished<T>& before) {
  const T* const x = a.x + i * cols;
  if constexpr (W == Want::loss) {
    return sum_of_others(cols, x, m);
  } else {
    T* const d = a.dx + i * cols;
    const Unfinished<T> done = before;
    const RowSums<T> sums = exponentials<true, true>(cols, x, m, d, done);
    done.finish();
    const int64_t label = a.labels[i];
    const Vec<T> s = sums.all, g = splat(a.g[i * a.g_stride]);
    const Vec<T> error =
        select(confident(splat(x[label]), m, sums), neg(sums.rest) / s, splat(d[label]) / s - splat(T(1)));
    before = {d, s, g, label, first(error * g)};
    return sums.rest;
  }
}

// One logarithm for the sums of a vector of rows.
template <Want W, class T>
CR_INLINE void row_by_row(const Args<T>& a, int64_t begin, int64_t end, int64_t cols) {
  constexpr int64_t L = Vec<T>::lanes;
  Unfinished<T> before;
  for (int64_t at = begin; at < end; at += L) {
    const int64_t n = end - at < L ? end - at : L;
    Vec<T> sums = splat(T(0)), picked = sums;
    for (int64_t i = 0; i < n; ++i) {
      const T* const x = a.x + (at + i) * cols;
      const Vec<T> m = row_largest(x, cols);
      if constexpr (W != Want::gradient) picked = collect(picked, i, centred(splat(x[a.labels[at + i]]), m));
      sums = collect(sums, i, row<W>(a, at + i, cols, m, before));
    }
    if constexpr (W != Want::gradient) store_or_n(a.loss + at, math::log1p(sums) - picked, n);
  }
  for (int64_t i = 0; i < cols; i += L) before(i, cols - i < L ? cols - i : L);
  before.finish();
}

template <Want W, class T>
CR_INLINE void run(int64_t rows, int64_t cols, const Args<T>& a) {
  int64_t i = 0;
  for (; worth_transposing<T>(rows - i, cols); i += Vec<T>::lanes) block<W>(a, i, rows, cols);
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
void cross_entropy_both(int64_t rows, int64_t cols, const void* x, const int64_t* labels, const void* g,
                        int64_t g_stride, void* loss, void* dx) {
  run<Want::both, T>(rows, cols,
                     {static_cast<const T*>(x), labels, static_cast<const T*>(g), g_stride, static_cast<T*>(loss),
                      static_cast<T*>(dx)});
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
