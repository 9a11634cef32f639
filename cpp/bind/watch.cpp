// Whether Python objects that a cached program relies on are as they were. Almost all comparisons are of identity and
// run no Python code, so that a model of a few layers is looked through in a fraction of a microsecond.
#include "bind/watch.h"

#include <bit>
#include <cstring>

#include "bind/arrays.h"
#include "bind/slots.h"

namespace chainrule {
namespace {

PyObject* at(PyObject* tuple, Py_ssize_t i) { return PyTuple_GET_ITEM(tuple, i); }

// The same object, or an equal number, string or tuple of them: those are often computed again. 0.0 is not -0.0.
bool same_value(PyObject* a, PyObject* b) {
  if (a == b) return true;
  if (Py_TYPE(a) != Py_TYPE(b)) return false;
  if (PyFloat_CheckExact(a)) {
    return std::bit_cast<uint64_t>(PyFloat_AS_DOUBLE(a)) == std::bit_cast<uint64_t>(PyFloat_AS_DOUBLE(b));
  }
  if (PyLong_CheckExact(a) || PyUnicode_CheckExact(a)) return PyObject_RichCompareBool(a, b, Py_EQ) == 1;
  if (!PyTuple_CheckExact(a) || PyTuple_GET_SIZE(a) != PyTuple_GET_SIZE(b)) return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(a); ++i) {
    if (!same_value(at(a, i), at(b, i))) return false;
  }
  return true;
}

bool contains(PyObject* tuple, PyObject* item) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i) {
    if (at(tuple, i) == item) return true;
  }
  return false;
}

bool same_mapping(PyObject* dict, PyObject* expected, PyObject* skipped) {
  Py_ssize_t position = 0, i = 0;
  PyObject *key = nullptr, *value = nullptr;
  const Py_ssize_t n = PyTuple_GET_SIZE(expected);
  while (PyDict_Next(dict, &position, &key, &value)) {
    if (i < n && key == at(expected, i) && same_value(value, at(expected, i + 1))) {
      i += 2;
    } else if (skipped == nullptr || !contains(skipped, key)) {
      return false;
    }
  }
  return i == n;
}

bool same_type(PyTypeObject* type, PyObject* version) { return type_version(type) == PyLong_AsUnsignedLong(version); }

// The attributes of an object whose class is the entry's; null: it has another class now.
py::object attributes_of(PyObject* entry, PyObject* owner) {
  PyObject* const object = at(entry, 1) == Py_None ? owner : at(entry, 1);
  if (reinterpret_cast<PyObject*>(Py_TYPE(object)) != at(entry, 2) || !same_type(Py_TYPE(object), at(entry, 3)))
    return py::object();
  auto dict = py::reinterpret_steal<py::object>(PyObject_GenericGetDict(object, nullptr));
  if (!dict) PyErr_Clear();  // an object with slots only
  return dict ? dict : py::object(py::dict());
}

bool same_instance(PyObject* entry, PyObject* owner) {
  const py::object dict = attributes_of(entry, owner);
  return dict && same_mapping(dict.ptr(), at(entry, 4), at(entry, 5));
}

bool same_attributes(PyObject* entry) {
  const py::object dict = attributes_of(entry, Py_None);
  if (!dict) return false;
  PyObject* const expected = at(entry, 4);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(expected); i += 2) {
    PyObject* const value = PyDict_GetItemWithError(dict.ptr(), at(expected, i));
    if (!same_value(value == nullptr ? Py_NotImplemented : value, at(expected, i + 1))) return false;
  }
  return true;
}

bool same_list(PyObject* list, PyObject* items) {
  const Py_ssize_t n = PyTuple_GET_SIZE(items);
  if (PyList_GET_SIZE(list) != n) return false;
  for (Py_ssize_t i = 0; i < n; ++i) {
    if (!same_value(PyList_GET_ITEM(list, i), at(items, i))) return false;
  }
  return true;
}

bool same_items(PyObject* container, PyObject* items) {
  Py_ssize_t i = 0;
  for (const py::handle item : py::reinterpret_borrow<py::object>(container)) {
    if (i >= PyTuple_GET_SIZE(items) || !same_value(item.ptr(), at(items, i))) return false;
    ++i;
  }
  return i == PyTuple_GET_SIZE(items);
}

bool same_name(PyObject* entry) {
  PyObject* const value = PyDict_GetItemWithError(at(entry, 1), at(entry, 2));
  return value != nullptr && same_value(value, at(entry, 3));
}

