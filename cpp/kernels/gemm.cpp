// Matrix product, in BLIS words: c (m x n) = a (m x k) b (k x n); mr x nr register tiles, kc x nc blocks of b.
//
//   for pc over k by kc:            c is stored between blocks and its chains go on: kc is a free number
//     for jc over n by nc:          block of b: packed into panels of nr columns, or used in place
//       for ir over m by mr:        mr rows of a
//         for jr over nc by nr:     tile
//
// b is packed when it is transposed (a vector must run along n), or when it is used often enough to repay the copy:
// large power-of-two strides map a panel's rows to a few cache sets. Two shapes go other ways:
//   few rows, b transposed     one row of tiles turns b in registers: every element of b is used only once or a few times
//   narrow c (a few columns)   computed as its transpose: otherwise most lanes of every vector would be idle
#include "kernels/registry.h"
#include "kernels/tile.h"

namespace chainrule {
namespace {

#ifndef KC
#define KC 512
#endif
#ifndef NCB
#define NCB 512
#endif
// Tile numbers. kc * nc * sizeof(T) = 512 KiB: half of the smallest L2 (1 MiB) the AVX-512 machines have.
template <class T>
struct Block {
  static constexpr int64_t L = Vec<T>::lanes;
  static constexpr int64_t kc = KC * 4 / int64_t{sizeof(T)};
  static constexpr int64_t nc = (NCB << 10) / (kc * int64_t{sizeof(T)});
  static constexpr int64_t turned_elements = kMaxRows * kWidest * L;
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
  T *turned, *packed;
};

constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
// n in equal shares of at most `most`, each a multiple of `grain`: the last one is not left with a few.
constexpr int64_t equal_share(int64_t n, int64_t most, int64_t grain) {
  if (n <= most) return n;
  return ceil_div(ceil_div(n, ceil_div(n, most)), grain) * grain;
}

// panel[k][0..width) = b[k][j0 .. j0 + columns), padded with zeros: lanes x lanes blocks turned in registers where b's
// columns are contiguous, else one element at a time.
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
      load_turned(b.at(i, j), b.cs, columns - j, k - i, block);
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

// One block of b (kb x nb at b) against all rows of a.
template <class T>
void block_product(const Problem<T>& q, const Matrix<T>& a, const Matrix<T>& b, int64_t kb, int64_t nb, T* c,
                   bool first) {
  constexpr int64_t L = Vec<T>::lanes;
  // Rows in equal shares: a last tile of one or two rows would leave the multipliers waiting.
  const int64_t tiles = ceil_div(q.m, kMaxRows);
  const int64_t nv = max_vectors(static_cast<int>(ceil_div(q.m, tiles)));
  const int64_t nr = nv * L;
  const bool pack = b.cs != 1 || (tiles > 2 && kb * b.rs * int64_t{sizeof(T)} > (24 << 10));
  int64_t i = 0;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t rows = ceil_div(q.m - i, tiles - t);
    for (int64_t j = 0; j < nb; j += nr) {
      const int64_t columns = smaller(nr, nb - j), vectors = ceil_div(columns, L);
      T* const panel = q.packed + j * kb;
      TileArgs<T> args = {kb,    a.at(i, 0),         a.rs,   a.cs,    pack ? panel : b.at(0, j), pack ? vectors * L : b.rs,
                          panel, c + i * q.rs_c + j, q.rs_c, columns, first};
      Read read = pack || columns % L == 0 ? kWhole : kTail;
      if (pack && t == 0) {
        if (b.cs == 1) {
          read = kPack;
          args.b = b.at(0, j);
          args.ld_b = b.rs;
        } else {
          pack_panel({b.at(0, j), b.rs, b.cs}, kb, columns, vectors * L, panel);
        }
      }
      kTiles<T>.fn[rows - 1][vectors - 1][read](args);
    }
    i += rows;
  }
}

template <class T>
void wide_product(const Problem<T>& q) {
  const int64_t kc = equal_share(q.k, Block<T>::kc, Vec<T>::lanes);
  const int64_t nc = equal_share(q.n, Block<T>::nc, 2 * Vec<T>::lanes);
  int64_t pc = 0;
  do {
    for (int64_t jc = 0; jc < q.n; jc += nc) {
      const Matrix<T> a = {q.a.at(0, pc), q.a.rs, q.a.cs};
      const Matrix<T> b = {q.b.at(pc, jc), q.b.rs, q.b.cs};
      block_product(q, a, b, smaller(kc, q.k - pc), smaller(nc, q.n - jc), q.c + jc, pc == 0);
    }
    pc += kc;
  } while (pc < q.k);
}

// At most kMaxRows rows, b used once: no blocks, no copies.
template <class T>
void strip_product(const Problem<T>& q) {
  constexpr int64_t L = Vec<T>::lanes;
  const bool turned = q.b.cs != 1;
  const int rows = static_cast<int>(q.m);
  const int64_t nv = turned ? max_turned_vectors(rows) : max_vectors(rows);
  const int64_t nr = nv * L;
  for (int64_t j = 0; j < q.n; j += nr) {
    const int64_t columns = smaller(nr, q.n - j);
    const Read read = turned ? kTurned : columns % L == 0 ? kWhole : kTail;
    kTiles<T>.fn[rows - 1][ceil_div(columns, L) - 1][read]({q.k, q.a.p, q.a.rs, q.a.cs, q.b.at(0, j),
                                                            turned ? q.b.cs : q.b.rs, nullptr, q.c + j, q.rs_c, columns,
                                                            true});
  }
}

// c' = b' a', in strips of columns that are turned into rows of c.
template <class T>
void narrow_product(const Problem<T>& q) {
  constexpr int64_t L = Vec<T>::lanes;
  const int rows = static_cast<int>(q.n);
  const int64_t nr = (q.a.cs == 1 ? max_turned_vectors(rows) : max_vectors(rows)) * L;
  for (int64_t i = 0; i < q.m; i += nr) {
    const int64_t columns = smaller(nr, q.m - i);
    strip_product<T>({q.n, columns, q.k, {q.b.p, q.b.cs, q.b.rs}, {q.a.at(i, 0), q.a.cs, q.a.rs}, q.turned, nr,
                      nullptr, nullptr});
    T* const c = q.c + i * q.rs_c;
    if (q.n == 1) {
      for (int64_t x = 0; x < columns; ++x) c[x * q.rs_c] = q.turned[x];
      continue;
    }
    for (int64_t x = 0; x < columns; x += L) {
      for (int64_t j = 0; j < q.n; j += L) {
        const int64_t w = smaller(L, q.n - j), h = smaller(L, columns - x);
        Vec<T> block[L];
        CR_UNROLL
        for (int64_t y = 0; y < L; ++y) block[y] = y < w ? load(q.turned + (j + y) * nr + x) : splat<T>(0);
        transpose(block);
        CR_UNROLL
        for (int64_t y = 0; y < L; ++y) {
          if (y < h) store_or_n(c + (x + y) * q.rs_c + j, block[y], w);
        }
      }
    }
  }
}

#ifndef NARROW
#define NARROW 0.8
#endif
template <class T>
void gemm(const GemmArgs& g) {
  constexpr int64_t L = Vec<T>::lanes;
  static_assert((Block<T>::turned_elements + Block<T>::kc * Block<T>::nc + 256) * int64_t{sizeof(T)} <= kGemmScratch);
  if (g.m == 0 || g.n == 0) return;
  T* const scratch = static_cast<T*>(g.scratch);
  const Problem<T> q = {g.m,
                        g.n,
                        g.k,
                        {static_cast<const T*>(g.a), g.rs_a, g.cs_a},
                        {static_cast<const T*>(g.b), g.rs_b, g.cs_b},
                        static_cast<T*>(g.c),
                        g.rs_c,
                        scratch,
                        scratch + Block<T>::turned_elements};
  const int64_t whole = ceil_div(q.n, L) * L;
  if (q.n <= kMaxRows && q.m >= L && (q.a.cs == 1 || q.a.rs == 1) &&
      static_cast<double>(q.n) < NARROW * static_cast<double>(whole)) {
    narrow_product(q);
  } else if (q.m <= kMaxRows && (q.b.cs == 1 || q.b.rs == 1)) {
    strip_product(q);
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
