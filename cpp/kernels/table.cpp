// The kernel table of one level, filled once.
#include "kernels/registry.h"
#include "simd/vec.h"

#define CR_TEXT_(x) #x
#define CR_TEXT(x) CR_TEXT_(x)

namespace chainrule {
namespace {

// 16 independent chains cover latency 4 on two units twice; no memory. What FMA peak means in every benchmark.
double peak(int64_t rounds, float* sink) {
  constexpr int kChains = kRegisters == 32 ? 16 : 12;
  Vec<float> acc[kChains];
  const Vec<float> x = splat(sink[0]), y = splat(sink[1]);
  CR_UNROLL
  for (int i = 0; i < kChains; ++i) acc[i] = splat(static_cast<float>(i));
  for (int64_t r = 0; r < rounds; ++r) {
    CR_UNROLL
    for (int i = 0; i < kChains; ++i) acc[i] = fma(acc[i], x, y);
  }
  Vec<float> sum = acc[0];
  CR_UNROLL
  for (int i = 1; i < kChains; ++i) sum = sum + acc[i];
  float lanes[Vec<float>::lanes];
  store(lanes, sum);
  sink[0] = lanes[0];
  return 2.0 * kChains * Vec<float>::lanes * static_cast<double>(rounds);
}

}  // namespace

namespace CR_LEVEL {
void register_pair_functions(KernelTable& table);

const KernelTable& kernel_table() {
  static KernelTable table = {};
  if (table.isa == nullptr) {
    register_maps(table);
    register_pair_functions(table);
    register_reductions(table);
    register_rowwise(table);
    register_cross_entropy(table);
    register_gemm(table);
    register_windows(table);
    register_pools(table);
    register_update(table);
    register_random(table);
    register_index_add(table);
    register_scan(table);
    register_cast(table);
    register_normalize(table);
    register_recurrent(table);
    register_attention(table);
    table.lanes_f32 = Vec<float>::lanes;
    table.peak = peak;
    table.isa = CR_TEXT(CR_LEVEL);
  }
  return table;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
