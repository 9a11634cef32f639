#include "program/instructions.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "program/integers.h"

namespace chainrule {
namespace {

// Estimates of work are for levels whose fma is an instruction.
constexpr std::string_view kSoftFmaLevel = "scalar";
constexpr double kSoftFma = 200;  // times as long

struct Index {
  std::unordered_map<std::string_view, const InstructionRow*> named;
  std::vector<const InstructionRow*> lists;  // rows that stand for a list of the kernel table
};

const Index& instruction_index() {
  static const Index index = [] {
    Index made;
    // Updates first: an eager step of an optimizer looks for its rule every time, and compares names one by one.
    for (const auto rows : {update_instructions(), kernel_instructions(), matmul_instructions(), window_instructions(),
                            fused_instructions(), movement_instructions(), order_instructions(), scan_instructions(),
                            check_instructions(), layer_instructions()}) {
      for (const InstructionRow& row : rows) {
        if (row.name != nullptr) {
          made.named.emplace(row.name, &row);
        } else {
          made.lists.push_back(&row);
        }
      }
    }
    return made;
  }();
  return index;
}

// The row of a name, and its kernel.
struct Found {
  const InstructionRow* row;
  const void* kernel;
};
Found find(const std::string& name, const KernelTable& table, Dtype dtype) {
  const Index& index = instruction_index();
  const auto named = index.named.find(name);
  if (named != index.named.end()) {
    const InstructionRow* const row = named->second;
    const bool has_kernel = row->kernel != nullptr && (row->dtypes & dtype_bit(dtype)) != 0;
    return {row, has_kernel ? row->kernel(table, name, dtype) : nullptr};
  }
  for (const InstructionRow* const row : index.lists) {
    if (const void* const kernel = row->kernel(table, name, dtype)) return {row, kernel};
  }
  return {nullptr, nullptr};
}

}  // namespace

void check_dtype(const Instruction& op, unsigned dtypes) {
  if ((dtypes & dtype_bit(op.dtype)) != 0) return;
  std::string expected;
  for (const Dtype dtype : {kFloat32, kFloat64, kInt64, kBool}) {
    if ((dtypes & dtype_bit(dtype)) != 0) expected += (expected.empty() ? "" : " or ") + std::string(dtype_name(dtype));
  }
  throw std::invalid_argument(op.name + ": expected " + expected + ", got " + dtype_name(op.dtype));
}

const InstructionRow* find_instruction(const std::string& name, const KernelTable& table) {
  const Found of_floats = find(name, table, kFloat32);
  return of_floats.row != nullptr ? of_floats.row : find(name, table, kInt64).row;
}

void expect(const Instruction& op, const Counts& counts, const schema::Record& record) {
  const auto wanted = [](size_t count, size_t got) { return count == kAny ? got : count; };
  const size_t outputs = wanted(counts.outputs, op.outputs.size()), inputs = wanted(counts.inputs, op.inputs.size());
  const size_t reals = wanted(counts.reals, op.reals.size()), ints = record.length(op, inputs);
  if (op.outputs.size() == outputs && op.inputs.size() == inputs && op.ints.size() == ints && op.reals.size() == reals)
    return;
  const auto text = [](size_t o, size_t i, size_t n, size_t r) {
    return std::to_string(o) + " outputs, " + std::to_string(i) + " inputs, " + std::to_string(n) + " ints, " +
           std::to_string(r) + " reals";
  };
  throw std::invalid_argument(op.name + ": expected " + text(outputs, inputs, ints, reals) + ", got " +
                              text(op.outputs.size(), op.inputs.size(), op.ints.size(), op.reals.size()) +
                              "; the ints are " + record.fields);
}

Counts update_counts(const Instruction& op, const UpdateRow& row) {
  const size_t least = static_cast<size_t>(row.min_states) + 1, most = static_cast<size_t>(row.max_states) + 1;
  return {std::clamp(op.outputs.size(), least, most), row.step_state > 0 ? size_t{3} : size_t{2}, 0};
}

void resolve(Instruction& op, const KernelTable& table) {
  const auto [row, kernel] = find(op.name, table, op.dtype);
  if (row == nullptr && find_instruction(op.name, table) != nullptr)
    check_dtype(op, is_float(op.dtype) ? kAllDtypes & ~kFloats : kFloats);  // throws
  if (row == nullptr) throw std::invalid_argument("Program: unknown instruction '" + op.name + "'");
  if (!op.body.empty() && !row->has_body) throw std::invalid_argument(op.name + ": takes no body");
  check_dtype(op, row->dtypes);
  op.kernel = kernel;
  expect(op, row->kernel_counts == nullptr ? row->counts : row->kernel_counts(op), *row->record);
  op.run = row->run;
  op.is_check = row->is_check;
  op.looks_at_stop = row->looks_at_stop;
  if (table.isa == kSoftFmaLevel) op.part_work = kPartWork / kSoftFma;
  if (row->prepare != nullptr) row->prepare(op, table);
  // NaN: a product of lengths, one of which is 0, that leaves the range of a double.
  const double work = row->work(op) * (op.dtype == kFloat64 ? row->float64_work : 1);
  op.work = work > 0 ? work : 0;
}

}  // namespace chainrule
