// Contents of chainrule._core.
#include "bind/arrays.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "chainrule's compiled core: kernels, programs and configuration.";
  chainrule::bind_config(m);
  chainrule::bind_fast_call(m);
  chainrule::bind_direct(m);
  chainrule::bind_linalg(m);
  chainrule::bind_predict(m);
  chainrule::bind_program(m);
  chainrule::bind_test_hooks(m);
  chainrule::bind_watch(m);
}
