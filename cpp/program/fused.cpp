#include "program/fused.h"

#include <algorithm>
#include <set>

#include "program/costs.h"
#include "program/instructions.h"
#include "program/integers.h"
#include "program/slots.h"

namespace chainrule {
namespace {

constexpr int64_t kMinBlock = 64;          // elements
constexpr int64_t kMaxBlock = 4096;        // elements
constexpr int64_t kBlockBytes = 24 << 10;  // of all operands together: three quarters of L1

[[noreturn]] void reject(const Instruction& op, const Instruction& step, const std::string& reason) {
  throw std::invalid_argument(op.name + ": its step " + step.name + " " + reason);
}

// Resolves the steps of a body, one after the other.
class BodyResolver {
 public:
  BodyResolver(const Instruction& op, const KernelTable& table, int64_t cols)
      : op_(op), table_(table), cols_(cols), size_(item_size(op.dtype)) {}

  void add(const Instruction& step) {
    if (step.dtype != op_.dtype) reject(op_, step, std::string("is of another dtype, ") + dtype_name(step.dtype));
    if (const UpdateRow* update = find_row(table_.updates, table_.n_updates, step.name)) {
      add_update(step, *update);
    } else if (const MapRow* row = find_map(table_, step.name, op_.dtype)) {
      add_map(step, *row);
    } else {
      reject(op_, step, "is neither elementwise nor an update");
    }
  }

  FusedBody body(int64_t elements) {
    const int64_t locals = locals_.empty() ? 0 : kFirstLocal - locals_.begin()->first + 1;
    const int64_t operands = static_cast<int64_t>(matrices_.size() + locals_.size());
    int64_t block = elements;
    if (block == 0) block = std::clamp(kBlockBytes / (std::max<int64_t>(1, operands) * size_), kMinBlock, kMaxBlock);
    const int64_t bytes = (block * size_ + kAlignment) / kAlignment * kAlignment;
    if (locals > kBodyScratch / bytes)
      throw std::invalid_argument(op_.name + ": the body has too many local buffers, " + std::to_string(locals));
    return {std::move(steps_), block, bytes, flat_, cost_};
  }

 private:
  void add_map(const Instruction& step, const MapRow& row) {
    const size_t inputs = static_cast<size_t>(row.inputs);
    const MapFn function = row.fn[in_row(op_.dtype)];
    if (function == nullptr) reject(op_, step, std::string("is not defined for ") + dtype_name(op_.dtype));
    const bool all_bool = op_.dtype == kBool;
    expect(step, {1, inputs, kAny}, schema::kRecord<schema::MapStep>);
    const schema::MapStep strides(step);
    FusedStep s = {function, nullptr, row.inputs, 0, {}, {}, -1, -1, {}};
    std::copy_n(step.reals.begin(), std::min<size_t>(step.reals.size(), kMapParams), s.param);
    for (size_t i = 0; i < inputs; ++i)
      s.in[i] =
          input(step, step.inputs[i], all_bool || (i == 0 && row.reads_bool), strides.row_stride(i), strides.step(i));
    s.out[0] = output(step, step.outputs[0], all_bool || row.writes_bool, strides.out_row_stride);
    steps_.push_back(s);
    cost_ += static_cast<double>(row.cost);
  }

  void add_update(const Instruction& step, const UpdateRow& row) {
    expect(step, update_counts(step, row), schema::kRecord<schema::UpdateStep>);
    const int64_t row_stride = schema::read<schema::UpdateStep>(step).row_stride;
    const int step_state = row.step_state > 0 ? step.inputs[2] : -1, states = static_cast<int>(step.outputs.size()) - 1;
    FusedStep s = {nullptr, row.fn[op_.dtype], 1, states, {}, {}, step.inputs[1], step_state, {}};
    s.in[0] = input(step, step.inputs[0], false, row_stride, 1);
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      if (step.outputs[i] < 0) reject(op_, step, "updates a buffer of the body");
      s.out[i] = output(step, step.outputs[i], false, row_stride);
    }
    for (size_t i = 1; i < step.inputs.size(); ++i) {
      if (step.inputs[i] < 0) reject(op_, step, "reads its hyperparameters from a buffer of the body");
      check_named(step, step.inputs[i], {&op_.inputs});
    }
    steps_.push_back(s);
    cost_ += static_cast<double>(row.cost);
  }

  void check_named(const Instruction& step, int slot, std::initializer_list<const std::vector<int>*> lists) {
    for (const std::vector<int>* list : lists) {
      if (std::find(list->begin(), list->end(), slot) != list->end()) return;
    }
    reject(op_, step, "uses slot " + std::to_string(slot) + ", which " + op_.name + " does not list");
  }

  BlockOperand input(const Instruction& step, int slot, bool is_bool, int64_t row_stride, int64_t stride) {
    if (stride != 0 && stride != 1) reject(op_, step, "has a step of " + std::to_string(stride));
    if (slot >= 0) {
      check_named(step, slot, {&op_.outputs, &op_.inputs});
    } else if (slot == kProduct) {
      check_product(step, is_bool);
    } else if (!locals_.contains({slot, is_bool})) {
      reject(op_, step, "reads local " + std::to_string(kFirstLocal - slot) + " before it is written");
    }
    return operand(slot, is_bool, row_stride, stride);
  }

