// Instructions: what each one's ints and reals mean, which kernel it calls, and how its work is shared. Outputs are
// contiguous unless a layout gives them strides. Strides and offsets count elements.
#include <algorithm>
#include <stdexcept>

#include "program/fused.h"
#include "program/matmul.h"
#include "program/movement.h"
#include "program/operands.h"

namespace chainrule {
namespace {

// Elementwise. ints: ndim, dims, then ndim strides for each input; the last stride is 0 or 1. reals: the op's numbers.
// The kernel loops over the two innermost dimensions.
void run_map(const Instruction& op, void* const* slots, Share share, void*) {
  const MapRow& row = *static_cast<const MapRow*>(op.kernel);
  const int64_t ndim = op.ints[0];
  const int64_t* const dims = op.ints.data() + 1;
  const int64_t* const strides = dims + ndim;
  const int64_t inner = dims[ndim - 1], rows = ndim > 1 ? dims[ndim - 2] : 1;
  int64_t lines = rows;
  for (int64_t d = 0; d + 2 < ndim; ++d) lines *= dims[d];
  const int64_t out_size = row.writes_bool ? 1 : item_size(op.dtype);
  const bool split_lines = lines >= 4 * share.count;
  const Range part = split_lines ? share_range(lines, 1, share) : Range{0, lines};
  const Range columns = split_lines ? Range{0, inner} : share_range(inner, kElementGrain, share);
  if (columns.begin >= columns.end) return;
  MapArgs args;
  args.n = columns.end - columns.begin;
  args.rs_out = inner;
  args.param = op.reals.data();
  for (int i = 0; i < row.inputs; ++i) {
    args.cs_in[i] = strides[i * ndim + ndim - 1];
    args.rs_in[i] = ndim > 1 ? strides[i * ndim + ndim - 2] : 0;
  }
  for (int64_t r = part.begin; r < part.end; r += args.rows) {
    args.rows = std::min(part.end - r, rows - r % rows);
    args.out = out_bytes(op, slots) + (r * inner + columns.begin) * out_size;
    for (int i = 0; i < row.inputs; ++i) {
      int64_t at = columns.begin * args.cs_in[i], rest = r;
      for (int64_t d = ndim - 2; d >= 0; --d) {
        at += rest % dims[d] * strides[i * ndim + d];
        rest /= dims[d];
      }
      const int64_t size = i == 0 && row.reads_bool ? 1 : item_size(op.dtype);
      args.in[i] = offset(in_bytes(op, slots, static_cast<size_t>(i)), at, size);
    }
    row.fn[op.dtype](args);
  }
}

// Reductions of a contiguous (outer, reduced, inner) array. ints: outer, reduced, inner, rows. rows = 1: the last axis
// is among the reduced ones (inner is 1): the lane rule. rows = 0: one ascending chain per output. rows = 2: the same,
// and the chains go on from what the output holds.
void run_reduce(const Instruction& op, void* const* slots, Share share, void*) {
  const ReduceRow& row = *static_cast<const ReduceRow*>(op.kernel);
  const int64_t outer = op.ints[0], reduced = op.ints[1], inner = op.ints[2];
  const int64_t size = item_size(op.dtype), out_size = row.columns[0] == nullptr ? 8 : size;
  const char* const x = in_bytes(op, slots, 0);
  char* const y = out_bytes(op, slots);
  if (op.ints[3] == 1) {
    const Range part = share_range(outer, 1, share);
    row.rows[op.dtype](part.end - part.begin, reduced, offset(x, part.begin * reduced, size),
                       y + part.begin * out_size);
    return;
  }
  const bool split_outer = outer >= share.count;
  const Range blocks = split_outer ? share_range(outer, 1, share) : Range{0, outer};
  const Range columns = split_outer ? Range{0, inner} : share_range(inner, 16, share);
  for (int64_t i = blocks.begin; i < blocks.end; ++i) {
    row.columns[op.dtype](reduced, columns.end - columns.begin, offset(x, i * reduced * inner + columns.begin, size),
                          inner, y + (i * inner + columns.begin) * size, op.ints[3] == 0);
  }
}

// Softmax and friends. ints: rows, cols.
void run_rowwise(const Instruction& op, void* const* slots, Share share, void*) {
  const RowwiseRow& row = *static_cast<const RowwiseRow*>(op.kernel);
  const Range part = share_range(op.ints[0], 1, share);
  const int64_t at = part.begin * op.ints[1], size = item_size(op.dtype);
  const void* in[2];
  for (size_t i = 0; i < op.inputs.size(); ++i) in[i] = offset(in_bytes(op, slots, i), at, size);
  row.fn[op.dtype](part.end - part.begin, op.ints[1], in, out_bytes(op, slots) + at * size);
}

// Inputs: logits, labels. ints: rows, cols.
void run_cross_entropy(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], 1, share);
  const int64_t cols = op.ints[1], size = item_size(op.dtype);
  const CrossEntropyFn fn = *static_cast<const CrossEntropyFn*>(op.kernel);
  fn(part.end - part.begin, cols, offset(in_bytes(op, slots, 0), part.begin * cols, size),
     slot<const int64_t>(slots, op.inputs[1]) + part.begin, out_bytes(op, slots) + part.begin * size);
}

