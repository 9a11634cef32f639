// What the files of instructions have in common: addresses of slots, checks of an instruction's lists, work.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>

#include "program/program.h"

namespace chainrule {

template <class T>
T* slot(void* const* slots, int index) {
  return static_cast<T*>(slots[index]);
}
inline const char* in_bytes(const Instruction& i, void* const* slots, size_t n) {
  return slot<const char>(slots, i.inputs[n]);
}
inline char* out_bytes(const Instruction& i, void* const* slots) { return slot<char>(slots, i.outputs[0]); }
inline const char* offset(const void* p, int64_t elements, int64_t size) {
  return static_cast<const char*>(p) + elements * size;
}

struct Counts {
  size_t outputs, inputs, ints, reals;
};
inline void expect(const Instruction& op, Counts want) {
  if (op.outputs.size() == want.outputs && op.inputs.size() == want.inputs && op.ints.size() == want.ints &&
      op.reals.size() == want.reals) {
    return;
  }
  const auto text = [](size_t o, size_t i, size_t n, size_t r) {
    return std::to_string(o) + " outputs, " + std::to_string(i) + " inputs, " + std::to_string(n) + " ints, " +
           std::to_string(r) + " reals";
  };
  throw std::invalid_argument(op.name + ": expected " + text(want.outputs, want.inputs, want.ints, want.reals) +
                              ", got " + text(op.outputs.size(), op.inputs.size(), op.ints.size(), op.reals.size()));
}

// An optimizer's step: p and its states; the gradient, the options, the clock; one number.
inline void expect_update(const Instruction& op, const UpdateRow& row) {
  const size_t least = static_cast<size_t>(row.min_states) + 1, most = static_cast<size_t>(row.max_states) + 1;
  expect(op, {std::clamp(op.outputs.size(), least, most), row.step_state > 0 ? size_t{3} : size_t{2}, 1, 0});
}

inline size_t leading_ndim(const Instruction& op, int64_t least) {
  if (op.ints.empty() || op.ints[0] < least || op.ints[0] > 32)
    throw std::invalid_argument(op.name + ": ints must begin with a number of dimensions from " +
                                std::to_string(least) + " to 32");
  return static_cast<size_t>(op.ints[0]);
}

inline double product(const int64_t* x, size_t n) {
  double result = 1;
  for (size_t i = 0; i < n; ++i) result *= static_cast<double>(x[i]);
  return result;
}

constexpr int64_t kElementGrain = 256;  // elements that a thread takes at least

// Nanoseconds for a float32 on one thread, measured on Zen 4 with AVX-512; a float64 takes twice as long. Only the
// decision between one thread and more hangs on them: they are right within a factor of 1.5 or so.
constexpr double kPerElement = 0.1;  // read or written in a stream
constexpr double kPerScore = 0.8;    // softmax, cross-entropy and their gradients
constexpr double kPerFma = 0.017;
constexpr double kPerOperand = 0.04;  // an element of a product's operands: what a product of one row takes
constexpr double kPerRow = 3;         // a row of a reduction

template <class Row>
const Row* find(const Row* rows, int64_t n, const std::string& name) {
  for (int64_t i = 0; i < n; ++i) {
    if (name == rows[i].name) return rows + i;
  }
  return nullptr;
}

}  // namespace chainrule
