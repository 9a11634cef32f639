// The Python error of a C++ exception, for functions that pybind11 does not wrap.
#pragma once

#include <pybind11/pybind11.h>

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

namespace chainrule {

// Inside a catch block: sets the error as pybind11 does for its functions, MemoryError where memory is short. Returns
// null, for the caller to return. At the interpreter's end Python unwinds the stack of a thread that asks for the GIL:
// who keeps that from going on ends the process.
inline PyObject* set_python_error() {
#ifdef __GLIBCXX__
  try {
    throw;
  } catch (abi::__forced_unwind&) {
    throw;
  } catch (...) {
    pybind11::detail::try_translate_exceptions();
  }
#else
  pybind11::detail::try_translate_exceptions();
#endif
  return nullptr;
}

}  // namespace chainrule
