// Copies that the matrix product makes: panels of b, rows of a, strips of c' transposed back.
#pragma once

#include "kernel_table.h"
#include "kernels/tile.h"

namespace chainrule {
namespace {

// Tile numbers, measured on Zen 4. kc * nc * sizeof(T) = 512 KiB: half of the smallest L2 (1 MiB) of the AVX-512
// machines. A long kc costs L1 nothing that matters: the panel streams from L2 in any case (2 lines in 24 cycles).
template <class T>
struct BlockSizes {
  static constexpr int64_t kc = gemm_depth(sizeof(T));
  static constexpr int64_t nc = (512 << 10) / (kc * int64_t{sizeof(T)});
  static constexpr int64_t line = 64 / int64_t{sizeof(T)};
  static constexpr int64_t ld_a = kc + line;              // one cache line more: rows fall into different sets
  static constexpr int64_t a_elements = kMaxRows * ld_a;  // a's copy; or a strip of the transpose of a narrow c
  static_assert(a_elements >= kMaxRows * kWidest * Vec<T>::lanes);
};

template <class T>
struct Matrix {
  const T* p;
  int64_t rs, cs;
  const T* at(int64_t i, int64_t j) const { return p + i * rs + j * cs; }
};

constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// panel[k][0..width) = b[k][j0 .. j0 + columns), padded with zeros: lanes x lanes blocks are transposed in registers
// where b's columns are contiguous, else one element at a time.
template <class T>
void pack_panel(const Matrix<T>& b, int64_t k, int64_t columns, int64_t width, T* panel) {
  constexpr int64_t L = Vec<T>::lanes;
  if (b.rs != 1) {
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < width; ++j) panel[i * width + j] = j < columns ? *b.at(i, j) : T(0);
    }
    return;
  }
  for (int64_t j = 0; j < columns; j += L) {
    for (int64_t i = 0; i < k; i += L) {
      Vec<T> block[L];
      load_transposed(b.at(i, j), b.cs, columns - j, k - i, block);
      T* const to = panel + i * width + j;
      if (k - i >= L) {
        CR_UNROLL
        for (int64_t x = 0; x < L; ++x) store(to + x * width, block[x]);
      } else {
        for (int64_t x = 0; x < k - i; ++x) store(to + x * width, block[x]);
      }
    }
  }
}

// A copy of `rows` rows of a, compact.
template <class T>
Matrix<T> compact_rows(const Matrix<T>& a, int64_t rows, int64_t k, T* copy) {
  constexpr int64_t L = Vec<T>::lanes;
  for (int64_t i = 0; i < rows; ++i) {
    const T* const from = a.at(i, 0);
    T* const to = copy + i * BlockSizes<T>::ld_a;
    int64_t x = 0;
    for (; x + L <= k; x += L) store(to + x, load(from + x));
    if (x < k) store_n(to + x, load_n(from + x, k - x), k - x);
  }
  return {copy, BlockSizes<T>::ld_a, 1};
}

template <int Write, class T>
void prefetch_rows(const T* p, int64_t rs, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; j += BlockSizes<T>::line) __builtin_prefetch(p + i * rs + j, Write);
  }
}

// c[x][j] = from[j][x] for x < m, j < n.
template <class T>
void transpose_back(const T* from, int64_t ld, int64_t m, int64_t n, T* c, int64_t rs_c) {
  constexpr int64_t L = Vec<T>::lanes;
  if (n <= 2) {
    for (int64_t x = 0; x < m; ++x) {
      c[x * rs_c] = from[x];
      if (n == 2) c[x * rs_c + 1] = from[ld + x];
    }
    return;
  }
  for (int64_t x = 0; x < m; x += L) {
    for (int64_t j = 0; j < n; j += L) {
      const int64_t w = smaller(L, n - j), h = smaller(L, m - x);
      Vec<T> block[L];
      CR_UNROLL
      for (int64_t y = 0; y < L; ++y) block[y] = y < w ? load(from + (j + y) * ld + x) : splat<T>(0);
      transpose(block);
      CR_UNROLL
      for (int64_t y = 0; y < L; ++y) {
        if (y < h) store_or_n(c + (x + y) * rs_c + j, block[y], w);
      }
    }
  }
}

}  // namespace
}  // namespace chainrule
