// Single kernels on the caller's arrays: the lowest-level functions that Python can call.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>

#include "bind/arrays.h"
#include "bind/gil.h"
#include "host/permutation.h"
#include "isa.h"
#include "kernels/step_states.h"
#include "program/instructions.h"
#include "program/matmul.h"
#include "program/program.h"
#include "program/schema.h"

namespace chainrule {
namespace {

// Resolved once per call: about 100 ns, and nothing to go stale when the ISA level changes.
void run_now(Instruction& op, void* const* slots) {
  resolve(op, active_kernels());
  run_without_gil(op.work, StepLocks(), [&] { run_instruction(op, slots); });
}

// A resolved instruction that overwrites what it reads, which runs to its end.
void run_in_place(const Instruction& op, void* const* slots) {
  if (op.work < kReleaseGil) return run_instruction(op, slots);
  const ReleasedGil released;
  run_instruction(op, slots);
}

Dtype same_float_dtype(const char* name, const std::vector<py::array>& arrays) {
  const Dtype dtype = dtype_of(arrays[0], name);
  if (dtype != kFloat32 && dtype != kFloat64)
    throw py::type_error(std::string(name) + ": expected float32 or float64, got " + dtype_name(dtype));
  for (const py::array& array : arrays) {
    if (dtype_of(array, name) != dtype)
      throw py::type_error(std::string(name) + ": expected one dtype, got " + dtype_name(dtype) + " and " +
                           std::string(py::str(array.dtype())));
  }
  return dtype;
}

// The address and the strides in elements of a matrix, without the vector that element_strides makes.
struct Matrix {
  const void* data;
  int64_t rs, cs;
};
Matrix matrix(const py::array& array, const char* what) {
  const int64_t size = array.itemsize(), rs = array.strides(0), cs = array.strides(1);
  if ((static_cast<int64_t>(reinterpret_cast<uintptr_t>(array.data())) | rs | cs) % size != 0)
    element_strides(array, what);  // throws
  return {array.data(), rs / size, cs / size};
}

// A matmul instruction of this thread, resolved once per ISA level for a product of 1 x 1 x 1: a small product takes
// less time than finding the kernel by name and allocating the lists.
Instruction& prepared_matmul(Dtype dtype) {
  Instruction& op = of_thread<std::array<Instruction, 2>>()[dtype];
  const KernelTable& table = active_kernels();
  if (op.kernel != &table.gemm[dtype]) {
    op = {};
    op.name = "matmul";
    op.dtype = dtype;
    op.outputs = {0};
    op.inputs = {1, 2};
    schema::write_matmul(op, {1, 1, 1, 1, 1, 1, 1, 1});
    resolve(op, table);
  }
  return op;
}

void matmul(py::handle a_object, py::handle b_object, py::handle out_object) {
  const py::array a = as_array(a_object, "matmul a"), b = as_array(b_object, "matmul b");
  py::array out = as_array(out_object, "matmul out");
  const Dtype dtype = dtype_of(a, "matmul");
  if (dtype > kFloat64 || dtype_of(b, "matmul") != dtype || dtype_of(out, "matmul") != dtype)
    same_float_dtype("matmul", {a, b, out});  // throws
  if (a.ndim() != 2 || b.ndim() != 2 || out.ndim() != 2 || a.shape(1) != b.shape(0) || out.shape(0) != a.shape(0) ||
      out.shape(1) != b.shape(1)) {
    throw py::value_error("matmul: expected a (m, k), b (k, n), out (m, n), got a " + shape_text(a) + ", b " +
                          shape_text(b) + ", out " + shape_text(out));
  }
  check_output(out, "matmul out");
  check_disjoint(out, a, "matmul: out", false);
  check_disjoint(out, b, "matmul: out", false);
  const Matrix ma = matrix(a, "matmul a"), mb = matrix(b, "matmul b");
  const int64_t m = a.shape(0), n = b.shape(1), k = a.shape(1);
  Instruction& op = prepared_matmul(dtype);
  schema::write_matmul(op, {m, n, k, ma.rs, ma.cs, mb.rs, mb.cs, n});
  op.work = product_work(m, n, k) * (dtype == kFloat64 ? 2 : 1);
  void* const slots[] = {out.mutable_data(), const_cast<void*>(ma.data), const_cast<void*>(mb.data)};
  run_with_gil_policy(op.work, StepLocks(), [&] { run_instruction(op, slots); });
}

// The last elementwise instruction of this thread, resolved for one element: see prepared_matmul.
Instruction& prepared_map(const std::string& name, Dtype dtype, size_t inputs, int64_t elements) {
  struct PreparedMap {
    Instruction op;
    const KernelTable* table = nullptr;
    double work_per_element = 0;
  };
  PreparedMap& p = of_thread<PreparedMap>();
  const KernelTable& table = active_kernels();
  if (p.table != &table || p.op.name != name || p.op.dtype != dtype || p.op.inputs.size() != inputs) {
    p = {};
    p.op.name = name;
    p.op.dtype = dtype;
    p.op.outputs = {0};
    for (size_t i = 0; i < inputs; ++i) p.op.inputs.push_back(static_cast<int>(i) + 1);
    schema::write_flat_map(p.op, inputs, 1);
    resolve(p.op, table);
    p.table = &table;
    p.work_per_element = p.op.work;
  }
  schema::resize_flat_map(p.op, elements);
  p.op.work = p.work_per_element * static_cast<double>(elements);
  return p.op;
}

void elementwise(const std::string& name, const py::handle* in, size_t inputs, py::handle out_object) {
  py::array out = as_array(out_object, name);
  const Dtype dtype = dtype_of(out, name);
  check_output(out, name.c_str());
  void* slots[3] = {out.mutable_data()};
  for (size_t i = 0; i < inputs; ++i) {
    const py::array array = as_array(in[i], name);
    if (dtype > kFloat64 || dtype_of(array, name) != dtype) same_float_dtype(name.c_str(), {array, out});  // throws
    if (array.ndim() != out.ndim() || !std::equal(out.shape(), out.shape() + out.ndim(), array.shape()) ||
        (array.flags() & py::array::c_style) == 0) {
      throw py::value_error(name + ": expected C-contiguous arrays of one shape, got " + shape_text(array) +
                            " and out " + shape_text(out));
    }
    if (overlap(out, array, true)) throw py::value_error(name + ": out overlaps an input in memory");
    slots[i + 1] = const_cast<void*>(array.data());
  }
  const Instruction& op = prepared_map(name, dtype, inputs, out.size());
  run_with_gil_policy(op.work, StepLocks(), [&] { run_instruction(op, slots); });
}

void unary(const std::string& name, py::handle x, py::handle out) { elementwise(name, &x, 1, out); }
void binary(const std::string& name, py::handle a, py::handle b, py::handle out) {
  const py::handle in[] = {a, b};
  elementwise(name, in, 2, out);
}

// Hyperparameters or step state, which the kernels read as they are: at least `least` float64 numbers in C order.
py::array step_numbers(py::handle object, const char* what, int64_t least) {
  const py::array array = as_array(object, what);
  if (dtype_of(array, what) != kFloat64 || array.ndim() != 1 || array.size() < least ||
      (array.flags() & py::array::c_style) == 0) {
    throw py::type_error(std::string(what) + ": expected at least " + std::to_string(least) + " float64 numbers");
  }
  return array;
}

// The last update of this thread, resolved for one element: see prepared_matmul; one by rows is resolved every time.
// Its slots: p, g, the states, the hyperparameters, the step state.
struct PreparedUpdate {
  Instruction op;
  const KernelTable* table = nullptr;
  const UpdateRow* row = nullptr;
  double work_per_element = 0;
};
const PreparedUpdate& prepared_update(const std::string& name, Dtype dtype, int states, const schema::Update& sizes) {
  PreparedUpdate& p = of_thread<PreparedUpdate>();
  const KernelTable& table = active_kernels();
  if (p.table != &table || p.op.name != name || p.op.dtype != dtype ||
      p.op.outputs.size() != static_cast<size_t>(states) + 1 || sizes.row_size != 0) {
    p = {};
    p.row = find_row(table.updates, table.n_updates, name);
    if (p.row == nullptr) throw py::value_error("update_step: no update is called " + name);
    p.op.name = name;
    p.op.dtype = dtype;
    p.op.outputs = {0};
    for (int i = 0; i < states; ++i) p.op.outputs.push_back(i + 2);
    p.op.inputs = {1, states + 2};
    if (p.row->step_state > 0) p.op.inputs.push_back(states + 3);
    schema::write(p.op, sizes.row_size != 0 ? sizes : schema::Update{1, 0});
    resolve(p.op, table);
    if (sizes.row_size != 0) return p;
    p.table = &table;
    p.work_per_element = p.op.work;
  }
  schema::write(p.op, sizes);
  p.op.work = p.work_per_element * static_cast<double>(sizes.n);
  return p;
}

void update_step(const std::string& name, py::handle p_object, py::handle g_object, const py::tuple& states,
                 py::handle hyperparameters, py::handle step_state, int64_t row_size) {
  std::vector<py::array> all;
  all.reserve(2 + states.size());
  all.push_back(as_array(p_object, "update_step p"));
  all.push_back(as_array(g_object, "update_step g"));
  for (const py::handle state : states) all.push_back(as_array(state, "update_step state"));
  const Dtype dtype = same_float_dtype("update_step", all);
  std::vector<Memory> memory;
  std::vector<void*> slots;
  memory.reserve(all.size());
  slots.reserve(all.size() + 2);
  for (size_t i = 0; i < all.size(); ++i) {
    if (i != 1) check_output(all[i], "update_step p and states");
    if (all[i].ndim() != all[0].ndim() || !std::equal(all[0].shape(), all[0].shape() + all[0].ndim(), all[i].shape()) ||
        (all[i].flags() & py::array::c_style) == 0) {
      throw py::value_error("update_step: expected C-contiguous arrays of one shape, got " + shape_text(all[0]) +
                            " and " + shape_text(all[i]));
    }
    memory.emplace_back(all[i]);
    for (size_t j = 0; j < i; ++j) {
      if (memory[i].overlaps(memory[j])) throw py::value_error("update_step: an array overlaps an input in memory");
    }
    slots.push_back(const_cast<void*>(all[i].data()));
  }
  const schema::Update sizes = {all[0].size(), row_size};
  const PreparedUpdate& p = prepared_update(name, dtype, static_cast<int>(states.size()), sizes);
  const auto add_numbers = [&](py::handle object, const char* what, int64_t least) {
    slots.push_back(const_cast<void*>(step_numbers(object, what, least).data()));
  };
  add_numbers(hyperparameters, "update_step hyperparameters", p.row->hyperparameters);
  if (p.row->step_state > 0) add_numbers(step_state, "update_step step_state", p.row->step_state);
  run_in_place(p.op, slots.data());
}

// The step states of one optimizer, at the end of its step.
void advance(const std::vector<py::handle>& step_states, py::handle hyperparameters, const std::string& update) {
  if (step_states.empty()) return;
  const int64_t n = step_numbers(step_states[0], "advance step_state", 1).size();
  Instruction op;
  op.name = update.empty() ? "advance" : "advance " + update;
  op.dtype = kFloat64;
  op.inputs = {0};
  schema::write(op, schema::Advance{n});
  const step_states::Row* const row = step_states::find(update);
  const int64_t least = row == nullptr ? n : row->hyperparameters;
  std::vector<void*> slots = {
      const_cast<void*>(step_numbers(hyperparameters, "advance hyperparameters", least).data())};
  for (const py::handle object : step_states) {
    py::array state = step_numbers(object, "advance step_state", n);
    check_output(state, "advance step_state");
    op.outputs.push_back(static_cast<int>(slots.size()));
    slots.push_back(state.mutable_data());
  }
  resolve(op, active_kernels());
  run_in_place(op, slots.data());
}

template <const char* const& Name>
void random_fill(uint64_t seed, uint64_t stream, py::handle out_object, double a, double b) {
  py::array out = as_array(out_object, Name);
  Instruction op;
  op.name = Name;
  op.dtype = same_float_dtype(Name, {out});
  check_output(out, Name);
  op.outputs = {0};
  schema::write(op, schema::Random{out.size(), static_cast<int64_t>(seed), static_cast<int64_t>(stream)});
  op.reals = {a, b};
  void* const slots[] = {out.mutable_data()};
  run_now(op, slots);
}
const char* const kUniform = "uniform";
const char* const kNormal = "normal";

void bernoulli(uint64_t seed, uint64_t stream, py::handle out_object, double p, double value) {
  py::array out = as_array(out_object, "bernoulli");
  Instruction op;
  op.name = "bernoulli";
  op.dtype = same_float_dtype("bernoulli", {out});
  check_output(out, "bernoulli");
  if (!(p >= 0 && p <= 1)) throw py::value_error("bernoulli: expected p from 0 to 1, got " + std::to_string(p));
  if (out.size() == 0) return;
  op.outputs = {0};
  op.inputs = {1, 2, 3};
  schema::write(op, schema::Bernoulli{out.size(), out.size(), 0});
  int64_t state[] = {static_cast<int64_t>(seed), static_cast<int64_t>(stream)}, row = 0;
  double rates[] = {p, value};
  void* const slots[] = {out.mutable_data(), state, &row, rates};
  run_now(op, slots);
}

void permutation(uint64_t seed, uint64_t stream, py::handle out_object) {
  py::array out = as_array(out_object, "permutation");
  if (dtype_of(out, "permutation") != kInt64 || out.ndim() != 1)
    throw py::type_error("permutation: expected a 1-d int64 array");
  check_output(out, "permutation");
  int64_t* const data = static_cast<int64_t*>(out.mutable_data());
  const int64_t n = out.size();
  const ReleasedGil released;
  random_permutation(seed, stream, n, data);
}

// range: a uint64 as the bits of an int64, as compiled programs have it.
void integers(uint64_t seed, uint64_t stream, py::handle out_object, int64_t low, int64_t range) {
  py::array out = as_array(out_object, "integers");
  if (dtype_of(out, "integers") != kInt64) throw py::type_error("integers: expected an int64 array");
  check_output(out, "integers");
  int64_t* const data = static_cast<int64_t*>(out.mutable_data());
  const int64_t n = out.size();
  const ReleasedGil released;
  random_integers(seed, stream, 0, low, static_cast<uint64_t>(range), n, data);
}

}  // namespace

void bind_direct(py::module_& m) {
  m.def("matmul", matmul, py::arg("a"), py::arg("b"), py::arg("out"), "out = a @ b; a and b with any strides.");
  m.def("unary", unary, py::arg("name"), py::arg("x"), py::arg("out"), "out = name(x), elementwise.");
  m.def("binary", binary, py::arg("name"), py::arg("a"), py::arg("b"), py::arg("out"),
        "out = name(a, b), elementwise.");
  m.def("update_step", update_step, py::arg("name"), py::arg("p"), py::arg("g"), py::arg("states"),
        py::arg("hyperparameters"), py::arg("step_state"), py::arg("row_size") = 0,
        "One step of an optimizer on p and its states, in place; step_state is None where the rule has none. With a "
        "row_size, rows of so many elements whose gradient is 0 stay as they are.");
  m.def("advance", advance, py::arg("step_states"), py::arg("hyperparameters"), py::arg("update") = "",
        "The end of an optimizer's step: each step state counts it, in place, as the update of this name does.");
  m.def("uniform", random_fill<kUniform>, py::arg("seed"), py::arg("stream"), py::arg("out"), py::arg("low"),
        py::arg("high"), "Fills out from one Philox stream, uniform in [low, high).");
  m.def("normal", random_fill<kNormal>, py::arg("seed"), py::arg("stream"), py::arg("out"), py::arg("mean"),
        py::arg("std"), "Fills out from one Philox stream, normal.");
  m.def("bernoulli", bernoulli, py::arg("seed"), py::arg("stream"), py::arg("out"), py::arg("p"), py::arg("value"),
        "Fills out from one Philox stream: 0 with probability p, else value.");
  m.def("permutation", permutation, py::arg("seed"), py::arg("stream"), py::arg("out"),
        "Fills out (int64) with a permutation of 0 .. n-1.");
  m.def("integers", integers, py::arg("seed"), py::arg("stream"), py::arg("out"), py::arg("low"), py::arg("range"),
        "Fills out (int64) with random integers from low to low + range - 1; range as the bits of an int64.");
}

}  // namespace chainrule
