#include "program/movement.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace chainrule {
namespace {

char* output(const Instruction& op, void* const* slots) { return static_cast<char*>(slots[op.outputs[0]]); }
template <class T>
const T* input(const Instruction& op, void* const* slots, size_t n) {
  return static_cast<const T*>(slots[op.inputs[n]]);
}
bool counts(const Instruction& op, size_t inputs, size_t ints, size_t reals) {
  return op.outputs.size() == 1 && op.inputs.size() == inputs && op.ints.size() == ints && op.reals.size() == reals;
}

// One row of a strided copy.
template <class U>
void copy_row(U* to, int64_t to_step, const U* from, int64_t from_step, int64_t n) {
  if (to_step == 1 && from_step == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(U));
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
  }
}

struct StridedCopy {
  int64_t ndim, to_offset, from_offset;
  const int64_t *dims, *to_strides, *from_strides;
  explicit StridedCopy(const Instruction& op)
      : ndim(op.ints[0]),
        to_offset(op.ints[1]),
        from_offset(op.ints[2]),
        dims(op.ints.data() + 3),
        to_strides(dims + ndim),
        from_strides(to_strides + ndim) {}
};

// Two innermost axes in blocks: a transpose then uses each cache line it fetched.
constexpr int64_t kBlock = 16;
template <class U>
void copy_plane(U* to, const U* from, const StridedCopy& c) {
  const int64_t d = c.ndim - 1;
  const int64_t rows = c.dims[d - 1], columns = c.dims[d];
  if (c.to_strides[d] == 1 && c.from_strides[d] == 1) {
    for (int64_t i = 0; i < rows; ++i)
      copy_row(to + i * c.to_strides[d - 1], 1, from + i * c.from_strides[d - 1], 1, columns);
    return;
  }
  for (int64_t i0 = 0; i0 < rows; i0 += kBlock) {
    const int64_t i1 = i0 + kBlock < rows ? i0 + kBlock : rows;
    for (int64_t j0 = 0; j0 < columns; j0 += kBlock) {
      const int64_t width = j0 + kBlock < columns ? kBlock : columns - j0;
      for (int64_t i = i0; i < i1; ++i) {
        copy_row(to + i * c.to_strides[d - 1] + j0 * c.to_strides[d], c.to_strides[d],
                 from + i * c.from_strides[d - 1] + j0 * c.from_strides[d], c.from_strides[d], width);
      }
    }
  }
}

// ints: ndim >= 2, offset in the output, offset in the input, dims, output strides, input strides.
template <class U>
void run_copy_as(const Instruction& op, void* const* slots, Share share) {
  const StridedCopy c(op);
  int64_t planes = 1;
  for (int64_t d = 0; d + 2 < c.ndim; ++d) planes *= c.dims[d];
  const Range part = share_range(planes, 1, share);
  for (int64_t i = part.begin; i < part.end; ++i) {
    int64_t to = c.to_offset, from = c.from_offset, rest = i;
    for (int64_t d = c.ndim - 3; d >= 0; --d) {
      to += rest % c.dims[d] * c.to_strides[d];
      from += rest % c.dims[d] * c.from_strides[d];
      rest /= c.dims[d];
    }
    copy_plane(reinterpret_cast<U*>(output(op, slots)) + to, input<U>(op, slots, 0) + from, c);
  }
}
void run_copy(const Instruction& op, void* const* slots, Share share, void*) {
  switch (item_size(op.dtype)) {
    case 1: return run_copy_as<uint8_t>(op, slots, share);
    case 4: return run_copy_as<uint32_t>(op, slots, share);
    default: return run_copy_as<uint64_t>(op, slots, share);
  }
}
bool valid_copy(const Instruction& op) {
  return !op.ints.empty() && op.ints[0] >= 2 && op.ints[0] <= 32 &&
         counts(op, 1, 3 + 3 * static_cast<size_t>(op.ints[0]), 0);
}
double copy_elements(const Instruction& op) {
  const StridedCopy c(op);
  double n = c.to_strides[c.ndim - 1] == 1 && c.from_strides[c.ndim - 1] == 1 ? 1 : 5;
  for (int64_t d = 0; d < c.ndim; ++d) n *= static_cast<double>(c.dims[d]);
  return n;
}

// ints: n. reals: the value.
template <class U>
void fill_as(char* out, Range part, double value) {
  for (int64_t i = part.begin; i < part.end; ++i) reinterpret_cast<U*>(out)[i] = static_cast<U>(value);
}
void run_fill(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], 1024, share);
  switch (op.dtype) {
    case kFloat32: return fill_as<float>(output(op, slots), part, op.reals[0]);
    case kFloat64: return fill_as<double>(output(op, slots), part, op.reals[0]);
    case kInt64: return fill_as<int64_t>(output(op, slots), part, op.reals[0]);
    case kBool: return fill_as<uint8_t>(output(op, slots), part, op.reals[0] != 0);
  }
}

