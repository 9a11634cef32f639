#include "bind/arrays.h"

#include <cstdint>
#include <cstdlib>

#include "program/program.h"

namespace chainrule {

py::array as_array(py::handle object, std::string_view what) {
  if (!py::isinstance<py::array>(object))
    throw py::type_error(std::string(what) + ": expected a numpy.ndarray, got " +
                         std::string(py::str(py::type::handle_of(object).attr("__name__"))));
  return py::reinterpret_borrow<py::array>(object);
}

Dtype dtype_of(const py::array& array, std::string_view what) {
  const py::dtype dtype = array.dtype();
  const char kind = dtype.kind();
  const py::ssize_t size = dtype.itemsize();
  if (dtype.byteorder() == '=' || dtype.byteorder() == '|') {
    if (kind == 'f' && size == 4) return kFloat32;
    if (kind == 'f' && size == 8) return kFloat64;
    if (kind == 'i' && size == 8) return kInt64;
    if (kind == 'b') return kBool;
  }
  throw py::type_error(std::string(what) +
                       ": expected dtype float32, float64, int64 or bool in native byte order, got " +
                       std::string(py::str(dtype)) + (dtype.byteorder() == '>' ? " (byte-swapped)" : ""));
}

py::array new_array(const py::dtype& dtype, std::span<const py::ssize_t> shape) {
  const auto& api = py::detail::npy_api::get();
  PyObject* const made =
      api.PyArray_NewFromDescr_(api.PyArray_Type_, dtype.inc_ref().ptr(), static_cast<int>(shape.size()), shape.data(),
                                nullptr, nullptr, 0, nullptr);
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::array>(made);
}

py::dtype numpy_dtype(Dtype dtype) {
  switch (dtype) {
    case kFloat32: return py::dtype::of<float>();
    case kFloat64: return py::dtype::of<double>();
    case kInt64: return py::dtype::of<int64_t>();
    default: return py::dtype::of<bool>();
  }
}

std::string shape_text(const std::vector<py::ssize_t>& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}
std::string shape_text(const py::array& array) {
  return shape_text(std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim()));
}

std::vector<int64_t> element_strides(const py::array& array, const std::string& what) {
  const py::ssize_t size = array.itemsize();
  std::vector<int64_t> strides;
  bool whole = reinterpret_cast<uintptr_t>(array.data()) % static_cast<uintptr_t>(size) == 0;
  for (py::ssize_t d = 0; d < array.ndim(); ++d) {
    whole = whole && array.strides(d) % size == 0;
    strides.push_back(array.strides(d) / size);
  }
  if (!whole && array.size() > 0)
    throw py::value_error(what + ": the array is not aligned to its elements; pass a copy");
  return strides;
}

void check_output(const py::array& array, const char* what) {
  if (!array.writeable()) throw py::value_error(std::string(what) + ": the array is read-only");
  if ((array.flags() & kPlain) == kPlain) return;
  if ((array.flags() & py::array::c_style) == 0)
    throw py::value_error(std::string(what) + ": expected a C-contiguous array");
  element_strides(array, what);
}

Memory::Memory(const py::array& array) {
  if (array.size() == 0) return;
  low = reinterpret_cast<intptr_t>(array.data());
  high = low + array.itemsize();
  for (py::ssize_t d = 0; d < array.ndim(); ++d) {
    const intptr_t reach = (array.shape(d) - 1) * array.strides(d);
    (reach < 0 ? low : high) += reach;
  }
}

bool overlap(const py::array& out, const py::array& in, bool in_place) {
  if (!Memory(out).overlaps(Memory(in))) return false;
  return !(in_place && out.data() == in.data() && (in.flags() & py::array::c_style) != 0);
}

void check_disjoint(const py::array& out, const py::array& in, const char* what, bool in_place) {
  if (overlap(out, in, in_place)) throw py::value_error(std::string(what) + " overlaps an input in memory");
}

}  // namespace chainrule
