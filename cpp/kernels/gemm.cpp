// Matrix product, in BLIS words: c (m x n) = a (m x k) b (k x n); mr x nr register tiles, kc x nc blocks of b.
//
//   for pc over k by kc:            c is stored between blocks and its chains go on: kc is a free number
//     for jc over n by nc:          block of b: packed into panels of nr columns, or used in place
//       for ir over m by mr:        mr rows of a
//         for jr over nc by nr:     tile
//
// Which way a product goes (L: lanes of a vector; l: of the vectors of a row; rest = n mod L), the first that fits:
//
//   n <= kMaxRows, 5 n < 4 l (*)       transposed_product: c' = b' a', or more than a fifth of the lanes would be idle
//   n > L, 0 < rest <= L / 2 (*)       split_product: n - rest columns, then the rest as c' = b' a'
//     and an epilogue                  split_with_epilogue: the same in strips, whose whole rows the epilogue sees, if
//                                      n <= kStripElements / L
//   m <= kMaxRows, b unit-strided      few_rows_product: b is used once, so no blocks and no copies; a transposed b is
//                                      transposed in registers on its way to the multipliers
//     and m = 1, b larger than L2      axpy_rows first: b is read along its rows, not a page per row
//   any other                          blocked_product: blocks of b that stay in L2, in panels or in place
//
//   (*) if m >= L, a is unit-strided, the chains start here, no relu_output is read, and k repays transposing back
//
// Strategy says what blocked_product does to b, a and c for one block.
#include "kernels/pack.h"
#include "kernels/registry.h"
#include "kernels/write_back.h"

namespace chainrule {
namespace {

constexpr int64_t kDirect = 24 << 10;    // bytes: a smaller block of b stays in L1 in place
constexpr int64_t kAtOnce = 64 << 10;    // bytes: strips of less a and panel are multiplied in one call
constexpr int64_t kStreams = 512 << 10;  // bytes: a larger a has left L2 when the next block of b comes
// Products of up to this depth, and more columns than fit two vectors, write c nearly as long as they multiply: with 32
// registers, tiles of few rows and many vectors write it in long runs. 200 x 100 x 10 with relu took 0.85 times as long
// on float64, 200 x 100 x 3 0.76 times; tiles of 3 x 3 in 16 registers gained as much at some k as they lost at others.
constexpr int64_t kShallow = kRegisters == 32 ? 32 : 0;
constexpr int kFlatRows = 4;
template <class T>
constexpr bool is_flat(int64_t k, int64_t n) {
  return k <= kShallow && n > 2 * Vec<T>::lanes;
}

template <class T>
struct Problem {
  int64_t m, n, k;
  Matrix<T> a, b;
  Output<T> c;
  bool first;         // the chains start, or go on from what c holds
  T *small, *packed;  // scratch
};

// n in equal shares of at most `most`, each a multiple of `grain`: the last one is not left with a few.
constexpr int64_t equal_share(int64_t n, int64_t most, int64_t grain) {
  if (n <= most) return n;
  return ceil_div(ceil_div(n, ceil_div(n, most)), grain) * grain;
}

// How one block of b, kb x nb, is multiplied by all rows of a.
template <class T>
struct Strategy {
  // Strips of rows in equal shares, `longer` of them with one row more: a last tile of one or two rows would leave the
  // multipliers waiting. most_rows: of the longest.
  int64_t strips, rows, longer, most_rows;
  int64_t nr;  // columns of a tile
  // b goes into panels of nr columns: because it is transposed (a vector must run along n), or because it is used often
  // enough to repay the copy, as large power-of-two strides map a panel's rows to a few cache sets. The tiles of the
  // first strip do it as they read b, or pack_panel before them if b is transposed.
  bool pack;
  bool copy_a;      // strip by strip
  bool prefetch_a;  // the next strip, while this one is multiplied

