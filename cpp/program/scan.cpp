// Linear recurrences: cumulative sums and products.
#include "program/costs.h"
#include "program/instructions.h"
#include "program/integers.h"
#include "program/slots.h"

namespace chainrule {
namespace {

// Inputs: the factors, of "recurrence" only, and the terms. Shared by blocks, or by columns where there are few blocks.
void run_scan(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [outer, length, inner, reverse] = schema::read<schema::Scan>(op);
  const bool split_outer = outer >= share.count, factors = op.inputs.size() == 2;
  const Range blocks = split_outer ? share_range(outer, 1, share) : Range{0, outer};
  const Range columns = split_outer ? Range{0, inner} : share_range(inner, 16, share);
  const int64_t size = item_size(op.dtype);
  const ScanFn scan = *static_cast<const ScanFn*>(op.kernel);
  for (int64_t i = blocks.begin; i < blocks.end; ++i) {
    const int64_t at = (i * length * inner + columns.begin) * size;
    scan({length, columns.end - columns.begin, inner, factors ? in_bytes(op, slots, 0) + at : nullptr,
          in_bytes(op, slots, factors ? 1 : 0) + at, out_bytes(op, slots) + at, reverse != 0});
  }
}
double scan_work(const Instruction& op) {
  const auto scan = schema::read<schema::Scan>(op);
  return kPerChained * volume(scan.outer, scan.scanned, scan.inner);
}

const void* scan_of(const KernelTable& table, const std::string&, Dtype dtype) {
  return is_float(dtype) ? &table.scan[dtype] : integer_scan();
}

constexpr InstructionRow kRows[] = {
    {.name = "cumsum",
     .record = &schema::kRecord<schema::Scan>,
     .dtypes = kNumbers,
     .run = run_scan,
     .work = scan_work,
     .kernel = scan_of},
    {.name = "recurrence",
     .record = &schema::kRecord<schema::Scan>,
     .counts = {1, 2, 0},
     .dtypes = kNumbers,
     .run = run_scan,
     .work = scan_work,
     .kernel = scan_of},
};

}  // namespace

std::span<const InstructionRow> scan_instructions() { return kRows; }

}  // namespace chainrule
