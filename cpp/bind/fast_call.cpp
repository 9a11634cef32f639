// The call of a compiled function from Python, for arguments that fit its last plan: checks by hand, one run, results
// wrapped. A pybind11 function with array arguments, and Tensor's constructor in Python, take longer than a small step.
#include <pybind11/stl.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "bind/call_mode.h"
#include "bind/errors.h"
#include "bind/program.h"
#include "bind/slots.h"
#include "bind/watch.h"
#include "isa.h"
#include "program/addresses.h"

namespace chainrule {
namespace {

// The slots of python/chainrule/_tensor.py's Tensor, as that file declares them: `wrap` fills each of them.
constexpr const char* kTensorSlots[] = {"__weakref__", "_attrs", "_data",          "_grad",  "_inputs",
                                        "_number",     "_op",    "_requires_grad", "_saved", "_version"};

struct TensorClass {
  TensorClass(py::handle tensor_type, py::handle numbers)
      : type(reinterpret_cast<PyTypeObject*>(tensor_type.ptr())),
        counter(numbers.ptr()),
        data(slot_offset(tensor_type, "_data")),
        grad(slot_offset(tensor_type, "_grad")),
        requires_grad(slot_offset(tensor_type, "_requires_grad")),
        op(slot_offset(tensor_type, "_op")),
        inputs(slot_offset(tensor_type, "_inputs")),
        attrs(slot_offset(tensor_type, "_attrs")),
        saved(slot_offset(tensor_type, "_saved")),
        number(slot_offset(tensor_type, "_number")),
        version(slot_offset(tensor_type, "_version")),
        zero(py::int_(0).release().ptr()),
        nothing(PyTuple_New(0)) {}

  py::object wrap(py::object array) const {
    PyObject* const self = type->tp_alloc(type, 0);
    if (self == nullptr) throw py::error_already_set();
    py::object result = py::reinterpret_steal<py::object>(self);
    slot_of(self, data) = array.release().ptr();
    slot_of(self, grad) = Py_NewRef(Py_None);
    slot_of(self, requires_grad) = Py_NewRef(Py_False);
    slot_of(self, op) = Py_NewRef(Py_None);
    slot_of(self, inputs) = Py_NewRef(nothing);
    slot_of(self, attrs) = Py_NewRef(nothing);
    slot_of(self, saved) = Py_NewRef(nothing);
    PyObject* const n = PyIter_Next(counter);
    slot_of(self, number) = n;
    PyObject* const list = PyList_New(2);
    if (n == nullptr || list == nullptr) throw py::error_already_set();
    PyList_SET_ITEM(list, 0, Py_NewRef(zero));
    PyList_SET_ITEM(list, 1, Py_NewRef(n));
    slot_of(self, version) = list;
    return result;
  }

