// Prediction bound to a model: rows in, rows out, with a program for each number of rows. One row of a small net takes
// less time than a call of a Python function.
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <memory>
#include <utility>

#include "bind/errors.h"
#include "bind/program.h"
#include "bind/watch.h"
#include "isa.h"
#include "program/addresses.h"
#include "threads/thread_pool.h"

namespace chainrule {
namespace {

struct Predict {
  explicit Predict(Watched state) : watched(std::move(state)) {}

  py::object make;     // (rows) -> program of that many rows; called once for each number
  py::object renew;    // () -> a new predict function, called when the model has changed; None: the caller compares
  py::object entries;  // of what the programs depend on
  Watched watched;
  py::object convert;  // (x) -> x as a plain array of the model's dtype, or an error; None: NotImplemented is returned
  py::dtype in_type, out_type;
  std::vector<py::ssize_t> in_row, out_row;  // shapes of a row
  int64_t block;                             // most rows of one program
  std::vector<py::object> programs;          // by rows; null where none was made
  std::vector<const Runnable*> runs;
  const char* isa = nullptr;
  int exact = 0;  // how many numbers of rows, powers of two aside, have a program of their own
};

// Numbers of rows that get a program when they come; others, as of ragged batches, are computed as powers of two. Each
// takes a trace of the model, about a millisecond.
constexpr int kMostExact = 16;

constexpr size_t kMostDimensions = 64;  // of a NumPy array

int64_t row_bytes(const std::vector<py::ssize_t>& shape, const py::dtype& type) {
  int64_t n = type.itemsize();
  for (const py::ssize_t length : shape) n *= length;
  return n;
}

bool fits(PyObject* object, const py::dtype& type, const std::vector<py::ssize_t>& row) {
  if (Py_TYPE(object) != py::detail::npy_api::get().PyArray_Type_) return false;
  const auto* const array = py::detail::array_proxy(object);
  if (array->descr != type.ptr() || (array->flags & kPlain) != kPlain || array->nd != static_cast<int>(row.size()) + 1)
    return false;
  for (size_t d = 0; d < row.size(); ++d) {
    if (array->dimensions[d + 1] != row[d]) return false;
  }
  return true;
}

// What a predict function refers to. A call has a share in it: another thread may renew the function meanwhile.
using Shared = std::shared_ptr<Predict>;

// The program for `rows` <= block rows. Programs belong to an ISA level: they are made anew for another one.
// A call holds the one that it runs, because another thread may replace it meanwhile.
struct Held {
  py::object object;
  const Runnable* runs;
};
Held program_for(Predict& p, int64_t rows) {
  const char* const isa = active_kernels().isa;
  if (p.isa != isa) {
    p.programs.assign(static_cast<size_t>(p.block) + 1, py::object());
    p.runs.assign(p.programs.size(), nullptr);
    p.isa = isa;
    p.exact = 0;
  }
  const size_t i = static_cast<size_t>(rows);
  if (p.runs[i] == nullptr) {
    py::object made = p.make(rows);
    if (p.runs[i] == nullptr) {  // another thread may have made it by now, and be running it
      p.programs[i] = std::move(made);
      p.runs[i] = &runnable(p.programs[i]);
    }
  }
  return {p.programs[i], p.runs[i]};
}

// The program that computes the next of `rest` < block rows, and how many.
struct NextRows {
  Held program;
  int64_t rows;
};
NextRows next_rows(Predict& p, int64_t rest) {
  const auto size = static_cast<uint64_t>(rest);
  const bool current = p.isa == active_kernels().isa;
  if (current && p.runs[size] != nullptr) return {{p.programs[size], p.runs[size]}, rest};
  const bool power = std::has_single_bit(size);
  if (!power && current && p.exact >= kMostExact) rest = static_cast<int64_t>(std::bit_floor(size));
  Held program = program_for(p, rest);
  if (!power && rest == static_cast<int64_t>(size)) ++p.exact;
  return {std::move(program), rest};
}

struct RowBlocks {
  const Runnable* program;
  const char* x;
  char* out;
  int64_t count, x_bytes, out_bytes;
  std::atomic<int64_t> failed{-1};  // a block with a failed check
};

bool run_block(const RowBlocks& blocks, int64_t i, bool quietly) {
  const std::vector<void*>& bound = blocks.program->bound_addresses();
  Addresses addresses(bound.size() + 2);
  addresses[0] = const_cast<char*>(blocks.x + i * blocks.x_bytes);
  addresses[1] = blocks.out + i * blocks.out_bytes;
  std::copy(bound.begin(), bound.end(), addresses.data() + 2);
  if (quietly) return blocks.program->execute_quietly(addresses.data());
  blocks.program->execute(addresses.data());
  return true;
}

void run_share(void* context, Share share) {
  RowBlocks& blocks = *static_cast<RowBlocks*>(context);
  const Range part = share_range(blocks.count, 1, share);
  for (int64_t i = part.begin; i < part.end; ++i) {
    if (!run_block(blocks, i, true)) blocks.failed = i;
  }
}

// Whole blocks in parallel, each on one thread; then the rest.
void predict_rows(Predict& p, const char* x, char* out, int64_t n) {
  const int64_t x_bytes = row_bytes(p.in_row, p.in_type), out_bytes = row_bytes(p.out_row, p.out_type);
  const int64_t whole = n / p.block;
  if (whole > 1) {
    const Held program = program_for(p, p.block);
    RowBlocks blocks = {program.runs, x, out, whole, p.block * x_bytes, p.block * out_bytes};
    const double work = blocks.program->work() * static_cast<double>(whole);
    {
      const py::gil_scoped_release release;
      run_on_pool(static_cast<int>(std::min<int64_t>(whole, thread_rule(work).most)), run_share, &blocks);
    }
    if (blocks.failed >= 0) run_block(blocks, blocks.failed, false);
  } else if (whole == 1) {
    const Held program = program_for(p, p.block);
    run_block({program.runs, x, out, 1, 0, 0}, 0, false);
  }
  for (int64_t done = whole * p.block; done < n;) {
    const auto [program, rows] = next_rows(p, n - done);
    run_block({program.runs, x + done * x_bytes, out + done * out_bytes, 1, 0, 0}, 0, false);
    done += rows;
  }
}

Shared& shared(PyObject* capsule) { return *static_cast<Shared*>(PyCapsule_GetPointer(capsule, nullptr)); }

// The programs of the model as it is now.
Shared current(PyObject* capsule) {
  Shared& held = shared(capsule);
  const Shared now = held;
  if (now->renew.is_none() || now->watched.unchanged()) return now;
  const py::object made = now->renew();
  Shared& fresh = shared(PyCFunction_GetSelf(made.ptr()));
  held = fresh;
  return fresh;
}

py::object predict(Predict& p, PyObject* x_given, PyObject* out_given) {
  py::object x = py::reinterpret_borrow<py::object>(x_given);
  if (!fits(x_given, p.in_type, p.in_row)) {
    if (p.convert.is_none()) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    x = p.convert(x);
  }
  const auto* const array = py::detail::array_proxy(x.ptr());
  const int64_t n = array->dimensions[0];
  py::object out;
  if (out_given == nullptr || out_given == Py_None) {
    py::ssize_t shape[kMostDimensions];  // no vector: its memory costs one row of a small net 5 % of its time
    shape[0] = n;
    std::copy(p.out_row.begin(), p.out_row.end(), shape + 1);
    out = new_array(p.out_type, {shape, p.out_row.size() + 1});
  } else {
    out = py::reinterpret_borrow<py::object>(out_given);
    if (!fits(out_given, p.out_type, p.out_row) || py::detail::array_proxy(out_given)->dimensions[0] != n) {
      std::vector<py::ssize_t> shape = {n};
      shape.insert(shape.end(), p.out_row.begin(), p.out_row.end());
      throw py::value_error("predict: out must be a C-contiguous " + std::string(py::str(p.out_type)) +
                            " array of shape " + shape_text(shape));
    }
    const py::array result = py::reinterpret_borrow<py::array>(out);
    check_output(result, "predict: out");
    check_disjoint(result, py::reinterpret_borrow<py::array>(x), "predict: out", false);
  }
  predict_rows(p, array->data, py::detail::array_proxy(out.ptr())->data, n);
  return out;
}

PyObject* call(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* names) {
  try {
    const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
    const bool by_name = named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "out") == 0;
    if (n < 1 || n + named > 2 || (named > 0 && !by_name))
      throw py::type_error("predict: expected predict(x, out=None)");
    const Shared state = current(self);
    return predict(*state, args[0], n + named == 2 ? args[1] : nullptr).release().ptr();
  } catch (...) {
    return set_python_error();
  }
}

PyMethodDef g_method = {"predict", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call)),
                        METH_FASTCALL | METH_KEYWORDS, nullptr};

