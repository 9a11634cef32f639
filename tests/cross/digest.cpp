// Prints one hash over the kernels of an ISA level: matrix products in all transpositions and with a fused body, all
// elementwise ops, convolutions, sums, softmax, random numbers. Builds for every level and machine (also under an
// emulator) must print the same hash.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "isa.h"
#include "program/program.h"
#include "program/schema.h"

using namespace chainrule;

namespace {

uint64_t g_hash = 1469598103934665603ull;

template <class T, class U>
void hash(const std::vector<T>& values) {
  for (T v : values) {
    U bits;
    if (v != v) v = T(NAN);
    std::memcpy(&bits, &v, sizeof v);
    if (v != v) bits = U(0x7fc);
    g_hash = (g_hash ^ bits) * 1099511628211ull;
  }
}

uint64_t g_state = 42;
uint64_t next() {
  g_state = g_state * 6364136223846793005ull + 1442695040888963407ull;
  return g_state >> 11;
}

// Values of mixed magnitudes and signs; about one in 97 is a special value.
template <class T>
T sample() {
  const uint64_t r = next();
  if (r % 97 == 0) {
    const T special[] = {T(0), T(-0.0), T(INFINITY), T(-INFINITY), T(NAN), T(1e-40), T(-3e-39), T(1e30)};
    return special[(r >> 8) % 8];
  }
  const double unit = static_cast<double>(r % 2000003) / 1000001.5 - 1.0;
  return static_cast<T>(std::ldexp(unit, static_cast<int>((r >> 24) % 12) - 5));
}
template <class T>
std::vector<T> samples(size_t n) {
  std::vector<T> v(n);
  for (T& x : v) x = sample<T>();
  return v;
}

template <class T>
constexpr Dtype dtype_of() {
  return sizeof(T) == 4 ? kFloat32 : kFloat64;
}

template <class T>
void run(Instruction op, std::vector<void*> slots, std::vector<T>& out) {
  op.dtype = dtype_of<T>();
  resolve(op, active_kernels());
  run_instruction(op, slots.data());
  if constexpr (sizeof(T) == 4) {
    hash<T, uint32_t>(out);
  } else {
    hash<T, uint64_t>(out);
  }
}

template <class T>
void matrix_products() {
  for (int64_t m : {1, 3, 13, 40}) {
    for (int64_t n : {1, 7, 17, 50}) {
      for (int64_t k : {0, 1, 19, 300}) {
        for (int swap = 0; swap < 4; ++swap) {
          auto a = samples<T>(static_cast<size_t>(m * k + 1)), b = samples<T>(static_cast<size_t>(k * n + 1));
          std::vector<T> c(static_cast<size_t>(m * n));
          Instruction op;
          op.name = "matmul";
          op.outputs = {0};
          op.inputs = {1, 2};
          schema::write_matmul(op,
                               {m, n, k, swap & 1 ? 1 : k, swap & 1 ? m : 1, swap & 2 ? 1 : n, swap & 2 ? k : 1, n});
          run<T>(op, {c.data(), a.data(), b.data()}, c);
        }
      }
    }
  }
}

// A matrix product with a fused body: steps in registers, a step on finished tiles, an in-place update.
template <class T>
void fused_products() {
  const int64_t m = 37, k = 21;
  for (int64_t n : {1, 9, 50}) {
    const size_t size = static_cast<size_t>(m * n);
    auto a = samples<T>(static_cast<size_t>(m * k)), b = samples<T>(static_cast<size_t>(k * n));
    auto row = samples<T>(static_cast<size_t>(n)), x = samples<T>(size), p = samples<T>(size), v = samples<T>(size);
    std::vector<double> hyper = {0.1, 0.9, 0.01, 1.0};
    const auto step = [](const char* name, std::vector<int> to, std::vector<int> of, std::vector<int64_t> ints) {
      Instruction op;
      op.name = name;
      op.dtype = dtype_of<T>();
      op.outputs = std::move(to);
      op.inputs = std::move(of);
      op.ints = std::move(ints);
      return op;
    };
    Instruction op = step("gemm", {kProduct, 0, 1}, {2, 3, 4, 5, 6}, {m, n, k, k, 1, n, 1, n, 0, 1, 1, 1, 0});
    op.body = {step("add", {-1}, {-1, 4}, {n, 1, 0, 1, n}), step("relu", {-1}, {-1}, {n, 1, n}),
               step("mul", {-2}, {-1, 5}, {n, 1, n, 1, n}), step("sgd", {0, 1}, {-2, 6}, {n})};
    run<T>(op, {p.data(), v.data(), a.data(), b.data(), row.data(), x.data(), hyper.data()}, p);
  }
}

template <class T>
void elementwise(const KernelTable& table) {
  for (int64_t r = 0; r < table.n_maps; ++r) {
    const MapRow& row = table.maps[r];
    if (row.reads_bool || row.writes_bool) continue;
    const int64_t n = 4099;
    auto a = samples<T>(n), b = samples<T>(n);
    std::vector<T> y(n);
    Instruction op;
    op.name = row.name;
    op.outputs = {0};
    op.inputs = row.inputs == 1 ? std::vector<int>{1} : std::vector<int>{1, 2};
    schema::write_flat_map(op, op.inputs.size(), n);
    op.reals = {0.01};
    run<T>(op, {y.data(), a.data(), b.data()}, y);
  }
}

template <class T>
void rows_and_random() {
  const int64_t rows = 7, cols = 5003;
  auto x = samples<T>(static_cast<size_t>(rows * cols));
  for (T& v : x) v = v == v && v < T(1e9) && v > T(-1e9) ? v : T(1);
  std::vector<T> sums(static_cast<size_t>(rows)), y(x.size());
  Instruction op;
  op.name = "sum";
  op.outputs = {0};
  op.inputs = {1};
  schema::write(op, schema::Reduce{rows, cols, 1, schema::kLaneRule});
  run<T>(op, {sums.data(), x.data()}, sums);
  op.name = "log_softmax";
  schema::write(op, schema::Rowwise{rows, cols});
  run<T>(op, {y.data(), x.data()}, y);
  for (const char* name : {"uniform", "normal"}) {
    op.name = name;
    op.inputs = {};
    schema::write(op, schema::Random{rows * cols, 12345, 6});
    op.reals = {-1.0, 2.5};
    run<T>(op, {y.data()}, y);
  }
}

// unfold and fold with stride 1 and 2, and the accumulated matrix product of a weight gradient.
template <class T>
void convolutions() {
  for (const int64_t w : {3, 8, 17, 35}) {
    for (const int64_t step : {1, 2}) {
      const int64_t n = 2, channels = 3, oh = 5, ow = (w + 2 - 3) / step + 1, length = oh * ow, k = channels * 6;
      Instruction op;
      op.outputs = {0};
      op.inputs = {1};
      schema::write(op, schema::Windows{n, channels, 5, w, 2, 3, 1, step, 1, 1, 1, 1, oh, ow});
      auto x = samples<T>(static_cast<size_t>(n * channels * 5 * w)),
           g = samples<T>(static_cast<size_t>(n * 4 * length));
      std::vector<T> columns(static_cast<size_t>(n * k * length)), image(x.size()), sum(static_cast<size_t>(k * 4));
      op.name = "unfold";
      op.reals = {0.0};
      run<T>(op, {columns.data(), x.data()}, columns);
      op.name = "fold";
      op.reals = {};
      run<T>(op, {image.data(), columns.data()}, image);
      op.name = "matmul_accumulate";
      op.inputs = {1, 2};
      schema::write(op, schema::MatmulAccumulate{n, k, 4, length, length, 1, 1, length, 4, k * length, 4 * length, 0});
      run<T>(op, {sum.data(), columns.data(), g.data()}, sum);
    }
  }
}

// Sizes below and above a block of rows, and below and above the widest rows that are processed in blocks.
template <class T>
void softmax_and_loss() {
  for (const int64_t cols : {1, 2, 3, 10, 16, 37, 64, 65, 130}) {
    const int64_t rows = 37;
    auto x = samples<T>(static_cast<size_t>(rows * cols)), g = samples<T>(static_cast<size_t>(rows));
    std::vector<int64_t> labels(static_cast<size_t>(rows));
    for (int64_t& label : labels) label = static_cast<int64_t>(next()) % cols;
    std::vector<T> y(x.size()), loss(static_cast<size_t>(rows));
    Instruction op;
    op.outputs = {0};
    op.inputs = {1};
    schema::write(op, schema::Rowwise{rows, cols});
    for (const char* name : {"softmax", "log_softmax"}) {
      op.name = name;
      run<T>(op, {y.data(), x.data()}, y);
    }
    op.name = "cross_entropy_both";
    op.outputs = {1, 0};
    op.inputs = {2, 3, 4};
    schema::write(op, schema::CrossEntropyBoth{rows, cols, 1});
    run<T>(op, {y.data(), loss.data(), x.data(), labels.data(), g.data()}, y);
    hash<T, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>(loss);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) use_level(argv[1]);
  matrix_products<float>();
  matrix_products<double>();
  fused_products<float>();
  fused_products<double>();
  elementwise<float>(active_kernels());
  elementwise<double>(active_kernels());
  convolutions<float>();
  convolutions<double>();
  rows_and_random<float>();
  rows_and_random<double>();
  softmax_and_loss<float>();
  softmax_and_loss<double>();
  std::printf("%016llx %s\n", static_cast<unsigned long long>(g_hash), active_kernels().isa);
}
