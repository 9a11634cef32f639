// Instructions that check values while the program runs, and those of a random generator that need no kernel: draws of
// integers, and its advance. A check runs on one thread: it has as many elements as there are rows, and reports the
// first wrong one.
#include <stdexcept>

#include "host/permutation.h"
#include "program/costs.h"
#include "program/instructions.h"
#include "program/slots.h"

namespace chainrule {
namespace {

CheckFailure& failure_of(const Instruction& op, void* const* slots) {
  return *slot<CheckFailure>(slots, op.outputs[0]);
}

// Indices in [low, high), negative ones counted from high. Outputs: the failure, the indices as non-negative numbers.
void run_check_index(const Instruction& op, void* const* slots, Share share, void*) {
  if (share.index != 0) return;
  const auto [n, low, high] = schema::read<schema::CheckIndex>(op);
  const int64_t* const index = input<int64_t>(op, slots, 0);
  int64_t* const out = slot<int64_t>(slots, op.outputs[1]);
  uint64_t wrong = 0;
  for (int64_t i = 0; i < n; ++i) {
    wrong |= static_cast<uint64_t>(index[i] < low) | static_cast<uint64_t>(index[i] >= high);
    out[i] = index[i] < 0 ? index[i] + high : index[i];
  }
  CheckFailure& failure = failure_of(op, slots);
  failure = {wrong != 0, 0, 0};
  for (int64_t i = 0; wrong != 0; ++i) {
    if (index[i] < low || index[i] >= high) {
      failure = {1, i, index[i]};
      return;
    }
  }
}

// Whether all elements are finite. Outputs: the failure, a copy of x.
template <class T>
CheckFailure first_not_finite(const T* x, int64_t n, T* out) {
  CheckFailure failure = {0, 0, 0};
  for (int64_t i = n - 1; i >= 0; --i) {
    out[i] = x[i];
    if (!(x[i] - x[i] == T(0))) failure = {1, i, 0};
  }
  return failure;
}
void run_check_finite(const Instruction& op, void* const* slots, Share share, void*) {
  if (share.index != 0) return;
  const int64_t n = schema::read<schema::CheckFinite>(op).n;
  const int out = op.outputs[1];
  failure_of(op, slots) = op.dtype == kFloat32
                              ? first_not_finite(input<float>(op, slots, 0), n, slot<float>(slots, out))
                              : first_not_finite(input<double>(op, slots, 0), n, slot<double>(slots, out));
}
double check_work(const Instruction& op) { return kPerElement * volume(schema::checked_elements(op)); }

// Inputs of draws as of a kernel's: seed and stream; the numbers of the rows, for integers; their low and range.
struct Stream {
  uint64_t seed, number;
};
Stream stream_of(const Instruction& op, void* const* slots) {
  const int64_t* const state = input<int64_t>(op, slots, 0);
  const int64_t earlier_draws = schema::read<schema::Bernoulli>(op).earlier_draws;
  return {static_cast<uint64_t>(state[0]), static_cast<uint64_t>(state[1]) + static_cast<uint64_t>(earlier_draws)};
}
void run_draw_integers(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [n, row_size, earlier_draws] = schema::read<schema::Bernoulli>(op);
  const auto [seed, number] = stream_of(op, slots);
  const Range part = share_range(n, kElementGrain, share);
  const int64_t first = *input<int64_t>(op, slots, 1) * row_size + part.begin;
  const int64_t* const range = input<int64_t>(op, slots, 2);
  random_integers(seed, number, first, range[0], static_cast<uint64_t>(range[1]), part.end - part.begin,
                  slot<int64_t>(slots, op.outputs[0]) + part.begin);
}
// Each swap depends on the one before it: one thread.
void run_draw_permutation(const Instruction& op, void* const* slots, Share share, void*) {
  if (share.index != 0) return;
  const auto [seed, number] = stream_of(op, slots);
  random_permutation(seed, number, schema::read<schema::Bernoulli>(op).n, slot<int64_t>(slots, op.outputs[0]));
}
void prepare_numbers(Instruction& op, const KernelTable&) {
  if (schema::read<schema::Bernoulli>(op).n == 0) throw std::invalid_argument(op.name + ": expected elements");
}
double numbers_work(const Instruction& op) { return kPerDraw * volume(schema::read<schema::Bernoulli>(op).n); }

// Uses up streams of a generator, whose state is seed and stream.
void run_draw(const Instruction& op, void* const* slots, Share share, void*) {
  if (share.index == 0) slot<int64_t>(slots, op.outputs[0])[1] += schema::read<schema::Draw>(op).draws;
}
double draw_work(const Instruction& op) { return kPerElement * volume(schema::read<schema::Draw>(op).draws); }

constexpr InstructionRow kRows[] = {
    {.name = "check_index",
     .record = &schema::kRecord<schema::CheckIndex>,
     .counts = {2, 1, 0},
     .dtypes = dtype_bit(kInt64),
     .run = run_check_index,
     .work = check_work,
     .is_check = true},
    {.name = "check_finite",
     .record = &schema::kRecord<schema::CheckFinite>,
     .counts = {2, 1, 0},
     .run = run_check_finite,
     .work = check_work,
     .float64_work = 1,
     .is_check = true},
    {.name = "draw",
     .record = &schema::kRecord<schema::Draw>,
     .counts = {1, 0, 0},
     .dtypes = dtype_bit(kInt64),
     .run = run_draw,
     .work = draw_work},
    {.name = "draw_integers",
     .record = &schema::kRecord<schema::Bernoulli>,
     .counts = {1, 3, 0},
     .dtypes = dtype_bit(kInt64),
     .run = run_draw_integers,
     .work = numbers_work,
     .prepare = prepare_numbers},
    {.name = "draw_permutation",
     .record = &schema::kRecord<schema::Bernoulli>,
     .counts = {1, 3, 0},
     .dtypes = dtype_bit(kInt64),
     .run = run_draw_permutation,
     .work = numbers_work,
     .prepare = prepare_numbers},
};

}  // namespace

std::span<const InstructionRow> check_instructions() { return kRows; }

}  // namespace chainrule
