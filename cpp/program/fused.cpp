#include "program/fused.h"

#include <algorithm>
#include <set>

#include "program/operands.h"

namespace chainrule {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kLeastBlock = 64;        // elements
constexpr int64_t kMostBlock = 4096;       // elements
constexpr int64_t kBlockBytes = 24 << 10;  // of all operands together: three quarters of L1

[[noreturn]] void refuse(const Instruction& op, const Instruction& step, const std::string& reason) {
  throw std::invalid_argument(op.name + ": its step " + step.name + " " + reason);
}

// Makes steps of a body, one after the other.
class Resolver {
 public:
  Resolver(const Instruction& op, const KernelTable& table, int64_t cols)
      : op_(op), table_(table), cols_(cols), size_(item_size(op.dtype)) {}

  void add(const Instruction& step) {
    if (step.dtype != op_.dtype) refuse(op_, step, std::string("is of another dtype, ") + dtype_name(step.dtype));
    if (const UpdateRow* update = find(table_.updates, table_.n_updates, step.name)) {
      add_update(step, *update);
    } else if (const MapRow* row = find(table_.maps, table_.n_maps, step.name)) {
      add_map(step, *row);
    } else {
      refuse(op_, step, "is neither elementwise nor an update");
    }
  }

  Body body(int64_t elements) {
    const int64_t locals = locals_.empty() ? 0 : kFirstLocal - locals_.begin()->first + 1;
    const int64_t operands = static_cast<int64_t>(matrices_.size() + locals_.size());
    int64_t block = elements;
    if (block == 0) block = std::clamp(kBlockBytes / (std::max<int64_t>(1, operands) * size_), kLeastBlock, kMostBlock);
    const int64_t bytes = (block * size_ + kAlignment) / kAlignment * kAlignment;
    if (locals > kBodyScratch / bytes)
      throw std::invalid_argument(op_.name + ": the body has too many local buffers, " + std::to_string(locals));
    return {std::move(steps_), block, bytes, flat_, cost_};
  }

 private:
  void add_map(const Instruction& step, const MapRow& row) {
    const size_t inputs = static_cast<size_t>(row.inputs);
    expect(step, {1, inputs, 2 * inputs + 1, step.reals.size()});
    Step s = {row.fn[op_.dtype], nullptr, row.inputs, 0, {}, {}, -1, -1, {}};
    std::copy_n(step.reals.begin(), std::min<size_t>(step.reals.size(), kMapParams), s.param);
    for (size_t i = 0; i < inputs; ++i)
      s.in[i] = input(step, step.inputs[i], i == 0 && row.reads_bool, step.ints[2 * i], step.ints[2 * i + 1]);
    s.out[0] = output(step, step.outputs[0], row.writes_bool, step.ints[2 * inputs]);
    steps_.push_back(s);
    cost_ += static_cast<double>(row.cost);
  }

  void add_update(const Instruction& step, const UpdateRow& row) {
    expect_update(step, row);
    const int clock = row.step_state > 0 ? step.inputs[2] : -1, states = static_cast<int>(step.outputs.size()) - 1;
    Step s = {nullptr, row.fn[op_.dtype], 1, states, {}, {}, step.inputs[1], clock, {}};
    s.in[0] = input(step, step.inputs[0], false, step.ints[0], 1);
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      if (step.outputs[i] < 0) refuse(op_, step, "updates a buffer of the body");
      s.out[i] = output(step, step.outputs[i], false, step.ints[0]);
    }
    for (size_t i = 1; i < step.inputs.size(); ++i) {
      if (step.inputs[i] < 0) refuse(op_, step, "reads its numbers from a buffer of the body");
      check_named(step, step.inputs[i], {&op_.inputs});
    }
    steps_.push_back(s);
    cost_ += static_cast<double>(row.cost);
  }

  void check_named(const Instruction& step, int slot, std::initializer_list<const std::vector<int>*> lists) {
    for (const std::vector<int>* list : lists) {
      if (std::find(list->begin(), list->end(), slot) != list->end()) return;
    }
    refuse(op_, step, "uses slot " + std::to_string(slot) + ", which " + op_.name + " does not list");
  }

