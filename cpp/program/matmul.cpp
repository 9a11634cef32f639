#include "program/matmul.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "program/costs.h"
#include "program/fused.h"
#include "program/instructions.h"
#include "program/integers.h"
#include "program/slots.h"
#include "threads/stop.h"

namespace chainrule {
namespace {

constexpr double kFar = 1 << 20;  // bytes: larger weights and velocities have left L2 since their last update

// This thread's rows and columns. Columns in whole vectors, each thread packing its own. Rows one by one: the kernel
// distributes them over its tiles evenly; in whole vectors for a narrow c, which is computed as its transpose. Any
// split gives the same bits.
struct Part {
  Range rows, columns;
};
Part share_product(int64_t m, int64_t n, Share share) {
  if (share.count == 1) return {{0, m}, {0, n}};
  if (n >= m && n >= 32 * share.count) return {{0, m}, share_range(n, 16, share)};
  return {share_range(m, n < 16 ? 16 : 1, share), {0, n}};
}

// A part of a product between two looks at the stop flag.
struct Block {
  Range rows, columns, depth;
};

// Calls run(block) for this thread's part: as a whole, or, where it can be stopped and takes long, in blocks, the depth
// outside, as the kernel goes through it. A chain of c is continued from one depth to the next, with the same bits.
template <class Run>
void in_blocks(const Instruction& op, const Part& part, int64_t k, bool keeps_c, const Run& run) {
  const std::atomic<bool>* const stop = stop_flag_of(op);
  const int64_t m = part.rows.end - part.rows.begin, n = part.columns.end - part.columns.begin;
  if (stop == nullptr || product_work(m, n, k) < 2 * op.part_work) return run(Block{part.rows, part.columns, {0, k}});
  int64_t rows = m, columns = 256, depth = keeps_c ? gemm_depth(item_size(op.dtype)) : k;
  while (rows > 64 && product_work(rows, columns, depth) > 4 * op.part_work) rows = (rows + 1) / 2;
  while (columns < n && product_work(rows, columns, depth) < op.part_work) columns *= 2;
  while (depth < k && product_work(rows, std::min(columns, n), depth) < op.part_work) depth *= 2;
  for (int64_t i = 0; i < m; i += rows) {
    int64_t l = 0;
    do {
      for (int64_t j = 0; j < n && !stop_requested(stop); j += columns) {
        run(Block{{part.rows.begin + i, part.rows.begin + std::min(m, i + rows)},
                  {part.columns.begin + j, part.columns.begin + std::min(n, j + columns)},
                  {l, std::min(k, l + depth)}});
      }
      l += depth;
    } while (l < k);  // once for k = 0
  }
}

GemmFn gemm_of(const Instruction& op) { return *static_cast<const GemmFn*>(op.kernel); }

// Outputs: c. Inputs: a, b.
void run_matmul(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const schema::Matmul matmul(op);
  const schema::Product& p = matmul.product;
  const int64_t size = item_size(op.dtype);
  int64_t batch = 1;
  for (int64_t d = 0; d < matmul.ndim; ++d) batch *= matmul.batch[d];
  Range products = {0, batch};
  Part part = {{0, p.m}, {0, p.n}};
  if (batch >= 2 * share.count) {
    products = share_range(batch, 1, share);
  } else {
    part = share_product(p.m, p.n, share);
  }
  const GemmFn gemm = gemm_of(op);
  for (int64_t i = products.begin; i < products.end && !stop_requested(stop_flag_of(op)); ++i) {
    int64_t at_a = 0, at_b = 0, rest = i;
    for (int64_t d = matmul.ndim - 1; d >= 0; --d) {
      const int64_t position = rest % matmul.batch[d];
      at_a += position * matmul.batch_a[d];
      at_b += position * matmul.batch_b[d];
      rest /= matmul.batch[d];
    }
    in_blocks(op, part, p.k, true, [&](const Block& block) {
      const auto& [rows, columns, depth] = block;
      gemm({rows.end - rows.begin,
            columns.end - columns.begin,
            depth.end - depth.begin,
            offset(in_bytes(op, slots, 0), at_a + rows.begin * p.rs_a + depth.begin * p.cs_a, size),
            offset(in_bytes(op, slots, 1), at_b + depth.begin * p.rs_b + columns.begin * p.cs_b, size),
            p.rs_a,
            p.cs_a,
            p.rs_b,
            p.cs_b,
            out_bytes(op, slots) + ((i * p.m + rows.begin) * p.rs_c + columns.begin) * size,
            p.rs_c,
            scratch,
            depth.begin > 0,
            {},
            nullptr});
    });
  }
}
const void* integer_kernel(const KernelTable&, const std::string&, Dtype dtype) { return integer_product(dtype); }
double matmul_work(const Instruction& op) {
  const schema::Matmul matmul(op);
  return volume_of(matmul.batch, matmul.ndim) * product_work(matmul.product.m, matmul.product.n, matmul.product.k);
}

double integer_work(const Instruction& op) { return 8 * matmul_work(op); }

// Outputs: c. Inputs: a, b.
void run_matmul_accumulate(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const auto& s = schema::read<schema::MatmulAccumulate>(op);
  const int64_t size = item_size(op.dtype);
  const Part part = share_product(s.m, s.n, share);
  const GemmFn gemm = gemm_of(op);
  const int64_t products = s.batch == 0 ? 1 : s.batch, k = s.batch == 0 ? 0 : s.k;  // an empty sum is +0
  for (int64_t i = 0; i < products && !stop_requested(stop_flag_of(op)); ++i) {
    in_blocks(op, part, k, true, [&](const Block& block) {
      const auto& [rows, columns, depth] = block;
      gemm({rows.end - rows.begin,
            columns.end - columns.begin,
            depth.end - depth.begin,
            offset(in_bytes(op, slots, 0), i * s.batch_a + rows.begin * s.rs_a + depth.begin * s.cs_a, size),
            offset(in_bytes(op, slots, 1), i * s.batch_b + depth.begin * s.rs_b + columns.begin * s.cs_b, size),
            s.rs_a,
            s.cs_a,
            s.rs_b,
            s.cs_b,
            out_bytes(op, slots) + (rows.begin * s.rs_c + columns.begin) * size,
            s.rs_c,
            scratch,
            i > 0 || depth.begin > 0 || s.continues != 0,
            {},
            nullptr});
    });
  }
}
double matmul_accumulate_work(const Instruction& op) {
  const auto& s = schema::read<schema::MatmulAccumulate>(op);
  return static_cast<double>(s.batch) * product_work(s.m, s.n, s.k);
}

// The fused body as the kernel calls it: rows and columns count from this thread's part.
struct BodyEpilogue : Epilogue {
  const FusedBody& body;
  void* const* slots;
  char* locals;
  int64_t row, col;
  // `prefetch` stays uninitialised: clearing it took 3 % of the smallest nets' steps.
  BodyEpilogue(const FusedBody& fused, void* const* addresses, char* buffers, int64_t first_row, int64_t first_col)
      : body(fused), slots(addresses), locals(buffers), row(first_row), col(first_col) {
    apply = apply_body;
    prefetched = 0;
  }
  // Names the matrices of the update at the end of the body, for the kernel to prefetch.
  void prefetch_update(int64_t size) {
    const FusedStep& last = body.steps.back();
    for (; prefetched <= last.states; ++prefetched) {
      const BlockOperand& o = last.out[prefetched];
      prefetch[prefetched] = {offset(slot<char>(slots, o.slot), row * o.row_stride + col, size), o.row_stride};
    }
  }
  static void apply_body(const Epilogue& self, int64_t row, int64_t rows, int64_t col, int64_t cols, void* c,
                         int64_t rs_c) {
    const BodyEpilogue& e = static_cast<const BodyEpilogue&>(self);
    run_block(e.body, e.slots, {e.row + row, rows, e.col + col, cols, static_cast<char*>(c), rs_c, e.locals});
  }
};

// What the kernel does in registers. Every member of GemmArgs is initialised in place: to clear it first took as long
// as the smallest products.
WriteBack write_back(const FusedBody& body, void* const* slots, int64_t row, int64_t col, int64_t size) {
  const BlockOperand& y = body.relu_output;
  return {body.bias < 0 ? nullptr : offset(slot<char>(slots, body.bias), col, size),
          y.slot < 0 ? nullptr : offset(slot<char>(slots, y.slot), row * y.row_stride + col, size), y.row_stride,
          body.relu};
}

// Outputs: c, then what the body writes. Inputs: a, b, then what the body reads; it names rows and columns of c. c may
// be kProduct where only the body reads the product: it is not stored then, which takes a k of at most gemm_depth,
// no chains to continue, and an end.
void run_gemm(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const auto& s = schema::read<schema::Gemm>(op);
  const int64_t size = item_size(op.dtype);
  const FusedBody& body = *op.fused;
  const bool stored = op.outputs[0] != kProduct;
  char* const locals = static_cast<char*>(scratch) + kGemmScratch - kBodyScratch;
  in_blocks(op, share_product(s.m, s.n, share), s.k, stored, [&](const Block& block) {
    const auto& [rows, columns, depth] = block;
    const bool ends = s.ends != 0 && depth.end == s.k;
    BodyEpilogue epilogue(body, slots, locals, rows.begin, columns.begin);
    if (body.prefetches_update) epilogue.prefetch_update(size);
    gemm_of(op)({rows.end - rows.begin, columns.end - columns.begin, depth.end - depth.begin,
                 offset(in_bytes(op, slots, 0), rows.begin * s.rs_a + depth.begin * s.cs_a, size),
                 offset(in_bytes(op, slots, 1), depth.begin * s.rs_b + columns.begin * s.cs_b, size), s.rs_a, s.cs_a,
                 s.rs_b, s.cs_b, stored ? out_bytes(op, slots) + (rows.begin * s.rs_c + columns.begin) * size : nullptr,
                 s.rs_c, scratch, depth.begin > 0 || s.continues != 0,
                 ends ? write_back(body, slots, rows.begin, columns.begin, size) : WriteBack{},
                 ends && !body.steps.empty() ? &epilogue : nullptr});
  });
}

// Takes the first steps that the planner has marked out of the body: the kernel does them.
class MarkedSteps {
 public:
  MarkedSteps(const Instruction& op, FusedBody& body) : op_(op), body_(body) {}

