#include "bind/program.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <sstream>
#include <utility>
#include <variant>

#include "bind/arrays.h"
#include "bind/gil.h"
#include "isa.h"
#include "program/addresses.h"
#include "program/checked.h"
#include "program/instructions.h"
#include "program/program.h"

namespace chainrule {
namespace {

constexpr double kSavePerByte = 0.2;  // nanoseconds
constexpr double kSaveShare = 0.01;   // of a step's time may go into saving what it overwrites

// A Program with the shapes Python knows: slots are inputs, outputs, permanently bound arrays, temporaries.
class BoundProgram : public Runnable {
 public:
  using Spec = std::pair<int, std::vector<py::ssize_t>>;
  // name, dtype, outputs, inputs, ints, reals, and for a fused instruction the body.
  using Plain =
      std::tuple<std::string, int, std::vector<int>, std::vector<int>, std::vector<int64_t>, std::vector<double>>;
  using Fused = std::tuple<std::string, int, std::vector<int>, std::vector<int>, std::vector<int64_t>,
                           std::vector<double>, std::vector<Plain>>;
  using Code = std::variant<Plain, Fused>;

  BoundProgram(const std::vector<Spec>& inputs, const std::vector<Spec>& outputs, const std::vector<Spec>& temporaries,
               const std::vector<Code>& code, const std::vector<py::array>& bound, const std::vector<int64_t>& offsets,
               py::object on_failed_check, const py::tuple& loop)
      : inputs_(specs(inputs)),
        outputs_(specs(outputs)),
        bound_(bound),
        on_failed_check_(std::move(on_failed_check)),
        program_(slots(inputs_, outputs_, specs(bound_), specs(temporaries), offsets),
                 static_cast<int>(inputs.size() + outputs.size() + bound.size()), instructions(code), rows_loop(loop)) {
    for (const ArraySpec& spec : inputs_) input_dtypes_.push_back(numpy_dtype(spec.dtype));
    for (const ArraySpec& spec : outputs_) output_dtypes_.push_back(numpy_dtype(spec.dtype));
    for (py::array& array : bound_) bound_addresses_.push_back(const_cast<void*>(array.data()));
    find_written();
    std::vector<const void*> locked;
    for (size_t i = 0; i < bound_.size(); ++i) {
      const bool written = std::find(written_.begin(), written_.end(), i) != written_.end();
      if (bound_[i].nbytes() > 0 && (written || written_.empty())) locked.push_back(bound_addresses_[i]);
    }
    locks_ = StepLocks(locked, !written_.empty());
  }

  py::object run(const py::args& arrays) const {
    const size_t n_in = inputs_.size(), n_out = outputs_.size(), n = n_in + n_out + bound_.size();
    if (arrays.size() != n_in)
      throw py::type_error("Program: takes " + std::to_string(n_in) + " arrays, got " + std::to_string(arrays.size()));
    Addresses addresses(n);
    for (size_t i = 0; i < n_in; ++i) addresses[i] = input_address(arrays[i], i);
    std::copy(bound_addresses_.begin(), bound_addresses_.end(), addresses.data() + n_in + n_out);
    py::tuple results(n_out);
    for (size_t i = 0; i < n_out; ++i) {
      py::array result = new_array(output_dtypes_[i], outputs_[i].shape);
      addresses[n_in + i] = result.mutable_data();
      results[i] = std::move(result);
    }
    execute(addresses.data());
    if (n_out == 1) return results[0];
    return results;
  }

