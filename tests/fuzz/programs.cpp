// A libFuzzer target: bytes become a program's description (slots, instructions with records of any length, bodies, a
// loop), as Python hands them over. The Program must refuse it with an exception or be built; a built one is printed
// and scheduled, not run: only the compiler's own programs are run, and they are trusted.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "isa.h"
#include "program/instructions.h"
#include "program/program.h"

using namespace chainrule;

namespace {

class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  // A small number, a limit of the type and its neighbours, a power of two, or any.
  int64_t number() {
    const uint8_t kind = byte();
    if (kind < 160) return kind % 40 - 4;
    const int64_t near = kind % 5 - 2;
    if (kind < 180) return static_cast<int64_t>(static_cast<uint64_t>(INT64_MAX) + static_cast<uint64_t>(near));
    if (kind < 215) return static_cast<int64_t>((1ull << byte() % 64) + static_cast<uint64_t>(near));
    uint64_t any = 0;
    for (int i = 0; i < 8; ++i) any = any << 8 | byte();
    return static_cast<int64_t>(any);
  }
  size_t count(size_t most) { return byte() % (most + 1); }

 private:
  const uint8_t* data_;
  size_t size_;
};

const std::vector<std::string>& names() {
  static const std::vector<std::string> list = [] {
    std::vector<std::string> found;
    for (const auto rows : {kernel_instructions(), matmul_instructions(), fused_instructions(), movement_instructions(),
                            check_instructions()}) {
      for (const InstructionRow& row : rows) {
        if (row.name != nullptr) found.push_back(row.name);
      }
    }
    const KernelTable& table = active_kernels();
    for (int64_t i = 0; i < table.n_maps; ++i) found.push_back(table.maps[i].name);
    for (int64_t i = 0; i < table.n_reductions; ++i) found.push_back(table.reductions[i].name);
    for (int64_t i = 0; i < table.n_rowwise; ++i) found.push_back(table.rowwise[i].name);
    for (int64_t i = 0; i < table.n_updates; ++i) found.push_back(table.updates[i].name);
    found.push_back("unknown");
    return found;
  }();
  return list;
}

Dtype dtype_of(uint8_t byte) { return static_cast<Dtype>(byte < 160 ? 0 : byte % 4); }

// The record's length is right half of the time: else nothing gets past that check.
Instruction instruction(Bytes& bytes, int slots, bool may_have_body) {
  Instruction op;
  op.name = names()[(bytes.byte() + 256u * bytes.byte()) % names().size()];
  op.dtype = dtype_of(bytes.byte());
  const auto slot = [&] {
    const uint8_t byte = bytes.byte();
    return byte < 230 && slots > 0 ? byte % slots : byte % 8 - 4;
  };
  for (size_t n = bytes.count(4); n > 0; --n) op.outputs.push_back(slot());
  for (size_t n = bytes.count(5); n > 0; --n) op.inputs.push_back(slot());
  for (size_t n = bytes.count(24); n > 0; --n) op.ints.push_back(bytes.number());
  for (size_t n = bytes.count(3); n > 0; --n) op.reals.push_back(static_cast<double>(bytes.number()) / 8);
  const InstructionRow* const row = find_instruction(op.name, active_kernels());
  if (row != nullptr && bytes.byte() % 2 == 0) {
    const Counts counts = row->counts;
    if (counts.outputs != kAny) op.outputs.resize(counts.outputs);
    if (counts.inputs != kAny) op.inputs.resize(counts.inputs);
    if (counts.reals != kAny) op.reals.resize(counts.reals);
    try {
      op.ints.resize(row->record->length(op, op.inputs.size()));
    } catch (const std::exception&) {  // the first number is no number of dimensions
    }
  }
  if (may_have_body) {
    for (size_t n = bytes.count(3); n > 0; --n) op.body.push_back(instruction(bytes, slots, false));
  }
  return op;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  const size_t n = bytes.count(6);
  std::vector<Slot> slots;
  for (size_t i = 0; i < n; ++i) {
    // What the binding accepts: an element count from 0 to INT64_MAX / 16, an offset from -1.
    Slot slot = {dtype_of(bytes.byte()), bytes.number(), -1};
    if (slot.elements < 0) slot.elements = 0;
    if (slot.elements > INT64_MAX / 16) slot.elements = INT64_MAX / 16;
    if (bytes.byte() % 4 == 0) slot.offset = bytes.number() & INT64_MAX;
    slots.push_back(slot);
  }
  const int externals = static_cast<int>(bytes.number());
  Loop loop;
  if (bytes.byte() % 4 == 0) {
    loop.begin = static_cast<int>(bytes.number());
    loop.length = static_cast<int>(bytes.number());
    loop.blocks = static_cast<int>(bytes.number());
    loop.tail = bytes.byte() % 2 == 0;
    for (size_t k = bytes.count(2); k > 0; --k)
      loop.streams.push_back({static_cast<int>(bytes.number()), bytes.number()});
  }
  std::vector<Instruction> code;
  while (!bytes.empty() && code.size() < 8) code.push_back(instruction(bytes, static_cast<int>(n), true));
  try {
    const Program program(std::move(slots), externals, std::move(code), std::move(loop));
    if (program.text().empty() || program.phases(3).size() > 9) __builtin_trap();
  } catch (const std::exception&) {  // refused
  }
  return 0;
}
