// Attributes in __slots__ lie at fixed offsets, which their descriptors know.
#pragma once

#include <pybind11/pybind11.h>
#include <structmember.h>

#include <string>

namespace chainrule {

inline PyObject*& slot_of(PyObject* object, pybind11::ssize_t offset) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(object) + offset);
}
inline pybind11::ssize_t slot_offset(pybind11::handle type, const char* name) {
  const pybind11::object descriptor = type.attr(name);
  if (Py_TYPE(descriptor.ptr()) != &PyMemberDescr_Type) throw pybind11::type_error(std::string(name) + " is no slot");
  return reinterpret_cast<PyMemberDescrObject*>(descriptor.ptr())->d_member->offset;
}

}  // namespace chainrule