  // Runs number first, first + 1, ... of a program from rows of `index` (n, m) to single numbers `results` (n): input 0
  // is row i, output 0 element i. Until n, or until `seconds` are over; returns how many runs are done then, which is
  // also in `done`, an array of one number, if an exception ends them. Before run i, each setting (cells, offset,
  // values) writes row i of its values (n, k) to cells[offset : offset + k], which instructions read: learning rates,
  // say.
  using Setting = std::tuple<py::array, int64_t, py::array>;
  int64_t run_rows(const py::array& index, py::array& results, int64_t first, double seconds,
                   std::optional<py::array_t<int64_t>> done, const std::vector<Setting>& settings) const {
    const int64_t n = results.size();
    if (inputs_.size() != 1 || outputs_.size() != 1 || index.ndim() != 2 || index.shape(0) != n || first < 0 ||
        index.shape(1) * index.itemsize() != slot_bytes(inputs_[0]) || results.itemsize() != slot_bytes(outputs_[0]) ||
        dtype_of(index, "run_rows") != inputs_[0].dtype || dtype_of(results, "run_rows") != outputs_[0].dtype ||
        (index.flags() & results.flags() & py::array::c_style) == 0 || (done && done->size() != 1)) {
      throw py::value_error("run_rows: expected one input per row of index and one number per run");
    }
    const std::vector<RowsOfCells> cells = cells_of(settings, n);
    std::vector<void*> addresses(2);
    addresses.insert(addresses.end(), bound_addresses_.begin(), bound_addresses_.end());
    const char* const rows = static_cast<const char*>(index.data());
    char* const out = static_cast<char*>(results.mutable_data());
    const int64_t row_bytes = slot_bytes(inputs_[0]), out_bytes = slot_bytes(outputs_[0]);
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    // The clock is read about every 20 us: reading it takes 30 ns, longer than some instructions.
    const int64_t stride = std::max<int64_t>(1, static_cast<int64_t>(20000 / (program_.work() + 100)));
    CheckFailure failure = {};
    int failed = -1;
    int64_t own = first;
    int64_t& i = done ? *done->mutable_data() : own;
    i = first;
    const auto steps = [&] {
      const HeldSteps held(locks_);
      do {
        addresses[0] = const_cast<char*>(rows) + i * row_bytes;
        addresses[1] = out + i * out_bytes;
        for (const RowsOfCells& c : cells) std::copy_n(c.values + i * c.count, c.count, c.cells);
        failed = run_or_undo(addresses.data(), failure);
        if (i % stride == 0) locks_.give_turn();
      } while (failed < 0 && ++i < n && (i % stride != 0 || std::chrono::steady_clock::now() < end));
    };
    try {
      const InterruptFlag interrupt(program_.work() >= kStoppableWork);
      const ReleasedGil released;
      const StopScope scope(interrupt.flag());
      steps();
    } catch (const Stopped&) {  // before step i, whose effects are undone
      handle_signals();
    }
    if (failed >= 0) raise(failed, failure);
    return i;
  }

  // For tests: an instruction that throws on one thread.
  RunFn& run_of(size_t instruction) {
    if (instruction >= program_.instructions().size()) throw py::index_error("there are fewer instructions");
    return program_.run_of(instruction);
  }

  std::string text() const { return program_.text(); }
  const Program& program() const { return program_; }

  const std::vector<ArraySpec>& inputs() const override { return inputs_; }
  const std::vector<ArraySpec>& outputs() const override { return outputs_; }
  const std::vector<void*>& bound_addresses() const override { return bound_addresses_; }
  const char* isa() const override { return program_.isa(); }
  double work() const override { return program_.work(); }
  bool execute_quietly(void* const* addresses) const override { return program_.run(addresses) < 0; }
  void execute(void* const* addresses) const override {
    CheckFailure failure = {};
    int failed = -1;
    run_with_gil_policy(program_.work(), locks_, [&] { failed = run_or_undo(addresses, failure); });
    if (failed >= 0) raise(failed, failure);
  }
  const StepLocks& locks() const override { return locks_; }

 private:
  struct RowsOfCells {
    double* cells;
    const double* values;
    int64_t count;
  };
  static std::vector<RowsOfCells> cells_of(const std::vector<Setting>& settings, int64_t n) {
    std::vector<RowsOfCells> found;
    for (const auto& [cells, offset, values] : settings) {
      const bool plain = (cells.flags() & values.flags() & py::array::c_style) != 0 && cells.writeable();
      if (!plain || dtype_of(cells, "run_rows") != kFloat64 || dtype_of(values, "run_rows") != kFloat64 ||
          values.ndim() != 2 || values.shape(0) != n || offset < 0 || offset > cells.size() - values.shape(1)) {
        throw py::value_error("run_rows: expected float64 settings, a row of values for every run");
      }
      double* const data = static_cast<double*>(const_cast<void*>(cells.data()));
      found.push_back({data + offset, static_cast<const double*>(values.data()), values.shape(1)});
    }
    return found;
  }