  CR_INLINE Strategy(const Problem<T>& q, const Matrix<T>& a, const Matrix<T>& b, int64_t kb, int64_t nb) {
    constexpr int64_t size = sizeof(T);
    constexpr int64_t L = Vec<T>::lanes;
    const bool flat = is_flat<T>(kb, nb);
    strips = ceil_div(q.m, flat ? kFlatRows : kMaxRows);
    rows = strips == 1 ? q.m : q.m / strips;
    longer = q.m - rows * strips;
    most_rows = longer > 0 ? rows + 1 : rows;
    nr = max_vectors(static_cast<int>(most_rows)) * L;
    if (flat) nr = equal_share(nb, nr, L);
    pack = b.cs != 1 || (strips > 2 && kb * b.rs * size > kDirect);
    copy_a = nb > 2 * nr && a.cs == 1 && a.rs % kPage<T> == 0;
    prefetch_a = pack && a.cs == 1 && q.m * kb * size > kStreams;
  }
  // Whether all strips may be multiplied by one panel before the next: together they stay in L1.
  CR_INLINE bool fits_l1(int64_t m, int64_t kb) const {
    return !copy_a && (m + nr) * kb * int64_t{sizeof(T)} <= kAtOnce;
  }
};

// Rows [pc, pc + kb) and columns [jc, jc + nb) of b against all rows of a.
template <class T>
void block_product(const Problem<T>& q, int64_t pc, int64_t kb, int64_t jc, int64_t nb) {
  constexpr int64_t L = Vec<T>::lanes;
  const Matrix<T> a = {q.a.at(0, pc), q.a.rs, q.a.cs}, b = {q.b.at(pc, jc), q.b.rs, q.b.cs};
  const Strategy<T> how(q, a, b, kb, nb);
  TileCollector<T> collector(q.c, how.most_rows, how.nr, nb, pc + kb == q.k);
  const int64_t at_once = how.fits_l1(q.m, kb) ? collector.strips_at_once() : 1;
  TileArgs<T> args = {};
  args.k = kb;
  args.rs_c = collector.ld();
  args.first = pc == 0 && q.first;
  int64_t i = 0;
  for (int64_t t = 0; t < how.strips; t += args.strips) {
    const int64_t rows = how.rows + (t < how.longer ? 1 : 0), alike = (t < how.longer ? how.longer : how.strips) - t;
    const bool packs = how.pack && t == 0, tiles_pack = packs && b.cs == 1;
    args.strips = tiles_pack ? 1 : smaller(at_once, alike);
    const Matrix<T> strip =
        how.copy_a ? compact_rows({a.at(i, 0), a.rs, a.cs}, rows, kb, q.small) : Matrix<T>{a.at(i, 0), a.rs, a.cs};
    args.a = strip.p;
    args.rs_a = strip.rs;
    args.cs_a = strip.cs;
    const int64_t i_end = i + args.strips * rows;
    for (int64_t j = 0; j < nb; j += how.nr) {
      const int64_t columns = smaller(how.nr, nb - j), vectors = ceil_div(columns, L);
      const Matrix<T> from = {b.at(0, j), b.rs, b.cs};
      args.c = collector.tile(i, jc + j);
      args.finish = collector.finish(i, jc + j);
      args.n = columns;
      args.panel = q.packed + j * kb;
      if (!how.pack || tiles_pack) {
        args.b = from.p;
        args.ld_b = b.rs;
        args.read = how.pack ? kPack : columns % L == 0 ? kWhole : kTail;
      } else {
        args.b = args.panel;
        args.ld_b = vectors * L;
        args.read = kWhole;
        if (collector.prefetches()) {
          args.read = kPrefetch;
          args.targets = collector.targets(i, jc + j);
        }
        if (packs) pack_panel(from, kb, columns, vectors * L, args.panel);
      }
      if (how.pack && at_once == 1) prefetch_rows<1>(args.c, args.rs_c, rows, columns);
      if (how.prefetch_a && t + 1 < how.strips) {  // a share of the next strip
        const int64_t share = ceil_div(kb * how.nr, nb), k0 = smaller(j / how.nr * share, kb);
        prefetch_rows<0>(a.at(i + rows, k0), a.rs, how.rows, smaller(share, kb - k0));
      }
      kTiles<T>.fn[rows - 1][vectors - 1](args);
      const bool row_ends = j + how.nr >= nb;
      collector.tile_done(i_end, jc + j + columns, row_ends, row_ends && i_end == q.m);
    }
    i = i_end;
  }
}

template <class T>
void blocked_product(const Problem<T>& q) {
  const int64_t kc = equal_share(q.k, BlockSizes<T>::kc, Vec<T>::lanes);
  const int64_t nc = equal_share(q.n, BlockSizes<T>::nc, 2 * Vec<T>::lanes);
  int64_t pc = 0;
  do {
    for (int64_t jc = 0; jc < q.n; jc += nc) block_product(q, pc, smaller(kc, q.k - pc), jc, smaller(nc, q.n - jc));
    pc += kc;
  } while (pc < q.k);
}

// ld: from column to column, where b is transposed.
template <class T>
int64_t strip_columns(int64_t rows, bool transposed, int64_t ld) {
  constexpr int64_t L = Vec<T>::lanes;
  const int mr = static_cast<int>(rows);
  if (!transposed) return max_vectors(mr) * L;
  int64_t vectors = max_transposed_vectors<T>(mr);
  while (vectors > 1 && !fit_together<T>(vectors * L, ld)) --vectors;
  return vectors * L;
}

// One row of a: c += a[k] b[k] (axpy) for the first rows of b, eight rows at a time along their columns, c passing
// through registers. A strip down a matrix that comes from memory touches a page per row: 1 x 2048 x 2048 took 1.8
// times as long, and 1.35 times in strips of 16 rows; prefetching made it slower. Returns how many rows are done.
constexpr int64_t kFromMemory = 1 << 20;  // bytes: a larger b is not in L2
constexpr int64_t kAxpyRows = 8;
constexpr int64_t kAxpyBytes = 16 << 10;  // bytes of c, which stay in L1
template <class T>
CR_INLINE void axpy_strip(const Problem<T>& q, int64_t k, int64_t begin, int64_t end) {
  constexpr int64_t L = Vec<T>::lanes;
  const bool first = q.first && k == 0;
  const T* b[kAxpyRows];
  Vec<T> a[kAxpyRows];
  CR_UNROLL
  for (int64_t x = 0; x < kAxpyRows; ++x) {
    b[x] = q.b.at(k + x, 0);
    a[x] = splat(*q.a.at(0, k + x));
  }
  for (int64_t j = begin; j < end; j += L) {
    Vec<T> c = first ? splat(T(0)) : load_or_n(q.c.c + j, end - j);
    CR_UNROLL
    for (int64_t x = 0; x < kAxpyRows; ++x) c = fma(a[x], load_or_n(b[x] + j, end - j), c);
    store_or_n(q.c.c + j, c, end - j);
  }
}
template <class T>
int64_t axpy_rows(const Problem<T>& q) {
  constexpr int64_t size = sizeof(T), columns = kAxpyBytes / size;
  if (q.m != 1 || q.b.cs != 1 || q.c.c == nullptr || q.k * q.b.rs * size < kFromMemory) return 0;
  const int64_t done = (q.k - 1) / kAxpyRows * kAxpyRows;  // the last row is left: the strips finish c
  for (int64_t j = 0; j < q.n; j += columns) {
    for (int64_t k = 0; k < done; k += kAxpyRows) axpy_strip(q, k, j, smaller(j + columns, q.n));
  }
  return done;
}

// At most kMaxRows rows, so that b is used once: no blocks, no copies.
template <class T>
void few_rows_product(const Problem<T>& q) {
  constexpr int64_t L = Vec<T>::lanes;
  const bool transposed = q.b.cs != 1;
  const int rows = static_cast<int>(q.m);
  const int64_t ld_b = transposed ? q.b.cs : q.b.rs;
  const int64_t nr = equal_share(q.n, strip_columns<T>(rows, transposed, ld_b), L);
  const int64_t done = axpy_rows(q);
  TileCollector<T> collector(q.c, q.m, nr, q.n, true);
  for (int64_t j = 0; j < q.n; j += nr) {
    const int64_t columns = smaller(nr, q.n - j);
    const Read read = transposed ? kTransposed : columns % L == 0 ? kWhole : kTail;
    kTiles<T>.fn[rows - 1][ceil_div(columns, L) - 1]({1, q.k - done, q.a.at(0, done), q.a.rs, q.a.cs, q.b.at(done, j),
                                                      ld_b, nullptr, collector.tile(0, j), collector.ld(), columns,
                                                      q.first && done == 0, read, collector.finish(0, j), nullptr});
    collector.tile_done(q.m, j + columns, j + columns == q.n, j + columns == q.n);
  }
}

// c' = b' a', in strips of columns that are transposed into rows of c. The chains start here, no relu_output is read.
template <class T>
void transposed_product(const Problem<T>& q) {
  constexpr int64_t L = Vec<T>::lanes;
  const Matrix<T> bt = {q.b.p, q.b.cs, q.b.rs};
  Output<T> out = q.c;
  out.transposed = out.finish.transposed = true;
  if (q.n == 1 && (q.c.rs == 1 || q.c.c == nullptr)) {
    out.row = q.c.col;
    out.col = q.c.row;
    few_rows_product<T>({1, q.m, q.k, bt, {q.a.p, q.a.cs, q.a.rs}, out, true, nullptr, nullptr});
    return;
  }
  const int64_t most = strip_columns<T>(q.n, q.a.rs != 1, q.a.rs);
  const int64_t nr = equal_share(ceil_div(q.m, L) * L, most, L);
  out.c = q.small;
  out.rs = nr;
  out.epilogue = nullptr;
  TileCollector<T> collector(q.c, nr, q.n, q.n, true);
  for (int64_t i = 0; i < q.m; i += nr) {
    const int64_t columns = smaller(nr, q.m - i);
    few_rows_product<T>({q.n, columns, q.k, bt, {q.a.at(i, 0), q.a.cs, q.a.rs}, out, true, nullptr, nullptr});
    transpose_back(q.small, nr, columns, q.n, collector.tile(i, 0), collector.ld());
    collector.tile_done(i + columns, q.n, true, i + columns == q.m);
  }
}

// Whether the lanes that c' = b' a' fills repay transposing c' back, and a on its way to the multipliers, where its
// rows are contiguous. Measured for 1 to 12 columns and k to 64.
template <class T>
bool repays_transposing(const Problem<T>& q, int64_t columns) {
  constexpr int64_t back = kRegisters == 32 ? 128 : kFewColumns<T> ? 64 : 16;
  if (q.a.rs == 1) return columns <= 2 || q.k >= 4;
  return q.k * Vec<T>::lanes > back * (smaller(columns, 4) - 1);
}

template <class T>
void product(const Problem<T>& q) {
  if (q.m <= kMaxRows && (q.b.rs == 1 || q.b.cs == 1)) {
    few_rows_product(q);
  } else {
    blocked_product(q);
  }
}

// n = 50 in vectors of 16: 48 columns as any product, 2 as the transpose.
template <class T>
void split_product(const Problem<T>& q, int64_t rest) {
  Problem<T> part = q;
  part.n = q.n - rest;
  product(part);
  part.n = rest;
  part.b.p = q.b.at(0, q.n - rest);
  part.c = q.c.right_of(q.n - rest);
  transposed_product(part);
}

// The epilogue sees whole rows, when both parts are there: on the 2 columns alone tanh takes as long as on 16 in every
// row (128 x 50 x 50 with tanh and one more pass: 14.1 us apart, 11.0 together).
template <class T>
void split_with_epilogue(const Problem<T>& q, int64_t rest) {
  const Epilogue& e = *q.c.epilogue;
  const int64_t at_once = kStripElements / q.n / Vec<T>::lanes * Vec<T>::lanes, few = kEpilogueElements / q.n;
  Problem<T> part = q;
  part.c.epilogue = nullptr;
  if (q.c.c == nullptr) part.c.rs = q.n;
  for (int64_t i = 0; i < q.m; i += at_once) {
    part.m = smaller(at_once, q.m - i);
    part.a.p = q.a.at(i, 0);
    part.c.c = q.c.c == nullptr ? q.c.strip : q.c.c + i * q.c.rs;
    split_product(part, rest);
    for (int64_t r = 0; r < part.m; r += few)
      e.apply(e, i + r, smaller(few, part.m - r), 0, q.n, part.c.c + r * part.c.rs, part.c.rs);
  }
}

template <class T>
void gemm(const GemmArgs& g) {
  constexpr int64_t L = Vec<T>::lanes, packed = BlockSizes<T>::kc * BlockSizes<T>::nc + 64;
  static_assert((BlockSizes<T>::a_elements + packed + kStripElements) * int64_t{sizeof(T)} <=
                kGemmScratch - kBodyScratch);
  if (g.m == 0 || g.n == 0) return;
  T* const scratch = static_cast<T*>(g.scratch);
  Problem<T> q = {g.m,
                  g.n,
                  g.k,
                  {static_cast<const T*>(g.a), g.rs_a, g.cs_a},
                  {static_cast<const T*>(g.b), g.rs_b, g.cs_b},
                  {static_cast<T*>(g.c), g.rs_c},
                  !g.continues,
                  scratch,
                  scratch + BlockSizes<T>::a_elements};
  const WriteBack& w = g.write_back;
  q.c.finish = {static_cast<const T*>(w.bias), static_cast<const T*>(w.relu_output), w.rs_relu_output, w.relu, false};
  q.c.epilogue = g.epilogue;
  q.c.strip = scratch + BlockSizes<T>::a_elements + packed;
  // Transposing costs about a fifth of the multiplications that it hides behind.
  const bool transposes = q.first && w.relu_output == nullptr && q.m >= L && (q.a.rs == 1 || q.a.cs == 1);
  const int64_t rest = q.n % L, lanes = (q.a.rs == 1 ? 1 : ceil_div(q.n, L)) * L;
  if (transposes && q.n <= kMaxRows && 5 * q.n < 4 * lanes && repays_transposing(q, q.n)) {
    transposed_product(q);
  } else if (transposes && q.n > L && rest > 0 && 2 * rest <= L && !is_flat<T>(q.k, q.n) &&
             repays_transposing(q, rest) && (g.epilogue == nullptr || q.n <= kStripElements / L)) {
    if (g.epilogue == nullptr) {
      split_product(q, rest);
    } else {
      split_with_epilogue(q, rest);
    }
  } else {
    product(q);
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
