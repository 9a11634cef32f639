// The table of instructions: one row for each, or for all rows of one of the kernel table's lists (elementwise kernels,
// reductions, row-wise kernels, updates). The file that runs an instruction holds its row; instructions.cpp joins them.
//
// To add an instruction: its record in schema.h, a function that runs it, and its row beside that function.
#pragma once

#include <span>
#include <string>

#include "program/program.h"
#include "program/schema.h"

namespace chainrule {

// Sets of dtypes, as bits.
constexpr unsigned dtype_bit(Dtype dtype) { return 1u << dtype; }
constexpr unsigned kFloats = dtype_bit(kFloat32) | dtype_bit(kFloat64);
constexpr unsigned kNumbers = kFloats | dtype_bit(kInt64), kAllDtypes = kNumbers | dtype_bit(kBool);

constexpr size_t kAny = static_cast<size_t>(-1);
struct Counts {
  size_t outputs, inputs, reals;  // or kAny
};

struct InstructionRow {
  const char* name = nullptr;  // null: every name that `kernel` finds
  const schema::Record* record = nullptr;
  Counts counts = {1, 1, 0};
  unsigned dtypes = kFloats;
  RunFn run = nullptr;
  // Estimated nanoseconds on one thread, for float32 (see costs.h).
  double (*work)(const Instruction& op) = nullptr;
  // The kernel for `run`, in the level's table: the address of a function pointer, or a row.
  const void* (*kernel)(const KernelTable& table, const std::string& name, Dtype dtype) = nullptr;
  // Counts that depend on the kernel's row.
  Counts (*kernel_counts)(const Instruction& op) = nullptr;
  // Checks values, and resolves a fused body. Throws std::invalid_argument.
  void (*prepare)(Instruction& op, const KernelTable& table) = nullptr;
  double float64_work = 2;       // of the work for float32
  bool has_body = false;         // takes a fused body
  bool may_drop_output = false;  // outputs[0] may be kProduct: only the body wants it
  bool is_check = false;         // outputs[0] is a CheckFailure
  bool looks_at_stop = false;    // `run` does, when its work is long
};

// The rows of each file.
std::span<const InstructionRow> kernel_instructions();
std::span<const InstructionRow> matmul_instructions();
std::span<const InstructionRow> window_instructions();
std::span<const InstructionRow> fused_instructions();
std::span<const InstructionRow> movement_instructions();
std::span<const InstructionRow> order_instructions();
std::span<const InstructionRow> scan_instructions();
std::span<const InstructionRow> check_instructions();
std::span<const InstructionRow> layer_instructions();
std::span<const InstructionRow> update_instructions();

// The row of a name, or null.
const InstructionRow* find_instruction(const std::string& name, const KernelTable& table);

// Throws std::invalid_argument unless the instruction's dtype is one of these.
void check_dtype(const Instruction& op, unsigned dtypes);
// Throws std::invalid_argument unless the instruction's lists are as long as these counts and the record say.
void expect(const Instruction& op, const Counts& counts, const schema::Record& record);
// The counts of an optimizer's update: p and its states; the gradient, the hyperparameters, the step state.
Counts update_counts(const Instruction& op, const UpdateRow& row);

// The row that `InstructionRow::kernel` found.
template <class Row>
const Row& row(const Instruction& op) {
  return *static_cast<const Row*>(op.kernel);
}

// The row of this name in a list of the kernel table, or null.
template <class Row>
const Row* find_row(const Row* rows, int64_t n, const std::string& name) {
  for (int64_t i = 0; i < n; ++i) {
    if (name == rows[i].name) return rows + i;
  }
  return nullptr;
}

// For InstructionRow::kernel: a function of the table by dtype, or a row of one of its lists by name.
template <auto Functions>
const void* function_of(const KernelTable& table, const std::string&, Dtype dtype) {
  return &(table.*Functions)[dtype];
}
template <auto Rows, auto Count>
const void* row_of(const KernelTable& table, const std::string& name, Dtype) {
  return find_row(table.*Rows, table.*Count, name);
}

}  // namespace chainrule
