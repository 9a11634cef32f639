#include "program/matmul.h"

#include <utility>

#include "program/fused.h"
#include "program/operands.h"

namespace chainrule {
namespace {

constexpr double kFar = 1 << 20;  // bytes: weights and velocities of more have left L2 since their last update

// This thread's rows and columns. Columns in whole vectors, each thread packing its own. Rows one by one: the kernel
// deals them out to its tiles evenly; in whole vectors for a narrow c, which is computed as its transpose. Any split
// gives the same bits.
struct Part {
  Range rows, columns;
};
Part share_product(int64_t m, int64_t n, Share share) {
  if (share.count == 1) return {{0, m}, {0, n}};
  if (n >= m && n >= 32 * share.count) return {{0, m}, share_range(n, 16, share)};
  return {share_range(m, n < 16 ? 16 : 1, share), {0, n}};
}

void run_matmul(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const int64_t ndim = op.ints[0];
  const int64_t* const dims = op.ints.data() + 1;
  const int64_t* const s = dims + ndim;
  const int64_t *const batch_a = s + 8, *const batch_b = batch_a + ndim;
  const int64_t m = s[0], n = s[1], k = s[2], size = item_size(op.dtype);
  int64_t batch = 1;
  for (int64_t d = 0; d < ndim; ++d) batch *= dims[d];
  Range products = {0, batch};
  Part part = {{0, m}, {0, n}};
  if (batch >= 2 * share.count) {
    products = share_range(batch, 1, share);
  } else {
    part = share_product(m, n, share);
  }
  const auto [rows, columns] = part;
  const GemmFn gemm = *static_cast<const GemmFn*>(op.kernel);
  for (int64_t i = products.begin; i < products.end; ++i) {
    int64_t at_a = rows.begin * s[3], at_b = columns.begin * s[6], rest = i;
    for (int64_t d = ndim - 1; d >= 0; --d) {
      at_a += rest % dims[d] * batch_a[d];
      at_b += rest % dims[d] * batch_b[d];
      rest /= dims[d];
    }
    gemm({rows.end - rows.begin,
          columns.end - columns.begin,
          k,
          offset(in_bytes(op, slots, 0), at_a, size),
          offset(in_bytes(op, slots, 1), at_b, size),
          s[3],
          s[4],
          s[5],
          s[6],
          out_bytes(op, slots) + ((i * m + rows.begin) * s[7] + columns.begin) * size,
          s[7],
          scratch,
          false,
          {},
          nullptr});
  }
}

void run_matmul_sum(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const int64_t batch = op.ints[0], size = item_size(op.dtype);
  const int64_t* const s = op.ints.data() + 1;
  const auto [rows, columns] = share_product(s[0], s[1], share);
  const GemmFn gemm = *static_cast<const GemmFn*>(op.kernel);
  const int64_t products = batch == 0 ? 1 : batch, k = batch == 0 ? 0 : s[2];  // the sum of none is +0
  for (int64_t i = 0; i < products; ++i) {
    gemm({rows.end - rows.begin,
          columns.end - columns.begin,
          k,
          offset(in_bytes(op, slots, 0), i * s[8] + rows.begin * s[3], size),
          offset(in_bytes(op, slots, 1), i * s[9] + columns.begin * s[6], size),
          s[3],
          s[4],
          s[5],
          s[6],
          out_bytes(op, slots) + (rows.begin * s[7] + columns.begin) * size,
          s[7],
          scratch,
          i > 0 || s[10] != 0,
          {},
          nullptr});
  }
}

// The body as the kernel calls it: rows and columns count from this thread's part.
struct BodyEpilogue : Epilogue {
  const Body& body;
  void* const* slots;
  char* locals;
  int64_t row, col;
  // `prefetch` is left as it is: to clear it took 3 % of the smallest nets' steps.
  BodyEpilogue(const Body& of, void* const* at, char* buffers, int64_t first_row, int64_t first_col)
      : body(of), slots(at), locals(buffers), row(first_row), col(first_col) {
    apply = apply_body;
    prefetched = 0;
  }
  void prefetch_updates(int64_t size) {
    const Step& last = body.steps.back();
    for (; prefetched <= last.states; ++prefetched) {
      const BlockOperand& o = last.out[prefetched];
      prefetch[prefetched] = {offset(slot<char>(slots, o.slot), row * o.rs + col, size), o.rs};
    }
  }
  static void apply_body(const Epilogue& self, int64_t row, int64_t rows, int64_t col, int64_t cols, void* c,
                         int64_t rs_c) {
    const BodyEpilogue& e = static_cast<const BodyEpilogue&>(self);
    run_block(e.body, e.slots, {e.row + row, rows, e.col + col, cols, static_cast<char*>(c), rs_c, e.locals});
  }
};

// What the kernel does in registers. All of it is written here, as the rest of GemmArgs: to clear it first took as long
// as the smallest products.
WriteBack write_back(const Body& body, void* const* slots, int64_t row, int64_t col, int64_t size) {
  const BlockOperand& relu_output = body.relu_output;
  return {
      body.bias < 0 ? nullptr : offset(slot<char>(slots, body.bias), col, size),
      relu_output.slot < 0 ? nullptr : offset(slot<char>(slots, relu_output.slot), row * relu_output.rs + col, size),
      relu_output.rs, body.relu};
}

void run_gemm(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const int64_t* const s = op.ints.data();
  const int64_t size = item_size(op.dtype), rs_c = s[7];
  const Body& body = *op.steps;
  const bool ends = s[9] != 0;
  const auto [rows, columns] = share_product(s[0], s[1], share);
  char* const locals = static_cast<char*>(scratch) + kGemmScratch - kBodyScratch;
  BodyEpilogue epilogue(body, slots, locals, rows.begin, columns.begin);
  if (body.far) epilogue.prefetch_updates(size);
  (*static_cast<const GemmFn*>(op.kernel))(
      {rows.end - rows.begin, columns.end - columns.begin, s[2],
       offset(in_bytes(op, slots, 0), rows.begin * s[3], size),
       offset(in_bytes(op, slots, 1), columns.begin * s[6], size), s[3], s[4], s[5], s[6],
       op.outputs[0] == kProduct ? nullptr : out_bytes(op, slots) + (rows.begin * rs_c + columns.begin) * size, rs_c,
       scratch, s[8] != 0, ends ? write_back(body, slots, rows.begin, columns.begin, size) : WriteBack{},
       ends && !body.steps.empty() ? &epilogue : nullptr});
}

bool is(const Step& step, const char* name, const KernelTable& table, Dtype dtype) {
  return step.map == find(table.maps, table.n_maps, name)->fn[dtype] && step.out[0].slot == kProduct;
}

// Steps at the beginning that the kernel does in registers: add a row, relu, relu_grad, in this order, each on the
// product and in place.
void take_write_back(Body& body, const KernelTable& table, Dtype dtype) {
  auto step = body.steps.begin();
  const auto end = body.steps.end();
  if (step != end && is(*step, "add", table, dtype)) {
    const BlockOperand *a = step->in, *b = a + 1;
    if (b->slot == kProduct) std::swap(a, b);
    if (a->slot == kProduct && b->slot >= 0 && b->rs == 0 && b->step == 1) {
      body.bias = b->slot;
      ++step;
    }
  }
  if (step != end && is(*step, "relu", table, dtype) && step->in[0].slot == kProduct) {
    body.relu = true;
    ++step;
  }
  if (step != end && is(*step, "relu_grad", table, dtype) && step->in[0].slot >= 0 && step->in[0].step == 1 &&
      step->in[1].slot == kProduct) {
    body.relu_output = step->in[0];
    ++step;
  }
  body.steps.erase(body.steps.begin(), step);
}

}  // namespace

double product_work(int64_t m, int64_t n, int64_t k) {
  const double rows = static_cast<double>(m), columns = static_cast<double>(n), depth = static_cast<double>(k);
  return kPerFma * rows * columns * depth + kPerOperand * (rows * depth + depth * columns + rows * columns);
}

void resolve_matmul(Instruction& op, const KernelTable& table) {
  const size_t ndim = leading_ndim(op, 0);
  expect(op, {1, 2, 9 + 3 * ndim, 0});
  op.run = run_matmul;
  op.kernel = &table.gemm[op.dtype];
  const int64_t* const s = op.ints.data() + 1 + ndim;
  op.work = product(op.ints.data() + 1, ndim) * product_work(s[0], s[1], s[2]);
}

void resolve_matmul_sum(Instruction& op, const KernelTable& table) {
  expect(op, {1, 2, 12, 0});
  op.run = run_matmul_sum;
  op.kernel = &table.gemm[op.dtype];
  const int64_t* const s = op.ints.data();
  op.work = static_cast<double>(s[0]) * product_work(s[1], s[2], s[3]);
}

void resolve_gemm(Instruction& op, const KernelTable& table) {
  if (op.outputs.empty() || op.inputs.size() < 2)
    throw std::invalid_argument("gemm: expected outputs c, ... and inputs a, b, ...");
  expect(op, {op.outputs.size(), op.inputs.size(), 10, 0});
  const int64_t* const s = op.ints.data();
  const bool continues = s[8] != 0, ends = s[9] != 0;
  if (op.outputs[0] == kProduct && (s[2] > gemm_depth(item_size(op.dtype)) || continues || !ends || op.body.empty()))
    throw std::invalid_argument("gemm: a product that is not kept needs a body, an end, nothing to continue and k <= " +
                                std::to_string(gemm_depth(item_size(op.dtype))));
  Body body = resolve_body(op, table, s[1], kEpilogueElements);
  take_write_back(body, table, op.dtype);
  if (!body.steps.empty() && body.steps.back().update != nullptr) {
    const double matrices = 1 + body.steps.back().states;
    body.far = matrices * product(s, 2) * static_cast<double>(item_size(op.dtype)) > kFar;
  }
  op.steps = std::make_shared<const Body>(std::move(body));
  op.run = run_gemm;
  op.kernel = &table.gemm[op.dtype];
  op.work = product_work(s[0], s[1], s[2]) + (ends ? op.steps->cost * product(s, 2) : 0);
}

}  // namespace chainrule
