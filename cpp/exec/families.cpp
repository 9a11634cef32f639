// What each instruction's ints and reals mean, which kernel it calls, and how its work is shared. Outputs are
// contiguous unless a layout gives them strides. Strides and offsets count elements.
#include <cstring>
#include <stdexcept>

#include "exec/copy.h"
#include "exec/program.h"

namespace chainrule {
namespace {

template <class T>
T* slot(void* const* slots, int index) {
  return static_cast<T*>(slots[index]);
}
const char* in_bytes(const Instruction& i, void* const* slots, size_t n) {
  return slot<const char>(slots, i.inputs[n]);
}
char* out_bytes(const Instruction& i, void* const* slots) { return slot<char>(slots, i.outputs[0]); }
const char* offset(const void* p, int64_t elements, int64_t size) {
  return static_cast<const char*>(p) + elements * size;
}

// Elementwise. ints: ndim, dims, then ndim strides for each input; the last stride is 0 or 1. reals: the op's number.
constexpr int64_t kElementGrain = 256;
void run_map(const Instruction& op, void* const* slots, Share share, void*) {
  const MapRow& row = *static_cast<const MapRow*>(op.kernel);
  const int64_t ndim = op.ints[0];
  const int64_t* const dims = op.ints.data() + 1;
  const int64_t* const strides = dims + ndim;
  const int64_t inner = dims[ndim - 1];
  int64_t outer = 1;
  for (int64_t d = 0; d + 1 < ndim; ++d) outer *= dims[d];
  const int64_t out_size = row.writes_bool ? 1 : item_size(op.dtype);
  const bool split_outer = outer >= 4 * share.count;
  const Range rows = split_outer ? share_range(outer, 1, share) : Range{0, outer};
  const Range columns = split_outer ? Range{0, inner} : share_range(inner, kElementGrain, share);
  if (columns.begin >= columns.end) return;
  int64_t step[3];
  for (int i = 0; i < row.inputs; ++i) step[i] = strides[i * ndim + ndim - 1];
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const void* in[3];
    for (int i = 0; i < row.inputs; ++i) {
      int64_t at = columns.begin * step[i], rest = r;
      for (int64_t d = ndim - 2; d >= 0; --d) {
        at += rest % dims[d] * strides[i * ndim + d];
        rest /= dims[d];
      }
      const int64_t size = i == 0 && row.reads_bool ? 1 : item_size(op.dtype);
      in[i] = offset(in_bytes(op, slots, static_cast<size_t>(i)), at, size);
    }
    row.fn[op.dtype](columns.end - columns.begin, out_bytes(op, slots) + (r * inner + columns.begin) * out_size, in,
                     step, op.reals.data());
  }
}

// Batched matrix product. ints: ndim, dims of the batch, m, n, k, rs_a, cs_a, rs_b, cs_b, rs_c, then ndim batch strides
// of a, of b. Products of a batch follow each other in c at m * rs_c.
void run_matmul(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const int64_t ndim = op.ints[0];
  const int64_t* const dims = op.ints.data() + 1;
  const int64_t* const s = dims + ndim;
  const int64_t *const batch_a = s + 8, *const batch_b = batch_a + ndim;
  const int64_t m = s[0], n = s[1], k = s[2], size = item_size(op.dtype);
  int64_t batch = 1;
  for (int64_t d = 0; d < ndim; ++d) batch *= dims[d];
  Range products = {0, batch}, rows = {0, m}, columns = {0, n};
  // Columns in whole vectors, each thread packing its own. Rows one by one: the kernel deals them out to its tiles
  // evenly; in whole vectors for a narrow c, which is computed as its transpose. Any split gives the same bits.
  if (batch >= 2 * share.count) {
    products = share_range(batch, 1, share);
  } else if (n >= m && n >= 32 * share.count) {
    columns = share_range(n, 16, share);
  } else {
    rows = share_range(m, n < 16 ? 16 : 1, share);
  }
  const GemmFn gemm = *static_cast<const GemmFn*>(op.kernel);
  for (int64_t i = products.begin; i < products.end; ++i) {
    int64_t at_a = rows.begin * s[3], at_b = columns.begin * s[6], rest = i;
    for (int64_t d = ndim - 1; d >= 0; --d) {
      at_a += rest % dims[d] * batch_a[d];
      at_b += rest % dims[d] * batch_b[d];
      rest /= dims[d];
    }
    gemm({rows.end - rows.begin, columns.end - columns.begin, k, offset(in_bytes(op, slots, 0), at_a, size),
          offset(in_bytes(op, slots, 1), at_b, size), s[3], s[4], s[5], s[6],
          out_bytes(op, slots) + ((i * m + rows.begin) * s[7] + columns.begin) * size, s[7], scratch});
  }
}

// Reductions of a contiguous (outer, reduced, inner) array. ints: outer, reduced, inner, rows. rows = 1: the last axis
// is among the reduced ones (inner is 1): the lane rule. rows = 0: one ascending chain per output.
void run_reduce(const Instruction& op, void* const* slots, Share share, void*) {
  const ReduceRow& row = *static_cast<const ReduceRow*>(op.kernel);
  const int64_t outer = op.ints[0], reduced = op.ints[1], inner = op.ints[2];
  const int64_t size = item_size(op.dtype), out_size = row.columns[0] == nullptr ? 8 : size;
  const char* const x = in_bytes(op, slots, 0);
  char* const y = out_bytes(op, slots);
  if (op.ints[3] != 0) {
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
                          inner, y + (i * inner + columns.begin) * size, true);
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

// Outputs: loss, gradient. Inputs: logits, labels, gradient of the loss. ints: rows, cols, g_step (1: the gradient has
// a number per row; 0: one number for all).
void run_cross_entropy_both(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], 1, share);
  const int64_t cols = op.ints[1], g_step = op.ints[2], size = item_size(op.dtype);
  const CrossEntropyBothFn fn = *static_cast<const CrossEntropyBothFn*>(op.kernel);
  fn(part.end - part.begin, cols, offset(in_bytes(op, slots, 0), part.begin * cols, size),
     slot<const int64_t>(slots, op.inputs[1]) + part.begin, offset(in_bytes(op, slots, 2), part.begin * g_step, size),
     g_step, out_bytes(op, slots) + part.begin * size, slot<char>(slots, op.outputs[1]) + part.begin * cols * size);
}