// Inputs: logits, labels, gradient per row. ints: rows, cols.
void run_cross_entropy_grad(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], 1, share);
  const int64_t cols = op.ints[1], size = item_size(op.dtype);
  const CrossEntropyGradFn fn = *static_cast<const CrossEntropyGradFn*>(op.kernel);
  fn(part.end - part.begin, cols, offset(in_bytes(op, slots, 0), part.begin * cols, size),
     slot<const int64_t>(slots, op.inputs[1]) + part.begin, offset(in_bytes(op, slots, 2), part.begin, size),
     out_bytes(op, slots) + part.begin * cols * size);
}

// Outputs: loss, gradient. Inputs: logits, labels, gradient of the loss. ints: rows, cols, g_stride (1: the gradient
// has a number per row; 0: one number for all).
void run_cross_entropy_both(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], 1, share);
  const int64_t cols = op.ints[1], g_stride = op.ints[2], size = item_size(op.dtype);
  const CrossEntropyBothFn fn = *static_cast<const CrossEntropyBothFn*>(op.kernel);
  fn(part.end - part.begin, cols, offset(in_bytes(op, slots, 0), part.begin * cols, size),
     slot<const int64_t>(slots, op.inputs[1]) + part.begin, offset(in_bytes(op, slots, 2), part.begin * g_stride, size),
     g_stride, out_bytes(op, slots) + part.begin * size, slot<char>(slots, op.outputs[1]) + part.begin * cols * size);
}

// ints: images, channels, then the Windows. reals: what lies outside. Shared by lines of columns.
Windows windows_of(const Instruction& op) {
  const int64_t* const w = op.ints.data() + 2;
  return {w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11]};
}
void run_unfold(const Instruction& op, void* const* slots, Share share, void*) {
  const Windows windows = windows_of(op);
  const Range part = share_range(op.ints[0] * op.ints[1] * windows.kh * windows.kw, 1, share);
  const UnfoldFn fn = *static_cast<const UnfoldFn*>(op.kernel);
  fn(windows, part.begin, part.end, in_bytes(op, slots, 0), out_bytes(op, slots), op.reals[0]);
}

// ints: as unfold. Shared by planes.
void run_fold(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0] * op.ints[1], 1, share);
  const FoldFn fn = *static_cast<const FoldFn*>(op.kernel);
  fn(windows_of(op), part.begin, part.end, in_bytes(op, slots, 0), out_bytes(op, slots));
}

// An optimizer's step, in place: outputs p and its states; inputs g, the options (float64) and, where the row has one,
// the clock (float64), which are read when the instruction runs. ints: n.
void run_update(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], kElementGrain, share);
  const int64_t at = part.begin * item_size(op.dtype), n = part.end - part.begin;
  const double* const clock = op.inputs.size() > 2 ? slot<const double>(slots, op.inputs[2]) : nullptr;
  UpdateArgs args = {1,
                     n,
                     out_bytes(op, slots) + at,
                     in_bytes(op, slots, 0) + at,
                     {},
                     n,
                     n,
                     slot<const double>(slots, op.inputs[1]),
                     clock};
  for (size_t i = 1; i < op.outputs.size(); ++i) args.s[i - 1] = slot<char>(slots, op.outputs[i]) + at;
  static_cast<const UpdateRow*>(op.kernel)->fn[op.dtype](args);
}

