#include "exec/program.h"

#include <pybind11/stl.h>

#include <variant>

#include "bind/arrays.h"

namespace chainrule {
namespace {

struct ArraySpec {
  Dtype dtype;
  std::vector<py::ssize_t> shape;
};

constexpr size_t kStackArrays = 16;

// A Program with the shapes Python knows: slots are inputs, then outputs, then temporaries.
class BoundProgram {
 public:
  using Spec = std::pair<int, std::vector<py::ssize_t>>;
  // name, dtype, outputs, inputs, ints, reals, and of a fused instruction the body.
  using Plain =
      std::tuple<std::string, int, std::vector<int>, std::vector<int>, std::vector<int64_t>, std::vector<double>>;
  using Fused = std::tuple<std::string, int, std::vector<int>, std::vector<int>, std::vector<int64_t>,
                           std::vector<double>, std::vector<Plain>>;
  using Code = std::variant<Plain, Fused>;

  BoundProgram(const std::vector<Spec>& inputs, const std::vector<Spec>& outputs, const std::vector<Spec>& temporaries,
               const std::vector<Code>& code)
      : inputs_(specs(inputs)),
        outputs_(specs(outputs)),
        program_(slots(inputs_, outputs_, specs(temporaries)), static_cast<int>(inputs.size() + outputs.size()),
                 instructions(code)) {
    for (const ArraySpec& spec : inputs_) input_dtypes_.push_back(numpy_dtype(spec.dtype));
    for (const ArraySpec& spec : outputs_) output_dtypes_.push_back(numpy_dtype(spec.dtype));
  }

  py::object run(const py::args& arrays) const {
    const size_t n_in = inputs_.size(), n_out = outputs_.size();
    if (arrays.size() != n_in)
      throw py::type_error("Program: takes " + std::to_string(n_in) + " arrays, got " + std::to_string(arrays.size()));
    void* on_stack[kStackArrays];
    std::vector<void*> on_heap(n_in + n_out > kStackArrays ? n_in + n_out : 0);
    void** const addresses = on_heap.empty() ? on_stack : on_heap.data();
    for (size_t i = 0; i < n_in; ++i) addresses[i] = input_address(arrays[i], i);
    py::tuple results(n_out);
    for (size_t i = 0; i < n_out; ++i) {
      py::array result(output_dtypes_[i], outputs_[i].shape);
      addresses[n_in + i] = result.mutable_data();
      results[i] = std::move(result);
    }
    {
      const py::gil_scoped_release release;
      program_.run(addresses);
    }
    if (n_out == 1) return results[0];
    return results;
  }

  std::string text() const { return program_.text(); }

 private:
  static std::vector<ArraySpec> specs(const std::vector<Spec>& list) {
    std::vector<ArraySpec> result;
    for (const auto& [dtype, shape] : list) {
      if (dtype < kFloat32 || dtype > kBool) throw py::value_error("Program: unknown dtype " + std::to_string(dtype));
      result.push_back({static_cast<Dtype>(dtype), shape});
    }
    return result;
  }
  static std::vector<Slot> slots(const std::vector<ArraySpec>& inputs, const std::vector<ArraySpec>& outputs,
                                 const std::vector<ArraySpec>& temporaries) {
    std::vector<Slot> result;
    for (const auto* list : {&inputs, &outputs, &temporaries}) {
      for (const ArraySpec& spec : *list) {
        int64_t elements = 1;
        for (const py::ssize_t n : spec.shape) {
          if (n < 0 || __builtin_mul_overflow(elements, static_cast<int64_t>(n), &elements) ||
              elements > INT64_MAX / 16)
            throw py::value_error("Program: shape " + shape_text(spec.shape) + " has too many elements");
        }
        result.push_back({spec.dtype, elements});
      }
    }
    return result;
  }
  template <class Tuple>
  static Instruction instruction(const Tuple& code) {
    const int dtype = std::get<1>(code);
    if (dtype < kFloat32 || dtype > kBool) throw py::value_error("Program: unknown dtype " + std::to_string(dtype));
    Instruction result;
    result.name = std::get<0>(code);
    result.dtype = static_cast<Dtype>(dtype);
    result.outputs = std::get<2>(code);
    result.inputs = std::get<3>(code);
    result.ints = std::get<4>(code);
    result.reals = std::get<5>(code);
    if constexpr (std::is_same_v<Tuple, Fused>) {
      for (const Plain& item : std::get<6>(code)) result.body.push_back(instruction(item));
    }
    return result;
  }
  static std::vector<Instruction> instructions(const std::vector<Code>& code) {
    std::vector<Instruction> result;
    for (const Code& item : code) {
      result.push_back(std::visit([](const auto& tuple) { return instruction(tuple); }, item));
    }
    return result;
  }

  void* input_address(py::handle object, size_t i) const {
    const ArraySpec& spec = inputs_[i];
    const char* const what = "Program input ";
    if (py::isinstance<py::array>(object)) {
      const py::array array = py::reinterpret_borrow<py::array>(object);
      const bool same_shape = array.ndim() == static_cast<py::ssize_t>(spec.shape.size()) &&
                              std::equal(spec.shape.begin(), spec.shape.end(), array.shape());
      if (same_shape && (array.flags() & py::array::c_style) != 0 &&
          (array.dtype().is(input_dtypes_[i]) || dtype_of(array, what) == spec.dtype))
        return const_cast<void*>(array.data());
    }
    throw py::type_error(std::string(what) + std::to_string(i) + ": expected a C-contiguous " + dtype_name(spec.dtype) +
                         " array of shape " + shape_text(spec.shape));
  }

  std::vector<ArraySpec> inputs_, outputs_;
  std::vector<py::dtype> input_dtypes_, output_dtypes_;  // NumPy keeps one object per dtype: a pointer to compare
  Program program_;
};

}  // namespace

void bind_program(py::module_& module) {
  py::class_<BoundProgram>(module, "Program")
      .def(py::init<const std::vector<BoundProgram::Spec>&, const std::vector<BoundProgram::Spec>&,
                    const std::vector<BoundProgram::Spec>&, const std::vector<BoundProgram::Code>&>(),
           py::arg("inputs"), py::arg("outputs"), py::arg("temporaries"), py::arg("code"),
           "A list of instructions over slots (inputs, outputs, temporaries), on the active ISA level.")
      .def("__call__", &BoundProgram::run, "Runs on the input arrays; returns the output array, or a tuple of them.")
      .def("__str__", &BoundProgram::text);
}

}  // namespace chainrule
