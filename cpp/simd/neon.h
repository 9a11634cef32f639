// NEON (AArch64) level: 4 floats or 2 doubles. NEON has no masked memory access: a tail goes through a small array.
#pragma once

#include <arm_neon.h>

#include "simd/inline.h"

namespace chainrule {
namespace {

template <class T>
struct Vec;
template <class T>
struct Mask;
template <class T>
struct Bits;

template <>
struct Vec<float> {
  static constexpr int64_t lanes = 4;
  float32x4_t v;
};
template <>
struct Vec<double> {
  static constexpr int64_t lanes = 2;
  float64x2_t v;
};
template <>
struct Mask<float> {
  uint32x4_t m;
};
template <>
struct Mask<double> {
  uint64x2_t m;
};
template <>
struct Bits<float> {
  int32x4_t i;
};
template <>
struct Bits<double> {
  int64x2_t i;
};

constexpr int64_t kRegisters = 32;

template <class T>
CR_INLINE Vec<T> splat(T x);
template <>
CR_INLINE Vec<float> splat<float>(float x) {
  return {vdupq_n_f32(x)};
}
template <>
CR_INLINE Vec<double> splat<double>(double x) {
  return {vdupq_n_f64(x)};
}

CR_INLINE Vec<float> load(const float* p) { return {vld1q_f32(p)}; }
CR_INLINE Vec<double> load(const double* p) { return {vld1q_f64(p)}; }
CR_INLINE void store(float* p, Vec<float> a) { vst1q_f32(p, a.v); }
CR_INLINE void store(double* p, Vec<double> a) { vst1q_f64(p, a.v); }

template <class T>
CR_INLINE Vec<T> load_n(const T* p, int64_t n) {
  T lanes[Vec<T>::lanes] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
template <class T>
CR_INLINE void store_n(T* p, Vec<T> a, int64_t n) {
  T lanes[Vec<T>::lanes];
  store(lanes, a);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}

#define CR_BINARY(T, S, U)                                                                                   \
  CR_INLINE Vec<T> operator+(Vec<T> a, Vec<T> b) { return {vaddq_##S(a.v, b.v)}; }                           \
  CR_INLINE Vec<T> operator-(Vec<T> a, Vec<T> b) { return {vsubq_##S(a.v, b.v)}; }                           \
  CR_INLINE Vec<T> operator*(Vec<T> a, Vec<T> b) { return {vmulq_##S(a.v, b.v)}; }                           \
  CR_INLINE Vec<T> operator/(Vec<T> a, Vec<T> b) { return {vdivq_##S(a.v, b.v)}; }                           \
  CR_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) { return {vfmaq_##S(c.v, a.v, b.v)}; }                  \
  CR_INLINE Vec<T> sqrt(Vec<T> a) { return {vsqrtq_##S(a.v)}; }                                              \
  CR_INLINE Vec<T> neg(Vec<T> a) { return {vnegq_##S(a.v)}; }                                                \
  CR_INLINE Vec<T> abs(Vec<T> a) { return {vabsq_##S(a.v)}; }                                                \
  CR_INLINE Vec<T> bits_and(Vec<T> a, Vec<T> b) {                                                            \
    return {vreinterpretq_##S##_##U(vandq_##U(vreinterpretq_##U##_##S(a.v), vreinterpretq_##U##_##S(b.v)))}; \
  }                                                                                                          \
  CR_INLINE Vec<T> bits_or(Vec<T> a, Vec<T> b) {                                                             \
    return {vreinterpretq_##S##_##U(vorrq_##U(vreinterpretq_##U##_##S(a.v), vreinterpretq_##U##_##S(b.v)))}; \
  }                                                                                                          \
  CR_INLINE Vec<T> bits_xor(Vec<T> a, Vec<T> b) {                                                            \
    return {vreinterpretq_##S##_##U(veorq_##U(vreinterpretq_##U##_##S(a.v), vreinterpretq_##U##_##S(b.v)))}; \
  }                                                                                                          \
  CR_INLINE Vec<T> larger(Vec<T> a, Vec<T> b) { return {vbslq_##S(vcgtq_##S(a.v, b.v), a.v, b.v)}; }         \
  CR_INLINE Vec<T> smaller(Vec<T> a, Vec<T> b) { return {vbslq_##S(vcltq_##S(a.v, b.v), a.v, b.v)}; }        \
  CR_INLINE Mask<T> lt(Vec<T> a, Vec<T> b) { return {vcltq_##S(a.v, b.v)}; }                                 \
  CR_INLINE Mask<T> le(Vec<T> a, Vec<T> b) { return {vcleq_##S(a.v, b.v)}; }                                 \
  CR_INLINE Mask<T> eq(Vec<T> a, Vec<T> b) { return {vceqq_##S(a.v, b.v)}; }                                 \
  CR_INLINE Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) { return {vbslq_##S(m.m, a.v, b.v)}; }              \
  CR_INLINE Mask<T> operator&(Mask<T> a, Mask<T> b) { return {vandq_##U(a.m, b.m)}; }                        \
  CR_INLINE Mask<T> operator|(Mask<T> a, Mask<T> b) { return {vorrq_##U(a.m, b.m)}; }
CR_BINARY(float, f32, u32)
CR_BINARY(double, f64, u64)
#undef CR_BINARY
CR_INLINE Mask<float> operator!(Mask<float> a) { return {vmvnq_u32(a.m)}; }
CR_INLINE Mask<double> operator!(Mask<double> a) {
  return {vreinterpretq_u64_u32(vmvnq_u32(vreinterpretq_u32_u64(a.m)))};
}
CR_INLINE uint32_t first_bits(Mask<float> a) {
  const uint32x4_t weight = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(a.m, weight));
}
CR_INLINE uint32_t first_bits(Mask<double> a) {
  const uint64x2_t weight = {1, 2};
  return static_cast<uint32_t>(vaddvq_u64(vandq_u64(a.m, weight)));
}

CR_INLINE bool all(Mask<float> a) { return vminvq_u32(a.m) != 0; }

CR_INLINE Bits<float> bits(Vec<float> a) { return {vreinterpretq_s32_f32(a.v)}; }
CR_INLINE Vec<float> value(Bits<float> a) { return {vreinterpretq_f32_s32(a.i)}; }
CR_INLINE Bits<float> operator+(Bits<float> a, Bits<float> b) { return {vaddq_s32(a.i, b.i)}; }
CR_INLINE Bits<float> operator-(Bits<float> a, Bits<float> b) { return {vsubq_s32(a.i, b.i)}; }
CR_INLINE Bits<float> operator&(Bits<float> a, Bits<float> b) { return {vandq_s32(a.i, b.i)}; }
CR_INLINE Bits<float> operator|(Bits<float> a, Bits<float> b) { return {vorrq_s32(a.i, b.i)}; }
template <int N>
CR_INLINE Bits<float> shl(Bits<float> a) {
  return {vshlq_n_s32(a.i, N)};
}
template <int N>
CR_INLINE Bits<float> shr(Bits<float> a) {
  return {vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a.i), N))};
}
template <class T>
CR_INLINE Bits<T> splat_bits(int64_t x);
template <>
CR_INLINE Bits<float> splat_bits<float>(int64_t x) {
  return {vdupq_n_s32(static_cast<int32_t>(x))};
}
template <>
CR_INLINE Bits<double> splat_bits<double>(int64_t x) {
  return {vdupq_n_s64(x)};
}

CR_INLINE Bits<double> bits(Vec<double> a) { return {vreinterpretq_s64_f64(a.v)}; }
CR_INLINE Vec<double> value(Bits<double> a) { return {vreinterpretq_f64_s64(a.i)}; }
CR_INLINE Bits<double> operator+(Bits<double> a, Bits<double> b) { return {vaddq_s64(a.i, b.i)}; }
CR_INLINE Bits<double> operator-(Bits<double> a, Bits<double> b) { return {vsubq_s64(a.i, b.i)}; }
CR_INLINE Bits<double> operator&(Bits<double> a, Bits<double> b) { return {vandq_s64(a.i, b.i)}; }
CR_INLINE Bits<double> operator|(Bits<double> a, Bits<double> b) { return {vorrq_s64(a.i, b.i)}; }
template <int N>
CR_INLINE Bits<double> shl(Bits<double> a) {
  return {vshlq_n_s64(a.i, N)};
}
template <int N>
CR_INLINE Bits<double> shr(Bits<double> a) {
  return {vreinterpretq_s64_u64(vshrq_n_u64(vreinterpretq_u64_s64(a.i), N))};
}

template <class T>
CR_INLINE Mask<T> first_lanes(int64_t n) {
  if constexpr (sizeof(T) == 4) {
    const uint32x4_t lane = {0, 1, 2, 3};
    return {vcltq_u32(lane, vdupq_n_u32(static_cast<uint32_t>(n)))};
  } else {
    const uint64x2_t lane = {0, 1};
    return {vcltq_u64(lane, vdupq_n_u64(static_cast<uint64_t>(n)))};
  }
}
CR_INLINE float first(Vec<float> a) { return vgetq_lane_f32(a.v, 0); }
CR_INLINE double first(Vec<double> a) { return vgetq_lane_f64(a.v, 0); }
template <int N>
CR_INLINE Vec<float> cross(Vec<float> a) {
  if constexpr (N == 2) {
    return {vextq_f32(a.v, a.v, 2)};
  } else {
    return {vrev64q_f32(a.v)};
  }
}
template <int N>
CR_INLINE Vec<double> cross(Vec<double> a) {
  return {vextq_f64(a.v, a.v, 1)};
}

struct Wide {
  static constexpr int parts = 2;
  Vec<double> part[parts];
};
CR_INLINE Wide widen(Vec<float> a) { return {{{vcvt_f64_f32(vget_low_f32(a.v))}, {vcvt_high_f64_f32(a.v)}}}; }
CR_INLINE Vec<float> narrow(Wide a) { return {vcvt_high_f32_f64(vcvt_f32_f64(a.part[0].v), a.part[1].v)}; }
CR_INLINE bool any_low_word(Wide a, uint32_t offset, uint32_t mask) {
  const uint32x4_t words = vuzp1q_u32(vreinterpretq_u32_f64(a.part[0].v), vreinterpretq_u32_f64(a.part[1].v));
  return vminvq_u32(vandq_u32(vaddq_u32(words, vdupq_n_u32(offset)), vdupq_n_u32(mask))) == 0;
}
CR_INLINE Vec<double> lookup16(const double (&table)[16], Bits<double> index) {
  return {
      vsetq_lane_f64(table[vgetq_lane_s64(index.i, 1) & 15], vdupq_n_f64(table[vgetq_lane_s64(index.i, 0) & 15]), 1)};
}

// The bytes of a float at 4 j .. 4 j + 3; the first half of the table gives 0 where the index is in the second.
constexpr int kRoots = 32;
CR_INLINE Vec<float> lookup(const float (&table)[kRoots], Bits<float> index) {
  const uint32x4_t j = vandq_u32(vreinterpretq_u32_s32(index.i), vdupq_n_u32(31));
  const uint8x16_t bytes = vreinterpretq_u8_u32(vmlaq_n_u32(vdupq_n_u32(0x03020100), j, 0x04040404));
  const uint8_t* const p = reinterpret_cast<const uint8_t*>(table);
  const uint8x16_t low = vqtbl4q_u8(vld1q_u8_x4(p), bytes);
  return {vreinterpretq_f32_u8(vqtbx4q_u8(low, vld1q_u8_x4(p + 64), vsubq_u8(bytes, vdupq_n_u8(64))))};
}

CR_INLINE void transpose(Vec<float> (&r)[4]) {
  const float32x4x2_t a = vtrnq_f32(r[0].v, r[1].v), b = vtrnq_f32(r[2].v, r[3].v);
  r[0].v = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
  r[1].v = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
  r[2].v = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
  r[3].v = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}
CR_INLINE void transpose(Vec<double> (&r)[2]) {
  const float64x2_t a = r[0].v;
  r[0].v = vtrn1q_f64(a, r[1].v);
  r[1].v = vtrn2q_f64(a, r[1].v);
}

CR_INLINE Vec<float> load_even(const float* p) {
  const float32x4_t a = vld1q_f32(p), b = vld1q_f32(p + 3);
  return {vcombine_f32(vget_low_f32(vuzp1q_f32(a, a)), vget_low_f32(vuzp2q_f32(b, b)))};
}
CR_INLINE Vec<double> load_even(const double* p) { return {vcombine_f64(vld1_f64(p), vld1_f64(p + 2))}; }
CR_INLINE void store_pairs(float* p, Vec<float> a, Vec<float> b) {
  vst1q_f32(p, vzip1q_f32(a.v, b.v));
  vst1q_f32(p + 4, vzip2q_f32(a.v, b.v));
}
CR_INLINE void store_pairs(double* p, Vec<double> a, Vec<double> b) {
  vst1q_f64(p, vzip1q_f64(a.v, b.v));
  vst1q_f64(p + 2, vzip2q_f64(a.v, b.v));
}

template <class T>
constexpr int64_t kColumns = Vec<T>::lanes;
template <class T, int N>
CR_INLINE void load_columns(const T* p, int64_t s, Vec<T> (&c)[N]) {
  CR_UNROLL
  for (int i = 0; i < N; ++i) c[i] = load(p + i * s);
  transpose(c);
}
template <class T, int N>
CR_INLINE void store_columns(T* p, int64_t s, const Vec<T> (&c)[N]) {
  Vec<T> r[N];
  CR_UNROLL
  for (int i = 0; i < N; ++i) r[i] = c[i];
  transpose(r);
  CR_UNROLL
  for (int i = 0; i < N; ++i) store(p + i * s, r[i]);
}

}  // namespace
}  // namespace chainrule