// ints: n, dtype of the input. The instruction's dtype is the output's.
void run_cast(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], 1024, share);
  const Dtype from = static_cast<Dtype>(op.ints[1]);
  const CastFn cast = static_cast<const KernelTable*>(op.kernel)->cast[op.dtype][from];
  cast(part.end - part.begin, input<char>(op, slots, 0) + part.begin * item_size(from),
       output(op, slots) + part.begin * item_size(op.dtype));
}
// A float has no int64 when it is large or NaN: such casts are refused.
bool valid_cast(const Instruction& op) {
  if (!counts(op, 1, 2, 0) || op.ints[1] < kFloat32 || op.ints[1] > kBool || op.dtype == kBool) return false;
  return op.dtype != kInt64 || op.ints[1] == kInt64 || op.ints[1] == kBool;
}

// Rows of a shuffled epoch lie where no prefetcher of the CPU expects them: 64 rows of 64 floats from L3 took 1.75 us,
// with the next rows asked for ahead 1.25. (Rows of 784 floats are bound by memory either way.) Short rows take less
// time than the way from L3: more of them.
constexpr int64_t kRowsAhead = 4, kShortRowsAhead = 32, kMostPrefetched = 1024, kLine = 64;
void prefetch(const char* row, int64_t bytes) {
  const int64_t n = bytes < kMostPrefetched ? bytes : kMostPrefetched;
  for (int64_t i = 0; i < n; i += kLine) __builtin_prefetch(row + i);
}

// Rows by index: out[i] = x[index[i]]. ints: rows of the output, elements of a row. `bytes` of a row: a number, or a
// constant, because a call of memcpy for every label took a tenth of the step of a small net.
template <class Bytes>
void take_rows(const Instruction& op, void* const* slots, Range part, Bytes bytes) {
  const int64_t* const index = input<int64_t>(op, slots, 1);
  const char* const x = input<char>(op, slots, 0);
  char* const out = output(op, slots);
  const int64_t ahead = bytes <= kLine ? kShortRowsAhead : kRowsAhead;
  for (int64_t i = part.begin; i < std::min(part.begin + ahead, part.end); ++i) prefetch(x + index[i] * bytes, bytes);
  for (int64_t i = part.begin; i < part.end; ++i) {
    if (i + ahead < part.end) prefetch(x + index[i + ahead] * bytes, bytes);
    std::memcpy(out + i * bytes, x + index[i] * bytes, static_cast<size_t>(bytes));
  }
}
template <int64_t N>
using Constant = std::integral_constant<int64_t, N>;
void run_take(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], 1, share);
  const int64_t bytes = op.ints[1] * item_size(op.dtype);
  switch (bytes) {
    case 4: return take_rows(op, slots, part, Constant<4>());
    case 8: return take_rows(op, slots, part, Constant<8>());
    case 16: return take_rows(op, slots, part, Constant<16>());
    default: return take_rows(op, slots, part, bytes);
  }
}

// The gradient of take: out (zeroed here) [index[i]] += g[i], i ascending, one chain per output element. ints: rows of
// g, elements of a row, rows of the output. Shared by columns.
void run_index_add(const Instruction& op, void* const* slots, Share share, void*) {
  const int64_t width = op.ints[1];
  const Range columns = share_range(width, 16, share);
  const int64_t at = columns.begin * item_size(op.dtype);
  const IndexAddFn add = static_cast<const KernelTable*>(op.kernel)->index_add[op.dtype];
  add({op.ints[0], columns.end - columns.begin, width, input<char>(op, slots, 0) + at, input<int64_t>(op, slots, 1),
       op.ints[2], output(op, slots) + at});
}

// One element per row: out[i] = x[i][index[i]], and its gradient: a row of zeros but g[i] there. ints: rows, cols.
template <class U>
void pick_as(const Instruction& op, void* const* slots, Range part) {
  const int64_t* const index = input<int64_t>(op, slots, 1);
  for (int64_t i = part.begin; i < part.end; ++i)
    reinterpret_cast<U*>(output(op, slots))[i] = input<U>(op, slots, 0)[i * op.ints[1] + index[i]];
}
void run_pick(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], 16, share);
  if (op.dtype == kFloat32) return pick_as<uint32_t>(op, slots, part);
  pick_as<uint64_t>(op, slots, part);
}
template <class U>
void place_as(const Instruction& op, void* const* slots, Range part) {
  const int64_t* const index = input<int64_t>(op, slots, 1);
  for (int64_t i = part.begin; i < part.end; ++i) {
    U* const row = reinterpret_cast<U*>(output(op, slots)) + i * op.ints[1];
    std::memset(row, 0, static_cast<size_t>(op.ints[1]) * sizeof(U));
    row[index[i]] = input<U>(op, slots, 0)[i];
  }
}
void run_place(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(op.ints[0], 1, share);
  if (op.dtype == kFloat32) return place_as<uint32_t>(op, slots, part);
  place_as<uint64_t>(op, slots, part);
}

