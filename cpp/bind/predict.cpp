// Prediction bound to a model: rows in, rows out, with a program for each number of rows. One row of a small net takes
// less time than a call of a Python function.
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <utility>

#include "bind/call_mode.h"
#include "bind/errors.h"
#include "bind/gil.h"
#include "bind/program.h"
#include "bind/watch.h"
#include "isa.h"
#include "program/addresses.h"
#include "threads/thread_pool.h"

namespace chainrule {
namespace {

struct Predict {
  explicit Predict(Watched state) : watched(std::move(state)) {}

  int64_t shares = 0;

  py::object make;     // (rows) -> program of that many rows; called once for each number
  py::object renew;    // () -> a new predict function, called when the model has changed; None: the caller compares
  py::object refuse;   // () -> None or an error, called where programs do not apply; None: the caller looks
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
  if (!has_dtype(array->descr, type) || (array->flags & kPlain) != kPlain ||
      array->nd != static_cast<int>(row.size()) + 1)
    return false;
  for (size_t d = 0; d < row.size(); ++d) {
    if (array->dimensions[d + 1] != row[d]) return false;
  }
  return true;
}

// What a predict function refers to. A call has a share in it: another thread may renew the function meanwhile. Counted
// under the GIL: a std::shared_ptr takes 20 ns for a call.
class Shared {
 public:
  explicit Shared(Predict* state) : state_(state) { ++state_->shares; }
  Shared(const Shared& other) : Shared(other.state_) {}
  Shared& operator=(const Shared& other) {
    Shared copy(other);
    std::swap(state_, copy.state_);
    return *this;
  }
  ~Shared() {
    if (--state_->shares == 0) delete state_;
  }
  Predict& operator*() const { return *state_; }
  Predict* operator->() const { return state_; }

 private:
  Predict* state_;
};

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
  const std::atomic<bool>* stop;
  const char* x;
  char* out;
  int64_t count, x_bytes, out_bytes;
  std::atomic<int64_t> failed{-1};  // a block with a failed check
};

class BlockAddresses : public Addresses {
 public:
  BlockAddresses(const RowBlocks& blocks, int64_t i) : Addresses(blocks.program->bound_addresses().size() + 2) {
    const std::vector<void*>& bound = blocks.program->bound_addresses();
    data()[0] = const_cast<char*>(blocks.x + i * blocks.x_bytes);
    data()[1] = blocks.out + i * blocks.out_bytes;
    std::copy(bound.begin(), bound.end(), data() + 2);
  }
};

bool run_block(const RowBlocks& blocks, int64_t i) {
  return blocks.program->execute_quietly(BlockAddresses(blocks, i).data());
}

void run_share(void* context, Share share) {
  RowBlocks& blocks = *static_cast<RowBlocks*>(context);
  const StopScope scope(blocks.stop);
  const Range part = share_range(blocks.count, 1, share);
  for (int64_t i = part.begin; i < part.end; ++i) {
    if (!run_block(blocks, i)) blocks.failed = i;
  }
}

// Rows that one program computes: blocks of one size.
struct Rows {
  Held program;
  int64_t first, rows, blocks;
};

// Whole blocks, then the rest. Programs are made here, before the run holds the locks of the model's memory.
std::vector<Rows> plan_rows(Predict& p, int64_t n) {
  std::vector<Rows> plan;
  const auto add = [&](Held program, int64_t first, int64_t rows, int64_t blocks) {
    plan.push_back({std::move(program), first, rows, blocks});
  };
  const int64_t whole = n / p.block;
  if (whole > 0) add(program_for(p, p.block), 0, p.block, whole);
  for (int64_t done = whole * p.block; done < n;) {
    auto [program, rows] = next_rows(p, n - done);
    add(std::move(program), done, rows, 1);
    done += rows;
  }
  return plan;
}

// Whether one program computes all rows, and has done so.
bool predict_at_once(Predict& p, const char* x, char* out, int64_t n) {
  if (n == 0 || n > p.block) return n == 0;
  const NextRows next = n == p.block ? NextRows{program_for(p, n), n} : next_rows(p, n);
  if (next.rows != n) return false;
  const Runnable* const program = next.program.runs;
  program->execute(BlockAddresses({program, nullptr, x, out, 1, 0, 0}, 0).data());
  return true;
}

// Whole blocks in parallel, each on one thread; then the rest. All rows see the model as it is between two steps.
void predict_rows(Predict& p, const char* x, char* out, int64_t n) {
  if (predict_at_once(p, x, out, n)) return;
  const int64_t x_bytes = row_bytes(p.in_row, p.in_type), out_bytes = row_bytes(p.out_row, p.out_type);
  const auto blocks_of = [&](const Rows& part) {
    return RowBlocks{part.program.runs, stop_flag(),         x + part.first * x_bytes, out + part.first * out_bytes,
                     part.blocks,       part.rows * x_bytes, part.rows * out_bytes};
  };
  const std::vector<Rows> plan = plan_rows(p, n);
  double work = 0;
  for (const Rows& part : plan) work += part.program.runs->work() * static_cast<double>(part.blocks);
  const Rows* failed = nullptr;
  int64_t failed_block = 0;
  const auto run = [&] {
    for (const Rows& part : plan) {
      RowBlocks blocks = blocks_of(part);
      const double of_part = part.program.runs->work() * static_cast<double>(part.blocks);
      const int threads =
          part.blocks == 1 ? 1 : static_cast<int>(std::min<int64_t>(part.blocks, thread_rule(of_part).most));
      if (part.blocks == 1) {
        if (!run_block(blocks, 0)) blocks.failed = 0;
      } else {
        run_on_pool(threads, run_share, &blocks);
      }
      if (blocks.failed < 0) continue;
      failed = &part;
      failed_block = blocks.failed;
      return;
    }
  };
  run_with_gil_policy(work, plan[0].program.runs->locks(), run);
  if (failed == nullptr) return;
  // Once more, for the error's position.
  const RowBlocks blocks = blocks_of(*failed);
  failed->program.runs->execute(BlockAddresses(blocks, failed_block).data());
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
    if (t_call_mode == CallMode::kNone) {
      const Shared held = shared(self);
      if (!held->refuse.is_none()) held->refuse();
    }
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
                        py::object renew, py::object watched, py::object refuse) {
  const Shared state(new Predict(Watched(watched)));
  state->make = std::move(make);
  state->renew = std::move(renew);
  state->refuse = std::move(refuse);
  state->entries = std::move(watched);
  state->convert = std::move(convert);
  state->in_type = numpy_dtype(static_cast<Dtype>(dtype));
  state->out_type = numpy_dtype(static_cast<Dtype>(out_dtype));
  state->in_row = in_row;
  state->out_row = out_row;
  state->block = block;
  auto* const held = new Shared(state);
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
      py::arg("watched") = py::tuple(), py::arg("refuse") = py::none(),
      "A function predict(x, out=None) that runs programs of up to `block` rows. Where the watched entries do not "
      "hold any more, it becomes the function that renew() returns. refuse() is called first where compiled calls do "
      "not apply, and may raise.");
}

}  // namespace chainrule
