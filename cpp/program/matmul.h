// Matrix products: a batch of plain ones, and one with a body (program/fused.h).
#pragma once

#include "program/program.h"

namespace chainrule {

// ints: ndim, dims of the batch, m, n, k, rs_a, cs_a, rs_b, cs_b, rs_c, then ndim batch strides of a, of b. Products of
// a batch follow each other in c at m * rs_c.
void resolve_matmul(Instruction& op, const KernelTable& table);

// c = sum over a batch of a b, each element one chain over the batch and, inside of it, k. ints: batch, m, n, k, rs_a,
// cs_a, rs_b, cs_b, rs_c, batch strides of a and of b, continues (1: the chains go on from what c holds).
void resolve_matmul_sum(Instruction& op, const KernelTable& table);

// Estimated nanoseconds of a float32 product.
double product_work(int64_t m, int64_t n, int64_t k);

// outputs: c, then what the body writes; inputs: a, b, then what the body reads. ints: m, n, k, rs_a, cs_a, rs_b, cs_b,
// rs_c, continues, ends. continues: the chains go on from what c holds. ends: the body follows, block by block; it
// names rows and columns of c. c may be kProduct, where only the body wants the product: it is not kept then, which
// takes a k of at most gemm_depth, nothing to continue, and an end.
void resolve_gemm(Instruction& op, const KernelTable& table);

}  // namespace chainrule
