// Addresses of an instruction's slots.
#pragma once

#include "program/program.h"

namespace chainrule {

template <class T>
T* slot(void* const* slots, int index) {
  return static_cast<T*>(slots[index]);
}
template <class T>
const T* input(const Instruction& i, void* const* slots, size_t n) {
  return slot<const T>(slots, i.inputs[n]);
}
inline const char* in_bytes(const Instruction& i, void* const* slots, size_t n) { return input<char>(i, slots, n); }
inline char* out_bytes(const Instruction& i, void* const* slots) { return slot<char>(slots, i.outputs[0]); }
inline const char* offset(const void* p, int64_t elements, int64_t size) {
  return static_cast<const char*>(p) + elements * size;
}

constexpr int64_t kElementGrain = 256;  // a thread's least share of elements

}  // namespace chainrule
