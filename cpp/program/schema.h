// The instruction schema: what the integers of each instruction (Instruction::ints) mean. One record per family, its
// members in the order of the list. Nothing else reads or writes `ints` by position; Python has the same records in
// chainrule._ir.
//
// Sizes and strides count elements. Flags are 0 or 1. A record of fixed length is a struct over the list; a record
// with lists is a view of the instruction's list, whose lengths its first field or the number of inputs gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "program/program.h"

namespace chainrule::schema {

#define CR_TEXT(...) #__VA_ARGS__
// A record of fixed length: its fields, and their names as text.
#define CR_RECORD(Name, ...)                                                   \
  struct Name {                                                                \
    int64_t __VA_ARGS__;                                                       \
    static constexpr const char* kName = #Name;                                \
    static constexpr const char* kFields = CR_TEXT(__VA_ARGS__);               \
    static size_t length(const Instruction&, size_t) { return kLength<Name>; } \
  }
// One matrix product: c (m x n) = a (m x k) b (k x n), the row and column strides of a and b, the row stride of c.
#define CR_PRODUCT m, n, k, rs_a, cs_a, rs_b, cs_b, rs_c

// A record of fixed length is the list itself: to copy it for each run of an instruction took a measurable part of the
// smallest products. Its members are all int64_t, so that the compiler may not take the two for different memory.
template <class Record>
inline constexpr size_t kLength = sizeof(Record) / sizeof(int64_t);
template <class Record>
const Record& record_at(const int64_t* ints) {
  static_assert(std::is_aggregate_v<Record> && std::is_trivially_copyable_v<Record> &&
                alignof(Record) == alignof(int64_t));
  return *reinterpret_cast<const Record*>(ints);
}

// The number of dimensions with which a list begins. Throws std::invalid_argument where it is missing or not from
// `least` to 32.
inline size_t leading_ndim(const Instruction& op, int64_t least) {
  if (op.ints.empty() || op.ints[0] < least || op.ints[0] > 32)
    throw std::invalid_argument(op.name + ": ints must begin with a number of dimensions from " +
                                std::to_string(least) + " to 32");
  return static_cast<size_t>(op.ints[0]);
}

// Elementwise. `inputs` lists of strides; the last stride of each is 0 or 1.
struct Map {
  int64_t ndim;
  const int64_t *dims, *strides;
  explicit Map(const Instruction& op)
      : ndim(op.ints[0]), dims(op.ints.data() + 1), strides(op.ints.data() + 1 + ndim) {}
  int64_t stride(int64_t input, int64_t dimension) const { return strides[input * ndim + dimension]; }

  static constexpr const char* kName = "Map";
  static constexpr const char* kFields = "ndim, dims[ndim], strides[inputs][ndim]";
  static size_t length(const Instruction& op, size_t inputs) { return 1 + leading_ndim(op, 1) * (1 + inputs); }
};

// Elementwise inside a fused body: of each input the row stride and the step (1 or 0) from column to column. A matrix
// is (ld, 1), a row vector (0, 1), a column vector (1, 0), a scalar (0, 0). What stands for slots below 0 is ignored.
struct MapStep {
  const int64_t* operands;
  int64_t out_row_stride;
  explicit MapStep(const Instruction& step)
      : operands(step.ints.data()), out_row_stride(step.ints[2 * step.inputs.size()]) {}
  int64_t row_stride(size_t input) const { return operands[2 * input]; }
  int64_t step(size_t input) const { return operands[2 * input + 1]; }