  PyTypeObject* type;
  PyObject* counter;
  py::ssize_t data, grad, requires_grad, op, inputs, attrs, saved, number, version;
  PyObject *zero, *nothing;
};

// Registered when python/chainrule/_tensor.py is imported; it lives as long as the process.
const TensorClass* g_tensor = nullptr;

py::tuple tensor_slots() {
  py::tuple names(std::size(kTensorSlots));
  for (size_t i = 0; i < std::size(kTensorSlots); ++i) names[i] = py::str(kTensorSlots[i]);
  return names;
}

void register_tensor(const py::object& tensor_type, const py::object& numbers) {
  if (!tensor_slots().equal(tensor_type.attr("__slots__")))
    throw py::type_error("register_tensor: the class has other slots than cpp/bind/fast_call.cpp expects, " +
                         std::string(py::str(tensor_type.attr("__slots__"))));
  g_tensor = new TensorClass(tensor_type.inc_ref(), numbers.inc_ref());
}

// Watched objects are borrowed from the plan: the garbage collector does not see what C++ holds, and they may lead back
// to the compiled function.
struct FastCall {
  py::object program;
  std::vector<py::handle> statics;  // by argument: the object that must be passed (borrowed), or null for an array
  std::vector<char> arrays;         // by argument: whether it must not be a tensor
  mutable Watched watched;
  std::vector<py::list> versions;
  std::vector<py::object> cleared;
  CallMode mode;
  bool alone;  // the result is one tensor, not a tuple of them
  const Runnable* runs;
  std::vector<py::dtype> in_types, out_types;
};

// The data of an argument, or null when it does not fit.
void* fitting(const FastCall& call, const TensorClass& tensor, PyObject* argument, bool array_only, size_t i) {
  if (!array_only && PyObject_TypeCheck(argument, tensor.type)) {
    if (slot_of(argument, tensor.requires_grad) != Py_False) return nullptr;
    argument = slot_of(argument, tensor.data);
  }
  if (Py_TYPE(argument) != py::detail::npy_api::get().PyArray_Type_) return nullptr;
  const auto* const array = py::detail::array_proxy(argument);
  const std::vector<py::ssize_t>& shape = call.runs->inputs()[i].shape;
  if (!has_dtype(array->descr, call.in_types[i]) || (array->flags & kPlain) != kPlain ||
      array->nd != static_cast<int>(shape.size()))
    return nullptr;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (array->dimensions[d] != shape[d]) return nullptr;
  }
  return array->data;
}

// Tensors that are always overwritten together share the object of their version's number: one is made for all of them.
void bump(const std::vector<py::list>& versions) {
  PyObject* before = nullptr;
  py::object next;
  for (const py::list& version : versions) {
    PyObject* const item = PyList_GET_ITEM(version.ptr(), 0);
    if (item != before) {
      before = item;
      next = py::reinterpret_steal<py::object>(PyLong_FromLongLong(PyLong_AsLongLong(item) + 1));
      if (!next) throw py::error_already_set();
    }
    PyList_SET_ITEM(version.ptr(), 0, next.inc_ref().ptr());
    Py_DECREF(item);
  }
}

py::object run(const FastCall& call, PyObject* const* args, size_t n) {
  if (t_call_mode != call.mode || n != call.statics.size() || call.runs->isa() != active_kernels().isa ||
      !call.watched.unchanged())
    return py::reinterpret_borrow<py::object>(Py_NotImplemented);
  const std::vector<void*>& bound = call.runs->bound_addresses();
  const size_t n_in = call.in_types.size(), n_out = call.out_types.size(), all = n_in + n_out + bound.size();
  const TensorClass& tensor_class = *g_tensor;
  Addresses addresses(all);
  size_t taken = 0;
  for (size_t i = 0; i < n; ++i) {
    if (call.statics[i]) {
      if (args[i] != call.statics[i].ptr()) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
      continue;
    }
    addresses[taken] = fitting(call, tensor_class, args[i], call.arrays[i] != 0, taken);
    if (addresses[taken] == nullptr) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    ++taken;
  }
  py::tuple results(call.alone ? 0 : n_out);
  py::object first;
  for (size_t i = 0; i < n_out; ++i) {
    py::array array = new_array(call.out_types[i], call.runs->outputs()[i].shape);
    addresses[n_in + i] = py::detail::array_proxy(array.ptr())->data;
    py::object wrapped = tensor_class.wrap(std::move(array));
    if (call.alone) {
      first = std::move(wrapped);
    } else {
      results[i] = std::move(wrapped);
    }
  }
  std::copy(bound.begin(), bound.end(), addresses.data() + n_in + n_out);
  call.runs->execute(addresses.data());
  bump(call.versions);
  for (const py::object& tensor : call.cleared) {
    PyObject*& grad = slot_of(tensor.ptr(), tensor_class.grad);
    if (grad != Py_None) {
      PyObject* const old = grad;
      grad = Py_NewRef(Py_None);
      Py_DECREF(old);
    }
  }
  return call.alone ? first : results;
}

CallMode call_mode(bool grad) { return grad ? CallMode::kGrad : CallMode::kNoGrad; }

PyObject* fast_call(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  try {
    const auto& call = *static_cast<const FastCall*>(PyCapsule_GetPointer(self, nullptr));
    return run(call, args, static_cast<size_t>(n)).release().ptr();
  } catch (...) {
    return set_python_error();
  }
}

PyMethodDef g_method = {"compiled", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(fast_call)),
                        METH_FASTCALL, nullptr};

py::object make_fast_call(py::object program, py::object statics, const py::tuple& watched,
                          const std::vector<py::list>& versions, const std::vector<py::object>& cleared, bool grad,
                          bool alone) {
  if (g_tensor == nullptr) throw py::type_error("fast_call: no Tensor class is registered");
  const Runnable& runs = runnable(program);
  auto* const call =
      new FastCall{program, {}, {}, Watched(watched), versions, cleared, call_mode(grad), alone, &runs, {}, {}};
  const py::capsule owner(call, [](void* p) { delete static_cast<FastCall*>(p); });
  for (py::handle item : statics) {
    // (object,) where exactly this object must be passed, None for an array or a tensor, () for an array
    const bool array = item.is_none() || PyTuple_GET_SIZE(item.ptr()) == 0;
    call->statics.push_back(array ? py::handle() : py::handle(PyTuple_GET_ITEM(item.ptr(), 0)));
    call->arrays.push_back(array && !item.is_none());
  }
  for (const ArraySpec& spec : runs.inputs()) call->in_types.push_back(numpy_dtype(spec.dtype));
  for (const ArraySpec& spec : runs.outputs()) call->out_types.push_back(numpy_dtype(spec.dtype));
  PyObject* const function = PyCFunction_NewEx(&g_method, owner.ptr(), nullptr);
  if (function == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(function);
}

}  // namespace

void bind_fast_call(py::module_& module) {
  module.attr("TENSOR_SLOTS") = tensor_slots();
  module.def(
      "register_tensor", register_tensor, py::arg("tensor_type"), py::arg("numbers"),
      "Tells the core the class Tensor and the counter of tensors; TypeError unless its slots are TENSOR_SLOTS.");
  module.def("fast_call", make_fast_call, py::arg("program"), py::arg("statics"), py::arg("watched"),
             py::arg("versions"), py::arg("cleared"), py::arg("grad"), py::arg("alone"),
             "A function that runs the program on arguments that fit, in the mode `grad`, and returns NotImplemented "
             "otherwise.");
  module.def(
      "set_call_mode", [](std::optional<bool> grad) { t_call_mode = grad ? call_mode(*grad) : CallMode::kNone; },
      py::arg("grad"), "Sets whether ops of this thread record the graph; None: compiled calls do not apply.");
  module.def("call_mode", []() -> std::optional<bool> {
    if (t_call_mode == CallMode::kNone) return std::nullopt;
    return t_call_mode == CallMode::kGrad;
  });
}

}  // namespace chainrule
