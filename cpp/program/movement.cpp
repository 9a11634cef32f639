// Instructions that move elements. Those that compute, cast, index_add and scatter, call the level's kernels.
#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "program/costs.h"
#include "program/instructions.h"
#include "program/slots.h"

namespace chainrule {
namespace {

constexpr int64_t kMoveGrain = 1024;  // a thread's least share of elements

template <class U>
U* out_as(const Instruction& op, void* const* slots) {
  return slot<U>(slots, op.outputs[0]);
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

// Two innermost axes in blocks: a transpose then uses each cache line it fetched.
constexpr int64_t kBlock = 16;
template <class U>
void copy_plane(U* to, const U* from, const schema::Copy& c) {
  const int64_t d = c.ndim - 1;
  const int64_t rows = c.dims[d - 1], columns = c.dims[d];
  if (c.out_strides[d] == 1 && c.in_strides[d] == 1) {
    for (int64_t i = 0; i < rows; ++i)
      copy_row(to + i * c.out_strides[d - 1], 1, from + i * c.in_strides[d - 1], 1, columns);
    return;
  }
  for (int64_t i0 = 0; i0 < rows; i0 += kBlock) {
    const int64_t i1 = i0 + kBlock < rows ? i0 + kBlock : rows;
    for (int64_t j0 = 0; j0 < columns; j0 += kBlock) {
      const int64_t width = j0 + kBlock < columns ? kBlock : columns - j0;
      for (int64_t i = i0; i < i1; ++i) {
        copy_row(to + i * c.out_strides[d - 1] + j0 * c.out_strides[d], c.out_strides[d],
                 from + i * c.in_strides[d - 1] + j0 * c.in_strides[d], c.in_strides[d], width);
      }
    }
  }
}

template <class U>
void run_copy_as(const Instruction& op, void* const* slots, Share share) {
  const schema::Copy c(op);
  int64_t planes = 1;
  for (int64_t d = 0; d + 2 < c.ndim; ++d) planes *= c.dims[d];
  const Range part = share_range(planes, 1, share);
  for (int64_t i = part.begin; i < part.end; ++i) {
    int64_t to = c.out_offset, from = c.in_offset, rest = i;
    for (int64_t d = c.ndim - 3; d >= 0; --d) {
      to += rest % c.dims[d] * c.out_strides[d];
      from += rest % c.dims[d] * c.in_strides[d];
      rest /= c.dims[d];
    }
    copy_plane(out_as<U>(op, slots) + to, input<U>(op, slots, 0) + from, c);
  }
}
void run_copy(const Instruction& op, void* const* slots, Share share, void*) {
  switch (item_size(op.dtype)) {
    case 1: return run_copy_as<uint8_t>(op, slots, share);
    case 4: return run_copy_as<uint32_t>(op, slots, share);
    default: return run_copy_as<uint64_t>(op, slots, share);
  }
}
double copy_work(const Instruction& op) {
  const schema::Copy c(op);
  const bool contiguous = c.out_strides[c.ndim - 1] == 1 && c.in_strides[c.ndim - 1] == 1;
  return kPerElement * ((contiguous ? 1 : 5) * volume_of(c.dims, c.ndim));
}

// reals: the value.
template <class U>
void fill_as(char* out, Range part, double value) {
  for (int64_t i = part.begin; i < part.end; ++i) reinterpret_cast<U*>(out)[i] = static_cast<U>(value);
}
void run_fill(const Instruction& op, void* const* slots, Share share, void*) {
  const Range part = share_range(schema::read<schema::Fill>(op).n, kMoveGrain, share);
  switch (op.dtype) {
    case kFloat32: return fill_as<float>(out_bytes(op, slots), part, op.reals[0]);
    case kFloat64: return fill_as<double>(out_bytes(op, slots), part, op.reals[0]);
    case kInt64: return fill_as<int64_t>(out_bytes(op, slots), part, op.reals[0]);
    case kBool: return fill_as<uint8_t>(out_bytes(op, slots), part, op.reals[0] != 0);
  }
}
double fill_work(const Instruction& op) { return kPerElement * volume(schema::read<schema::Fill>(op).n); }

// The instruction's dtype is the output's.
void run_cast(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [n, source] = schema::read<schema::Cast>(op);
  const Range part = share_range(n, kMoveGrain, share);
  const CastFn cast = *static_cast<const CastFn*>(op.kernel);
  cast(part.end - part.begin, offset(in_bytes(op, slots, 0), part.begin, item_size(static_cast<Dtype>(source))),
       out_bytes(op, slots) + part.begin * item_size(op.dtype));
}
// A large float or a NaN has no int64: such casts are errors.
void prepare_cast(Instruction& op, const KernelTable& table) {
  const int64_t source = schema::read<schema::Cast>(op).source_dtype;
  if (source < kFloat32 || source > kBool || table.cast[op.dtype][source] == nullptr)
    throw std::invalid_argument(
        "cast: expected a source dtype from which this cast is defined; float32 to int64 is not");
  op.kernel = &table.cast[op.dtype][source];
}
double cast_work(const Instruction& op) { return kPerElement * (2 * volume(schema::read<schema::Cast>(op).n)); }

// Rows of a shuffled epoch lie where the prefetchers of the CPU do not expect them: 64 rows of 64 floats from L3
// took 1.75 us, with the next rows prefetched 1.25. (Rows of 784 floats are bound by memory either way.) Short rows
// take less time to copy than the latency of L3: more of them are prefetched.
constexpr int64_t kRowsAhead = 4, kShortRowsAhead = 32, kMostPrefetched = 1024, kLine = 64;
void prefetch(const char* row, int64_t bytes) {
  const int64_t n = bytes < kMostPrefetched ? bytes : kMostPrefetched;
  for (int64_t i = 0; i < n; i += kLine) __builtin_prefetch(row + i);
}

// Rows by index: out[i] = x[index[i]]. `bytes` of a row: a number, or a constant, because a call of memcpy for every
// label took a tenth of the step of a small net.
template <class Bytes>
void take_rows(const Instruction& op, void* const* slots, Range part, Bytes bytes) {
  const int64_t* const index = input<int64_t>(op, slots, 1);
  const char* const x = in_bytes(op, slots, 0);
  char* const out = out_bytes(op, slots);
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
  const auto [rows, row_size] = schema::read<schema::Take>(op);
  const Range part = share_range(rows, 1, share);
  const int64_t bytes = row_size * item_size(op.dtype);
  switch (bytes) {
    case 4: return take_rows(op, slots, part, Constant<4>());
    case 8: return take_rows(op, slots, part, Constant<8>());
    case 16: return take_rows(op, slots, part, Constant<16>());
    default: return take_rows(op, slots, part, bytes);
  }
}
double take_work(const Instruction& op) {
  const auto [rows, row_size] = schema::read<schema::Take>(op);
  return kPerElement * volume(rows, row_size);
}

// The gradient of take: out (cleared first) [index[i]] += g[i], i ascending, one chain per output element. Shared by
// columns.
void run_index_add(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [rows, row_size, out_rows] = schema::read<schema::IndexAdd>(op);
  const Range columns = share_range(row_size, 16, share);
  const int64_t at = columns.begin * item_size(op.dtype);
  const IndexAddFn add = *static_cast<const IndexAddFn*>(op.kernel);
  add({rows, columns.end - columns.begin, row_size, in_bytes(op, slots, 0) + at, input<int64_t>(op, slots, 1), out_rows,
       out_bytes(op, slots) + at});
}
double index_add_work(const Instruction& op) {
  const auto add = schema::read<schema::IndexAdd>(op);
  return kPerElement * (4 * volume(add.rows, add.row_size));
}

// The different ones of n indices in the order in which they first come, then -1, and the place of each index among
// them. Outputs: these, the places, the buckets of a hash table. It has as many indices as there are rows: one thread.
void run_distinct(const Instruction& op, void* const* slots, Share share, void*) {
  if (share.index != 0) return;
  const auto [n, kept, buckets] = schema::read<schema::Distinct>(op);
  const int64_t* const index = input<int64_t>(op, slots, 0);
  int64_t *const found = out_as<int64_t>(op, slots), *const place = slot<int64_t>(slots, op.outputs[1]),
                 *const table = slot<int64_t>(slots, op.outputs[2]);
  std::fill_n(found, kept, -1);
  std::fill_n(table, buckets, -1);
  const int shift = 64 - std::countr_zero(static_cast<uint64_t>(buckets));
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    // Fibonacci hashing (Knuth, The Art of Computer Programming 3, section 6.4), then linear probing.
    int64_t at = static_cast<int64_t>((static_cast<uint64_t>(index[i]) * 0x9e3779b97f4a7c15u) >> shift);
    while (table[at] >= 0 && found[table[at]] != index[i]) at = (at + 1) & (buckets - 1);
    if (table[at] < 0) {
      table[at] = count;
      found[count++] = index[i];
    }
    place[i] = table[at];
  }
}
void prepare_distinct(Instruction& op, const KernelTable&) {
  const auto [n, kept, buckets] = schema::read<schema::Distinct>(op);
  if (buckets < 2 || (buckets & (buckets - 1)) != 0 || buckets <= kept)
    throw std::invalid_argument("distinct: buckets must be a power of 2 above kept");
}
double distinct_work(const Instruction& op) {
  const auto distinct = schema::read<schema::Distinct>(op);
  return kPerRow * volume(distinct.n) + kPerElement * volume(distinct.buckets);
}

// Elements of rows: out[i][j] = x[i][index[i][j]].
template <class U>
void gather_as(const Instruction& op, void* const* slots, Range part, int64_t cols, int64_t picks) {
  const int64_t* const index = input<int64_t>(op, slots, 1);
  U* const out = out_as<U>(op, slots);
  for (int64_t i = part.begin; i < part.end; ++i) {
    const U* const row = input<U>(op, slots, 0) + i * cols;
    for (int64_t j = i * picks; j < (i + 1) * picks; ++j) out[j] = row[index[j]];
  }
}
void run_gather(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [rows, cols, picks] = schema::read<schema::Gather>(op);
  const Range part = share_range(rows, 16, share);
  switch (item_size(op.dtype)) {
    case 1: return gather_as<uint8_t>(op, slots, part, cols, picks);
    case 4: return gather_as<uint32_t>(op, slots, part, cols, picks);
    default: return gather_as<uint64_t>(op, slots, part, cols, picks);
  }
}
double gather_work(const Instruction& op) {
  const auto [rows, cols, picks] = schema::read<schema::Gather>(op);
  return kPerElement * (10 * volume(rows, picks));
}

// The gradient of gather: rows of zeros, to which the elements of g are added at their indices.
void run_scatter(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [rows, cols, picks] = schema::read<schema::Scatter>(op);
  const Range part = share_range(rows, 1, share);
  const ScatterFn add = *static_cast<const ScatterFn*>(op.kernel);
  const int64_t size = item_size(op.dtype);
  add(part.end - part.begin, cols, picks, offset(in_bytes(op, slots, 0), part.begin * picks, size),
      input<int64_t>(op, slots, 1) + part.begin * picks, out_bytes(op, slots) + part.begin * cols * size);
}
double scatter_work(const Instruction& op) {
  const auto [rows, cols, picks] = schema::read<schema::Scatter>(op);
  return kPerElement * (volume(rows, cols) + 10 * volume(rows, picks));
}

// Which element of a row followed by its picks each element of the row becomes, when the picks overwrite the elements
// at their indices in ascending order: its own place, or cols + the number of its last pick.
void run_overlay(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [rows, cols, picks] = schema::read<schema::Scatter>(op);
  const int64_t* const index = input<int64_t>(op, slots, 0);
  const Range part = share_range(rows, 1, share);
  for (int64_t i = part.begin; i < part.end; ++i) {
    int64_t* const out = out_as<int64_t>(op, slots) + i * cols;
    for (int64_t j = 0; j < cols; ++j) out[j] = j;
    for (int64_t j = 0; j < picks; ++j) out[index[i * picks + j]] = cols + j;
  }
}

constexpr InstructionRow kRows[] = {
    {.name = "copy",
     .record = &schema::kRecord<schema::Copy>,
     .dtypes = kAllDtypes,
     .run = run_copy,
     .work = copy_work,
     .float64_work = 1},
    {.name = "fill",
     .record = &schema::kRecord<schema::Fill>,
     .counts = {1, 0, 1},
     .dtypes = kAllDtypes,
     .run = run_fill,
     .work = fill_work,
     .float64_work = 1},
    {.name = "cast",
     .record = &schema::kRecord<schema::Cast>,
     .dtypes = kNumbers,
     .run = run_cast,
     .work = cast_work,
     .prepare = prepare_cast,
     .float64_work = 1},
    {.name = "take",
     .record = &schema::kRecord<schema::Take>,
     .counts = {1, 2, 0},
     .dtypes = kAllDtypes,
     .run = run_take,
     .work = take_work,
     .float64_work = 1},
    {.name = "index_add",
     .record = &schema::kRecord<schema::IndexAdd>,
     .counts = {1, 2, 0},
     .run = run_index_add,
     .work = index_add_work,
     .kernel = function_of<&KernelTable::index_add>,
     .float64_work = 1},
    {.name = "distinct",
     .record = &schema::kRecord<schema::Distinct>,
     .counts = {3, 1, 0},
     .dtypes = dtype_bit(kInt64),
     .run = run_distinct,
     .work = distinct_work,
     .prepare = prepare_distinct},
    {.name = "gather",
     .record = &schema::kRecord<schema::Gather>,
     .counts = {1, 2, 0},
     .dtypes = kAllDtypes,
     .run = run_gather,
     .work = gather_work,
     .float64_work = 1},
    {.name = "scatter",
     .record = &schema::kRecord<schema::Scatter>,
     .counts = {1, 2, 0},
     .run = run_scatter,
     .work = scatter_work,
     .kernel = function_of<&KernelTable::scatter>,
     .float64_work = 1},
    {.name = "overlay",
     .record = &schema::kRecord<schema::Scatter>,
     .dtypes = dtype_bit(kInt64),
     .run = run_overlay,
     .work = scatter_work,
     .float64_work = 1},
};

}  // namespace

std::span<const InstructionRow> movement_instructions() { return kRows; }

}  // namespace chainrule