  static constexpr const char* kName = "MapStep";
  static constexpr const char* kFields = "operands[inputs][2], out_row_stride";
  static size_t length(const Instruction&, size_t inputs) { return 2 * inputs + 1; }
};

// Reductions of a contiguous (outer, reduced, inner) array.
CR_RECORD(Reduce, outer, reduced, inner, mode);
enum ReduceMode : int64_t {
  kStartChain = 0,     // one ascending chain per output
  kLaneRule = 1,       // the last axis is among the reduced ones (inner is 1): whole rows
  kContinueChain = 2,  // as kStartChain, and the chains go on from what the output holds
};

CR_RECORD(Rowwise, rows, cols);
// batch_first: arrays are rows x steps. reverse: from the last step to the first.
CR_RECORD(Recurrent, steps, rows, units, batch_first, reverse);
// has_bias, has_drop: whether there is a mask to be added to the scores, with these strides, and one of factors.
CR_RECORD(Attention, batch, steps, heads, depth, has_bias, bias_batch, bias_head, bias_row, has_drop);
CR_RECORD(CrossEntropy, rows, cols);
// upstream_step: 1 where the upstream gradient has an element per row, 0 where one scalar serves all rows.
CR_RECORD(CrossEntropyBoth, rows, cols, upstream_step);
// Sums over the channels of an (outer, channels, inner) array: the result is (2, channels), by_rows (channels, 2).
CR_RECORD(Channels, outer, channels, inner, by_rows);
// Convolution windows: as Windows of kernel_table.h, for `images` of `channels` planes.
CR_RECORD(Windows, images, channels, height, width, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w,
          pad_top, pad_left, out_h, out_w);
// A convolution with `filters` results for each window: the fields of Windows first. continues: the chains of the
// gradient by the weights go on from what the output holds.
CR_RECORD(Convolution, images, channels, height, width, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w,
          pad_top, pad_left, out_h, out_w, filters, continues);

CR_RECORD(Product, CR_PRODUCT);
// A batch of products; those of a batch follow each other in c at m * rs_c. The strides of a and b by batch dimension.
struct Matmul {
  int64_t ndim;
  const int64_t* batch;
  const Product& product;
  const int64_t *batch_a, *batch_b;
  explicit Matmul(const Instruction& op)
      : ndim(op.ints[0]),
        batch(op.ints.data() + 1),
        product(record_at<Product>(batch + ndim)),
        batch_a(batch + ndim + kLength<Product>),
        batch_b(batch_a + ndim) {}

  static constexpr const char* kName = "Matmul";
  static constexpr const char* kFields =
      "ndim, batch[ndim], m, n, k, rs_a, cs_a, rs_b, cs_b, rs_c, batch_a[ndim], batch_b[ndim]";
  static size_t length(const Instruction& op, size_t) { return 1 + Product::length(op, 0) + 3 * leading_ndim(op, 0); }
};
// The sum of a batch of products, each element one chain over the batch and, inside of it, k. batch_a, batch_b: from
// one product's operand to the next one's. continues: the chains go on from what c holds.
CR_RECORD(MatmulAccumulate, batch, CR_PRODUCT, batch_a, batch_b, continues);
// A product with a fused body. ends: the body follows, block by block. bias, relu, relu_grad: the first steps of the
// body, in this order, that the kernel does in registers: "add" of a row vector to the product, "relu" of the product,
// "relu_grad" with the product as upstream gradient.
CR_RECORD(Gemm, CR_PRODUCT, continues, ends, bias, relu, relu_grad);
CR_RECORD(Chain, rows, cols);

// n: elements of the gradient. row_size: 0, or the elements of a row: then a row whose gradient is 0 is left as it is,
// and a last input, where there is one, names the row of the parameter for each row of the gradient (none: negative).
CR_RECORD(Update, n, row_size);
// An update inside a fused body: the row stride of the parameter, its states and the gradient.
CR_RECORD(UpdateStep, row_stride);
// n: the numbers of each step state.
CR_RECORD(Advance, n);
CR_RECORD(Random, n, seed, stream);
// earlier_draws: how many draws of the same run come before this one.
CR_RECORD(Bernoulli, n, row_size, earlier_draws);

// A strided copy of at least two dimensions.
struct Copy {
  int64_t ndim, out_offset, in_offset;
  const int64_t *dims, *out_strides, *in_strides;
  explicit Copy(const Instruction& op)
      : ndim(op.ints[0]),
        out_offset(op.ints[1]),
        in_offset(op.ints[2]),
        dims(op.ints.data() + 3),
        out_strides(dims + ndim),
        in_strides(out_strides + ndim) {}

