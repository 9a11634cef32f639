// NumPy arrays checked by hand: a typed pybind11 argument costs 110 ns, a handle 4.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <span>
#include <string>
#include <vector>

#include "kernel_table.h"

namespace chainrule {

namespace py = pybind11;

// A native-endian array of one of our dtypes, or an error that begins with `what`.
py::array as_array(py::handle object, std::string_view what);
Dtype dtype_of(const py::array& array, std::string_view what);
py::dtype numpy_dtype(Dtype dtype);
// A new array in C order, like py::array's constructor, which allocates memory for copies of shape and strides.
py::array new_array(const py::dtype& dtype, std::span<const py::ssize_t> shape);

// Whether an array's dtype is this one. NumPy has one object for each, but for arrays that were unpickled.
inline bool has_dtype(const void* descriptor, const py::dtype& type) {
  return descriptor == type.ptr() || py::detail::npy_api::get().PyArray_EquivTypes_(
                                         static_cast<PyObject*>(const_cast<void*>(descriptor)), type.ptr());
}

std::string shape_text(const py::array& array);
std::string shape_text(const std::vector<py::ssize_t>& shape);

// Strides in elements; throws where elements are misaligned or their distances are no whole elements.
std::vector<int64_t> element_strides(const py::array& array, const std::string& what);

// The flags of an array that kernels can use as it is.
constexpr int kPlain = int{py::array::c_style} | int{py::detail::npy_api::NPY_ARRAY_ALIGNED_};

// C-contiguous, writable. `what` is a literal: a string of it would take longer than the checks.
void check_output(const py::array& array, const char* what);
// The first byte of an array's elements and the one after the last; none for an empty array.
struct Memory {
  explicit Memory(const py::array& array);
  bool overlaps(const Memory& other) const { return low < other.high && other.low < high; }
  intptr_t low = 0, high = 0;
};
// Whether the memory of out and in overlaps; if `in_place`, the same array is allowed.
bool overlap(const py::array& out, const py::array& in, bool in_place);
void check_disjoint(const py::array& out, const py::array& in, const char* what, bool in_place);

void bind_config(py::module_& module);
void bind_program(py::module_& module);
void bind_fast_call(py::module_& module);
void bind_direct(py::module_& module);
void bind_linalg(py::module_& module);
void bind_predict(py::module_& module);
void bind_regions(py::module_& module);
void bind_test_hooks(py::module_& module);
void bind_watch(py::module_& module);

}  // namespace chainrule