// In place: outputs p and, with momentum, v; input g. ints: n, nesterov. reals: lr, momentum, weight_decay.
void run_sgd(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], kElementGrain, share);
  const int64_t at = part.begin * item_size(op.dtype);
  void* const v = op.outputs.size() > 1 ? slot<char>(slots, op.outputs[1]) + at : nullptr;
  const SgdFn fn = *static_cast<const SgdFn*>(op.kernel);
  fn({part.end - part.begin, out_bytes(op, slots) + at, in_bytes(op, slots, 0) + at, v, op.reals[0], op.reals[1],
      op.reals[2], op.ints[1] != 0});
}

// ints: n, seed, stream. reals: low and high, or mean and standard deviation.
void run_random(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], kElementGrain, share);
  const RandomFn fn = *static_cast<const RandomFn*>(op.kernel);
  fn({static_cast<uint64_t>(op.ints[1]), static_cast<uint64_t>(op.ints[2]), part.begin, part.end - part.begin,
      out_bytes(op, slots) + part.begin * item_size(op.dtype), op.reals[0], op.reals[1]});
}

struct Counts {
  size_t outputs, inputs, ints, reals;
};
void expect(const Instruction& op, Counts want) {
  if (op.outputs.size() == want.outputs && op.inputs.size() == want.inputs && op.ints.size() == want.ints &&
      op.reals.size() == want.reals) {
    return;
  }
  const auto text = [](size_t o, size_t i, size_t n, size_t r) {
    return std::to_string(o) + " outputs, " + std::to_string(i) + " inputs, " + std::to_string(n) + " ints, " +
           std::to_string(r) + " reals";
  };
  throw std::invalid_argument(op.name + ": expected " + text(want.outputs, want.inputs, want.ints, want.reals) +
                              ", got " + text(op.outputs.size(), op.inputs.size(), op.ints.size(), op.reals.size()));
}

size_t leading_ndim(const Instruction& op, int64_t least) {
  if (op.ints.empty() || op.ints[0] < least || op.ints[0] > 32)
    throw std::invalid_argument(op.name + ": ints must begin with a number of dimensions from " +
                                std::to_string(least) + " to 32");
  return static_cast<size_t>(op.ints[0]);
}

