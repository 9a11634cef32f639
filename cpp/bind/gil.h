// Work without the GIL, to which Ctrl-C gets through. Releasing the GIL costs 37 ns: only work that takes longer than
// other threads mind to wait is done without it.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>

#include "bind/step_locks.h"
#include "threads/stop.h"

namespace chainrule {

constexpr double kReleaseGil = 5000;          // nanoseconds
constexpr double kStoppableWork = kPartWork;  // two system calls are nothing to it

// As pybind11's gil_scoped_release. At the interpreter's end Python ends a thread that asks for the GIL by unwinding
// its stack, which ends the process at the first function that must not throw; here the thread sleeps instead, until
// the process ends.
class ReleasedGil {
 public:
  ReleasedGil() : state_(save()) {}
  ~ReleasedGil() {
    restore(state_);
    g_away.fetch_sub(1, std::memory_order_relaxed);
  }
  ReleasedGil(const ReleasedGil&) = delete;
  ReleasedGil& operator=(const ReleasedGil&) = delete;

 private:
  static PyThreadState* save() {
    g_away.fetch_add(1, std::memory_order_relaxed);
    return PyEval_SaveThread();
  }
  static void restore(PyThreadState* state) noexcept;
  PyThreadState* state_;
};

// Runs the handlers of signals that have arrived; throws what they raise.
void handle_signals();

// Calls `run`, which is expected to take `work` nanoseconds and touches no Python object, without the GIL and with the
// locks. Where Ctrl-C stops it (it throws Stopped then, with everything as before the call) and the handler raises,
// that is thrown; where the handler returns, `run` is called again and not stopped.
template <class Run>
void run_without_gil(double work, const StepLocks& locks, const Run& run) {
  try {
    const InterruptFlag interrupt(work >= kStoppableWork);
    const ReleasedGil released;
    const StopScope scope(interrupt.flag());
    const HeldSteps held(locks);
    return run();
  } catch (const Stopped&) {
    handle_signals();
  }
  const ReleasedGil released;
  const HeldSteps held(locks);
  run();
}

// The same, with the GIL where the work is short. The GIL is held.
template <class Run>
void run_with_gil_policy(double work, const StepLocks& locks, const Run& run) {
  if (work >= kReleaseGil) return run_without_gil(work, locks, run);
#if !defined(Py_GIL_DISABLED)
  if (g_away.load(std::memory_order_relaxed) == 0) return run();
#endif
  if (!locks.try_acquire()) return run_without_gil(kStoppableWork, locks, run);  // a step takes as long as it takes
  const HeldSteps held(locks, HeldSteps::Acquired());
  run();
}

}  // namespace chainrule
