// Matrix product, in BLIS words: c (m x n) = a (m x k) b (k x n); mr x nr register tiles, kc x nc blocks of b.
//
//   for pc over k by kc:            c is stored between blocks and its chains go on: kc is a free number
//     for jc over n by nc:          block of b: packed into panels of nr columns, or used in place
//       for ir over m by mr:        mr rows of a: copied to a compact stride, or used in place; they stay in L1
//         for jr over nc by nr:     tile
//
// b is packed when it is transposed (a vector must run along n), or when it is used often enough to repay the copy:
// large power-of-two strides map a panel's rows to a few cache sets. a is copied for the same reason, keeping its
// orientation (the tile reads it by any strides), so the copy is a plain memory copy. A narrow c (a few columns) is
// computed as its transpose: otherwise most lanes of every vector would be idle.
#include "kernels/registry.h"
#include "kernels/tile.h"

namespace chainrule {
namespace {

// Tile numbers. kc * nc * sizeof(T) = 512 KiB: half of the smallest L2 (1 MiB) the AVX-512 machines have.
template <class T>
struct Block {
  static constexpr int64_t L = Vec<T>::lanes;
  static constexpr int64_t kc = 256;
  static constexpr int64_t nc = (512 << 10) / (kc * int64_t{sizeof(T)});
  static constexpr int64_t ld_a = kc + 64 / int64_t{sizeof(T)};  // one cache line more: rows fall into different sets
  static constexpr int64_t a_elements = kMaxRows * ld_a;
  static constexpr int64_t narrow_rows = 256;  // rows of c per transposed block
  static constexpr int64_t narrow_columns = L / 2;
};

template <class T>
struct Matrix {
  const T* p;
  int64_t rs, cs;
  const T* at(int64_t i, int64_t j) const { return p + i * rs + j * cs; }
};

template <class T>
struct Problem {
  int64_t m, n, k;
  Matrix<T> a, b;
  T* c;
  int64_t rs_c;
  T *packed_a, *packed_b;
};

constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// panel[k][0..width) = b[k][j0 .. j0 + columns), padded with zeros, for a b whose rows are contiguous.
template <class T>
void pack_rows(const Matrix<T>& b, int64_t k, int64_t columns, int64_t width, T* panel) {
  constexpr int64_t L = Vec<T>::lanes;
  for (int64_t i = 0; i < k; ++i, panel += width) {
    const T* row = b.at(i, 0);
    int64_t j = 0;
    for (; j + L <= columns; j += L) store(panel + j, load(row + j));
    if (j < columns) store(panel + j, load_n(row + j, columns - j));
  }
}

// The same for a b whose columns are contiguous: lanes x lanes blocks turned in registers.
template <class T>
void pack_columns(const Matrix<T>& b, int64_t k, int64_t columns, int64_t width, T* panel) {
  constexpr int64_t L = Vec<T>::lanes;
  for (int64_t j = 0; j < columns; j += L) {
    const int64_t w = smaller(L, columns - j);
    for (int64_t i = 0; i < k; i += L) {
      const int64_t h = smaller(L, k - i);
      Vec<T> block[L];
      if (w == L && h == L) {
        CR_UNROLL
        for (int64_t x = 0; x < L; ++x) block[x] = load(b.at(i, j + x));
        transpose(block);
        CR_UNROLL
        for (int64_t x = 0; x < L; ++x) store(panel + (i + x) * width + j, block[x]);
      } else {
        for (int64_t x = 0; x < L; ++x) block[x] = x < w ? load_n(b.at(i, j + x), h) : splat<T>(0);
        transpose(block);
        for (int64_t x = 0; x < h; ++x) store(panel + (i + x) * width + j, block[x]);
      }
    }
  }
}

template <class T>
void pack_any(const Matrix<T>& b, int64_t k, int64_t columns, int64_t width, T* panel) {
  constexpr int64_t L = Vec<T>::lanes;
  const int64_t padded = ceil_div(columns, L) * L;
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = 0; j < padded; ++j) panel[i * width + j] = j < columns ? *b.at(i, j) : T(0);
  }
}

template <class T>
void pack_panel(const Matrix<T>& b, int64_t k, int64_t columns, int64_t width, T* panel) {
  if (b.cs == 1) {
    pack_rows(b, k, columns, width, panel);
  } else if (b.rs == 1) {
    pack_columns(b, k, columns, width, panel);
  } else {
    pack_any(b, k, columns, width, panel);
  }
}

// mr rows of a in the orientation they have; returns how the tile is to read them.
template <class T>
Matrix<T> compact_rows(const Matrix<T>& a, int64_t rows, int64_t k, T* copy) {
  constexpr int64_t L = Vec<T>::lanes;
  const bool along_k = a.cs == 1;
  if (!along_k && a.rs != 1) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t x = 0; x < k; ++x) copy[x * kMaxRows + i] = *a.at(i, x);
    }
    return {copy, 1, kMaxRows};
  }
  const int64_t lines = along_k ? rows : k, length = along_k ? k : rows;
  const int64_t from = along_k ? a.rs : a.cs, to = along_k ? Block<T>::ld_a : kMaxRows;
  for (int64_t i = 0; i < lines; ++i) {
    const T* source = a.p + i * from;
    T* target = copy + i * to;
    int64_t x = 0;
    for (; x + L <= length; x += L) store(target + x, load(source + x));
    if (x < length) store_n(target + x, load_n(source + x, length - x), length - x);
  }
  if (along_k) return {copy, to, 1};
  return {copy, 1, to};
}

