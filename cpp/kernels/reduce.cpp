// Reductions: rows (the last axis included) and columns (leading axes), see kernel_table.h and docs/arithmetic.md.
#include "kernels/lane_sum.h"
#include "kernels/registry.h"

namespace chainrule {
namespace {

template <class T>
void sum_rows(int64_t rows, int64_t cols, const void* x, void* out) {
  for (int64_t i = 0; i < rows; ++i)
    static_cast<T*>(out)[i] = first(lane_sum(static_cast<const T*>(x) + i * cols, cols));
}
template <class T>
void max_rows(int64_t rows, int64_t cols, const void* x, void* out) {
  for (int64_t i = 0; i < rows; ++i)
    static_cast<T*>(out)[i] = first(row_max(static_cast<const T*>(x) + i * cols, cols));
}
template <class T>
void min_rows(int64_t rows, int64_t cols, const void* x, void* out) {
  for (int64_t i = 0; i < rows; ++i)
    static_cast<T*>(out)[i] = first(row_min(static_cast<const T*>(x) + i * cols, cols));
}

// First index of the maximum, or of the first NaN.
template <class T>
int64_t row_argmax(const T* x, int64_t n) {
  constexpr int64_t L = Vec<T>::lanes;
  const Vec<T> largest = row_max(x, n);
  for (int64_t i = 0; i < n; i += L) {
    const int64_t w = n - i < L ? n - i : L;
    const Vec<T> v = load_or_n(x + i, w);
    const uint32_t hit = first_bits(eq(v, largest) | isnan(v));  // a NaN maximum equals nothing
    if (hit != 0) {
      const int64_t lane = __builtin_ctz(hit);
      if (lane < w) return i + lane;
    }
  }
  return 0;
}
template <class T>
void argmax_rows(int64_t rows, int64_t cols, const void* x, void* out) {
  for (int64_t i = 0; i < rows; ++i)
    static_cast<int64_t*>(out)[i] = row_argmax(static_cast<const T*>(x) + i * cols, cols);
}

// Chains of V vectors side by side so that additions overlap; the last vector is whole or a part of one.
template <int V, bool Whole, class T, class Op>
CR_INLINE void column_block(int64_t rows, const T* x, int64_t stride, T* out, int64_t width, bool first, Op op) {
  constexpr int64_t L = Vec<T>::lanes;
  Vec<T> acc[V];
  const int64_t last = width - (V - 1) * L;
  const auto read = [last](const T* p, int v) CR_LAMBDA {
    const T* const from = p + v * L;
    return Whole || v < V - 1 ? load(from) : load_n(from, last);
  };
  if (first) {
    CR_UNROLL
    for (int v = 0; v < V; ++v) acc[v] = op.start(read(x, v));
  } else {
    CR_UNROLL
    for (int v = 0; v < V; ++v) acc[v] = op(read(out, v), read(x, v));
  }
  for (int64_t i = 1; i < rows; ++i) {
    x += stride;
    CR_UNROLL
    for (int v = 0; v < V; ++v) acc[v] = op(acc[v], read(x, v));
  }
  CR_UNROLL
  for (int v = 0; v < V - 1; ++v) store(out + v * L, acc[v]);
  store_or_n(out + (V - 1) * L, acc[V - 1], last);
}

struct SumOp {
  template <class T>
  CR_INLINE Vec<T> start(Vec<T> x) const {
    return splat(T(0)) + x;
  }
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> acc, Vec<T> x) const {
    return acc + x;
  }
};
struct MaxOp {
  template <class T>
  CR_INLINE Vec<T> start(Vec<T> x) const {
    return x;
  }
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> acc, Vec<T> x) const {
    return maximum(acc, x);
  }
};
struct MinOp {
  template <class T>
  CR_INLINE Vec<T> start(Vec<T> x) const {
    return x;
  }
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> acc, Vec<T> x) const {
    return minimum(acc, x);
  }
};

// 256 bytes of sums: with AVX-512 and AVX2 they read at the rate of the second cache, twice as many are no faster.
constexpr int kWidest = Vec<float>::lanes == 16 ? 4 : 8;
// The columns that remain beside the widest blocks, in one block: one of one vector takes as long as a wide one.
template <int V, class T, class Op>
CR_INLINE void narrower(int64_t rows, const T* x, int64_t stride, T* out, int64_t width, bool first, Op op) {
  if constexpr (V < kWidest) {
    if (width > V * Vec<T>::lanes) return narrower<V + 1>(rows, x, stride, out, width, first, op);
  }
  if (width == V * Vec<T>::lanes) return column_block<V, true>(rows, x, stride, out, width, first, op);
  column_block<V, false>(rows, x, stride, out, width, first, op);
}

template <class T, class Op>
void fold_columns(int64_t rows, int64_t cols, const void* x, int64_t stride, void* out, bool first) {
  constexpr int64_t L = Vec<T>::lanes;
  const T* p = static_cast<const T*>(x);
  T* o = static_cast<T*>(out);
  if (rows == 0) {  // an empty sum is +0; max and min of nothing raise before this is called
    if (first) {
      for (int64_t j = 0; j < cols; ++j) o[j] = T(0);
    }
    return;
  }
  int64_t j = 0;
  for (; j + kWidest * L <= cols; j += kWidest * L) {
    column_block<kWidest, true>(rows, p + j, stride, o + j, kWidest * L, first, Op());
  }
  if (j < cols) narrower<1>(rows, p + j, stride, o + j, cols - j, first, Op());
}

constexpr ReduceRow kRows[] = {
    {"sum", {sum_rows<float>, sum_rows<double>}, {fold_columns<float, SumOp>, fold_columns<double, SumOp>}},
    {"max", {max_rows<float>, max_rows<double>}, {fold_columns<float, MaxOp>, fold_columns<double, MaxOp>}},
    {"min", {min_rows<float>, min_rows<double>}, {fold_columns<float, MinOp>, fold_columns<double, MinOp>}},
    {"argmax", {argmax_rows<float>, argmax_rows<double>}, {nullptr, nullptr}},
};

}  // namespace

namespace CR_LEVEL {
void register_reductions(KernelTable& table) {
  table.reductions = kRows;
  table.n_reductions = sizeof kRows / sizeof kRows[0];
}
}  // namespace CR_LEVEL
}  // namespace chainrule
