// The only elementwise loops: body and tail from one expression. An op is a function object on vectors.
#pragma once

#include "kernel_table.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

// The same elements in as few rows as possible: contiguous rows are one long row, and a contiguous column is a row.
// Rows of a few elements would each take a loop of their own.
CR_INLINE MapArgs merge_rows(MapArgs m, int inputs) {
  if (m.rows <= 1) return m;
  bool follow = m.rs_out == m.n, column = m.n == 1 && m.rs_out == 1;
  for (int i = 0; i < inputs; ++i) {
    follow = follow && m.rs_in[i] == m.n * m.cs_in[i];
    column = column && (m.rs_in[i] == 0 || m.rs_in[i] == 1);
  }
  if (!follow && !column) return m;
  for (int i = 0; i < inputs; ++i) m.cs_in[i] = column ? m.rs_in[i] : m.cs_in[i];
  m.n *= m.rows;
  m.rows = 1;
  return m;
}

// One operand: an array, or a broadcast scalar that stays in a register.
template <class T, bool Broadcast>
struct Operand {
  const T* p;
  Vec<T> splatted;
  CR_INLINE explicit Operand(const T* q) : p(q), splatted() {
    if constexpr (Broadcast) splatted = splat(*p);
  }
  CR_INLINE Vec<T> whole(int64_t i) const { return Broadcast ? splatted : load(p + i); }
  CR_INLINE Vec<T> part(int64_t i, int64_t n) const { return Broadcast ? splatted : load_n(p + i, n); }
};

// Two vectors per iteration: the elementary functions are chains of dependent steps, and the second fills their gaps.
template <class T, class F, class... Operands>
CR_INLINE void for_each(int64_t n, T* out, F f, const Operands&... in) {
  constexpr int64_t L = Vec<T>::lanes;
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    const Vec<T> y0 = f(in.whole(i)...);
    const Vec<T> y1 = f(in.whole(i + L)...);
    store(out + i, y0);
    store(out + i + L, y1);
  }
  if (i + L <= n) {
    store(out + i, f(in.whole(i)...));
    i += L;
  }
  if (i < n) store_n(out + i, f(in.part(i, n - i)...), n - i);
}

// Input i from row r on.
template <class T>
CR_INLINE const T* row_of(const MapArgs& m, int i, int64_t r) {
  return static_cast<const T*>(m.in[i]) + r * m.rs_in[i];
}
template <class T>
CR_INLINE T* out_row(const MapArgs& m, int64_t r) {
  return static_cast<T*>(m.out) + r * m.rs_out;
}

template <class T, class Op>
CR_INLINE void map1_row(const Op& op, int64_t n, T* y, const T* x) {
  if constexpr (requires(Vec<T>(&v)[4]) { op.values(v); }) {
    constexpr int64_t L = Vec<T>::lanes;
    for (; n >= 4 * L; n -= 4 * L, x += 4 * L, y += 4 * L) {
      Vec<T> v[4] = {load(x), load(x + L), load(x + 2 * L), load(x + 3 * L)};
      op.values(v);
      CR_UNROLL
      for (int i = 0; i < 4; ++i) store(y + i * L, v[i]);
    }
    if (n == 0) return;
  }
  for_each(n, y, [&op](Vec<T> v) CR_LAMBDA { return op(v); }, Operand<T, false>(x));
}

template <class T, class Op>
void map1(const MapArgs& args) {
  const MapArgs m = merge_rows(args, 1);
  if (m.n == 0) return;
  const Op op(m.param);
  if (m.cs_in[0] != 0) {
    for (int64_t r = 0; r < m.rows; ++r) map1_row(op, m.n, out_row<T>(m, r), row_of<T>(m, 0, r));
    return;
  }
  const auto f = [&op](Vec<T> x) CR_LAMBDA { return op(x); };
  for (int64_t r = 0; r < m.rows; ++r) for_each(m.n, out_row<T>(m, r), f, Operand<T, true>(row_of<T>(m, 0, r)));
}

template <class T, bool Broadcast0, bool Broadcast1, class F>
CR_INLINE void map2_rows(const MapArgs& m, F f) {
  for (int64_t r = 0; r < m.rows; ++r) {
    for_each(m.n, out_row<T>(m, r), f, Operand<T, Broadcast0>(row_of<T>(m, 0, r)),
             Operand<T, Broadcast1>(row_of<T>(m, 1, r)));
  }
}

template <class T, class Op>
void map2(const MapArgs& args) {
  const MapArgs m = merge_rows(args, 2);
  if (m.n == 0) return;
  const Op op(m.param);
  const auto f = [&op](Vec<T> x, Vec<T> y) CR_LAMBDA { return op(x, y); };
  if (m.cs_in[0] != 0 && m.cs_in[1] != 0) {
    map2_rows<T, false, false>(m, f);
  } else if (m.cs_in[0] != 0) {
    map2_rows<T, false, true>(m, f);
  } else if (m.cs_in[1] != 0) {
    map2_rows<T, true, false>(m, f);
  } else {
    map2_rows<T, true, true>(m, f);
  }
}

template <class T>
CR_INLINE Vec<T> load_broadcast(const T* p, int64_t i, int64_t cs, int64_t n) {
  return cs == 0 ? splat(*p) : load_or_n(p + i, n);
}

template <class T, class Op>
void compare2(const MapArgs& args) {
  constexpr int64_t L = Vec<T>::lanes;
  const MapArgs m = merge_rows(args, 2);
  for (int64_t r = 0; r < m.rows; ++r) {
    const T *const a = row_of<T>(m, 0, r), *const b = row_of<T>(m, 1, r);
    uint8_t* const o = out_row<uint8_t>(m, r);
    for (int64_t i = 0; i < m.n; i += L) {
      const int64_t w = m.n - i < L ? m.n - i : L;
      store_bool(o + i, Op::apply(load_broadcast(a, i, m.cs_in[0], w), load_broadcast(b, i, m.cs_in[1], w)), w);
    }
  }
}

// where(condition, a, b)
template <class T>
void select3(const MapArgs& args) {
  constexpr int64_t L = Vec<T>::lanes;
  const MapArgs m = merge_rows(args, 3);
  for (int64_t r = 0; r < m.rows; ++r) {
    const uint8_t* const c = row_of<uint8_t>(m, 0, r);
    const T *const a = row_of<T>(m, 1, r), *const b = row_of<T>(m, 2, r);
    T* const o = out_row<T>(m, r);
    for (int64_t i = 0; i < m.n; i += L) {
      const int64_t w = m.n - i < L ? m.n - i : L;
      uint8_t splatted[L];
      if (m.cs_in[0] == 0) {
        for (int64_t x = 0; x < L; ++x) splatted[x] = *c;
      }
      const Mask<T> mask = load_bool<T>(m.cs_in[0] == 0 ? splatted : c + i, w);
      store_n(o + i, select(mask, load_broadcast(a, i, m.cs_in[1], w), load_broadcast(b, i, m.cs_in[2], w)), w);
    }
  }
}

}  // namespace
}  // namespace chainrule
