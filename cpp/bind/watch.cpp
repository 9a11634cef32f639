// Whether Python objects that a cached program relies on are as they were. All comparisons are of identity and run no
// Python code, so that a model of a few layers is looked through in a fraction of a microsecond.
#include <cstring>

#include "bind/arrays.h"

namespace chainrule {
namespace {

// The first element of an entry; what follows is listed with each. nn/_watch.py makes entries.
enum Kind : long {
  kInstance,  // object (None: the owner), its type, the type's version, (key, value, ...), (keys passed over)
  kMapping,   // dict, (key, value, ...)
  kList,      // list, (items)
  kName,      // dict, key, value (kName without a value: the key must be missing)
  kCell,      // cell of a closure, its content
  kArray,     // contiguous ndarray, its bytes
  kData,      // tensor, its `_data`
  kCount,     // version list of a tensor, its number
  kCode,      // function, its `__code__`
  kType,      // class, its version
};

PyObject* at(PyObject* tuple, Py_ssize_t i) { return PyTuple_GET_ITEM(tuple, i); }

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
    if (skipped != nullptr && contains(skipped, key)) continue;
    if (i >= n || key != at(expected, i) || value != at(expected, i + 1)) return false;
    i += 2;
  }
  return i == n;
}

// CPython gives a class another version whenever it or one of its bases changes. 0: it has none yet.
unsigned long type_version(PyTypeObject* type) {
#if PY_VERSION_HEX < 0x030B0000
  if (!PyType_HasFeature(type, Py_TPFLAGS_VALID_VERSION_TAG)) return 0;
#endif
  return type->tp_version_tag;
}

bool same_type(PyTypeObject* type, PyObject* version) { return type_version(type) == PyLong_AsUnsignedLong(version); }

bool same_instance(PyObject* entry, PyObject* owner) {
  PyObject* const object = at(entry, 1) == Py_None ? owner : at(entry, 1);
  if (reinterpret_cast<PyObject*>(Py_TYPE(object)) != at(entry, 2) || !same_type(Py_TYPE(object), at(entry, 3)))
    return false;
  const auto dict = py::reinterpret_steal<py::object>(PyObject_GenericGetDict(object, nullptr));
  if (!dict) throw py::error_already_set();
  return same_mapping(dict.ptr(), at(entry, 4), at(entry, 5));
}

bool same_list(PyObject* list, PyObject* items) {
  const Py_ssize_t n = PyTuple_GET_SIZE(items);
  if (PyList_GET_SIZE(list) != n) return false;
  for (Py_ssize_t i = 0; i < n; ++i) {
    if (PyList_GET_ITEM(list, i) != at(items, i)) return false;
  }
  return true;
}

bool same_name(PyObject* entry) {
  PyObject* const value = PyDict_GetItemWithError(at(entry, 1), at(entry, 2));
  if (value == nullptr && PyErr_Occurred()) throw py::error_already_set();
  return value == (PyTuple_GET_SIZE(entry) > 3 ? at(entry, 3) : nullptr);
}

bool same_array(PyObject* object, PyObject* bytes) {
  const auto array = py::reinterpret_borrow<py::array>(object);
  return array.nbytes() == PyBytes_GET_SIZE(bytes) && (array.flags() & py::array::c_style) != 0 &&
         std::memcmp(array.data(), PyBytes_AS_STRING(bytes), static_cast<size_t>(array.nbytes())) == 0;
}

bool same_data(PyObject* tensor, PyObject* expected) {
  static PyObject* const name = PyUnicode_InternFromString("_data");
  const auto data = py::reinterpret_steal<py::object>(PyObject_GetAttr(tensor, name));
  if (!data) throw py::error_already_set();
  return data.ptr() == expected;
}

bool same(PyObject* entry, PyObject* owner) {
  switch (PyLong_AsLong(at(entry, 0))) {
    case kInstance: return same_instance(entry, owner);
    case kMapping: return same_mapping(at(entry, 1), at(entry, 2), nullptr);
    case kList: return same_list(at(entry, 1), at(entry, 2));
    case kName: return same_name(entry);
    case kCell: return PyCell_GET(at(entry, 1)) == at(entry, 2);
    case kArray: return same_array(at(entry, 1), at(entry, 2));
    case kData: return same_data(at(entry, 1), at(entry, 2));
    case kCount: return PyLong_AsLongLong(PyList_GET_ITEM(at(entry, 1), 0)) == PyLong_AsLongLong(at(entry, 2));
    case kCode: return PyFunction_GetCode(at(entry, 1)) == at(entry, 2);
    case kType: return same_type(reinterpret_cast<PyTypeObject*>(at(entry, 1)), at(entry, 2));
    default: throw py::value_error("unchanged: unknown entry");
  }
}

bool unchanged(const py::tuple& entries, py::handle owner) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(entries.ptr()); ++i) {
    if (!same(at(entries.ptr(), i), owner.ptr())) return false;
  }
  return true;
}

}  // namespace

void bind_watch(py::module_& module) {
  module.def("unchanged", unchanged, py::arg("entries"), py::arg("owner"),
             "Whether what these entries of nn/_watch.py tell of the owner and other objects still holds.");
  module.def(
      "type_version", [](py::handle type) { return type_version(reinterpret_cast<PyTypeObject*>(type.ptr())); },
      py::arg("type"), "A number that changes when a class or one of its bases does; 0: none yet.");
}

}  // namespace chainrule
