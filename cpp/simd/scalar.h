// Scalar level: the same vocabulary with one lane, for any CPU. Without a hardware fma (x86-64 baseline) the fused
// multiply-add is done in integers or in wider floating point: slow, and the same bits.
#pragma once

#define CR_INLINE inline  // the software fma in every place of every unrolled loop took the compiler five minutes
#define CR_LAMBDA
#include "simd/inline.h"
#include "simd/soft_fma.h"

namespace chainrule {
namespace {

template <class T>
struct Vec {
  static constexpr int64_t lanes = 1;
  T v;
};
template <class T>
struct Mask {
  bool m;
};
template <class T>
struct Bits;
template <>
struct Bits<float> {
  int32_t i;
};
template <>
struct Bits<double> {
  int64_t i;
};

constexpr int64_t kRegisters = 16;

template <class T>
CR_INLINE Vec<T> splat(T x) {
  return {x};
}
template <class T>
CR_INLINE Vec<T> load(const T* p) {
  return {*p};
}
template <class T>
CR_INLINE void store(T* p, Vec<T> a) {
  *p = a.v;
}
template <class T>
CR_INLINE Vec<T> load_n(const T* p, int64_t n) {
  return {n > 0 ? *p : T(0)};
}
template <class T>
CR_INLINE void store_n(T* p, Vec<T> a, int64_t n) {
  if (n > 0) *p = a.v;
}

template <class T>
struct Pattern;
template <>
struct Pattern<float> {
  using type = uint32_t;
};
template <>
struct Pattern<double> {
  using type = uint64_t;
};
template <class T>
CR_INLINE typename Pattern<T>::type pattern(T x) {
  typename Pattern<T>::type u;
  __builtin_memcpy(&u, &x, sizeof u);
  return u;
}
template <class T>
CR_INLINE T from_pattern(typename Pattern<T>::type u) {
  T x;
  __builtin_memcpy(&x, &u, sizeof x);
  return x;
}

template <class T>
CR_INLINE Vec<T> operator+(Vec<T> a, Vec<T> b) {
  return {a.v + b.v};
}
template <class T>
CR_INLINE Vec<T> operator-(Vec<T> a, Vec<T> b) {
  return {a.v - b.v};
}
template <class T>
CR_INLINE Vec<T> operator*(Vec<T> a, Vec<T> b) {
  return {a.v * b.v};
}
template <class T>
CR_INLINE Vec<T> operator/(Vec<T> a, Vec<T> b) {
  return {a.v / b.v};
}
template <class T>
CR_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return {exact_fma(a.v, b.v, c.v)};
}
CR_INLINE Vec<float> sqrt(Vec<float> a) { return {hardware_sqrt(a.v)}; }
CR_INLINE Vec<double> sqrt(Vec<double> a) { return {hardware_sqrt(a.v)}; }
template <class T>
CR_INLINE Vec<T> bits_and(Vec<T> a, Vec<T> b) {
  return {from_pattern<T>(pattern(a.v) & pattern(b.v))};
}
template <class T>
CR_INLINE Vec<T> bits_or(Vec<T> a, Vec<T> b) {
  return {from_pattern<T>(pattern(a.v) | pattern(b.v))};
}
template <class T>
CR_INLINE Vec<T> bits_xor(Vec<T> a, Vec<T> b) {
  return {from_pattern<T>(pattern(a.v) ^ pattern(b.v))};
}
template <class T>
CR_INLINE Vec<T> neg(Vec<T> a) {
  return bits_xor(a, splat<T>(T(-0.0)));
}
template <class T>
CR_INLINE Vec<T> abs(Vec<T> a) {
  return {from_pattern<T>(pattern(a.v) & ~pattern(T(-0.0)))};
}
template <class T>
CR_INLINE Vec<T> larger(Vec<T> a, Vec<T> b) {
  return {a.v > b.v ? a.v : b.v};
}
template <class T>
CR_INLINE Vec<T> smaller(Vec<T> a, Vec<T> b) {
  return {a.v < b.v ? a.v : b.v};
}
template <class T>
CR_INLINE Mask<T> lt(Vec<T> a, Vec<T> b) {
  return {a.v < b.v};
}
template <class T>
CR_INLINE Mask<T> le(Vec<T> a, Vec<T> b) {
  return {a.v <= b.v};
}
template <class T>
CR_INLINE Mask<T> eq(Vec<T> a, Vec<T> b) {
  return {a.v == b.v};
}
template <class T>
CR_INLINE Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) {
  return m.m ? a : b;
}
template <class T>
CR_INLINE Mask<T> operator&(Mask<T> a, Mask<T> b) {
  return {a.m && b.m};
}
template <class T>
CR_INLINE Mask<T> operator|(Mask<T> a, Mask<T> b) {
  return {a.m || b.m};
}
template <class T>
CR_INLINE Mask<T> operator!(Mask<T> a) {
  return {!a.m};
}
template <class T>
CR_INLINE uint32_t first_bits(Mask<T> a) {
  return a.m ? 1u : 0u;
}

