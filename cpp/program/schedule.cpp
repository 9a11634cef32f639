#include "program/schedule.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "program/program.h"

namespace chainrule {
namespace {

// For each slot the slots that share memory with it, itself among them.
std::vector<std::vector<int>> shared_memory(const std::vector<Slot>& slots, int externals,
                                            const std::vector<int64_t>& offsets) {
  std::vector<std::vector<int>> shared(slots.size());
  for (size_t i = 0; i < slots.size(); ++i) shared[i] = {static_cast<int>(i)};
  std::vector<int> order(offsets.size());
  std::iota(order.begin(), order.end(), 0);
  const auto begin = [&](int t) { return offsets[static_cast<size_t>(t)]; };
  std::sort(order.begin(), order.end(), [&](int a, int b) { return begin(a) < begin(b); });
  for (size_t i = 0; i < order.size(); ++i) {
    const int a = externals + order[i];
    const Slot& slot = slots[static_cast<size_t>(a)];
    const int64_t end = begin(order[i]) + slot.elements * item_size(slot.dtype);
    for (size_t j = i + 1; j < order.size() && begin(order[j]) < end; ++j) {
      const int b = externals + order[j];
      shared[static_cast<size_t>(a)].push_back(b);
      shared[static_cast<size_t>(b)].push_back(a);
    }
  }
  return shared;
}

// Instructions that wrote and read a slot so far.
struct History {
  std::vector<size_t> writers, readers;
};

}  // namespace

Conflicts::Conflicts(const std::vector<Slot>& slots, int externals, const std::vector<int64_t>& offsets,
                     const std::vector<Instruction>& instructions)
    : earlier_(instructions.size()) {
  const std::vector<std::vector<int>> shared = shared_memory(slots, externals, offsets);
  std::vector<History> histories(slots.size());
  std::vector<size_t> found;
  const auto collect = [&](const std::vector<int>& list, bool writes) {
    for (const int slot : list) {
      if (slot < 0) continue;  // kProduct
      for (const int other : shared[static_cast<size_t>(slot)]) {
        const History& history = histories[static_cast<size_t>(other)];
        found.insert(found.end(), history.writers.begin(), history.writers.end());
        if (writes) found.insert(found.end(), history.readers.begin(), history.readers.end());
      }
    }
  };
  for (size_t i = 0; i < instructions.size(); ++i) {
    const Instruction& instruction = instructions[i];
    found.clear();
    collect(instruction.outputs, true);
    collect(instruction.inputs, false);
    std::sort(found.begin(), found.end(), std::greater<>());
    for (const size_t j : found) {
      const double work = instructions[j].work;
      if (earlier_[i].empty() || work > earlier_[i].back().work) earlier_[i].push_back({j, work});
    }
    for (const int slot : instruction.outputs) {
      if (slot >= 0) histories[static_cast<size_t>(slot)].writers.push_back(i);
    }
    for (const int slot : instruction.inputs) histories[static_cast<size_t>(slot)].readers.push_back(i);
  }
}

bool Conflicts::with(size_t i, size_t since, double least_work) const {
  for (const Earlier& earlier : earlier_[i]) {
    if (earlier.instruction < since) return false;
    if (earlier.work >= least_work) return true;
  }
  return false;
}

void Phases::plan(const Instruction* instructions, size_t begin, size_t end, const Conflicts& conflicts,
                  const ThreadRule& rule) {
  begin_.clear();
  shares_.clear();
  for (size_t i = begin; i < end; ++i) {
    const int shares = rule(instructions[i].work);
    // Instructions of one thread each are all run by share 0, one after the other.
    const double least_work = shares > 1 ? 0 : rule.least;
    if (i == begin || instructions[i - 1].is_check || conflicts.with(i, begin_.back(), least_work)) {
      begin_.push_back(i);
      shares_.push_back(shares);
    } else {
      shares_.back() = std::max(shares_.back(), shares);
    }
  }
  begin_.push_back(end);
}

}  // namespace chainrule
