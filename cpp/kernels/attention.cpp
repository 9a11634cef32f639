// Self-attention of packed projections, head by head: scores, softmax and means of the values while they are in cache
// (docs/arithmetic.md).
#include "kernels/loops.h"
#include "kernels/registry.h"

namespace chainrule {
namespace {

// The level's matrix product and softmax.
GemmFn product_of[2];
RowwiseFn softmax_of[2], softmax_grad_of[2];

template <class T>
constexpr Dtype kDtype = sizeof(T) == 4 ? kFloat32 : kFloat64;

// c = a b, row by row with these strides.
template <class T>
struct Matrix {
  T* p;
  int64_t rs, cs;
};
template <class T>
CR_INLINE void multiply(int64_t m, int64_t n, int64_t k, Matrix<const T> a, Matrix<const T> b, Matrix<T> c,
                        void* scratch, bool continues) {
  product_of[kDtype<T>]({m, n, k, a.p, b.p, a.rs, a.cs, b.rs, b.cs, c.p, c.rs, scratch, continues, {}, nullptr});
}

// What belongs to one head of one element of the batch.
template <class T>
struct Head {
  int64_t n, d, wide;      // steps, columns, columns of a row of the projections
  const T *q, *k, *v;      // row stride `wide`
  T *out, *weights;        // row strides wide / 3, n
  const T *bias, *drop;    // row strides bias_row, n
  int64_t bias_row, at_q;  // at_q: where q is in the projections

