// Fused bodies: the steps of a `chain` or `gemm` that run on one block of a matrix after the other, while the block is
// in L1.
//
// A step is an elementwise kernel (record MapStep) or an optimizer's update (UpdateStep; outputs and inputs as those of
// the instruction). Its operands are program slots, the product of the surrounding gemm (kProduct) or local buffers of
// one block (kFirstLocal and below), which cost no memory traffic. The instruction's own lists name every program slot
// that its body uses.
#pragma once

#include "program/program.h"

namespace chainrule {

struct BlockOperand {
  int slot;
  int64_t size;              // bytes of an element
  int64_t row_stride, step;  // in elements
};

struct FusedStep {
  MapFn map;  // or:
  UpdateFn update;
  int inputs, states;
  BlockOperand in[3], out[1 + kMostStates];  // update: g; p and its states
  int hyperparameters, step_state;           // slots; -1: none
  double param[kMapParams];
};

struct FusedBody {
  std::vector<FusedStep> steps;
  int64_t block;        // elements at a time
  int64_t local_bytes;  // from one local buffer to the next
  bool flat;            // every operand is a matrix without gaps or a scalar: all rows are one
  double cost;          // nanoseconds an element
  // The marked first steps of a gemm, which its kernel does in registers (WriteBack). Slots, or -1.
  int bias = -1;
  bool relu = false;
  BlockOperand relu_output = {-1, 0, 0, 0};
  bool prefetches_update = false;  // the last step of a gemm updates matrices that have left the caches since
};

// For a matrix of `cols` columns, in blocks of at most `elements` (0: what fits L1). Throws std::invalid_argument.
FusedBody resolve_body(const Instruction& op, const KernelTable& table, int64_t cols, int64_t elements);

// A part of the matrix, the same part of the product, and the address of the local buffers.
struct MatrixBlock {
  int64_t row, rows, col, cols;
  char* product;
  int64_t product_row_stride;
  char* locals;
};
void run_block(const FusedBody& body, void* const* slots, const MatrixBlock& block);

}  // namespace chainrule
