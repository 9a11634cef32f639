// The contract between the kernels (compiled once per ISA level) and everything else: rows of plain function pointers.
//
// A kernel is a pure function of pointers, sizes and its share of the work. It allocates nothing, knows no threads, and
// assumes the default floating-point mode. Sizes and strides count elements. Outputs never overlap inputs, except that
// an elementwise kernel may write exactly onto one of its inputs.
#pragma once

#include <stdint.h>

namespace chainrule {

enum Dtype : int { kFloat32 = 0, kFloat64 = 1, kInt64 = 2, kBool = 3 };

// Elementwise: out[i] = f(in[0][i * step[0]], ...), i < n; a step is 1 or 0 (a broadcast scalar). `param` is what the
// op takes besides arrays (a slope). Comparisons write bool, `where` reads bool first.
using MapFn = void (*)(int64_t n, void* out, const void* const* in, const int64_t* step, const double* param);
struct MapRow {
  const char* name;
  int inputs;
  bool reads_bool;   // input 0 is bool
  bool writes_bool;  // the output is bool
  float cost;        // rough nanoseconds an element: decides between one thread and more, nothing else
  MapFn fn[2];       // by Dtype
};

// c (m x n, unit column stride) = a (m x k) b (k x n), overwritten. Any strides on a and b: transposes are free.
// `scratch` is kGemmScratch bytes, 64-byte aligned, private to the caller's thread.
struct GemmArgs {
  int64_t m, n, k;
  const void *a, *b;
  int64_t rs_a, cs_a, rs_b, cs_b;
  void* c;
  int64_t rs_c;
  void* scratch;
};
using GemmFn = void (*)(const GemmArgs&);
constexpr int64_t kGemmScratch = 1 << 20;

// Reductions of contiguous rows: out[i] = reduction of x[i * cols .. + cols], i < rows (lane sum, see
// docs/arithmetic.md). argmax writes int64.
using RowsFn = void (*)(int64_t rows, int64_t cols, const void* x, void* out);
// Reductions over leading axes: out[j] = x[0 * stride + j] op x[1 * stride + j] ..., j < cols, one ascending chain
// each. `first` starts the chain, otherwise out continues it.
using ColumnsFn = void (*)(int64_t rows, int64_t cols, const void* x, int64_t stride, void* out, bool first);
struct ReduceRow {
  const char* name;
  RowsFn rows[2];
  ColumnsFn columns[2];  // null for argmax: its index is not a chain over values alone
};

// Row-wise ops with one output row per input row: softmax and friends. in[1] is a gradient (cols) where the op takes
// one.
using RowwiseFn = void (*)(int64_t rows, int64_t cols, const void* const* in, void* out);
struct RowwiseRow {
  const char* name;
  int inputs;
  RowwiseFn fn[2];
};

// Softmax cross-entropy with int64 labels in [0, cols): loss per row, and dx = (softmax(x) - onehot) * g per row.
using CrossEntropyFn = void (*)(int64_t rows, int64_t cols, const void* x, const int64_t* labels, void* loss);
using CrossEntropyGradFn = void (*)(int64_t rows, int64_t cols, const void* x, const int64_t* labels, const void* g,
                                    void* dx);
// Both in one pass, the same bits. g[i * g_step] arrives at row i: g_step is 1, or 0 for one number for all rows.
using CrossEntropyBothFn = void (*)(int64_t rows, int64_t cols, const void* x, const int64_t* labels, const void* g,
                                    int64_t g_step, void* loss, void* dx);

// p, v updated in place; v is null without momentum. docs/arithmetic.md has the sequence.
struct SgdArgs {
  int64_t n;
  void* p;
  const void* g;
  void* v;
  double lr, momentum, weight_decay;
  bool nesterov;
};
using SgdFn = void (*)(const SgdArgs&);

// Elements [first, first + n) of one Philox stream. `a`, `b`: low and high, or mean and standard deviation.
struct RandomArgs {
  uint64_t seed, stream;
  int64_t first, n;
  void* out;
  double a, b;
};
using RandomFn = void (*)(const RandomArgs&);

struct KernelTable {
  const char* isa;
  int64_t lanes_f32;
  const MapRow* maps;
  int64_t n_maps;
  const ReduceRow* reductions;
  int64_t n_reductions;
  const RowwiseRow* rowwise;
  int64_t n_rowwise;
  GemmFn gemm[2];
  CrossEntropyFn cross_entropy[2];
  CrossEntropyGradFn cross_entropy_grad[2];
  CrossEntropyBothFn cross_entropy_both[2];
  SgdFn sgd[2];
  RandomFn uniform[2];
  RandomFn normal[2];
  // Multiply-adds in registers only: `rounds` times 16 independent chains of vectors; returns flops done.
  double (*peak)(int64_t rounds, float* sink);
};

}  // namespace chainrule
