// Matrix products: a batch of them, the sum of a batch, and one with a fused body (program/fused.h).
#pragma once

#include <cstdint>

namespace chainrule {

// Estimated nanoseconds of a float32 product.
double product_work(int64_t m, int64_t n, int64_t k);

}  // namespace chainrule
