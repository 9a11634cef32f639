// The GEMM micro-kernel: an mr x (nv vectors) tile of c stays in registers while k runs.
//
// Contract: c[i][j] = chain over k ascending of fma(a[i][k], b[k][j], .), starting from +0 (`first`) or continuing what
// c holds. a is read one element at a time (any strides), c written up to column n only. b is read in one of five ways:
//   whole       a vector at a time, every vector inside the matrix or a padded panel
//   tail        the same, the last vector of each row by load_n
//   pack        as tail, and every vector is stored to `panel` for the next rows of a: the copy hides behind the fmas
//   prefetch    as whole, and the matrices that the epilogue will update are prefetched
//   transposed  columns are contiguous: a few at a time are transposed in registers, on the way to the fmas
//
// Register arithmetic: mr * nv accumulators + nv vectors of b + 1 broadcast <= kRegisters. Few rows take more vectors,
// so that there are always enough independent chains (latency 4 x 2 units = 8) and b is read in long runs.
//   32 registers: 12 x 2 = 24 + 3;  8 x 3 = 24 + 4;  6 x 4 = 24 + 5;  4 x 5;  3 x 6;  2 x 8;  1 x 12
//   16 registers:  6 x 2 = 12 + 3;  3 x 3 =  9 + 4;  2 x 4;  1 x 6
// Transposed takes mr * nv + temporaries, and no more vectors than the chains need: their columns compete for L1.
#pragma once

#include "kernels/activations.h"
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
// Whether transposed columns are read a few at a time: 16 registers hold too little of 8 floats for that to be faster.
template <class T>
constexpr bool kFewColumns = kRegisters == 32 || sizeof(T) > 4;
template <class T>
constexpr int max_transposed_vectors(int mr) {
  constexpr int most = kFewColumns<T> ? 4 : 2, chains = kFewColumns<T> ? 8 : 6;
  return mr > chains ? 1 : chains / mr < most ? chains / mr : most;
}

// Rows that a packing tile prefetches ahead. Rows on different pages are out of reach of the hardware's prefetchers:
// the first tiles of 1024^3 took 3.3 times as long as the others, and take 1.8 times as long.
constexpr int64_t kAhead = 16;

enum Read { kWhole, kTail, kPack, kTransposed, kPrefetch };

// WriteBack of one tile. In a tile of c' (`transposed`) the bias is one number a row, and there is no relu_output.
template <class T>
struct Finish {
  const T *bias, *relu_output;  // null: none
  int64_t rs_relu_output;
  bool relu, transposed;
};

// Matrices that the epilogue will update where the tile is, prefetched while it is computed: a step of
// 1024-2048-2048-1000 takes 4 % less. A row at a time: all at once they delay what the tile itself reads.
template <class T>
struct PrefetchTargets {
  int matrices;
  const T* p[1 + kMostStates];
  int64_t rs[1 + kMostStates];
};

template <class T>
struct TileArgs {
  int64_t strips;  // so many tiles, one below the other, with the same b
  int64_t k;
  const T* a;
  int64_t rs_a, cs_a;
  const T* b;
  int64_t ld_b;  // from row to row of b; transposed: from column to column
  T* panel;      // where kPack stores b
  T* c;
  int64_t rs_c;
  int64_t n;  // columns of this tile
  bool first;
  Read read;
  const Finish<T>* finish;            // null: c is stored as it is
  const PrefetchTargets<T>* targets;  // of kPrefetch
};

// Elements of a at one k, for all rows of the tile. A few row pointers, not MR: x86 has 16 registers.
template <class T, int MR>
struct Broadcasts {
  static constexpr int kGroup = 3, kGroups = (MR + kGroup - 1) / kGroup;
  const T* group[kGroups];
  int64_t rs, cs;
  CR_INLINE Broadcasts(const TileArgs<T>& t, const T* a) : rs(t.rs_a), cs(t.cs_a) {
    CR_UNROLL
    for (int g = 0; g < kGroups; ++g) group[g] = a + g * kGroup * rs;
  }
  CR_INLINE Vec<T> row(int i) const { return splat(group[i / kGroup][(i % kGroup) * rs]); }
  CR_INLINE void next() {
    CR_UNROLL
    for (int g = 0; g < kGroups; ++g) group[g] += cs;
  }
};