template <class T>
CR_INLINE Mask<T> first_lanes(int64_t n) {
  return {n > 0};
}
template <class T>
CR_INLINE T first(Vec<T> a) {
  return a.v;
}

CR_INLINE bool all(Mask<float> a) { return a.m; }

// Unsigned: integer wrap-around is meant, signed overflow would be undefined.
CR_INLINE Bits<float> bits(Vec<float> a) { return {static_cast<int32_t>(pattern(a.v))}; }
CR_INLINE Vec<float> value(Bits<float> a) { return {from_pattern<float>(static_cast<uint32_t>(a.i))}; }
CR_INLINE Bits<float> operator+(Bits<float> a, Bits<float> b) {
  return {static_cast<int32_t>(static_cast<uint32_t>(a.i) + static_cast<uint32_t>(b.i))};
}
CR_INLINE Bits<float> operator-(Bits<float> a, Bits<float> b) {
  return {static_cast<int32_t>(static_cast<uint32_t>(a.i) - static_cast<uint32_t>(b.i))};
}
CR_INLINE Bits<float> operator&(Bits<float> a, Bits<float> b) { return {a.i & b.i}; }
CR_INLINE Bits<float> operator|(Bits<float> a, Bits<float> b) { return {a.i | b.i}; }
template <int N>
CR_INLINE Bits<float> shl(Bits<float> a) {
  return {static_cast<int32_t>(static_cast<uint32_t>(a.i) << N)};
}
template <int N>
CR_INLINE Bits<float> shr(Bits<float> a) {
  return {static_cast<int32_t>(static_cast<uint32_t>(a.i) >> N)};
}
template <class T>
CR_INLINE Bits<T> splat_bits(int64_t x) {
  return {static_cast<decltype(Bits<T>::i)>(x)};
}

CR_INLINE Bits<double> bits(Vec<double> a) { return {static_cast<int64_t>(pattern(a.v))}; }
CR_INLINE Vec<double> value(Bits<double> a) { return {from_pattern<double>(static_cast<uint64_t>(a.i))}; }
CR_INLINE Bits<double> operator+(Bits<double> a, Bits<double> b) {
  return {static_cast<int64_t>(static_cast<uint64_t>(a.i) + static_cast<uint64_t>(b.i))};
}
CR_INLINE Bits<double> operator-(Bits<double> a, Bits<double> b) {
  return {static_cast<int64_t>(static_cast<uint64_t>(a.i) - static_cast<uint64_t>(b.i))};
}
CR_INLINE Bits<double> operator&(Bits<double> a, Bits<double> b) { return {a.i & b.i}; }
CR_INLINE Bits<double> operator|(Bits<double> a, Bits<double> b) { return {a.i | b.i}; }
template <int N>
CR_INLINE Bits<double> shl(Bits<double> a) {
  return {static_cast<int64_t>(static_cast<uint64_t>(a.i) << N)};
}
template <int N>
CR_INLINE Bits<double> shr(Bits<double> a) {
  return {static_cast<int64_t>(static_cast<uint64_t>(a.i) >> N)};
}

struct Wide {
  static constexpr int parts = 1;
  Vec<double> part[parts];
};
CR_INLINE Wide widen(Vec<float> a) { return {{{static_cast<double>(a.v)}}}; }
CR_INLINE Vec<float> narrow(Wide a) { return {static_cast<float>(a.part[0].v)}; }
CR_INLINE bool any_low_word(Wide a, uint32_t offset, uint32_t mask) {
  return ((static_cast<uint32_t>(pattern(a.part[0].v)) + offset) & mask) == 0;
}
CR_INLINE Vec<double> lookup16(const double (&table)[16], Bits<double> index) { return {table[index.i & 15]}; }
constexpr int kRoots = 32;
CR_INLINE Vec<float> lookup(const float (&table)[kRoots], Bits<float> index) { return {table[index.i & 31]}; }

template <class T>
CR_INLINE void transpose(Vec<T> (&)[1]) {}
template <class T>
CR_INLINE Vec<T> load_even(const T* p) {
  return {*p};
}
template <class T>
CR_INLINE void store_pairs(T* p, Vec<T> a, Vec<T> b) {
  p[0] = a.v;
  p[1] = b.v;
}
template <class T>
constexpr int64_t kColumns = 1;
template <class T>
CR_INLINE void load_columns(const T* p, int64_t, Vec<T> (&c)[1]) {
  c[0] = {*p};
}
template <class T>
CR_INLINE void store_columns(T* p, int64_t, const Vec<T> (&c)[1]) {
  *p = c[0].v;
}

}  // namespace
}  // namespace chainrule