  BlockOperand output(const Instruction& step, int slot, bool is_bool, int64_t row_stride) {
    if (slot >= 0) {
      check_named(step, slot, {&op_.outputs});
    } else if (slot == kProduct) {
      check_product(step, is_bool);
    } else {
      if (locals_.contains({slot, !is_bool})) reject(op_, step, "changes the dtype of a local");
      locals_.insert({slot, is_bool});
    }
    return operand(slot, is_bool, row_stride, 1);
  }

  void check_product(const Instruction& step, bool is_bool) {
    if (op_.name != "gemm" || is_bool) reject(op_, step, "takes the product for what it is not");
  }

  BlockOperand operand(int slot, bool is_bool, int64_t row_stride, int64_t step) {
    if (slot >= 0) {
      flat_ = flat_ && row_stride == step * cols_;
      if (step == 1 && row_stride != 0) matrices_.insert(slot);
    }
    return {slot, is_bool ? 1 : size_, row_stride, step};
  }

  const Instruction& op_;
  const KernelTable& table_;
  const int64_t cols_, size_;
  std::vector<FusedStep> steps_;
  std::set<std::pair<int, bool>> locals_;  // and whether they are bool
  std::set<int> matrices_;
  bool flat_ = true;
  double cost_ = 0;
};

// The address of an operand's part of a block, and its strides.
struct BlockView {
  char* data;
  int64_t row_stride, step;
};
inline BlockView view(const BlockOperand& o, const FusedBody& body, void* const* slots, const MatrixBlock& b) {
  if (o.slot >= 0)
    return {static_cast<char*>(slots[o.slot]) + (b.row * o.row_stride + b.col * o.step) * o.size, o.row_stride, o.step};
  if (o.slot == kProduct) return {b.product, b.product_row_stride, 1};
  return {b.locals + (kFirstLocal - o.slot) * body.local_bytes, b.cols, 1};
}

void run_update(const FusedStep& step, const FusedBody& body, void* const* slots, const MatrixBlock& block,
                const BlockView& p) {
  const BlockView g = view(step.in[0], body, slots, block);
  const double* const step_state = step.step_state < 0 ? nullptr : slot<const double>(slots, step.step_state);
  UpdateArgs args = {block.rows, block.cols,   p.data,       g.data,
                     {},         p.row_stride, g.row_stride, slot<const double>(slots, step.hyperparameters),
                     step_state};
  for (int i = 0; i < step.states; ++i) args.s[i] = view(step.out[i + 1], body, slots, block).data;
  step.update(args);
}

// A body alone, on a matrix.
void run_chain(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const FusedBody& body = *op.fused;
  const auto matrix = schema::read<schema::Chain>(op);
  const bool flat = body.flat || matrix.rows == 1;
  const int64_t rows = flat ? 1 : matrix.rows, cols = flat ? matrix.rows * matrix.cols : matrix.cols;
  const bool split_rows = rows >= 4 * share.count;
  const Range part = split_rows ? share_range(rows, 1, share) : Range{0, rows};
  const Range columns = split_rows ? Range{0, cols} : share_range(cols, kElementGrain, share);
  const int64_t width = columns.end - columns.begin;
  if (width == 0) return;
  const int64_t block_cols = std::min(width, body.block), block_rows = body.block / block_cols;
  char* const locals = static_cast<char*>(scratch) + kGemmScratch - kBodyScratch;
  for (int64_t r = part.begin; r < part.end; r += block_rows) {
    for (int64_t c = columns.begin; c < columns.end; c += block_cols) {
      run_block(body, slots,
                {r, std::min(block_rows, part.end - r), c, std::min(block_cols, columns.end - c), nullptr, 0, locals});
    }
  }
}
void prepare_chain(Instruction& op, const KernelTable& table) {
  if (op.body.empty()) throw std::invalid_argument("chain: expected a body");
  op.fused = std::make_shared<const FusedBody>(resolve_body(op, table, schema::read<schema::Chain>(op).cols, 0));
}
double chain_work(const Instruction& op) {
  const auto matrix = schema::read<schema::Chain>(op);
  return op.fused->cost * volume(matrix.rows, matrix.cols);
}

constexpr InstructionRow kRows[] = {
    {.name = "chain",
     .record = &schema::kRecord<schema::Chain>,
     .counts = {kAny, kAny, 0},
     .dtypes = kAllDtypes,
     .run = run_chain,
     .work = chain_work,
     .prepare = prepare_chain,
     .has_body = true},
};

}  // namespace

FusedBody resolve_body(const Instruction& op, const KernelTable& table, int64_t cols, int64_t elements) {
  BodyResolver resolver(op, table, cols);
  for (const Instruction& step : op.body) resolver.add(step);
  return resolver.body(elements);
}

void run_block(const FusedBody& body, void* const* slots, const MatrixBlock& block) {
  for (const FusedStep& step : body.steps) {
    const BlockView out = view(step.out[0], body, slots, block);
    if (step.map == nullptr) {
      run_update(step, body, slots, block, out);
      continue;
    }
    MapArgs args;
    args.rows = block.rows;
    args.n = block.cols;
    args.out = out.data;
    args.rs_out = out.row_stride;
    args.param = step.param;
    for (int i = 0; i < step.inputs; ++i) {
      const BlockView in = view(step.in[i], body, slots, block);
      args.in[i] = in.data;
      args.rs_in[i] = in.row_stride;
      args.cs_in[i] = in.step;
    }
    step.map(args);
  }
}

std::span<const InstructionRow> fused_instructions() { return kRows; }

}  // namespace chainrule