template <class T, int MR, int NV, Read R>
CR_INLINE void multiply_rows(const TileArgs<T>& t, const T* a_rows, const T* b, int64_t rows_of_b,
                             Vec<T> (&acc)[MR][NV]) {
  constexpr int64_t L = Vec<T>::lanes;
  const int64_t last = t.n - (NV - 1) * L, ld_b = t.ld_b;
  Broadcasts<T, MR> a(t, a_rows);
  T* panel = t.panel;
  for (int64_t k = rows_of_b; k > 0; --k) {
    Vec<T> bv[NV];
    CR_UNROLL
    for (int j = 0; j < NV - 1; ++j) bv[j] = load(b + j * L);
    const T* const end = b + (NV - 1) * L;
    bv[NV - 1] = R == kWhole ? load(end) : R == kTail ? load_n(end, last) : load_or_n(end, last);
    if constexpr (R == kPack) {
      const T* const ahead = k > kAhead ? b + kAhead * ld_b : b;
      CR_UNROLL
      for (int j = 0; j < NV; ++j) __builtin_prefetch(ahead + j * L);
      CR_UNROLL
      for (int j = 0; j < NV; ++j) store(panel + j * L, bv[j]);
      panel += NV * L;
    }
    CR_UNROLL
    for (int i = 0; i < MR; ++i) {
      const Vec<T> ai = a.row(i);
      CR_UNROLL
      for (int j = 0; j < NV; ++j) acc[i][j] = fma(ai, bv[j], acc[i][j]);
    }
    a.next();
    b += ld_b;
  }
}

template <class T, int MR, int NV>
CR_INLINE void multiply_and_prefetch(const TileArgs<T>& t, int64_t row, const T* a, Vec<T> (&acc)[MR][NV]) {
  const int64_t lines = MR * t.targets->matrices, few = t.k / lines + 1;
  const T* b = t.b;
  for (int64_t x = 0, k = t.k; x < lines; ++x) {
    const int64_t matrix = x / MR, now = k < few ? k : few;
    const T* const p = t.targets->p[matrix] + (row + x % MR) * t.targets->rs[matrix];
    CR_UNROLL
    for (int j = 0; j < NV; ++j) __builtin_prefetch(p + j * Vec<T>::lanes, 0, 2);
    multiply_rows<T, MR, NV, kWhole>(t, a, b, now, acc);
    a += now * t.cs_a;
    b += now * t.ld_b;
    k -= now;
  }
}

// block[x] = elements x of `lanes` lines, of which `lines` exist, each `length` long.
template <class T>
CR_INLINE void load_transposed(const T* p, int64_t ld, int64_t lines, int64_t length, Vec<T> (&block)[Vec<T>::lanes]) {
  constexpr int64_t L = Vec<T>::lanes;
  if (lines >= L && length >= L) {
    CR_UNROLL
    for (int64_t x = 0; x < L; ++x) block[x] = load(p + x * ld);
  } else {
    for (int64_t x = 0; x < L; ++x) block[x] = x < lines ? load_or_n(p + x * ld, length) : splat<T>(0);
  }
  transpose(block);
}

constexpr int64_t kWays = 8;  // of L1
template <class T>
constexpr int64_t kPage = 4096 / int64_t{sizeof(T)};  // lines at a multiple of this distance meet in one set of L1

// Whether so many lines at distance ld stay in L1 together: those at large power-of-two distances meet in a few sets.
template <class T>
constexpr bool fit_together(int64_t lines, int64_t ld) {
  const int64_t capped = ld | kPage<T>;
  return lines * (capped & -capped) <= kWays * kPage<T>;
}