  // Bound arrays that instructions overwrite, and the first of these instructions.
  void find_written() {
    const int first = static_cast<int>(inputs_.size() + outputs_.size()), count = static_cast<int>(bound_.size());
    const std::vector<Instruction>& code = program_.instructions();
    for (size_t i = 0; i < code.size(); ++i) {
      for (const int slot : code[i].outputs) {
        if (slot < first || slot >= first + count) continue;
        const size_t bound = static_cast<size_t>(slot - first);
        if (written_.empty()) first_write_ = static_cast<int>(i);
        if (std::find(written_.begin(), written_.end(), bound) == written_.end()) {
          written_.push_back(bound);
          written_bytes_ += static_cast<double>(bound_[bound].nbytes());
        }
      }
    }
  }

  // Where the run can be stopped, what it overwrites is as before then. It is saved where that takes nearly no time, as
  // in a long step on many rows; else the run stops only before it writes.
  int run_or_undo(void* const* addresses, CheckFailure& failure) const {
    if (written_.empty() || stop_flag() == nullptr) return program_.run(addresses, &failure);
    if (written_bytes_ * kSavePerByte > kSaveShare * program_.work())
      return program_.run(addresses, &failure, first_write_);
    const size_t first = inputs_.size() + outputs_.size();
    std::vector<char> saved(static_cast<size_t>(written_bytes_));
    char* at = saved.data();
    for (const size_t i : written_) {
      const auto bytes = static_cast<size_t>(bound_[i].nbytes());
      std::memcpy(std::exchange(at, at + bytes), addresses[first + i], bytes);
    }
    try {
      return program_.run(addresses, &failure);
    } catch (const Stopped&) {
      at = saved.data();
      for (const size_t i : written_) {
        const auto bytes = static_cast<size_t>(bound_[i].nbytes());
        std::memcpy(addresses[first + i], std::exchange(at, at + bytes), bytes);
      }
      throw;
    }
  }

