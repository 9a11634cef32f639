#include "bind/gil.h"

#include <chrono>
#include <thread>

namespace chainrule {

void ReleasedGil::restore(PyThreadState* state) noexcept {
  try {
    PyEval_RestoreThread(state);
  } catch (...) {  // pthread_exit
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

void handle_signals() {
  if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
}

}  // namespace chainrule
