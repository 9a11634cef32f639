// Elementwise kernels, reductions, products and recurrences of int64 and bool. Integer arithmetic is exact, so that
// they need no instruction set of their own: they are compiled once, for all levels.
#pragma once

#include <span>
#include <string>

#include "kernel_table.h"

namespace chainrule {

// Floats have their rows in the kernel table of a level, int64 and bool in one list of their own.
constexpr bool is_float(Dtype dtype) { return dtype <= kFloat64; }
// The place of a dtype's function in a row: rows have two, for float32 and float64 or for int64 and bool.
constexpr int in_row(Dtype dtype) { return dtype % 2; }

// The row of a name for a dtype, or null; its function may be null.
const MapRow* find_map(const KernelTable& table, const std::string& name, Dtype dtype);
const ReduceRow* find_reduction(const KernelTable& table, const std::string& name, Dtype dtype);

// The product without a fused body, of bool `or` over `and`; the recurrence, of int64.
const GemmFn* integer_product(Dtype dtype);
const ScanFn* integer_scan();

// The rows of int64 and bool.
std::span<const MapRow> integer_maps();

}  // namespace chainrule
