// The Python error of a C++ exception, for functions that pybind11 does not wrap.
#pragma once

#include <pybind11/pybind11.h>

namespace chainrule {

// Inside a catch block: sets the error as pybind11 does for its functions, MemoryError where memory is short. Returns
// null, for the caller to return.
inline PyObject* set_python_error() {
  pybind11::detail::try_translate_exceptions();
  return nullptr;
}

}  // namespace chainrule
