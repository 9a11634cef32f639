// Releasing the GIL costs 37 ns: only work that takes longer than other threads mind to wait is done without it.
#pragma once

#include <pybind11/pybind11.h>

namespace chainrule {

constexpr double kReleaseGil = 5000;  // nanoseconds

// Calls `run`, which is expected to take `work` nanoseconds and touches no Python object. The GIL is held.
template <class Run>
void run_with_gil_policy(double work, const Run& run) {
  if (work < kReleaseGil) {
    run();
  } else {
    const pybind11::gil_scoped_release release;
    run();
  }
}

}  // namespace chainrule
