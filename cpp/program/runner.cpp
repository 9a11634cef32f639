#include "program/runner.h"

#include <algorithm>
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

// A share; where the run can be stopped and the share is long, in smaller ones, which give the same bits.
void run_parts(const Instruction& instruction, void* const* slots, Share share, void* scratch,
               const std::atomic<bool>* stop) {
  const double work = stop == nullptr || instruction.looks_at_stop ? 0 : instruction.work / share.count;
  if (work < 2 * instruction.part_work) return instruction.run(instruction, slots, share, scratch);
  const int parts = static_cast<int>(std::min(work / instruction.part_work, 1e6));
  for (int i = 0; i < parts && !stop_requested(stop); ++i)
    instruction.run(instruction, slots, {share.index * parts + i, share.count * parts}, scratch);
}

// On the thread that looks at `stop` already. Looking at it although there is none took 2 % of a small step.
int run_alone(const Instruction* instructions, size_t begin, size_t end, void* const* slots, void* scratch,
              const std::atomic<bool>* stop) {
  const DefaultFpMode mode;
  for (size_t i = begin; i < end && !stop_requested(stop); ++i) {
    if (stop == nullptr) {
      instructions[i].run(instructions[i], slots, {0, 1}, scratch);
    } else {
      run_parts(instructions[i], slots, {0, 1}, scratch, stop);
    }
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
  const std::atomic<bool>* stop;
  std::atomic<int> failed{-1};
  std::atomic<bool> thrown{false};
};

// A check is the last instruction of its phase, and share 0 runs it.
void run_phase(Run& run, int phase, Share share) {
  const size_t begin = run.phases.begin(phase), end = run.phases.begin(phase + 1);
  const int failed = run.failed.load(std::memory_order_relaxed);
  if (failed >= 0 && static_cast<size_t>(failed) < begin) return;
  void* const scratch = static_cast<char*>(run.scratch) + share.index * kGemmScratch;
  const StopScope scope(run.stop);
  for (size_t i = begin; i < end && !stop_requested(run.stop); ++i) {
    const Instruction& instruction = run.instructions[i];
    const Share part = {share.index, run.rule(instruction.work)};
    if (part.index < part.count) run_parts(instruction, run.slots, part, scratch, run.stop);
  }
  if (share.index == 0 && check_failed(run.instructions[end - 1], run.slots))
    run.failed.store(static_cast<int>(end - 1), std::memory_order_relaxed);
}

// After an exception nothing else runs: instructions would read what was never written.
void run_share(void* context, int phase, Share share) {
  Run& run = *static_cast<Run*>(context);
  if (run.thrown.load(std::memory_order_relaxed)) return;
  try {
    run_phase(run, phase, share);
  } catch (...) {
    run.thrown.store(true, std::memory_order_relaxed);
    throw;
  }
}

}  // namespace

Runner::Runner(const ThreadRule& rule, double work, Workspace& workspace)
    : pool_(rule.most), rule_(rule), wake_sleeping_(work >= kWorthWaking || rule.least <= 0), stop_(stop_flag()) {
  rule_.most = pool_.threads();
  scratch_ = workspace.scratch(rule_.most);
}

int Runner::run(const Instruction* instructions, size_t begin, size_t end, double most_work, void* const* slots,
                const Conflicts& conflicts) {
  int failed = -1;
  if (rule_(most_work) == 1) {
    failed = run_alone(instructions, begin, end, slots, scratch_, stop_);
  } else {
    Phases& phases = of_thread<Phases>();
    phases.plan(instructions, begin, end, conflicts, rule_);
    Run run = {instructions, slots, scratch_, phases, rule_, stop_};
    pool_.run({run_share, &run, phases.shares(), phases.count(), wake_sleeping_});
    failed = run.failed.load(std::memory_order_relaxed);
  }
  if (stop_requested(stop_)) throw Stopped();  // something may be missing
  return failed;
}

}  // namespace chainrule