py::object make_predict(py::object make, py::object convert, int dtype, int out_dtype,
                        const std::vector<py::ssize_t>& in_row, const std::vector<py::ssize_t>& out_row, int64_t block,
                        py::object renew, py::object watched) {
  auto state = std::make_shared<Predict>(Watched(watched));
  state->make = std::move(make);
  state->renew = std::move(renew);
  state->entries = std::move(watched);
  state->convert = std::move(convert);
  state->in_type = numpy_dtype(static_cast<Dtype>(dtype));
  state->out_type = numpy_dtype(static_cast<Dtype>(out_dtype));
  state->in_row = in_row;
  state->out_row = out_row;
  state->block = block;
  auto* const held = new Shared(std::move(state));
  const py::capsule owner(held, [](void* p) { delete static_cast<Shared*>(p); });
  PyObject* const function = PyCFunction_NewEx(&g_method, owner.ptr(), nullptr);
  if (function == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(function);
}

}  // namespace

void bind_predict(py::module_& module) {
  module.def(
      "predict_function", make_predict, py::arg("make"), py::arg("convert"), py::arg("dtype"), py::arg("out_dtype"),
      py::arg("in_row"), py::arg("out_row"), py::arg("block"), py::arg("renew") = py::none(),
      py::arg("watched") = py::tuple(),
      "A function predict(x, out=None) that runs programs of up to `block` rows. Where the watched entries do not "
      "hold any more, it becomes the function that renew() returns.");
}

}  // namespace chainrule
