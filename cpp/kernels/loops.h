// The only elementwise loops: body and tail, one expression. An op is a struct with a static `apply` on vectors.
#pragma once

#include "kernel_table.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

// One operand: an array, or a scalar that stays in a register.
template <class T, bool Broadcast>
struct Operand {
  const T* p;
  Vec<T> splatted;
  CR_INLINE explicit Operand(const void* q) : p(static_cast<const T*>(q)), splatted() {
    if constexpr (Broadcast) splatted = splat(*p);
  }
  CR_INLINE Vec<T> whole(int64_t i) const { return Broadcast ? splatted : load(p + i); }
  CR_INLINE Vec<T> part(int64_t i, int64_t n) const { return Broadcast ? splatted : load_n(p + i, n); }
};

// Two vectors a turn: the elementary functions are chains of dependent steps, and the second fills their gaps.
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

template <class T, class Op>
void map1(int64_t n, void* out, const void* const* in, const int64_t* step, const double* param) {
  if (n == 0) return;
  const Op op(param);
  const auto f = [&op](Vec<T> x) CR_LAMBDA { return op(x); };
  const T* x = static_cast<const T*>(in[0]);
  T* y = static_cast<T*>(out);
  if (step[0] == 0) {
    for_each(n, y, f, Operand<T, true>(x));
    return;
  }
  if constexpr (requires(Vec<T>(&v)[2]) { op.values(v); }) {
    constexpr int64_t L = Vec<T>::lanes;
    for (; n >= 2 * L; n -= 2 * L, x += 2 * L, y += 2 * L) {
      Vec<T> v[2] = {load(x), load(x + L)};
      op.values(v);
      store(y, v[0]);
      store(y + L, v[1]);
    }
    if (n == 0) return;
  }
  for_each(n, y, f, Operand<T, false>(x));
}

template <class T, class Op>
void map2(int64_t n, void* out, const void* const* in, const int64_t* step, const double* param) {
  if (n == 0) return;
  const Op op(param);
  const auto f = [&op](Vec<T> x, Vec<T> y) CR_LAMBDA { return op(x, y); };
  T* const o = static_cast<T*>(out);
  if (step[0] != 0 && step[1] != 0) {
    for_each(n, o, f, Operand<T, false>(in[0]), Operand<T, false>(in[1]));
  } else if (step[0] != 0) {
    for_each(n, o, f, Operand<T, false>(in[0]), Operand<T, true>(in[1]));
  } else if (step[1] != 0) {
    for_each(n, o, f, Operand<T, true>(in[0]), Operand<T, false>(in[1]));
  } else {
    for_each(n, o, f, Operand<T, true>(in[0]), Operand<T, true>(in[1]));
  }
}

template <class T>
CR_INLINE Vec<T> load_step(const T* p, int64_t i, int64_t step, int64_t n) {
  return step == 0 ? splat(*p) : load_or_n(p + i, n);
}

template <class T, class Op>
void compare2(int64_t n, void* out, const void* const* in, const int64_t* step, const double*) {
  constexpr int64_t L = Vec<T>::lanes;
  const T* const a = static_cast<const T*>(in[0]);
  const T* const b = static_cast<const T*>(in[1]);
  uint8_t* const o = static_cast<uint8_t*>(out);
  for (int64_t i = 0; i < n; i += L) {
    const int64_t w = n - i < L ? n - i : L;
    store_bool(o + i, Op::apply(load_step(a, i, step[0], w), load_step(b, i, step[1], w)), w);
  }
}

// where(condition, a, b)
template <class T>
void select3(int64_t n, void* out, const void* const* in, const int64_t* step, const double*) {
  constexpr int64_t L = Vec<T>::lanes;
  const uint8_t* const c = static_cast<const uint8_t*>(in[0]);
  const T* const a = static_cast<const T*>(in[1]);
  const T* const b = static_cast<const T*>(in[2]);
  T* const o = static_cast<T*>(out);
  for (int64_t i = 0; i < n; i += L) {
    const int64_t w = n - i < L ? n - i : L;
    uint8_t splatted[L];
    if (step[0] == 0) {
      for (int64_t x = 0; x < L; ++x) splatted[x] = *c;
    }
    const Mask<T> m = load_bool<T>(step[0] == 0 ? splatted : c + i, w);
    store_n(o + i, select(m, load_step(a, i, step[1], w), load_step(b, i, step[2], w)), w);
  }
}

}  // namespace
}  // namespace chainrule