// A few columns at a time: their shuffles find room between the multiplications, those of a whole block come first
// (200 x 10 x 100: 5.6 us in blocks of 16, 4.7 in columns). Blocks where lines are missing or the end is near, and
// where lines would push each other out of L1 before they are used.
template <class T, int MR, int NV>
CR_INLINE void multiply_transposed(const TileArgs<T>& t, const T* a_rows, Vec<T> (&acc)[MR][NV]) {
  constexpr int64_t L = Vec<T>::lanes, C = kColumns<T>;
  Broadcasts<T, MR> a(t, a_rows);
  const int64_t in_columns = kFewColumns<T> && t.n >= NV * L && fit_together<T>(L, t.ld_b) ? t.k / C : 0;
  const T* b = t.b;  // the only pointer to move: the compiler would keep and spill one for each line
  for (int64_t x = in_columns; x > 0; --x) {
    Broadcasts<T, MR> at = a;
    CR_UNROLL
    for (int j = 0; j < NV; ++j) {
      Vec<T> columns[C];
      load_columns(b + j * L * t.ld_b, t.ld_b, columns);
      at = a;
      CR_UNROLL
      for (int64_t y = 0; y < C; ++y) {
        CR_UNROLL
        for (int i = 0; i < MR; ++i) acc[i][j] = fma(at.row(i), columns[y], acc[i][j]);
        at.next();
      }
    }
    a = at;
    b += C;
  }
  Vec<T> block[L];
  for (int64_t k = t.k - in_columns * C; k > 0; k -= L) {
    Broadcasts<T, MR> at = a;
    const int64_t length = k < L ? k : L;
    CR_UNROLL
    for (int j = 0; j < NV; ++j) {
      load_transposed(b + j * L * t.ld_b, t.ld_b, t.n - j * L, length, block);
      at = a;
      if (length == L) {
        CR_UNROLL
        for (int64_t x = 0; x < L; ++x) {
          CR_UNROLL
          for (int i = 0; i < MR; ++i) acc[i][j] = fma(at.row(i), block[x], acc[i][j]);
          at.next();
        }
      } else {
        T rest[L * L];
        CR_UNROLL
        for (int64_t x = 0; x < L; ++x) store(rest + x * L, block[x]);
        for (int64_t x = 0; x < length; ++x) {
          const Vec<T> bv = load(rest + x * L);
          CR_UNROLL
          for (int i = 0; i < MR; ++i) acc[i][j] = fma(at.row(i), bv, acc[i][j]);
          at.next();
        }
      }
    }
    a = at;
    b += L;
  }
}

template <class T, int MR, int NV>
CR_INLINE void finish_tile(const Finish<T>& f, int64_t row, int64_t n, Vec<T> (&acc)[MR][NV]) {
  constexpr int64_t L = Vec<T>::lanes;
  const int64_t last = n - (NV - 1) * L;
  const Relu relu(nullptr);
  if (f.bias != nullptr && f.transposed) {
    CR_UNROLL
    for (int i = 0; i < MR; ++i) {
      const Vec<T> bias = splat(f.bias[i]);
      CR_UNROLL
      for (int j = 0; j < NV; ++j) acc[i][j] = acc[i][j] + bias;
    }
  } else if (f.bias != nullptr) {
    CR_UNROLL
    for (int j = 0; j < NV; ++j) {
      const Vec<T> bias = j < NV - 1 ? load(f.bias + j * L) : load_or_n(f.bias + j * L, last);
      CR_UNROLL
      for (int i = 0; i < MR; ++i) acc[i][j] = acc[i][j] + bias;
    }
  }
  if (f.relu) {
    CR_UNROLL
    for (int i = 0; i < MR; ++i) {
      CR_UNROLL
      for (int j = 0; j < NV; ++j) acc[i][j] = relu.value(acc[i][j]);
    }
  }
  if (f.relu_output != nullptr) {
    CR_UNROLL
    for (int i = 0; i < MR; ++i) {
      const T* const relu_output = f.relu_output + (row + i) * f.rs_relu_output;
      CR_UNROLL
      for (int j = 0; j < NV; ++j) {
        const Vec<T> y = j < NV - 1 ? load(relu_output + j * L) : load_or_n(relu_output + j * L, last);
        acc[i][j] = relu.gradient(y, acc[i][j]);
      }
    }
  }
}

