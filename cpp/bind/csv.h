// Tables of text (bind/csv.cpp).
#pragma once

#include <pybind11/pybind11.h>

namespace chainrule {

void bind_csv(pybind11::module_& module);

}  // namespace chainrule