  static constexpr const char* kName = "Copy";
  static constexpr const char* kFields = "ndim, out_offset, in_offset, dims[ndim], out_strides[ndim], in_strides[ndim]";
  static size_t length(const Instruction& op, size_t) { return 3 + 3 * leading_ndim(op, 2); }
};
CR_RECORD(Fill, n);
CR_RECORD(Cast, n, source_dtype);
CR_RECORD(Take, rows, row_size);
CR_RECORD(IndexAdd, rows, row_size, out_rows);
// The different ones of n indices. kept: how many there can be. buckets: of a hash table, a power of 2 above kept.
CR_RECORD(Distinct, n, kept, buckets);
// Elements of rows of `cols` by index, `picks` for each row.
CR_RECORD(Gather, rows, cols, picks);
CR_RECORD(Scatter, rows, cols, picks);
// The order of the elements of each row.
CR_RECORD(Order, rows, cols, descending);
// Recurrences along the middle one of three axes. reverse: from the last element on.
CR_RECORD(Scan, outer, scanned, inner, reverse);
CR_RECORD(CheckIndex, n, low, high);
CR_RECORD(CheckFinite, n);
CR_RECORD(Draw, draws);

#undef CR_RECORD
#undef CR_PRODUCT
#undef CR_TEXT

template <class Record>
const Record& read(const Instruction& op) {
  return record_at<Record>(op.ints.data());
}
template <class Record>
void write(Instruction& op, const Record& record) {
  op.ints.resize(kLength<Record>);
  std::memcpy(op.ints.data(), &record, sizeof record);
}
// A Map over n contiguous elements of each input.
inline void write_flat_map(Instruction& op, size_t inputs, int64_t n) {
  op.ints.assign(2 + inputs, 1);  // one dimension, strides of 1
  op.ints[1] = n;
}
// Another number of elements for a list of write_flat_map.
inline void resize_flat_map(Instruction& op, int64_t n) { op.ints[1] = n; }
// A Matmul without a batch.
inline void write_matmul(Instruction& op, const Product& product) {
  op.ints.resize(1 + kLength<Product>);
  op.ints[0] = 0;
  std::memcpy(op.ints.data() + 1, &product, sizeof product);
}
// The elements that a check has examined: the first field of both checks' records.
inline int64_t checked_elements(const Instruction& op) { return read<CheckFinite>(op).n; }

// A record for those who only count or name fields.
struct Record {
  const char *name, *fields;
  size_t (*length)(const Instruction& op, size_t inputs);
};
template <class R>
inline constexpr Record kRecord = {R::kName, R::kFields, R::length};

inline constexpr const Record* kRecords[] = {&kRecord<Map>,        &kRecord<MapStep>,      &kRecord<Reduce>,
                                             &kRecord<Rowwise>,    &kRecord<CrossEntropy>, &kRecord<CrossEntropyBoth>,
                                             &kRecord<Windows>,    &kRecord<Matmul>,       &kRecord<MatmulAccumulate>,
                                             &kRecord<Gemm>,       &kRecord<Chain>,        &kRecord<Update>,
                                             &kRecord<UpdateStep>, &kRecord<Advance>,      &kRecord<Random>,
                                             &kRecord<Bernoulli>,  &kRecord<Copy>,         &kRecord<Fill>,
                                             &kRecord<Cast>,       &kRecord<Take>,         &kRecord<IndexAdd>,
                                             &kRecord<Distinct>,   &kRecord<Gather>,       &kRecord<Scatter>,
                                             &kRecord<CheckIndex>, &kRecord<CheckFinite>,  &kRecord<Draw>,
                                             &kRecord<Recurrent>,  &kRecord<Attention>,    &kRecord<Order>,
                                             &kRecord<Scan>,       &kRecord<Channels>,     &kRecord<Convolution>};

}  // namespace chainrule::schema