// The end of a step: outputs are clocks, of ints[0] numbers each; input the options. The first number counts the steps,
// the others are multiplied by the options of the same place.
void run_advance(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(static_cast<int64_t>(op.outputs.size()), 1, share);
  const double* const numbers = slot<const double>(slots, op.inputs[0]);
  for (int64_t i = part.begin; i < part.end; ++i) {
    double* const clock = slot<double>(slots, op.outputs[static_cast<size_t>(i)]);
    clock[0] += 1;
    for (int64_t k = 1; k < op.ints[0]; ++k) clock[k] *= numbers[k];
  }
}

// ints: n, seed, stream. reals: low and high, or mean and standard deviation.
void run_random(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], kElementGrain, share);
  const RandomFn fn = *static_cast<const RandomFn*>(op.kernel);
  fn({static_cast<uint64_t>(op.ints[1]), static_cast<uint64_t>(op.ints[2]), part.begin, part.end - part.begin,
      out_bytes(op, slots) + part.begin * item_size(op.dtype), op.reals[0], op.reals[1]});
}

// Inputs: seed and stream of a generator (int64, read when the instruction runs), and the numbers of the rows (int64),
// of which a block of rows has its own. ints: n, elements of a row, how many draws of this run come before. reals: the
// probability of 0, the other value.
void run_bernoulli(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], kElementGrain, share);
  const int64_t *const state = slot<const int64_t>(slots, op.inputs[0]), *const rows =
                                                                             slot<const int64_t>(slots, op.inputs[1]);
  const RandomFn fn = *static_cast<const RandomFn*>(op.kernel);
  fn({static_cast<uint64_t>(state[0]), static_cast<uint64_t>(state[1]) + static_cast<uint64_t>(op.ints[2]),
      rows[0] * op.ints[1] + part.begin, part.end - part.begin, out_bytes(op, slots) + part.begin * item_size(op.dtype),
      op.reals[0], op.reals[1]});
}

bool resolve_table_row(Instruction& op, const KernelTable& table) {
  if (const UpdateRow* row = find(table.updates, table.n_updates, op.name)) {
    expect_update(op, *row);
    op.run = run_update;
    op.kernel = row;
    op.work = static_cast<double>(row->cost) * product(op.ints.data(), 1);
    return true;
  }
  if (const MapRow* row = find(table.maps, table.n_maps, op.name)) {
    const size_t ndim = leading_ndim(op, 1), inputs = static_cast<size_t>(row->inputs);
    expect(op, {1, inputs, 1 + ndim * (1 + inputs), op.reals.size()});
    op.run = run_map;
    op.kernel = row;
    op.work = static_cast<double>(row->cost) * product(op.ints.data() + 1, ndim);
    op.reals.resize(kMapParams);
    return true;
  }
  if (const ReduceRow* row = find(table.reductions, table.n_reductions, op.name)) {
    expect(op, {1, 1, 4, 0});
    if (op.ints[3] < 0 || op.ints[3] > 2) throw std::invalid_argument(op.name + ": ints[3] must be 0, 1 or 2");
    if (op.ints[3] != 1 && row->columns[0] == nullptr)
      throw std::invalid_argument(op.name + ": reduces rows only (ints[3] = 1)");
    op.run = run_reduce;
    op.kernel = row;
    op.work = (op.name == "sum" ? 0.5 : 1) * kPerElement * product(op.ints.data(), 3);
    if (op.ints[3] == 1) op.work += kPerRow * static_cast<double>(op.ints[0]);
    return true;
  }
  if (const RowwiseRow* row = find(table.rowwise, table.n_rowwise, op.name)) {
    expect(op, {1, static_cast<size_t>(row->inputs), 2, 0});
    op.run = run_rowwise;
    op.kernel = row;
    op.work = kPerScore * product(op.ints.data(), 2);
    return true;
  }
  return false;
}

