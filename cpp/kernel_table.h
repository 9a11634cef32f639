// The contract between the kernels (compiled once per ISA level) and everything else: rows of plain function pointers.
//
// A kernel is a pure function of pointers, sizes and its share of the work. It allocates nothing, knows no threads, and
// assumes the default floating-point mode. Sizes and strides count elements. Outputs never overlap inputs, except that
// an elementwise kernel may write exactly onto one of its inputs.
#pragma once

#include <stdint.h>

namespace chainrule {

enum Dtype : int { kFloat32 = 0, kFloat64 = 1, kInt64 = 2, kBool = 3 };

// Elementwise: out[r * rs_out + i] = f(in[0][r * rs_in[0] + i * cs_in[0]], ...), r < rows, i < n. rs is the stride from
// row to row, cs that from column to column: 1, or 0 where one number is broadcast to the whole row. `param` are the
// op's parameters besides arrays (a slope, two bounds), always kMapParams of them. Comparisons write bool, `where`
// reads bool first. The kernel loops over rows: rows of a few elements are common, and a call takes longer.
constexpr int kMapParams = 2;
struct MapArgs {
  int64_t rows, n;
  void* out;
  int64_t rs_out;
  const void* in[3];
  int64_t rs_in[3], cs_in[3];
  const double* param;
};
using MapFn = void (*)(const MapArgs&);
struct MapRow {
  const char* name;
  int inputs;
  bool reads_bool;   // input 0 is bool
  bool writes_bool;  // the output is bool
  float cost;        // nanoseconds a float32 takes, half of what a float64 does: decides about threads, nothing else
  MapFn fn[2];       // by Dtype
};

constexpr int kMostStates = 3;  // of an optimizer, beside the parameter
// What is done to finished parts of a matrix product while they are in L1: rows [row, row + rows) and columns
// [col, col + cols) of it, at c; kEpilogueElements at most.
struct Epilogue {
  void (*apply)(const Epilogue& self, int64_t row, int64_t rows, int64_t col, int64_t cols, void* c, int64_t rs_c);
  // Matrices of c's shape that it updates, to be prefetched. None where they are still in a cache.
  int prefetched;
  struct Matrix {
    const void* p;
    int64_t rs;
  } prefetch[1 + kMostStates];
};
constexpr int64_t kEpilogueElements = 2048;
// The common first steps of an epilogue, done in registers when c is written: bias (a row of n numbers) is added, then
// relu is applied; or the product is the upstream gradient of a relu whose saved output is `relu_output` (m x n), and
// the gradient of its input is written.
struct WriteBack {
  const void *bias, *relu_output;  // null: none
  int64_t rs_relu_output;
  bool relu;
};

// c (m x n, unit column stride) = a (m x k) b (k x n), overwritten, or added to chains that go on from what c holds
// (`continues`). Any strides on a and b: transposes are free. c may be null where only the epilogue wants the product:
// then k is at most gemm_depth and nothing continues. `scratch` is kGemmScratch bytes, 64-byte aligned, private to the
// calling thread; the last kBodyScratch of them are not touched.
struct GemmArgs {
  int64_t m, n, k;
  const void *a, *b;
  int64_t rs_a, cs_a, rs_b, cs_b;
  void* c;
  int64_t rs_c;
  void* scratch;
  bool continues;
  WriteBack write_back;
  const Epilogue* epilogue;  // null: none
};
using GemmFn = void (*)(const GemmArgs&);
constexpr int64_t kGemmScratch = 1 << 20, kBodyScratch = 256 << 10;
constexpr int64_t gemm_depth(int64_t item_size) { return 2048 / item_size; }  // kc

// Reductions of contiguous rows: out[i] = reduction of x[i * cols .. + cols], i < rows (lane sum, see
// docs/arithmetic.md). argmax writes int64.
using RowsFn = void (*)(int64_t rows, int64_t cols, const void* x, void* out);
// Reductions over leading axes: out[j] = x[0 * stride + j] op x[1 * stride + j] ..., j < cols, one ascending chain
// of operations each. `first` starts the chain, otherwise out continues it.
using ColumnsFn = void (*)(int64_t rows, int64_t cols, const void* x, int64_t stride, void* out, bool first);
struct ReduceRow {
  const char* name;
  RowsFn rows[2];
  ColumnsFn columns[2];  // null for argmax: its index is not a chain over values alone
};

// Row-wise ops with one output row per input row: softmax, log-softmax and their gradients, for which in[1] is the
// upstream gradient.
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
// Both in one pass, the same bits. g[i * g_stride] is the upstream gradient of row i's loss: g_stride is 1, or 0 where
// one number is broadcast to all rows.
using CrossEntropyBothFn = void (*)(int64_t rows, int64_t cols, const void* x, const int64_t* labels, const void* g,
                                    int64_t g_stride, void* loss, void* dx);

// Kernels of normalisation, of channels [begin, end) of an (outer, channels, inner) array x, in[0]; a channel's
// elements are outer lines of `inner`, each summed by the lane rule, in the order of `outer`. Results of two numbers
// for each channel are (2, channels), or (channels, 2) where each channel is a row of its own (`by_rows`, outer is 1).
struct ChannelArgs {
  int64_t outer, channels, inner;
  bool by_rows;
  int64_t begin, end;
  const void* in[4];
  void* out;
};
using ChannelFn = void (*)(const ChannelArgs&);
struct ChannelRow {
  const char* name;
  int inputs;
  ChannelFn fn[2];
};

// Windows (patches, im2col) of kh x kw elements over planes of h x w: element (y, x) of window (r, s), r < oh, s < ow,
// is element (r * stride_h + y * dilation_h - pad_top, s * stride_w + x * dilation_w - pad_left) of the plane, or lies
// in the padding. `columns` of a plane are kh * kw lines of oh * ow.
struct Windows {
  int64_t h, w, kh, kw, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, oh, ow;
};
// Lines [begin, end) of columns, counted over all planes, from planes; `padding` where a window is outside of its
// plane.
using UnfoldFn = void (*)(const Windows&, int64_t begin, int64_t end, const void* planes, void* columns,
                          double padding);
// Planes [begin, end): each element +0, then the elements of columns that unfold reads from it, lines ascending.
using FoldFn = void (*)(const Windows&, int64_t begin, int64_t end, const void* columns, void* planes);
// The maximum of each window of planes [begin, end), -inf outside of the plane; and its gradient by the planes, that of
// a window g added to the first of its largest elements inside of the plane, in the order of fold. A window has less
// than 2^31 elements.
using MaxPoolFn = void (*)(const Windows&, int64_t begin, int64_t end, const void* planes, void* out);
using MaxPoolGradFn = void (*)(const Windows&, int64_t begin, int64_t end, const void* planes, const void* g,
                               void* out);

// An optimizer's step: p and its states s (rows x n, row stride ld) in place by the gradient g (row stride ld_g).
// kernels/update.cpp lists the hyperparameters of each row in their order; `step_state` is the number of steps so far
// and what depends on it (powers of the betas). docs/arithmetic.md has the sequences of roundings.
struct UpdateArgs {
  int64_t rows, n;
  void* p;
  const void* g;
  void* s[kMostStates];  // null behind the last one that there is
  int64_t ld, ld_g;
  const double *hyperparameters, *step_state;
  // By rows: a row whose gradient is 0 is left as it is. Row r of g is for row index[r] of p and its states, for none
  // where that is negative; without an index for row r.
  bool by_rows = false;
  const int64_t* index = nullptr;
};
using UpdateFn = void (*)(const UpdateArgs&);
struct UpdateRow {
  const char* name;
  int min_states, max_states;
  const char* hyperparameter_names;  // "lr, momentum": the order of the numbers
  int hyperparameters, step_state;   // how many numbers it reads of each; step_state: 0 where the step has no number
  float cost;                        // nanoseconds a float32 takes, as of a MapRow
  UpdateFn fn[2];
};

// Elements [first, first + n) of one Philox stream. `a`, `b`: low and high, mean and standard deviation, or for
// `bernoulli` the probability of 0 and the other value.
struct RandomArgs {
  uint64_t seed, stream;
  int64_t first, n;
  void* out;
  double a, b;
};
using RandomFn = void (*)(const RandomArgs&);

// Sums of rows by index: out (out_rows x n) = +0, then out[index[i]] += g[i], i < rows ascending: one chain per output.
// Rows of g and of out are ld elements apart.
struct IndexAddArgs {
  int64_t rows, n, ld;
  const void* g;
  const int64_t* index;
  int64_t out_rows;
  void* out;
};
using IndexAddFn = void (*)(const IndexAddArgs&);
// The same inside of rows: out (rows x cols) = +0, then out[i][index[i][j]] += g[i][j], j < picks ascending; with one
// pick a copy of g[i].
using ScatterFn = void (*)(int64_t rows, int64_t cols, int64_t picks, const void* g, const int64_t* index, void* out);

// Linear recurrences y along the first axis of (length x n) matrices whose rows are `ld` elements apart, those of a, b
// and y alike: y[0] = b[0], y[k] = a[k] * y[k - 1] + b[k]; in `reverse` y[length - 1] = b[length - 1],
// y[k] = a[k + 1] * y[k + 1] + b[k]. a null: ones.
struct ScanArgs {
  int64_t length, n, ld;
  const void *a, *b;
  void* y;
  bool reverse;
};
using ScanFn = void (*)(const ScanArgs&);

// Recurrent layers: steps [begin_step, end_step), in the order in which they are computed, of rows [begin_row,
// end_row). `steps` x `rows` arrays, or `rows` x `steps` (`batch_first`); `reverse`: the last step is the first.
// kernels/recurrent.cpp says what the operands are. `scratch` as that of a product.
struct RecurrentArgs {
  int64_t steps, rows, units;
  bool batch_first, reverse;
  int64_t begin_step, end_step, begin_row, end_row;
  const void* in[5];
  void* out[3];
  void* scratch;
};
using RecurrentFn = void (*)(const RecurrentArgs&);
struct RecurrentRow {
  const char* name;
  int inputs, outputs;
  int64_t gates;  // columns of the product, in units
  float cost;     // nanoseconds a float32 of these columns takes, besides the product
  RecurrentFn fn[2];
};

// Self-attention of heads [begin, end), counted over the batch. `projections`: rows of queries, keys and values (batch
// x steps x 3 x heads x depth). `planes`: the result (batch x steps x heads x depth), then the weights (batch x heads x
// steps x steps). `bias` is added to the scores, -inf forbids; strides by batch, head and row; null: none. `drop`:
// factors of the weights, null: none. The gradient reads the planes and `g`, that of the result, and writes that of the
// projections to `out`. `scratch` as that of a product.
struct AttentionArgs {
  int64_t batch, steps, heads, depth, begin, end;
  const void *projections, *bias, *drop, *g;
  int64_t bias_batch, bias_head, bias_row;
  double scale;
  void *planes, *out, *scratch;
};
using AttentionFn = void (*)(const AttentionArgs&);

// out[i] = in[i], converted.
using CastFn = void (*)(int64_t n, const void* in, void* out);

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
  UnfoldFn unfold[2];
  FoldFn fold[2];
  MaxPoolFn max_pool[2];
  MaxPoolGradFn max_pool_grad[2];
  const UpdateRow* updates;
  int64_t n_updates;
  RandomFn uniform[2];
  RandomFn normal[2];
  RandomFn bernoulli[2];
  IndexAddFn index_add[2];
  ScatterFn scatter[2];
  ScanFn scan[2];
  CastFn cast[3][4];  // [to][from] by Dtype; null: not defined (float32 to int64, any to bool)
  // Multiply-adds in registers only: `rounds` times 16 independent chains of vectors; returns flops done.
  double (*peak)(int64_t rounds, float* sink);
  const ChannelRow* channel_ops;
  int64_t n_channel_ops;
  const RecurrentRow* recurrent;
  int64_t n_recurrent;
  AttentionFn attention[2];
  AttentionFn attention_grad[2];
};

}  // namespace chainrule
