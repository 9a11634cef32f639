// Instructions of optimizers: the steps of parameters, in place, and their step states.
#include <stdexcept>
#include <string_view>

#include "kernels/step_states.h"
#include "program/costs.h"
#include "program/instructions.h"
#include "program/slots.h"

namespace chainrule {
namespace {

// An optimizer's step, in place: outputs p and its states; inputs g, the hyperparameters (float64) and, where the
// kernel has one, the step state (float64), which are read when the instruction runs; by rows also their index (int64).
void run_update(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [size, row_size] = schema::read<schema::Update>(op);
  const UpdateRow& kernel = row<UpdateRow>(op);
  const bool by_rows = row_size > 0;
  const Range part = share_range(by_rows ? size / row_size : size, by_rows ? 1 : kElementGrain, share);
  const int64_t count = part.end - part.begin, n = by_rows ? row_size : count;
  const size_t numbers = kernel.step_state > 0 ? 3 : 2;  // inputs before the index
  const int64_t* const index = op.inputs.size() > numbers ? input<int64_t>(op, slots, numbers) + part.begin : nullptr;
  const int64_t first = part.begin * (by_rows ? row_size : 1) * item_size(op.dtype), at = index == nullptr ? first : 0;
  UpdateArgs args = {by_rows ? count : 1,
                     n,
                     out_bytes(op, slots) + at,
                     in_bytes(op, slots, 0) + first,
                     {},
                     n,
                     n,
                     input<double>(op, slots, 1),
                     kernel.step_state > 0 ? input<double>(op, slots, 2) : nullptr,
                     by_rows,
                     index};
  for (size_t i = 1; i < op.outputs.size(); ++i) args.s[i - 1] = slot<char>(slots, op.outputs[i]) + at;
  kernel.fn[op.dtype](args);
}
void prepare_update(Instruction& op, const KernelTable&) {
  const auto [n, row_size] = schema::read<schema::Update>(op);
  if (row_size < 0 || (row_size > 0 && n % row_size != 0))
    throw std::invalid_argument(op.name + ": expected whole rows, or a row size of 0");
}
Counts update_row_counts(const Instruction& op) {
  Counts counts = update_counts(op, row<UpdateRow>(op));
  const bool by_rows =
      op.ints.size() == schema::kLength<schema::Update> && schema::read<schema::Update>(op).row_size > 0;
  if (by_rows && op.inputs.size() == counts.inputs + 1) ++counts.inputs;
  return counts;
}
double update_work(const Instruction& op) {
  return static_cast<double>(row<UpdateRow>(op).cost) * volume(schema::read<schema::Update>(op).n);
}

// The end of a step of an optimizer: outputs are step states, input the hyperparameters. The first number of a state
// counts the steps; each other one is multiplied by the hyperparameter of the same position, or the update of this name
// has a function that changes them.
const void* row_of_step_state(const KernelTable&, const std::string& name, Dtype) {
  constexpr std::string_view kBefore = "advance ";
  return name.starts_with(kBefore) ? step_states::find(std::string_view(name).substr(kBefore.size())) : nullptr;
}
void run_advance_of_update(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(static_cast<int64_t>(op.outputs.size()), 1, share);
  for (int64_t i = part.begin; i < part.end; ++i) {
    double* const state = slot<double>(slots, op.outputs[static_cast<size_t>(i)]);
    row<step_states::Row>(op).advance(state, input<double>(op, slots, 0));
  }
}
void run_advance(const Instruction& op, void* const* slots, Share share, void*) {
  const int64_t n = schema::read<schema::Advance>(op).n;
  const Range part = share_range(static_cast<int64_t>(op.outputs.size()), 1, share);
  const double* const hyperparameters = input<double>(op, slots, 0);
  for (int64_t i = part.begin; i < part.end; ++i) {
    double* const state = slot<double>(slots, op.outputs[static_cast<size_t>(i)]);
    state[0] += 1;
    for (int64_t k = 1; k < n; ++k) state[k] *= hyperparameters[k];
  }
}
void prepare_advance(Instruction& op, const KernelTable&) {
  if (op.outputs.empty()) throw std::invalid_argument("advance: expected step states");
}
void prepare_advance_of_update(Instruction& op, const KernelTable& table) {
  prepare_advance(op, table);
  const int64_t expected = row<step_states::Row>(op).state;
  if (schema::read<schema::Advance>(op).n != expected) {
    throw std::invalid_argument(op.name + ": expected step states of " + std::to_string(expected) + " numbers");
  }
}
double advance_work(const Instruction& op) { return kPerRow * static_cast<double>(op.outputs.size()); }

constexpr InstructionRow kRows[] = {
    {.record = &schema::kRecord<schema::Update>,
     .run = run_update,
     .work = update_work,
     .kernel = row_of<&KernelTable::updates, &KernelTable::n_updates>,
     .kernel_counts = update_row_counts,
     .prepare = prepare_update},
    {.name = "advance",
     .record = &schema::kRecord<schema::Advance>,
     .counts = {kAny, 1, 0},
     .dtypes = dtype_bit(kFloat64),
     .run = run_advance,
     .work = advance_work,
     .prepare = prepare_advance},
    {.record = &schema::kRecord<schema::Advance>,
     .counts = {kAny, 1, 0},
     .dtypes = dtype_bit(kFloat64),
     .run = run_advance_of_update,
     .work = advance_work,
     .kernel = row_of_step_state,
     .prepare = prepare_advance_of_update},
};

}  // namespace

std::span<const InstructionRow> update_instructions() { return kRows; }

}  // namespace chainrule
