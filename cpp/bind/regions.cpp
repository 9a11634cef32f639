// Regions of Python code that read or write the memory of parameters as a whole: eager predictions, optimizer steps,
// loading of weights.
#include <cstdint>

#include "bind/arrays.h"
#include "bind/gil.h"

namespace chainrule {
namespace {

using Region = StepLocks::Region;

std::unique_ptr<Region> region(const py::iterable& arrays, bool writes) {
  std::vector<const void*> addresses;
  for (const py::handle item : arrays) {
    if (!py::isinstance<py::array>(item)) continue;  // a value of a trace
    const py::array array = py::reinterpret_borrow<py::array>(item);
    if (array.nbytes() > 0) addresses.push_back(array.data());
  }
  return std::make_unique<Region>(StepLocks(addresses, writes));
}

// Waits without the GIL: the thread that holds a lock may need it.
void enter(Region& region) {
  while (!region.try_enter()) {
    try {
      const InterruptFlag interrupt;
      const ReleasedGil released;
      const StopScope scope(interrupt.flag());
      region.enter();
      return;
    } catch (const Stopped&) {
      handle_signals();
    }
  }
}

}  // namespace

void bind_regions(py::module_& m) {
  m.def(
      "address", [](const py::array& array) { return reinterpret_cast<uintptr_t>(array.data()); }, py::arg("array"),
      "The address of the first element: a tenth of the time of the array's __array_interface__.");
  py::class_<Region>(m, "Region", "Memory that a block of Python code has for itself, or shares with readers.")
      .def("__enter__", enter)
      .def("__exit__", [](Region& r, const py::args&) { r.leave(); });
  m.def(
      "reading", [](const py::iterable& arrays) { return region(arrays, false); }, py::arg("arrays"),
      "A context in which no other thread's step writes these arrays.");
  m.def(
      "writing", [](const py::iterable& arrays) { return region(arrays, true); }, py::arg("arrays"),
      "A context in which no other thread reads these arrays in a prediction or writes them in a step.");
}

}  // namespace chainrule