// One block of b (kb x nb at b) against all rows of a.
template <class T>
void block_product(const Problem<T>& q, const Matrix<T>& a, const Matrix<T>& b, int64_t kb, int64_t nb, T* c,
                   bool first) {
  constexpr int64_t L = Vec<T>::lanes;
  // Rows in equal shares: a last tile of one or two rows would leave the multipliers waiting.
  const int64_t tiles = ceil_div(q.m, kMaxRows);
  const int64_t nv = max_vectors(static_cast<int>(ceil_div(q.m, tiles)));
  const int64_t nr = nv * L;
  const int64_t panels = ceil_div(nb, nr);
  const bool pack = b.cs != 1 || (tiles > 2 && kb > 32 && q.packed_b != nullptr);
  const bool copy = panels > 2 && tiles > 2 && kb > 64;
  if (pack) {
    for (int64_t j = 0; j < panels; ++j) {
      const int64_t columns = smaller(nr, nb - j * nr);
      const Matrix<T> panel = {b.at(0, j * nr), b.rs, b.cs};
      pack_panel(panel, kb, columns, ceil_div(columns, L) * L, q.packed_b + j * nr * kb);
    }
  }
  int64_t i = 0;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t rows = ceil_div(q.m - i, tiles - t);
    Matrix<T> strip = {a.at(i, 0), a.rs, a.cs};
    if (copy) strip = compact_rows(strip, rows, kb, q.packed_a);
    for (int64_t j = 0; j < panels; ++j) {
      const int64_t columns = smaller(nr, nb - j * nr);
      const int64_t vectors = ceil_div(columns, L);
      const T* panel = pack ? q.packed_b + j * nr * kb : b.at(0, j * nr);
      const int64_t stride = pack ? vectors * L : b.rs;
      const bool tail = !pack && columns % L != 0;
      kTiles<T>.fn[rows - 1][vectors - 1][tail](
          {kb, strip.p, strip.rs, strip.cs, panel, stride, c + i * q.rs_c + j * nr, q.rs_c, columns, first});
    }
    i += rows;
  }
}

template <class T>
void wide_product(const Problem<T>& q) {
  for (int64_t pc = 0; pc == 0 || pc < q.k; pc += Block<T>::kc) {
    const int64_t kb = smaller(Block<T>::kc, q.k - pc);
    for (int64_t jc = 0; jc < q.n; jc += Block<T>::nc) {
      const int64_t nb = smaller(Block<T>::nc, q.n - jc);
      const Matrix<T> a = {q.a.at(0, pc), q.a.rs, q.a.cs};
      const Matrix<T> b = {q.b.at(pc, jc), q.b.rs, q.b.cs};
      block_product(q, a, b, kb, nb, q.c + jc, pc == 0);
    }
  }
}

// c' = b' a' in blocks of rows, then turned into c.
template <class T>
void narrow_product(const Problem<T>& q, T* turned) {
  for (int64_t i = 0; i < q.m; i += Block<T>::narrow_rows) {
    const int64_t rows = smaller(Block<T>::narrow_rows, q.m - i);
    const Problem<T> block = {
        q.n, rows, q.k, {q.b.p, q.b.cs, q.b.rs}, {q.a.at(i, 0), q.a.cs, q.a.rs}, turned, rows, q.packed_a, q.packed_b};
    wide_product(block);
    for (int64_t x = 0; x < rows; ++x) {
      for (int64_t j = 0; j < q.n; ++j) q.c[(i + x) * q.rs_c + j] = turned[j * rows + x];
    }
  }
}

template <class T>
void gemm(const GemmArgs& g) {
  constexpr int64_t turned_elements = Block<T>::narrow_columns * Block<T>::narrow_rows;
  static_assert((Block<T>::a_elements + Block<T>::kc * Block<T>::nc + turned_elements + 64) * int64_t{sizeof(T)} <=
                kGemmScratch);
  if (g.m == 0 || g.n == 0) return;
  T* scratch = static_cast<T*>(g.scratch);
  T* packed_b = scratch + ceil_div(Block<T>::a_elements, 64) * 64;
  const Problem<T> q = {g.m,
                        g.n,
                        g.k,
                        {static_cast<const T*>(g.a), g.rs_a, g.cs_a},
                        {static_cast<const T*>(g.b), g.rs_b, g.cs_b},
                        static_cast<T*>(g.c),
                        g.rs_c,
                        scratch,
                        packed_b};
  // Turning a costs about 100 cycles for 256 elements where the idle lanes cost 256 multiply-adds.
  if (q.n <= Block<T>::narrow_columns && q.m >= Vec<T>::lanes && q.k > 0) {
    narrow_product(q, packed_b + Block<T>::kc * Block<T>::nc);
  } else {
    wide_product(q);
  }
}

}  // namespace

namespace CR_LEVEL {
void register_gemm(KernelTable& table) {
  table.gemm[kFloat32] = gemm<float>;
  table.gemm[kFloat64] = gemm<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