// Indices in [low, high), negative ones counted from high. Outputs: the refusal, the indices as non-negative numbers.
// ints: n, low, high. On one thread: there are as many as rows, and the first wrong one is asked for.
void run_check_index(const Instruction& op, void* const* slots, Share share, void*) {
  if (share.index != 0) return;
  const int64_t n = op.ints[0], low = op.ints[1], high = op.ints[2];
  const int64_t* const index = input<int64_t>(op, slots, 0);
  int64_t* const out = static_cast<int64_t*>(slots[op.outputs[1]]);
  uint64_t wrong = 0;
  for (int64_t i = 0; i < n; ++i) {
    wrong |= static_cast<uint64_t>(index[i] < low) | static_cast<uint64_t>(index[i] >= high);
    out[i] = index[i] < 0 ? index[i] + high : index[i];
  }
  Refusal& refusal = *static_cast<Refusal*>(slots[op.outputs[0]]);
  refusal = {wrong != 0, 0, 0};
  for (int64_t i = 0; wrong != 0; ++i) {
    if (index[i] < low || index[i] >= high) {
      refusal = {1, i, index[i]};
      return;
    }
  }
}

// Whether all elements are finite. Outputs: the refusal, a copy of x. ints: n.
template <class T>
Refusal first_not_finite(const T* x, int64_t n, T* out) {
  Refusal refusal = {0, 0, 0};
  for (int64_t i = n - 1; i >= 0; --i) {
    out[i] = x[i];
    if (!(x[i] - x[i] == T(0))) refusal = {1, i, 0};
  }
  return refusal;
}
void run_check_finite(const Instruction& op, void* const* slots, Share share, void*) {
  if (share.index != 0) return;
  Refusal& refusal = *static_cast<Refusal*>(slots[op.outputs[0]]);
  void* const out = slots[op.outputs[1]];
  refusal = op.dtype == kFloat32 ? first_not_finite(input<float>(op, slots, 0), op.ints[0], static_cast<float*>(out))
                                 : first_not_finite(input<double>(op, slots, 0), op.ints[0], static_cast<double*>(out));
}

// So many streams of a generator are used up; its state is seed and stream. ints: draws.
void run_draw(const Instruction& op, void* const* slots, Share share, void*) {
  if (share.index == 0) static_cast<int64_t*>(slots[op.outputs[0]])[1] += op.ints[0];
}

// Elements of a contiguous copy that take as long: measured, 0.1 ns each.
double first_int(const Instruction& op) { return static_cast<double>(op.ints[0]); }
double of_each(const Instruction& op) { return 10 * first_int(op); }
double of_cast(const Instruction& op) { return 2 * first_int(op); }
double two_ints(const Instruction& op) { return first_int(op) * static_cast<double>(op.ints[1]); }
double of_sum(const Instruction& op) { return 4 * two_ints(op); }
double of_zeros(const Instruction& op) { return two_ints(op) + of_each(op); }
bool is_float(const Instruction& op) { return op.dtype == kFloat32 || op.dtype == kFloat64; }

bool check_counts(const Instruction& op, size_t ints) {
  return op.outputs.size() == 2 && op.inputs.size() == 1 && op.ints.size() == ints && op.reals.empty();
}

constexpr CopyRow kRows[] = {
    {"check_index", "int64; outputs refusal, index; ints: n, low, high",
     [](const Instruction& op) { return op.dtype == kInt64 && check_counts(op, 3); }, first_int, run_check_index, true},
    {"check_finite", "outputs refusal, copy; ints: n; a float dtype",
     [](const Instruction& op) { return is_float(op) && check_counts(op, 1); }, first_int, run_check_finite, true},
    {"copy", "1 input, ints: ndim >= 2, output offset, input offset, dims, output strides, input strides", valid_copy,
     copy_elements, run_copy},
    {"fill", "ints: n, reals: value", [](const Instruction& op) { return counts(op, 0, 1, 1); }, first_int, run_fill},
    {"cast", "1 input, ints: n, input dtype; float to int64 and casts to bool are not defined", valid_cast, of_cast,
     run_cast},
    {"take", "inputs x, index; ints: rows, row elements", [](const Instruction& op) { return counts(op, 2, 2, 0); },
     two_ints, run_take},
    {"index_add", "inputs g, index; ints: rows, row elements, output rows; a float dtype",
     [](const Instruction& op) { return is_float(op) && counts(op, 2, 3, 0); }, of_sum, run_index_add},
    {"pick", "inputs x, index; ints: rows, cols; a float dtype",
     [](const Instruction& op) { return is_float(op) && counts(op, 2, 2, 0); }, of_each, run_pick},
    {"place", "inputs g, index; ints: rows, cols; a float dtype",
     [](const Instruction& op) { return is_float(op) && counts(op, 2, 2, 0); }, of_zeros, run_place},
    {"draw", "int64, ints: draws", [](const Instruction& op) { return op.dtype == kInt64 && counts(op, 0, 1, 0); },
     first_int, run_draw},
};

}  // namespace

const CopyRow* find_copy(const std::string& name) {
  for (const CopyRow& row : kRows) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

}  // namespace chainrule