bool same_bytes(const void* data, py::ssize_t size, PyObject* bytes) {
  return size == PyBytes_GET_SIZE(bytes) && std::memcmp(data, PyBytes_AS_STRING(bytes), static_cast<size_t>(size)) == 0;
}

bool same_array(PyObject* object, PyObject* bytes, PyObject* shape) {
  if (Py_TYPE(object) != py::detail::npy_api::get().PyArray_Type_) {
    const py::object values = py::module_::import("numpy").attr("asarray")(py::handle(object)).attr("tobytes")();
    return same_bytes(PyBytes_AS_STRING(values.ptr()), PyBytes_GET_SIZE(values.ptr()), bytes);
  }
  const auto array = py::reinterpret_borrow<py::array>(object);
  if (array.ndim() != PyTuple_GET_SIZE(shape)) return false;
  for (py::ssize_t d = 0; d < array.ndim(); ++d) {
    if (array.shape(d) != PyLong_AsSsize_t(at(shape, d))) return false;
  }
  if ((array.flags() & py::array::c_style) != 0) return same_bytes(array.data(), array.nbytes(), bytes);
  const py::object values = array.attr("tobytes")();
  return same_bytes(PyBytes_AS_STRING(values.ptr()), PyBytes_GET_SIZE(values.ptr()), bytes);
}

bool same_data(PyObject* tensor, PyObject* expected) {
  static const py::ssize_t offset =
      slot_offset(reinterpret_cast<PyObject*>(Py_TYPE(tensor)), "_data");  // the slot of the base class Tensor
  return slot_of(tensor, offset) == expected;
}

PyObject* or_none(PyObject* object) { return object == nullptr ? Py_None : object; }

bool same_code(PyObject* entry) {
  PyObject* const function = at(entry, 1);
  return PyFunction_GetCode(function) == at(entry, 2) && or_none(PyFunction_GetDefaults(function)) == at(entry, 3) &&
         or_none(PyFunction_GetKwDefaults(function)) == at(entry, 4);
}

bool same_slot(PyObject* entry) {
  const auto value = py::reinterpret_steal<py::object>(PyObject_GetAttr(at(entry, 1), at(entry, 2)));
  if (!value) PyErr_Clear();
  return value && same_value(value.ptr(), at(entry, 3));
}

bool same_cell(PyObject* cell, PyObject* content) {
  PyObject* const now = PyCell_GET(cell);
  return now != nullptr && same_value(now, content);
}

}  // namespace

bool entry_holds(PyObject* entry, PyObject* owner) {
  switch (entry_kind(entry)) {
    case kInstance: return same_instance(entry, owner);
    case kMapping: return same_mapping(at(entry, 1), at(entry, 2), nullptr);
    case kList: return same_list(at(entry, 1), at(entry, 2));
    case kName: return same_name(entry);
    case kCell: return same_cell(at(entry, 1), at(entry, 2));
    case kArray: return same_array(at(entry, 1), at(entry, 2), at(entry, 3));
    case kData: return same_data(at(entry, 1), at(entry, 2));
    case kCount: return PyLong_AsLongLong(PyList_GET_ITEM(at(entry, 1), 0)) == PyLong_AsLongLong(at(entry, 2));
    case kCode: return same_code(entry);
    case kType: return same_type(reinterpret_cast<PyTypeObject*>(at(entry, 1)), at(entry, 2));
    case kItems: return same_items(at(entry, 1), at(entry, 2));
    case kAttributes: return same_attributes(entry);
    case kSlot: return same_slot(entry);
    default: throw py::value_error("unchanged: unknown entry");
  }
}

bool unchanged(PyObject* entries, PyObject* owner) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(entries); ++i) {
    if (!entry_holds(at(entries, i), owner)) return false;
  }
  return true;
}

void bind_watch(py::module_& module) {
  module.def(
      "unchanged", [](const py::tuple& entries, py::handle owner) { return unchanged(entries.ptr(), owner.ptr()); },
      py::arg("entries"), py::arg("owner"), "Whether what these entries of a watch tell of objects still holds.");
  module.def(
      "type_version",
      [](py::handle type) {
        auto* const object = reinterpret_cast<PyTypeObject*>(type.ptr());
        // The first lookup of an attribute gives a class its version: that is no change.
        if (type_version(object) == 0) py::getattr(type, "__init__", py::none());
        return type_version(object);
      },
      py::arg("type"), "A number that changes when a class or one of its bases does; 0: none yet.");
}

}  // namespace chainrule
