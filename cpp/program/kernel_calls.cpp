// Instructions that call one kernel of the level's table on each thread's share. Outputs are contiguous.
#include <algorithm>
#include <stdexcept>

#include "program/checked.h"
#include "program/costs.h"
#include "program/instructions.h"
#include "program/integers.h"
#include "program/slots.h"
#include "threads/stop.h"

namespace chainrule {
namespace {

template <class Fn>
Fn function(const Instruction& op) {
  return *static_cast<const Fn*>(op.kernel);
}

// Throws std::invalid_argument where a row of two dtypes has no function for this one.
template <class Fn>
void check_function(const Instruction& op, const Fn (&functions)[2]) {
  const Dtype other = static_cast<Dtype>(op.dtype ^ 1);
  if (functions[in_row(op.dtype)] == nullptr) check_dtype(op, dtype_bit(other));
}

// Elementwise. The kernel loops over the two innermost dimensions.
void run_map(const Instruction& op, void* const* slots, Share share, void*) {
  const MapRow& kernel = row<MapRow>(op);
  const schema::Map map(op);
  const int64_t ndim = map.ndim;
  const int64_t inner = map.dims[ndim - 1], rows = ndim > 1 ? map.dims[ndim - 2] : 1;
  int64_t lines = rows;
  for (int64_t d = 0; d + 2 < ndim; ++d) lines *= map.dims[d];
  const int64_t out_size = kernel.writes_bool ? 1 : item_size(op.dtype);
  const bool split_lines = lines >= 4 * share.count;
  const Range part = split_lines ? share_range(lines, 1, share) : Range{0, lines};
  const Range columns = split_lines ? Range{0, inner} : share_range(inner, kElementGrain, share);
  if (columns.begin >= columns.end) return;
  MapArgs args;
  args.n = columns.end - columns.begin;
  args.rs_out = inner;
  args.param = op.reals.data();
  for (int i = 0; i < kernel.inputs; ++i) {
    args.cs_in[i] = map.stride(i, ndim - 1);
    args.rs_in[i] = ndim > 1 ? map.stride(i, ndim - 2) : 0;
  }
  for (int64_t r = part.begin; r < part.end; r += args.rows) {
    args.rows = std::min(part.end - r, rows - r % rows);
    args.out = out_bytes(op, slots) + (r * inner + columns.begin) * out_size;
    for (int i = 0; i < kernel.inputs; ++i) {
      int64_t at = columns.begin * args.cs_in[i], rest = r;
      for (int64_t d = ndim - 2; d >= 0; --d) {
        at += rest % map.dims[d] * map.stride(i, d);
        rest /= map.dims[d];
      }
      const int64_t size = i == 0 && kernel.reads_bool ? 1 : item_size(op.dtype);
      args.in[i] = offset(in_bytes(op, slots, static_cast<size_t>(i)), at, size);
    }
    kernel.fn[in_row(op.dtype)](args);
  }
}
Counts map_counts(const Instruction& op) { return {1, static_cast<size_t>(row<MapRow>(op).inputs), kAny}; }
void prepare_map(Instruction& op, const KernelTable&) {
  check_function(op, row<MapRow>(op).fn);
  op.reals.resize(kMapParams);
}
double map_work(const Instruction& op) {
  const schema::Map map(op);
  return static_cast<double>(row<MapRow>(op).cost) * volume_of(map.dims, map.ndim);
}

constexpr int64_t kRowsElements = 1 << 24;  // a few milliseconds

void run_reduce(const Instruction& op, void* const* slots, Share share, void*) {
  const ReduceRow& kernel = row<ReduceRow>(op);
  const auto [outer, reduced, inner, mode] = schema::read<schema::Reduce>(op);
  const int64_t size = item_size(op.dtype), out_size = kernel.columns[0] == nullptr ? 8 : size;
  const char* const x = in_bytes(op, slots, 0);
  char* const y = out_bytes(op, slots);
  if (mode == schema::kLaneRule) {
    const Range part = share_range(outer, 1, share);
    kernel.rows[in_row(op.dtype)](part.end - part.begin, reduced, offset(x, part.begin * reduced, size),
                                  y + part.begin * out_size);
    return;
  }
  const bool split_outer = outer >= share.count;
  const Range blocks = split_outer ? share_range(outer, 1, share) : Range{0, outer};
  const Range columns = split_outer ? Range{0, inner} : share_range(inner, 16, share);
  // Where the run can be stopped, some rows at a time, each continuing the chains of those before.
  const int64_t n = columns.end - columns.begin;
  const int64_t step =
      stop_flag_of(op) == nullptr ? reduced : std::max<int64_t>(1, kRowsElements / std::max<int64_t>(1, n));
  for (int64_t i = blocks.begin; i < blocks.end; ++i) {
    int64_t row = 0;
    do {
      kernel.columns[in_row(op.dtype)](std::min(step, reduced - row), n,
                                       offset(x, (i * reduced + row) * inner + columns.begin, size), inner,
                                       y + (i * inner + columns.begin) * size, mode == schema::kStartChain && row == 0);
      row += step;
    } while (row < reduced && !stop_requested(stop_flag_of(op)));
  }
}
void prepare_reduce(Instruction& op, const KernelTable&) {
  check_function(op, row<ReduceRow>(op).rows);
  const int64_t mode = schema::read<schema::Reduce>(op).mode;
  if (mode < schema::kStartChain || mode > schema::kContinueChain)
    throw std::invalid_argument(op.name + ": mode must be 0, 1 or 2");
  if (mode != schema::kLaneRule && row<ReduceRow>(op).columns[0] == nullptr)
    throw std::invalid_argument(op.name + ": reduces rows only (mode 1)");
}
double reduction_work(const Instruction& op, double per_element) {
  const auto [outer, reduced, inner, mode] = schema::read<schema::Reduce>(op);
  const double work = per_element * volume(outer, reduced, inner);
  return mode == schema::kLaneRule ? work + kPerRow * static_cast<double>(outer) : work;
}
double reduce_work(const Instruction& op) { return reduction_work(op, kPerElement); }
double sum_work(const Instruction& op) { return reduction_work(op, 0.5 * kPerElement); }

// Softmax, log-softmax and their gradients.
void run_rowwise(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [rows, cols] = schema::read<schema::Rowwise>(op);
  const Range part = share_range(rows, 1, share);
  const int64_t at = part.begin * cols, size = item_size(op.dtype);
  const void* in[2];
  for (size_t i = 0; i < op.inputs.size(); ++i) in[i] = offset(in_bytes(op, slots, i), at, size);
  row<RowwiseRow>(op).fn[op.dtype](part.end - part.begin, cols, in, out_bytes(op, slots) + at * size);
}
Counts rowwise_counts(const Instruction& op) { return {1, static_cast<size_t>(row<RowwiseRow>(op).inputs), 0}; }
double rowwise_work(const Instruction& op) {
  const auto [rows, cols] = schema::read<schema::Rowwise>(op);
  return kPerScore * volume(rows, cols);
}

// Inputs: logits, labels.
void run_cross_entropy(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [rows, cols] = schema::read<schema::CrossEntropy>(op);
  const Range part = share_range(rows, 1, share);
  const int64_t size = item_size(op.dtype);
  function<CrossEntropyFn>(op)(part.end - part.begin, cols, offset(in_bytes(op, slots, 0), part.begin * cols, size),
                               input<int64_t>(op, slots, 1) + part.begin, out_bytes(op, slots) + part.begin * size);
}

// Inputs: logits, labels, the upstream gradient of each row.
void run_cross_entropy_grad(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [rows, cols] = schema::read<schema::CrossEntropy>(op);
  const Range part = share_range(rows, 1, share);
  const int64_t size = item_size(op.dtype);
  function<CrossEntropyGradFn>(op)(part.end - part.begin, cols, offset(in_bytes(op, slots, 0), part.begin * cols, size),
                                   input<int64_t>(op, slots, 1) + part.begin,
                                   offset(in_bytes(op, slots, 2), part.begin, size),
                                   out_bytes(op, slots) + part.begin * cols * size);
}
double cross_entropy_work(const Instruction& op) {
  const auto [rows, cols] = schema::read<schema::CrossEntropy>(op);
  return kPerScore * volume(rows, cols);
}

// Outputs: loss, gradient. Inputs: logits, labels, upstream gradient of the loss.
void run_cross_entropy_both(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [rows, cols, upstream_step] = schema::read<schema::CrossEntropyBoth>(op);
  const Range part = share_range(rows, 1, share);
  const int64_t size = item_size(op.dtype);
  function<CrossEntropyBothFn>(op)(part.end - part.begin, cols, offset(in_bytes(op, slots, 0), part.begin * cols, size),
                                   input<int64_t>(op, slots, 1) + part.begin,
                                   offset(in_bytes(op, slots, 2), part.begin * upstream_step, size), upstream_step,
                                   out_bytes(op, slots) + part.begin * size,
                                   slot<char>(slots, op.outputs[1]) + part.begin * cols * size);
}
double cross_entropy_both_work(const Instruction& op) {
  const auto both = schema::read<schema::CrossEntropyBoth>(op);
  return kPerScore * volume(both.rows, both.cols);
}

// reals: low and high, or mean and standard deviation.
void run_random(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [n, seed, stream] = schema::read<schema::Random>(op);
  const Range part = share_range(n, kElementGrain, share);
  function<RandomFn>(op)({static_cast<uint64_t>(seed), static_cast<uint64_t>(stream), part.begin, part.end - part.begin,
                          out_bytes(op, slots) + part.begin * item_size(op.dtype), op.reals[0], op.reals[1]});
}
double random_work(const Instruction& op) { return kPerDraw * volume(schema::read<schema::Random>(op).n); }

// Inputs: seed and stream of a generator (int64, read when the instruction runs); the numbers of the rows (int64), of
// which a block of rows has its own; the two numbers of the kernel (float64, read likewise): the probability of 0 and
// the other value, low and high, or mean and standard deviation.
void run_bernoulli(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [n, row_size, earlier_draws] = schema::read<schema::Bernoulli>(op);
  const Range part = share_range(n, kElementGrain, share);
  const int64_t* const generator = input<int64_t>(op, slots, 0);
  const int64_t first_row = *input<int64_t>(op, slots, 1);
  const double* const rates = input<double>(op, slots, 2);
  function<RandomFn>(op)({static_cast<uint64_t>(generator[0]),
                          static_cast<uint64_t>(generator[1]) + static_cast<uint64_t>(earlier_draws),
                          first_row * row_size + part.begin, part.end - part.begin,
                          out_bytes(op, slots) + part.begin * item_size(op.dtype), rates[0], rates[1]});
}
void prepare_bernoulli(Instruction& op, const KernelTable&) {
  if (schema::read<schema::Bernoulli>(op).n == 0) throw std::invalid_argument(op.name + ": expected elements");
}
double bernoulli_work(const Instruction& op) { return kPerBernoulli * volume(schema::read<schema::Bernoulli>(op).n); }
double draw_work(const Instruction& op) { return kPerDraw * volume(schema::read<schema::Bernoulli>(op).n); }

template <auto Find>
const void* kernel_of(const KernelTable& table, const std::string& name, Dtype dtype) {
  return Find(table, name, dtype);
}

constexpr InstructionRow kRows[] = {
    {.record = &schema::kRecord<schema::Map>,
     .dtypes = kAllDtypes,
     .run = run_map,
     .work = map_work,
     .kernel = kernel_of<find_map>,
     .kernel_counts = map_counts,
     .prepare = prepare_map},
    {.name = "sum",  // half the cost of the other reductions
     .record = &schema::kRecord<schema::Reduce>,
     .dtypes = kAllDtypes,
     .run = run_reduce,
     .work = sum_work,
     .kernel = kernel_of<find_reduction>,
     .prepare = prepare_reduce},
    {.record = &schema::kRecord<schema::Reduce>,
     .dtypes = kAllDtypes,
     .run = run_reduce,
     .work = reduce_work,
     .kernel = kernel_of<find_reduction>,
     .prepare = prepare_reduce},
    {.record = &schema::kRecord<schema::Rowwise>,
     .run = run_rowwise,
     .work = rowwise_work,
     .kernel = row_of<&KernelTable::rowwise, &KernelTable::n_rowwise>,
     .kernel_counts = rowwise_counts},
    {.name = "cross_entropy",
     .record = &schema::kRecord<schema::CrossEntropy>,
     .counts = {1, 2, 0},
     .run = run_cross_entropy,
     .work = cross_entropy_work,
     .kernel = function_of<&KernelTable::cross_entropy>},
    {.name = "cross_entropy_grad",
     .record = &schema::kRecord<schema::CrossEntropy>,
     .counts = {1, 3, 0},
     .run = run_cross_entropy_grad,
     .work = cross_entropy_work,
     .kernel = function_of<&KernelTable::cross_entropy_grad>},
    {.name = "cross_entropy_both",
     .record = &schema::kRecord<schema::CrossEntropyBoth>,
     .counts = {2, 3, 0},
     .run = run_cross_entropy_both,
     .work = cross_entropy_both_work,
     .kernel = function_of<&KernelTable::cross_entropy_both>},
    {.name = "uniform",
     .record = &schema::kRecord<schema::Random>,
     .counts = {1, 0, 2},
     .run = run_random,
     .work = random_work,
     .kernel = function_of<&KernelTable::uniform>},
    {.name = "normal",
     .record = &schema::kRecord<schema::Random>,
     .counts = {1, 0, 2},
     .run = run_random,
     .work = random_work,
     .kernel = function_of<&KernelTable::normal>},
    {.name = "bernoulli",
     .record = &schema::kRecord<schema::Bernoulli>,
     .counts = {1, 3, 0},
     .run = run_bernoulli,
     .work = bernoulli_work,
     .kernel = function_of<&KernelTable::bernoulli>,
     .prepare = prepare_bernoulli},
    {.name = "draw_uniform",
     .record = &schema::kRecord<schema::Bernoulli>,
     .counts = {1, 3, 0},
     .run = run_bernoulli,
     .work = draw_work,
     .kernel = function_of<&KernelTable::uniform>,
     .prepare = prepare_bernoulli},
    {.name = "draw_normal",
     .record = &schema::kRecord<schema::Bernoulli>,
     .counts = {1, 3, 0},
     .run = run_bernoulli,
     .work = draw_work,
     .kernel = function_of<&KernelTable::normal>,
     .prepare = prepare_bernoulli},
};

}  // namespace

std::span<const InstructionRow> kernel_instructions() { return kRows; }

}  // namespace chainrule