  BlockOperand input(const Instruction& step, int slot, bool is_bool, int64_t rs, int64_t stride) {
    if (stride != 0 && stride != 1) refuse(op_, step, "has a step of " + std::to_string(stride));
    if (slot >= 0) {
      check_named(step, slot, {&op_.outputs, &op_.inputs});
    } else if (slot == kProduct) {
      check_product(step, is_bool);
    } else if (!locals_.contains({slot, is_bool})) {
      refuse(op_, step, "reads local " + std::to_string(kFirstLocal - slot) + " before it is written");
    }
    return operand(slot, is_bool, rs, stride);
  }

  BlockOperand output(const Instruction& step, int slot, bool is_bool, int64_t rs) {
    if (slot >= 0) {
      check_named(step, slot, {&op_.outputs});
    } else if (slot == kProduct) {
      check_product(step, is_bool);
    } else {
      if (locals_.contains({slot, !is_bool})) refuse(op_, step, "changes the dtype of a local");
      locals_.insert({slot, is_bool});
    }
    return operand(slot, is_bool, rs, 1);
  }

  void check_product(const Instruction& step, bool is_bool) {
    if (op_.name != "gemm" || is_bool) refuse(op_, step, "takes the product for what it is not");
  }

  BlockOperand operand(int slot, bool is_bool, int64_t rs, int64_t step) {
    if (slot >= 0) {
      flat_ = flat_ && rs == step * cols_;
      if (step == 1 && rs != 0) matrices_.insert(slot);
    }
    return {slot, is_bool ? 1 : size_, rs, step};
  }

  const Instruction& op_;
  const KernelTable& table_;
  const int64_t cols_, size_;
  std::vector<Step> steps_;
  std::set<std::pair<int, bool>> locals_;  // and whether they are bool
  std::set<int> matrices_;
  bool flat_ = true;
  double cost_ = 0;
};

// Where an operand's part of the block is, and its row stride.
struct Place {
  char* at;
  int64_t rs, step;
};
inline Place place(const BlockOperand& o, const Body& body, void* const* slots, const Block& b) {
  if (o.slot >= 0) return {static_cast<char*>(slots[o.slot]) + (b.row * o.rs + b.col * o.step) * o.size, o.rs, o.step};
  if (o.slot == kProduct) return {b.product, b.rs_product, 1};
  return {b.locals + (kFirstLocal - o.slot) * body.local_bytes, b.cols, 1};
}

void run_update(const Step& step, const Body& body, void* const* slots, const Block& block, const Place& p) {
  const Place g = place(step.in[0], body, slots, block);
  const double* const clock = step.clock < 0 ? nullptr : static_cast<const double*>(slots[step.clock]);
  UpdateArgs args = {
      block.rows, block.cols, p.at, g.at, {}, p.rs, g.rs, static_cast<const double*>(slots[step.numbers]), clock};
  for (int i = 0; i < step.states; ++i) args.s[i] = place(step.out[i + 1], body, slots, block).at;
  step.update(args);
}

void run_chain(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const Body& body = *op.steps;
  const bool flat = body.flat || op.ints[0] == 1;
  const int64_t rows = flat ? 1 : op.ints[0], cols = flat ? op.ints[0] * op.ints[1] : op.ints[1];
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

}  // namespace

Body resolve_body(const Instruction& op, const KernelTable& table, int64_t cols, int64_t elements) {
  Resolver resolver(op, table, cols);
  for (const Instruction& step : op.body) resolver.add(step);
  return resolver.body(elements);
}

void run_block(const Body& body, void* const* slots, const Block& block) {
  for (const Step& step : body.steps) {
    const Place out = place(step.out[0], body, slots, block);
    if (step.map == nullptr) {
      run_update(step, body, slots, block, out);
      continue;
    }
    MapArgs args;
    args.rows = block.rows;
    args.n = block.cols;
    args.out = out.at;
    args.rs_out = out.rs;
    args.param = step.param;
    for (int i = 0; i < step.inputs; ++i) {
      const Place in = place(step.in[i], body, slots, block);
      args.in[i] = in.at;
      args.rs_in[i] = in.rs;
      args.cs_in[i] = in.step;
    }
    step.map(args);
  }
}

void resolve_chain(Instruction& op, const KernelTable& table) {
  expect(op, {op.outputs.size(), op.inputs.size(), 2, 0});
  if (op.body.empty()) throw std::invalid_argument("chain: expected a body");
  op.steps = std::make_shared<const Body>(resolve_body(op, table, op.ints[1], 0));
  op.run = run_chain;
  op.work = op.steps->cost * product(op.ints.data(), 2);
}

}  // namespace chainrule
