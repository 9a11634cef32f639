// The GEMM micro-kernel: an mr x (nv vectors) tile of c stays in registers while k runs.
//
// Contract: c[i][j] = chain over k ascending of fma(a[i][k], b[k][j], .), starting from +0 (`first`) or continuing what
// c holds. a is read one element at a time (any strides), b a vector at a time (unit column stride). With Tail the last
// vector of b is read by load_n, so nothing outside the matrix is touched; without it b must have whole vectors (packed
// panels are padded). c is always written up to column n only.
//
// Register arithmetic: mr * nv accumulators + nv vectors of b + 1 broadcast <= kRegisters. Few rows take more vectors,
// so that there are always enough independent chains (latency 4 x 2 units = 8) and b is read in long runs.
//   32 registers: 12 x 2 = 24 + 3;  8 x 3 = 24 + 4;  6 x 4 = 24 + 5;  4 x 5;  3 x 6;  2 x 8;  1 x 12
//   16 registers:  6 x 2 = 12 + 3;  3 x 3 =  9 + 4;  2 x 4;  1 x 6
#pragma once

#include "simd/vec.h"

namespace chainrule {
namespace {

constexpr int kMaxRows = kRegisters == 32 ? 12 : 6;
constexpr int kWidest = kRegisters == 32 ? 12 : 6;

constexpr int max_vectors(int mr) {
  if (kRegisters == 32) {
    constexpr int table[13] = {0, 12, 8, 6, 5, 4, 4, 3, 3, 2, 2, 2, 2};
    return table[mr];
  }
  constexpr int table[7] = {0, 6, 4, 3, 2, 2, 2};
  return table[mr];
}

template <class T>
struct TileArgs {
  int64_t k;
  const T* a;
  int64_t rs_a, cs_a;
  const T* b;
  int64_t rs_b;
  T* c;
  int64_t rs_c;
  int64_t n;  // columns of this tile
  bool first;
};

template <class T, int MR, int NV, bool Tail>
void tile(const TileArgs<T>& t) {
  constexpr int64_t L = Vec<T>::lanes;
  constexpr int kGroup = 3, kGroups = (MR + kGroup - 1) / kGroup;  // a few row pointers, not MR: x86 has 16 registers
  const int64_t last = t.n - (NV - 1) * L;
  Vec<T> acc[MR][NV];
  CR_UNROLL
  for (int i = 0; i < MR; ++i) {
    CR_UNROLL
    for (int j = 0; j < NV; ++j) acc[i][j] = splat<T>(0);
  }
  if (!t.first) {
    CR_UNROLL
    for (int i = 0; i < MR; ++i) {
      CR_UNROLL
      for (int j = 0; j < NV - 1; ++j) acc[i][j] = load(t.c + i * t.rs_c + j * L);
      acc[i][NV - 1] = load_or_n(t.c + i * t.rs_c + (NV - 1) * L, last);
    }
  }
  const T* a[kGroups];
  CR_UNROLL
  for (int g = 0; g < kGroups; ++g) a[g] = t.a + g * kGroup * t.rs_a;
  const T* b = t.b;
  const int64_t rs_a = t.rs_a, cs_a = t.cs_a, rs_b = t.rs_b;
  for (int64_t k = t.k; k > 0; --k) {
    Vec<T> bv[NV];
    CR_UNROLL
    for (int j = 0; j < NV - 1; ++j) bv[j] = load(b + j * L);
    bv[NV - 1] = Tail ? load_n(b + (NV - 1) * L, last) : load(b + (NV - 1) * L);
    CR_UNROLL
    for (int i = 0; i < MR; ++i) {
      const Vec<T> ai = splat(a[i / kGroup][(i % kGroup) * rs_a]);
      CR_UNROLL
      for (int j = 0; j < NV; ++j) acc[i][j] = fma(ai, bv[j], acc[i][j]);
    }
    CR_UNROLL
    for (int g = 0; g < kGroups; ++g) a[g] += cs_a;
    b += rs_b;
  }
  CR_UNROLL
  for (int i = 0; i < MR; ++i) {
    CR_UNROLL
    for (int j = 0; j < NV - 1; ++j) store(t.c + i * t.rs_c + j * L, acc[i][j]);
    store_or_n(t.c + i * t.rs_c + (NV - 1) * L, acc[i][NV - 1], last);
  }
}

template <class T>
using TileFn = void (*)(const TileArgs<T>&);

// All tiles by [rows - 1][vectors - 1][tail]; what would spill is null and never asked for.
template <class T>
struct TileTable {
  TileFn<T> fn[kMaxRows][kWidest][2];
};

template <class T, int MR, int NV>
constexpr void fill_tiles(TileTable<T>& table) {
  if constexpr (NV >= 1) {
    table.fn[MR - 1][NV - 1][0] = tile<T, MR, NV, false>;
    table.fn[MR - 1][NV - 1][1] = tile<T, MR, NV, true>;
    fill_tiles<T, MR, NV - 1>(table);
  } else if constexpr (MR > 1) {
    fill_tiles<T, MR - 1, max_vectors(MR - 1)>(table);
  }
}

template <class T>
constexpr TileTable<T> make_tiles() {
  TileTable<T> table = {};
  fill_tiles<T, kMaxRows, max_vectors(kMaxRows)>(table);
  return table;
}
template <class T>
constexpr TileTable<T> kTiles = make_tiles<T>();

}  // namespace
}  // namespace chainrule