// A number that the compiler knows nothing about: from the address of c it would compute those of all rows before k,
// run out of registers and spill them, which took 40 cycles a tile.
template <class T>
CR_INLINE T opaque(T x) {
  asm("" : "+r"(x));
  return x;
}

// The tile at a_rows and c; `row` of t's.
template <class T, int MR, int NV, Read R>
CR_INLINE void one_tile(const TileArgs<T>& t, int64_t row, const T* a_rows, T* c) {
  constexpr int64_t L = Vec<T>::lanes;
  Vec<T> acc[MR][NV];
  if (t.first) {
    CR_UNROLL
    for (int i = 0; i < MR; ++i) {
      CR_UNROLL
      for (int j = 0; j < NV; ++j) acc[i][j] = splat<T>(0);
    }
  } else {
    const T* from = c;
    CR_UNROLL
    for (int i = 0; i < MR; ++i) {
      CR_UNROLL
      for (int j = 0; j < NV - 1; ++j) acc[i][j] = load(from + j * L);
      acc[i][NV - 1] = load_or_n(from + (NV - 1) * L, t.n - (NV - 1) * L);
      from += t.rs_c;
    }
  }
  if constexpr (R == kPrefetch) {
    multiply_and_prefetch(t, row, a_rows, acc);
  } else if constexpr (R == kTransposed) {
    multiply_transposed(t, a_rows, acc);
  } else if (t.read == kWhole) {
    multiply_rows<T, MR, NV, kWhole>(t, a_rows, t.b, t.k, acc);
  } else if (t.read == kTail) {
    multiply_rows<T, MR, NV, kTail>(t, a_rows, t.b, t.k, acc);
  } else {
    multiply_rows<T, MR, NV, kPack>(t, a_rows, t.b, t.k, acc);
  }
  if (t.finish != nullptr) finish_tile(*t.finish, row, t.n, acc);
  T* to = opaque(c);
  const int64_t rs_c = opaque(t.rs_c), last = opaque(t.n) - (NV - 1) * L;
  if (last >= L) {
    CR_UNROLL
    for (int i = 0; i < MR; ++i) {
      CR_UNROLL
      for (int j = 0; j < NV; ++j) store(to + j * L, acc[i][j]);
      to += rs_c;
    }
  } else {
    CR_UNROLL
    for (int i = 0; i < MR; ++i) {
      CR_UNROLL
      for (int j = 0; j < NV - 1; ++j) store(to + j * L, acc[i][j]);
      store_n(to + (NV - 1) * L, acc[i][NV - 1], last);
      to += rs_c;
    }
  }
}

template <class T, int MR, int NV, Read R>
CR_INLINE void strips_of_tiles(const TileArgs<T>& t) {
  const T* a = t.a;
  T* c = t.c;
  for (int64_t s = 0; s < t.strips; ++s) {
    one_tile<T, MR, NV, R>(t, s * MR, a, c);
    a += MR * t.rs_a;
    c += MR * t.rs_c;
  }
}

// One function for most ways of reading: the code before and after k is the larger part of it. But not for kPrefetch
// and kTransposed, whose loops made small tiles 7 % slower.
template <class T, int MR, int NV, Read R>
__attribute__((noinline)) void other_tile(const TileArgs<T>& t) {
  strips_of_tiles<T, MR, NV, R>(t);
}
template <class T, int MR, int NV>
void tile(const TileArgs<T>& t) {
  if (t.read == kPrefetch) return other_tile<T, MR, NV, kPrefetch>(t);
  if constexpr (NV <= max_transposed_vectors<T>(MR)) {
    if (t.read == kTransposed) return other_tile<T, MR, NV, kTransposed>(t);
  }
  strips_of_tiles<T, MR, NV, kWhole>(t);
}

template <class T>
using TileFn = void (*)(const TileArgs<T>&);

// All tiles by [rows - 1][vectors - 1]; those that would spill registers are null and never called.
template <class T>
struct TileTable {
  TileFn<T> fn[kMaxRows][kWidest];
};

template <class T, int MR, int NV>
constexpr void fill_tiles(TileTable<T>& table) {
  if constexpr (NV >= 1) {
    table.fn[MR - 1][NV - 1] = tile<T, MR, NV>;
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