  [[noreturn]] void raise(int instruction, const CheckFailure& failure) const {
    const py::object error = on_failed_check_(instruction, failure.position, failure.value);
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
    throw py::error_already_set();
  }
  static int64_t slot_bytes(const ArraySpec& spec) {
    int64_t n = item_size(spec.dtype);
    for (const py::ssize_t length : spec.shape) n *= length;
    return n;
  }
  static std::vector<ArraySpec> specs(const std::vector<py::array>& arrays) {
    std::vector<ArraySpec> result;
    for (const py::array& array : arrays) {
      if ((array.flags() & py::array::c_style) == 0)
        throw py::value_error("Program: bound arrays must be C-contiguous, got strides of shape " + shape_text(array));
      result.push_back({dtype_of(array, "Program bound array"),
                        std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim())});
    }
    return result;
  }
  static std::vector<ArraySpec> specs(const std::vector<Spec>& list) {
    std::vector<ArraySpec> result;
    for (const auto& [dtype, shape] : list) {
      if (dtype < kFloat32 || dtype > kBool) throw py::value_error("Program: unknown dtype " + std::to_string(dtype));
      result.push_back({static_cast<Dtype>(dtype), shape});
    }
    return result;
  }
  static std::vector<Slot> slots(const std::vector<ArraySpec>& inputs, const std::vector<ArraySpec>& outputs,
                                 const std::vector<ArraySpec>& bound, const std::vector<ArraySpec>& temporaries,
                                 const std::vector<int64_t>& offsets) {
    if (!offsets.empty() && offsets.size() != temporaries.size())
      throw py::value_error("Program: expected an offset for each temporary");
    std::vector<Slot> result;
    for (const auto* list : {&inputs, &outputs, &bound, &temporaries}) {
      for (const ArraySpec& spec : *list) {
        Extent bytes = item_size(spec.dtype);
        for (const py::ssize_t n : spec.shape) bytes = bytes * n;
        if (!bytes.fits()) throw py::value_error("Program: shape " + shape_text(spec.shape) + " has too many elements");
        result.push_back({spec.dtype, bytes.value("Program") / item_size(spec.dtype)});
      }
    }
    const size_t fixed = result.size() - temporaries.size();
    for (size_t i = 0; i < offsets.size(); ++i) {
      if (offsets[i] < 0) throw py::value_error("Program: offsets must not be negative");
      result[fixed + i].offset = offsets[i];
    }
    return result;
  }
  // () or (instructions before, of a block, whole blocks, whether a shorter one follows, streams as (slot, bytes))
  static Loop rows_loop(const py::tuple& given) {
    Loop loop;
    if (given.empty()) return loop;
    loop.begin = given[0].cast<int>();
    loop.length = given[1].cast<int>();
    loop.blocks = given[2].cast<int>();
    loop.tail = given[3].cast<bool>();
    for (const auto& [slot, bytes] : given[4].cast<std::vector<std::pair<int, int64_t>>>())
      loop.streams.push_back({slot, bytes});
    return loop;
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
  std::vector<py::array> bound_;
  std::vector<void*> bound_addresses_;
  std::vector<size_t> written_;  // of bound_
  double written_bytes_ = 0;
  int first_write_ = Program::kAnywhere;
  StepLocks locks_;
  py::object on_failed_check_;  // (instruction, position, value) -> the exception to raise
  Program program_;
};

// What an instruction ran before it was made to throw, and on which share it does. One at a time.
RunFn g_run_before = nullptr;
int g_throwing_share = 0;

void throw_in(BoundProgram& program, size_t instruction, int share) {
  RunFn& run = program.run_of(instruction);
  g_run_before = run;
  g_throwing_share = share;
  run = [](const Instruction& op, void* const* slots, Share part, void* scratch) {
    if (part.index == g_throwing_share) throw std::runtime_error("thrown by share " + std::to_string(part.index));
    g_run_before(op, slots, part, scratch);
  };
}

// Field names by record, from the lists that the records hold as text.
std::map<std::string, std::vector<std::string>> instruction_fields() {
  std::map<std::string, std::vector<std::string>> result;
  for (const schema::Record* const record : schema::kRecords) {
    std::istringstream fields(record->fields);
    for (std::string field; std::getline(fields >> std::ws, field, ',');) result[record->name].push_back(field);
  }
  return result;
}

std::string instruction_record(const std::string& name) {
  const InstructionRow* const row = find_instruction(name, active_kernels());
  if (row == nullptr) throw py::value_error("instruction_record: no instruction is called '" + name + "'");
  return row->record->name;
}

}  // namespace

const Runnable& runnable(py::handle program) { return program.cast<const BoundProgram&>(); }

void bind_program(py::module_& module) {
  py::class_<BoundProgram>(module, "Program")
      .def(py::init<const std::vector<BoundProgram::Spec>&, const std::vector<BoundProgram::Spec>&,
                    const std::vector<BoundProgram::Spec>&, const std::vector<BoundProgram::Code>&,
                    const std::vector<py::array>&, const std::vector<int64_t>&, py::object, const py::tuple&>(),
           py::arg("inputs"), py::arg("outputs"), py::arg("temporaries"), py::arg("code"),
           py::arg("bound") = std::vector<py::array>(), py::arg("offsets") = std::vector<int64_t>(),
           py::arg("on_failed_check") = py::none(), py::arg("loop") = py::tuple(),
           "A list of instructions over slots (inputs, outputs, bound arrays, temporaries), on the active ISA level.")
      .def("run_rows", &BoundProgram::run_rows, py::arg("index"), py::arg("results"), py::arg("first"),
           py::arg("seconds"), py::arg("done").noconvert() = py::none(),
           py::arg("settings") = std::vector<BoundProgram::Setting>(),
           "Runs on rows of index until all are done or the time is over; returns the next row. Before each run, every "
           "setting (cells, offset, values) writes its row of values to its cells.")
      .def(
          "phases", [](const BoundProgram& p, int threads) { return p.program().phases(threads); }, py::arg("threads"),
          "The phases on so many threads: first instruction and threads of each.")
      .def_property_readonly(
          "work", [](const BoundProgram& p) { return p.program().work(); }, "Estimated nanoseconds on one thread.")
      .def_property_readonly("arena_bytes", [](const BoundProgram& p) { return p.program().arena_bytes(); })
      .def_property_readonly("isa", [](const BoundProgram& p) { return p.program().isa(); })
      .def("__call__", &BoundProgram::run, "Runs on the input arrays; returns the output array, or a tuple of them.")
      .def("__str__", &BoundProgram::text)
      .def("throw_in", throw_in, py::arg("instruction"), py::arg("share"),
           "For tests: makes an instruction throw on the thread of this share.");
  module.attr("ALIGNMENT") = kAlignment;
  module.attr("GEMM_DEPTH") = py::make_tuple(gemm_depth(item_size(kFloat32)), gemm_depth(item_size(kFloat64)));
  module.def("instruction_fields", instruction_fields,
             "The fields of each record of instructions, in the order of an instruction's integers.");
  module.def("instruction_record", instruction_record, py::arg("name"),
             "The record of an instruction; ValueError for an unknown name.");
}

}  // namespace chainrule
