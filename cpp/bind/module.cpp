// Contents of chainrule._core.
#include "bind/arrays.h"
#include "bind/csv.h"

// Under a name of its own, and PyInit__core below calls its function.
PYBIND11_MODULE(_core_contents, m) {
  m.doc() = "chainrule's compiled core: kernels, programs and configuration.";
  chainrule::bind_config(m);
  chainrule::bind_csv(m);
  chainrule::bind_fast_call(m);
  chainrule::bind_direct(m);
  chainrule::bind_linalg(m);
  chainrule::bind_predict(m);
  chainrule::bind_program(m);
  chainrule::bind_regions(m);
  chainrule::bind_test_hooks(m);
  chainrule::bind_watch(m);
}

// Before pybind11 looks for its state: it would wait for the GIL that a subinterpreter holds.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core();
PyObject* PyInit__core() {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) return PyInit__core_contents();
  PyErr_SetString(PyExc_ImportError, "chainrule: subinterpreters are not supported; import it in the main interpreter");
  return nullptr;
}
