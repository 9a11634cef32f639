// Bodies of fused instructions: steps that run on one block of a matrix after the other, while the block is in L1.
//
// A step is an elementwise row or an optimizer's update. Its operands are program slots, the product of the surrounding
// gemm (kProduct) or local buffers of one block (kFirstLocal and below), which cost no memory traffic. Its ints:
//   elementwise   (row stride, step) of each input, then the row stride of the output. A matrix is (ld, 1), a row
//                 vector (0, 1), a column vector (1, 0), one number (0, 0); what is given for slots below 0 is ignored
//   update        ld, the row stride of p, its states and g. Outputs and inputs as those of the instruction
// The instruction's own lists name every program slot that its body uses.
#pragma once

#include "program/program.h"

namespace chainrule {

struct BlockOperand {
  int slot;
  int64_t size;      // bytes of an element
  int64_t rs, step;  // in elements
};

struct Step {
  MapFn map;  // or:
  UpdateFn update;
  int inputs, states;
  BlockOperand in[3], out[1 + kMostStates];  // update: g; p and its states
  int numbers, clock;                        // slots; -1: none
  double param[kMapParams];
};

struct Body {
  std::vector<Step> steps;
  int64_t block;        // elements at a time
  int64_t local_bytes;  // from one local to the next
  bool flat;            // every operand is a matrix without gaps or one number: all rows are one
  double cost;          // nanoseconds an element
  // Taken from the beginning of a gemm's steps: what its kernel does in registers (WriteBack). Slots, or -1.
  int bias = -1;
  bool relu = false;
  BlockOperand relu_output = {-1, 0, 0, 0};
  bool far = false;  // the last step of a gemm updates what has left the caches since its last update
};

// For a matrix of `cols` columns, in blocks of at most `elements` (0: as L1 takes). Throws std::invalid_argument.
Body resolve_body(const Instruction& op, const KernelTable& table, int64_t cols, int64_t elements);

// A part of the matrix, the same part of the product, and where the locals are.
struct Block {
  int64_t row, rows, col, cols;
  char* product;
  int64_t rs_product;
  char* locals;
};
void run_block(const Body& body, void* const* slots, const Block& block);

// A body alone. ints: rows, cols of the matrix.
void resolve_chain(Instruction& op, const KernelTable& table);

}  // namespace chainrule
