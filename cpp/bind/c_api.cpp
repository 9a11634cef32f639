// Plain C entries for test drivers written in C (ctypes): the active level, as many threads as set. Strides in
// elements.
#include <cstdint>

#include "isa.h"
#include "program/program.h"
#include "program/schema.h"

#define CR_EXPORT extern "C" __attribute__((visibility("default")))

namespace {
int run_named(chainrule::Instruction& op, void* const* slots) {
  try {
    chainrule::resolve(op, chainrule::active_kernels());
    chainrule::run_instruction(op, slots);
  } catch (...) {
    return 1;
  }
  return 0;
}
}  // namespace

CR_EXPORT int chainrule_matmul(int is_f64, int64_t m, int64_t n, int64_t k, const void* a, int64_t rs_a, int64_t cs_a,
                               const void* b, int64_t rs_b, int64_t cs_b, void* c, int64_t rs_c);
CR_EXPORT int chainrule_unary(const char* name, int is_f64, int64_t n, const void* in, void* out);

int chainrule_matmul(int is_f64, int64_t m, int64_t n, int64_t k, const void* a, int64_t rs_a, int64_t cs_a,
                     const void* b, int64_t rs_b, int64_t cs_b, void* c, int64_t rs_c) {
  chainrule::Instruction op;
  op.name = "matmul";
  op.dtype = is_f64 != 0 ? chainrule::kFloat64 : chainrule::kFloat32;
  op.outputs = {0};
  op.inputs = {1, 2};
  chainrule::schema::write_matmul(op, {m, n, k, rs_a, cs_a, rs_b, cs_b, rs_c});
  void* const slots[] = {c, const_cast<void*>(a), const_cast<void*>(b)};
  return run_named(op, slots);
}

int chainrule_unary(const char* name, int is_f64, int64_t n, const void* in, void* out) {
  chainrule::Instruction op;
  op.name = name;
  op.dtype = is_f64 != 0 ? chainrule::kFloat64 : chainrule::kFloat32;
  op.outputs = {0};
  op.inputs = {1};
  chainrule::schema::write_flat_map(op, 1, n);
  op.reals = {0.01};
  void* const slots[] = {out, const_cast<void*>(in)};
  return run_named(op, slots);
}