  void take(const schema::Gemm& gemm) {
    if (gemm.bias != 0) {
      const BlockOperand* const in = next("add").in;
      const BlockOperand& row = in[0].slot == kProduct ? in[1] : in[0];
      require((in[0].slot == kProduct) != (in[1].slot == kProduct) && row.slot >= 0 &&
              (row.row_stride == 0 || gemm.m == 1) && row.step == 1);
      body_.bias = row.slot;
    }
    if (gemm.relu != 0) {
      require(next("relu").in[0].slot == kProduct);
      body_.relu = true;
    }
    if (gemm.relu_grad != 0) {
      const BlockOperand* const in = next("relu_grad").in;
      require(in[0].slot >= 0 && in[0].step == 1 && in[1].slot == kProduct);
      body_.relu_output = in[0];
    }
    body_.steps.erase(body_.steps.begin(), body_.steps.begin() + static_cast<std::ptrdiff_t>(taken_));
  }

 private:
  const FusedStep& next(const char* name) {
    name_ = name;
    require(taken_ < body_.steps.size() && op_.body[taken_].name == name);
    const FusedStep& step = body_.steps[taken_++];
    require(step.out[0].slot == kProduct);
    return step;
  }
  void require(bool fits) const {
    if (!fits)
      throw std::invalid_argument("gemm: its body does not begin with the marked steps; " + std::string(name_) +
                                  " is missing or has operands that the kernel does not take");
  }