void resolve_windows(Instruction& op, const KernelTable& table) {
  const bool unfolds = op.name == "unfold";
  expect(op, {1, 1, 14, unfolds ? size_t{1} : size_t{0}});
  const Windows w = windows_of(op);
  if (w.kh < 1 || w.kw < 1 || w.stride_h < 1 || w.stride_w < 1 || w.dilation_h < 1 || w.dilation_w < 1)
    throw std::invalid_argument(op.name + ": windows, steps and gaps must be at least 1");
  op.run = unfolds ? run_unfold : run_fold;
  op.kernel = unfolds ? static_cast<const void*>(&table.unfold[op.dtype]) : &table.fold[op.dtype];
  op.work = 2 * kPerElement * product(op.ints.data(), 2) * static_cast<double>(w.kh * w.kw) *
            static_cast<double>(w.oh * w.ow);
}

bool resolve_function(Instruction& op, const KernelTable& table) {
  if (op.name == "matmul") {
    resolve_matmul(op, table);
  } else if (op.name == "matmul_sum") {
    resolve_matmul_sum(op, table);
  } else if (op.name == "unfold" || op.name == "fold") {
    resolve_windows(op, table);
  } else if (op.name == "gemm") {
    resolve_gemm(op, table);
  } else if (op.name == "chain") {
    resolve_chain(op, table);
  } else if (op.name == "cross_entropy") {
    expect(op, {1, 2, 2, 0});
    op.run = run_cross_entropy;
    op.kernel = &table.cross_entropy[op.dtype];
    op.work = kPerScore * product(op.ints.data(), 2);
  } else if (op.name == "cross_entropy_grad") {
    expect(op, {1, 3, 2, 0});
    op.run = run_cross_entropy_grad;
    op.kernel = &table.cross_entropy_grad[op.dtype];
    op.work = kPerScore * product(op.ints.data(), 2);
  } else if (op.name == "cross_entropy_both") {
    expect(op, {2, 3, 3, 0});
    op.run = run_cross_entropy_both;
    op.kernel = &table.cross_entropy_both[op.dtype];
    op.work = kPerScore * product(op.ints.data(), 2);
  } else if (op.name == "advance") {
    expect(op, {op.outputs.size(), 1, 1, 0});
    if (op.outputs.empty() || op.dtype != kFloat64) throw std::invalid_argument("advance: expected clocks of float64");
    op.run = run_advance;
    op.work = kPerRow * static_cast<double>(op.outputs.size());
  } else if (op.name == "bernoulli") {
    expect(op, {1, 2, 3, 2});
    if (op.ints[0] == 0) throw std::invalid_argument("bernoulli: expected elements");
    op.run = run_bernoulli;
    op.kernel = &table.bernoulli[op.dtype];
    op.work = 1.5 * product(op.ints.data(), 1);
  } else if (op.name == "uniform" || op.name == "normal") {
    expect(op, {1, 0, 3, 2});
    op.run = run_random;
    op.kernel = op.name == "uniform" ? &table.uniform[op.dtype] : &table.normal[op.dtype];
    op.work = 14 * product(op.ints.data(), 1);
  } else {
    return false;
  }
  return true;
}

}  // namespace

void resolve(Instruction& op, const KernelTable& table) {
  if (const CopyRow* row = find_copy(op.name)) {
    if (!row->valid(op)) throw std::invalid_argument(op.name + ": expected " + row->layout);
    op.run = row->run;
    op.kernel = &table;
    op.checks = row->checks;
    op.work = kPerElement * row->elements(op);
    return;
  }
  if (!op.body.empty() && op.name != "gemm" && op.name != "chain")
    throw std::invalid_argument(op.name + ": takes no body");
  if (op.dtype != kFloat32 && op.dtype != kFloat64)
    throw std::invalid_argument(op.name + ": expected float32 or float64, got " + dtype_name(op.dtype));
  if (!resolve_table_row(op, table) && !resolve_function(op, table))
    throw std::invalid_argument("Program: unknown instruction '" + op.name + "'");
  if (op.dtype == kFloat64) op.work *= 2;
}

}  // namespace chainrule
