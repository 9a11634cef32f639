// Which instructions of a list must wait for which, and the phases that follow from it: runs of instructions without a
// barrier between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "threads/threads.h"

namespace chainrule {

struct Instruction;
struct Slot;

// Conflicts between instructions: one reads what an earlier one wrote, or writes what an earlier one read or wrote. Two
// temporaries are the same memory where their bytes in the arena overlap; slots bound by the caller never overlap.
class Conflicts {
 public:
  Conflicts() = default;
  // offsets: of the slots from `externals` on, in bytes.
  Conflicts(const std::vector<Slot>& slots, int externals, const std::vector<int64_t>& offsets,
            const std::vector<Instruction>& instructions);

  // Whether instruction i conflicts with one of [since, i) of at least this much work.
  bool with(size_t i, size_t since, double least_work) const;

 private:
  struct Earlier {
    size_t instruction;
    double work;
  };
  // For each instruction the last one it conflicts with, then the last one before that with more work, and so on.
  std::vector<std::vector<Earlier>> earlier_;
};

// The instructions of a run in phases: phase p is [begin(p), begin(p + 1)) and takes shares()[p] threads.
class Phases {
 public:
  // Of instructions [begin, end) of the list with these conflicts.
  void plan(const Instruction* instructions, size_t begin, size_t end, const Conflicts& conflicts,
            const ThreadRule& rule);

  int count() const { return static_cast<int>(shares_.size()); }
  size_t begin(int phase) const { return begin_[static_cast<size_t>(phase)]; }
  const int* shares() const { return shares_.data(); }

 private:
  std::vector<size_t> begin_;
  std::vector<int> shares_;
};

}  // namespace chainrule