  CR_INLINE Head(const AttentionArgs& a, int64_t i)
      : n(a.steps), d(a.depth), wide(3 * a.heads * a.depth), bias(nullptr), drop(nullptr), bias_row(a.bias_row) {
    const int64_t b = i / a.heads, h = i % a.heads;
    at_q = b * n * wide + h * d;
    q = static_cast<const T*>(a.projections) + at_q;
    k = q + wide / 3;
    v = k + wide / 3;
    out = static_cast<T*>(a.planes) + b * n * (wide / 3) + h * d;
    weights = static_cast<T*>(a.planes) + a.batch * n * (wide / 3) + i * n * n;
    if (a.bias != nullptr) bias = static_cast<const T*>(a.bias) + b * a.bias_batch + h * a.bias_head;
    if (a.drop != nullptr) drop = static_cast<const T*>(a.drop) + i * n * n;
  }
  // Rows at a time, so that three of their arrays fit what is left of the scratch memory.
  CR_INLINE int64_t block() const {
    const int64_t rows = kBodyScratch / static_cast<int64_t>(sizeof(T)) / (2 * n + d);
    return rows < 1 ? 1 : rows < n ? rows : n;
  }
};

// to = f(a, b), of `rows` rows.
template <class T, class F>
CR_INLINE void combine(int64_t n, const T* a, const T* b, T* to, F f) {
  for_each(n, to, f, Operand<T, false>(a), Operand<T, false>(b));
}

template <class T>
CR_INLINE void scaled_rows(int64_t rows, int64_t d, const T* x, int64_t ld, T scale, T* to) {
  const Vec<T> s = splat(scale);
  for (int64_t i = 0; i < rows; ++i) {
    for_each(d, to + i * d, [s](Vec<T> v) CR_LAMBDA { return v * s; }, Operand<T, false>(x + i * ld));
  }
}

// Adds a row of the mask; where it is -inf, so is the score. Returns whether a score is left.
template <class T>
CR_INLINE bool add_bias(int64_t n, T* scores, const T* bias) {
  constexpr T kOut = -static_cast<T>(__builtin_inf());
  bool left = false;
  for (int64_t j = 0; j < n; ++j) {
    left = left || bias[j] != kOut;
    scores[j] = bias[j] == kOut ? kOut : scores[j] + bias[j];
  }
  return left;
}

template <class T>
void attention(const AttentionArgs& a) {
  T* const local = reinterpret_cast<T*>(static_cast<char*>(a.scratch) + kGemmScratch - kBodyScratch);
  for (int64_t i = a.begin; i < a.end; ++i) {
    const Head<T> h(a, i);
    const int64_t n = h.n, d = h.d, block = h.block();
    T *const q = local, *const scores = local + block * d;
    for (int64_t row = 0; row < n; row += block) {
      const int64_t rows = n - row < block ? n - row : block;
      T* const weights = h.weights + row * n;
      scaled_rows(rows, d, h.q + row * h.wide, h.wide, static_cast<T>(a.scale), q);
      multiply<T>(rows, n, d, {q, d, 1}, {h.k, 1, h.wide}, {scores, n, 1}, a.scratch, false);
      bool all = true;
      for (int64_t r = 0; h.bias != nullptr && r < rows; ++r) {
        all = add_bias(n, scores + r * n, h.bias + (row + r) * h.bias_row) && all;
      }
      const void* const in[1] = {scores};
      softmax_of[kDtype<T>](rows, n, in, weights);
      for (int64_t r = 0; !all && r < rows; ++r) {  // nothing to look at: 0
        const T* const bias = h.bias + (row + r) * h.bias_row;
        bool left = false;
        for (int64_t j = 0; j < n; ++j) left = left || bias[j] != -static_cast<T>(__builtin_inf());
        for (int64_t j = 0; !left && j < n; ++j) weights[r * n + j] = T(0);
      }
      const T* used = weights;
      if (h.drop != nullptr) {
        combine(rows * n, weights, h.drop + row * n, scores, [](Vec<T> w, Vec<T> m) CR_LAMBDA { return w * m; });
        used = scores;
      }
      multiply<T>(rows, d, n, {used, n, 1}, {h.v, h.wide, 1}, {h.out + row * (h.wide / 3), h.wide / 3, 1}, a.scratch,
                  false);
    }
  }
}

// From the planes and the gradient of `out` to that of the projections. The chains of the keys' and values' gradients
// go over the queries, ascending.
template <class T>
void attention_grad(const AttentionArgs& a) {
  T* const local = reinterpret_cast<T*>(static_cast<char*>(a.scratch) + kGemmScratch - kBodyScratch);
  for (int64_t i = a.begin; i < a.end; ++i) {
    const Head<T> h(a, i);
    const int64_t n = h.n, d = h.d, third = h.wide / 3, block = h.block();
    const T* const g = static_cast<const T*>(a.g) + (h.out - static_cast<T*>(a.planes));
    T *const dq = static_cast<T*>(a.out) + h.at_q, *const dk = dq + third, *const dv = dk + third;
    T *const q = local, *const by_weight = local + block * d, *const used = by_weight + block * n;
    for (int64_t row = 0; row < n; row += block) {
      const int64_t rows = n - row < block ? n - row : block;
      const T *weights = h.weights + row * n, *g_rows = g + row * third;
      multiply<T>(rows, n, d, {g_rows, third, 1}, {h.v, 1, h.wide}, {by_weight, n, 1}, a.scratch, false);
      const T* kept = weights;
      if (h.drop != nullptr) {
        const T* const drop = h.drop + row * n;
        const auto times = [](Vec<T> w, Vec<T> m) CR_LAMBDA { return w * m; };
        combine(rows * n, by_weight, drop, by_weight, times);
        combine(rows * n, weights, drop, used, times);
        kept = used;
      }
      multiply<T>(n, d, rows, {kept, 1, n}, {g_rows, third, 1}, {dv, h.wide, 1}, a.scratch, row > 0);
      const void* const in[2] = {weights, by_weight};
      softmax_grad_of[kDtype<T>](rows, n, in, by_weight);
      scaled_rows(rows, d, h.q + row * h.wide, h.wide, static_cast<T>(a.scale), q);
      multiply<T>(n, d, rows, {by_weight, 1, n}, {q, d, 1}, {dk, h.wide, 1}, a.scratch, row > 0);
      T* const dq_rows = dq + row * h.wide;
      multiply<T>(rows, d, n, {by_weight, n, 1}, {h.k, h.wide, 1}, {dq_rows, h.wide, 1}, a.scratch, false);
      const Vec<T> s = splat(static_cast<T>(a.scale));
      for (int64_t r = 0; r < rows; ++r) {
        T* const y = dq_rows + r * h.wide;
        for_each(d, y, [s](Vec<T> v) CR_LAMBDA { return v * s; }, Operand<T, false>(y));
      }
    }
  }
}

RowwiseFn rowwise(const KernelTable& table, const char* name, Dtype dtype) {
  for (int64_t i = 0; i < table.n_rowwise; ++i) {
    const char *a = table.rowwise[i].name, *b = name;
    while (*a != 0 && *a == *b) ++a, ++b;
    if (*a == *b) return table.rowwise[i].fn[dtype];
  }
  return nullptr;
}

}  // namespace

namespace CR_LEVEL {
void register_attention(KernelTable& table) {
  for (int i = 0; i < 2; ++i) {
    const Dtype dtype = i == 0 ? kFloat32 : kFloat64;
    product_of[i] = table.gemm[i];
    softmax_of[i] = rowwise(table, "softmax", dtype);
    softmax_grad_of[i] = rowwise(table, "softmax_grad", dtype);
  }
  table.attention[kFloat32] = attention<float>;
  table.attention[kFloat64] = attention<double>;
  table.attention_grad[kFloat32] = attention_grad<float>;
  table.attention_grad[kFloat64] = attention_grad<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