  const Instruction& op_;
  FusedBody& body_;
  size_t taken_ = 0;
  const char* name_ = nullptr;
};

void prepare_gemm(Instruction& op, const KernelTable& table) {
  if (op.outputs.empty() || op.inputs.size() < 2)
    throw std::invalid_argument("gemm: expected outputs c, ... and inputs a, b, ...");
  const auto& s = schema::read<schema::Gemm>(op);
  const int64_t size = item_size(op.dtype);
  if (op.outputs[0] == kProduct && (s.k > gemm_depth(size) || s.continues != 0 || s.ends == 0 || op.body.empty()))
    throw std::invalid_argument("gemm: a product that is not kept needs a body, an end, nothing to continue and k <= " +
                                std::to_string(gemm_depth(size)));
  FusedBody body = resolve_body(op, table, s.n, kEpilogueElements);
  MarkedSteps(op, body).take(s);
  if (!body.steps.empty() && body.steps.back().update != nullptr) {
    const double matrices = 1 + body.steps.back().states;
    body.prefetches_update = matrices * volume(s.m, s.n) * static_cast<double>(size) > kFar;
  }
  op.fused = std::make_shared<const FusedBody>(std::move(body));
}
double gemm_work(const Instruction& op) {
  const auto& s = schema::read<schema::Gemm>(op);
  return product_work(s.m, s.n, s.k) + (s.ends != 0 ? op.fused->cost * volume(s.m, s.n) : 0);
}

constexpr InstructionRow kRows[] = {
    {.name = "matmul",
     .record = &schema::kRecord<schema::Matmul>,
     .counts = {1, 2, 0},
     .run = run_matmul,
     .work = matmul_work,
     .kernel = function_of<&KernelTable::gemm>,
     .looks_at_stop = true},
    {.name = "matmul_integers",
     .record = &schema::kRecord<schema::Matmul>,
     .counts = {1, 2, 0},
     .dtypes = kAllDtypes & ~kFloats,
     .run = run_matmul,
     .work = integer_work,
     .kernel = integer_kernel,
     .looks_at_stop = true},
    {.name = "matmul_accumulate",
     .record = &schema::kRecord<schema::MatmulAccumulate>,
     .counts = {1, 2, 0},
     .run = run_matmul_accumulate,
     .work = matmul_accumulate_work,
     .kernel = function_of<&KernelTable::gemm>,
     .looks_at_stop = true},
    {.name = "gemm",
     .record = &schema::kRecord<schema::Gemm>,
     .counts = {kAny, kAny, 0},
     .run = run_gemm,
     .work = gemm_work,
     .kernel = function_of<&KernelTable::gemm>,
     .prepare = prepare_gemm,
     .has_body = true,
     .may_drop_output = true,
     .looks_at_stop = true},
};

}  // namespace

double product_work(int64_t m, int64_t n, int64_t k) {
  const double rows = static_cast<double>(m), columns = static_cast<double>(n), depth = static_cast<double>(k);
  return kPerFma * rows * columns * depth + kPerOperand * (rows * depth + depth * columns + rows * columns);
}

std::span<const InstructionRow> matmul_instructions() { return kRows; }

}  // namespace chainrule
