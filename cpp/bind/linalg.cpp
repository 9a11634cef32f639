// Decompositions. They are not instructions: each is computed once, when a model is fitted.
#include <algorithm>
#include <cmath>

#include "bind/arrays.h"
#include "bind/gil.h"
#include "host/eigen.h"
#include "threads/fp_mode.h"

namespace chainrule {
namespace {

void eigen(py::handle a_object, py::handle values_object) {
  py::array a = as_array(a_object, "symmetric_eigen a"), values = as_array(values_object, "symmetric_eigen values");
  if (dtype_of(a, "symmetric_eigen a") != kFloat64 || dtype_of(values, "symmetric_eigen values") != kFloat64)
    throw py::type_error("symmetric_eigen: expected float64");
  if (a.ndim() != 2 || a.shape(0) != a.shape(1) || values.ndim() != 1 || values.shape(0) != a.shape(0)) {
    throw py::value_error("symmetric_eigen: expected a (n, n) and values (n,), got a " + shape_text(a) + ", values " +
                          shape_text(values));
  }
  check_output(a, "symmetric_eigen a");
  check_output(values, "symmetric_eigen values");
  check_disjoint(values, a, "symmetric_eigen: values", false);
  const int64_t n = a.shape(0);
  double* const matrix = static_cast<double*>(a.mutable_data());
  double* const found = static_cast<double*>(values.mutable_data());
  if (!std::all_of(matrix, matrix + n * n, [](double x) { return std::isfinite(x); }))
    throw py::value_error("symmetric_eigen: a is not finite everywhere");
  bool ended = false;
  {
    const ReleasedGil released;
    const DefaultFpMode mode;
    ended = symmetric_eigen(n, matrix, found);
  }
  if (!ended) throw py::value_error("symmetric_eigen: did not converge");
}

}  // namespace

void bind_linalg(py::module_& m) {
  m.def("symmetric_eigen", eigen, py::arg("a"), py::arg("values"),
        "Overwrites a symmetric float64 matrix by its eigenvectors, one per row, largest eigenvalue first.");
}

}  // namespace chainrule