double product(const int64_t* x, size_t n) {
  double result = 1;
  for (size_t i = 0; i < n; ++i) result *= static_cast<double>(x[i]);
  return result;
}

// Rough nanoseconds: only the decision between one thread and more hangs on them.
constexpr double kPerElement = 0.1, kPerFunction = 0.6, kPerFma = 0.017;

template <class Row>
const Row* find(const Row* rows, int64_t n, const std::string& name) {
  for (int64_t i = 0; i < n; ++i) {
    if (name == rows[i].name) return rows + i;
  }
  return nullptr;
}

bool resolve_table_row(Instruction& op, const KernelTable& table) {
  if (const MapRow* row = find(table.maps, table.n_maps, op.name)) {
    const size_t ndim = leading_ndim(op, 1), inputs = static_cast<size_t>(row->inputs);
    expect(op, {1, inputs, 1 + ndim * (1 + inputs), op.reals.size()});
    op.run = run_map;
    op.kernel = row;
    op.work = static_cast<double>(row->cost) * product(op.ints.data() + 1, ndim);
    op.reals.resize(1);  // kernels with a number read reals[0]
    return true;
  }
  if (const ReduceRow* row = find(table.reductions, table.n_reductions, op.name)) {
    expect(op, {1, 1, 4, 0});
    if (op.ints[3] == 0 && row->columns[0] == nullptr)
      throw std::invalid_argument(op.name + ": reduces rows only (ints[3] = 1)");
    op.run = run_reduce;
    op.kernel = row;
    op.work = kPerElement * product(op.ints.data(), 3);
    return true;
  }
  if (const RowwiseRow* row = find(table.rowwise, table.n_rowwise, op.name)) {
    expect(op, {1, static_cast<size_t>(row->inputs), 2, 0});
    op.run = run_rowwise;
    op.kernel = row;
    op.work = 2 * kPerFunction * product(op.ints.data(), 2);
    return true;
  }
  return false;
}

bool resolve_function(Instruction& op, const KernelTable& table) {
  if (op.name == "matmul") {
    const size_t ndim = leading_ndim(op, 0);
    expect(op, {1, 2, 9 + 3 * ndim, 0});
    op.run = run_matmul;
    op.kernel = &table.gemm[op.dtype];
    op.work = kPerFma * product(op.ints.data() + 1, ndim + 3);
  } else if (op.name == "cross_entropy") {
    expect(op, {1, 2, 2, 0});
    op.run = run_cross_entropy;
    op.kernel = &table.cross_entropy[op.dtype];
    op.work = 2 * kPerFunction * product(op.ints.data(), 2);
  } else if (op.name == "cross_entropy_grad") {
    expect(op, {1, 3, 2, 0});
    op.run = run_cross_entropy_grad;
    op.kernel = &table.cross_entropy_grad[op.dtype];
    op.work = 2 * kPerFunction * product(op.ints.data(), 2);
  } else if (op.name == "cross_entropy_both") {
    expect(op, {2, 3, 3, 0});
    op.run = run_cross_entropy_both;
    op.kernel = &table.cross_entropy_both[op.dtype];
    op.work = 2 * kPerFunction * product(op.ints.data(), 2);
  } else if (op.name == "sgd") {
    expect(op, {op.outputs.size() == 2 ? size_t{2} : size_t{1}, 1, 2, 3});
    op.run = run_sgd;
    op.kernel = &table.sgd[op.dtype];
    op.work = 2 * kPerElement * product(op.ints.data(), 1);
  } else if (op.name == "uniform" || op.name == "normal") {
    expect(op, {1, 0, 3, 2});
    op.run = run_random;
    op.kernel = op.name == "uniform" ? &table.uniform[op.dtype] : &table.normal[op.dtype];
    op.work = 10 * product(op.ints.data(), 1);
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
    op.work = kPerElement * row->elements(op);
    return;
  }
  if (op.dtype != kFloat32 && op.dtype != kFloat64)
    throw std::invalid_argument(op.name + ": expected float32 or float64, got " + dtype_name(op.dtype));
  if (!resolve_table_row(op, table) && !resolve_function(op, table))
    throw std::invalid_argument("Program: unknown instruction '" + op.name + "'");
}

}  // namespace chainrule
