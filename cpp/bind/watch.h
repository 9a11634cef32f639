// Whether what a cached program depends on is as it was.
#pragma once

#include <pybind11/pybind11.h>

namespace chainrule {

// Whether the entries of a watch (python/chainrule/compiler/watch.py) hold; `owner` stands for None in them.
bool unchanged(PyObject* entries, PyObject* owner);

}  // namespace chainrule
