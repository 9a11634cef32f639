// The vector vocabulary: the few words in which every kernel is written once.
//
//   Vec<T>, Mask<T>        T = float, double; Vec<T>::lanes of them; the scalar level has one lane
//   load load_n store store_n splat     load_n(p, n) reads n <= lanes elements, the other lanes are zero
//   + - * /  fma sqrt abs neg           one IEEE rounding each; a fused multiply-add only where it is written
//   lt le eq  isnan  select  & | !      comparisons are false on NaN; select(m, a, b) = m ? a : b
//   larger(a, b) smaller(a, b)          a > b ? a : b and a < b ? a : b, so that a NaN on either side gives b
//   bits_and bits_xor                   on the bit pattern
//   Bits<T>, bits(v), value(b), splat_bits<T>(i)    the pattern as integers: + - shl<n> shr<n> & |
//   widen narrow                        Vec<float> to Parts = 1 or 2 Vec<double> and back, one rounding
//   any_low_word(w, c, mask)            whether ((low 32 bits + c) & mask) is 0 in any lane of a widened vector
//   lookup16(table, index)              one of 16 doubles per lane, by the low four bits of the index
//   kRoots, lookup(table, index)        one of kRoots floats per lane, by the low bits of the index
//   first_bits(m)                       mask as an integer, lane 0 in bit 0
//   all(m)                              whether every lane is set
//   first_lanes<T>(n)      mask of the lanes below n <= lanes
//   first(v)               lane 0 as a number
//   cross<N>(v)            lane i xor N in lane i, N a power of two below lanes
//   transpose(rows)        a square block of lanes vectors, in registers
//   kColumns<T>            elements in 128 bits, 1 at the scalar level
//   load_columns(p, s, c)  kColumns columns of as many rows as lanes: lane i of c[j] is p[i * s + j]
//   store_columns(p, s, c) back, kColumns elements of each row, in the order of the rows
//   load_even(p)           lane i is p[2 * i]; reads [p, p + 2 * lanes - 1)
//   store_pairs(p, a, b)   lanes of a and b in turns: p[2 * i] is lane i of a, p[2 * i + 1] that of b
//   kRegisters             vector registers of the level, for tile sizes
//
// One header per level implements it; this is the only folder with intrinsics. Everything has internal linkage: the
// same inline function compiled under two ISA flags would otherwise be merged by the linker (numpy#25274). To add a
// level: a header here with these words, a row in CMakeLists.txt and one in isa.cpp.
#pragma once

#include <stdint.h>

#if !defined(CR_LEVEL_HEADER)
#error "compile kernels through CMakeLists.txt: it names the level's header"
#endif
#include CR_LEVEL_HEADER

namespace chainrule {
namespace {

template <class T>
CR_INLINE Mask<T> gt(Vec<T> a, Vec<T> b) {
  return lt(b, a);
}
template <class T>
CR_INLINE Mask<T> ge(Vec<T> a, Vec<T> b) {
  return le(b, a);
}
template <class T>
CR_INLINE Mask<T> isnan(Vec<T> a) {
  return !eq(a, a);
}

// NaN from either side, +0 above -0, whatever the order of the arguments (x86 max returns the second on both).
template <class T>
CR_INLINE Vec<T> maximum(Vec<T> a, Vec<T> b) {
  const Vec<T> larger = select(lt(b, a) | isnan(a), a, b);
  return select(eq(a, b), bits_and(a, b), larger);
}
template <class T>
CR_INLINE Vec<T> minimum(Vec<T> a, Vec<T> b) {
  const Vec<T> smaller = select(lt(a, b) | isnan(a), a, b);
  return select(eq(a, b), bits_or(a, b), smaller);
}

// All lanes folded by halves, l[i] = op(l[i], l[i + half]), for an op whose arguments may change places; in every lane
// of the result.
template <class T, int Half = Vec<T>::lanes / 2, class Op>
CR_INLINE Vec<T> fold(Vec<T> v, Op op) {
  if constexpr (Half == 0) {
    return v;
  } else {
    return fold<T, Half / 2>(op(v, cross<Half>(v)), op);
  }
}

template <class T>
CR_INLINE Vec<T> load_or_n(const T* p, int64_t n) {
  return n >= Vec<T>::lanes ? load(p) : load_n(p, n);
}

template <class T>
CR_INLINE void store_or_n(T* p, Vec<T> a, int64_t n) {
  if (n >= Vec<T>::lanes) {
    store(p, a);
  } else {
    store_n(p, a, n);
  }
}

// Masks in memory are one byte an element (NumPy's bool).
template <class T>
CR_INLINE Mask<T> load_bool(const uint8_t* p, int64_t n) {
  T lanes[Vec<T>::lanes] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = static_cast<T>(p[i] != 0);
  return !eq(load(lanes), splat<T>(0));
}
template <class T>
CR_INLINE void store_bool(uint8_t* p, Mask<T> m, int64_t n) {
  const uint32_t word = first_bits(m);
  for (int64_t i = 0; i < n; ++i) p[i] = static_cast<uint8_t>((word >> i) & 1u);
}

}  // namespace
}  // namespace chainrule
