#include "program/runner.h"

#include <atomic>

#include "threads/fp_mode.h"

namespace chainrule {
namespace {

// To wake a worker takes the thread that wakes it 9 us, and the worker runs after about as long: with less work than
// this it was slower than one thread (10 us of work took 19 us, 40 us took 43, 100 us took 72).
constexpr double kWorthWaking = 50e3;  // nanoseconds

bool check_failed(const Instruction& instruction, void* const* slots) {
  return instruction.is_check && static_cast<const CheckFailure*>(slots[instruction.outputs[0]])->code != 0;
}

int run_alone(const Instruction* instructions, size_t begin, size_t end, void* const* slots, void* scratch) {
  const DefaultFpMode mode;
  for (size_t i = begin; i < end; ++i) {
    instructions[i].run(instructions[i], slots, {0, 1}, scratch);
    if (check_failed(instructions[i], slots)) return static_cast<int>(i);
  }
  return -1;
}

struct Run {
  const Instruction* instructions;
  void* const* slots;
  void* scratch;
  const Phases& phases;
  const ThreadRule& rule;
  std::atomic<int> failed{-1};
};

// A check is the last instruction of its phase, and share 0 runs it.
void run_share(void* context, int phase, Share share) {
  Run& run = *static_cast<Run*>(context);
  const size_t begin = run.phases.begin(phase), end = run.phases.begin(phase + 1);
  const int failed = run.failed.load(std::memory_order_relaxed);
  if (failed >= 0 && static_cast<size_t>(failed) < begin) return;
  void* const scratch = static_cast<char*>(run.scratch) + share.index * kGemmScratch;
  for (size_t i = begin; i < end; ++i) {
    const Instruction& instruction = run.instructions[i];
    const Share part = {share.index, run.rule(instruction.work)};
    if (part.index < part.count) instruction.run(instruction, run.slots, part, scratch);
  }
  if (share.index == 0 && check_failed(run.instructions[end - 1], run.slots))
    run.failed.store(static_cast<int>(end - 1), std::memory_order_relaxed);
}

}  // namespace

Runner::Runner(const ThreadRule& rule, double work, Workspace& workspace)
    : pool_(rule.most), rule_(rule), wake_sleeping_(work >= kWorthWaking || rule.least <= 0) {
  rule_.most = pool_.threads();
  scratch_ = workspace.scratch(rule_.most);
}

int Runner::run(const Instruction* instructions, size_t begin, size_t end, double most_work, void* const* slots,
                const Conflicts& conflicts) {
  if (rule_(most_work) == 1) return run_alone(instructions, begin, end, slots, scratch_);
  thread_local Phases phases;
  phases.plan(instructions, begin, end, conflicts, rule_);
  Run run = {instructions, slots, scratch_, phases, rule_};
  pool_.run({run_share, &run, phases.shares(), phases.count(), wake_sleeping_});
  return run.failed.load(std::memory_order_relaxed);
}

}  // namespace chainrule
