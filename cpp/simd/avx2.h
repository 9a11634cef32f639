// AVX2 + FMA level: 8 floats or 4 doubles. A tail mask is a sliding window over one constant array.
#pragma once

#include <immintrin.h>

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
  static constexpr int64_t lanes = 8;
  __m256 v;
};
template <>
struct Vec<double> {
  static constexpr int64_t lanes = 4;
  __m256d v;
};
template <>
struct Mask<float> {
  __m256 m;
};
template <>
struct Mask<double> {
  __m256d m;
};
template <>
struct Bits<float> {
  __m256i i;
};
template <>
struct Bits<double> {
  __m256i i;
};

constexpr int64_t kRegisters = 16;

template <class T>
CR_INLINE Vec<T> splat(T x);
template <>
CR_INLINE Vec<float> splat<float>(float x) {
  return {_mm256_set1_ps(x)};
}
template <>
CR_INLINE Vec<double> splat<double>(double x) {
  return {_mm256_set1_pd(x)};
}

CR_INLINE Vec<float> load(const float* p) { return {_mm256_loadu_ps(p)}; }
CR_INLINE Vec<double> load(const double* p) { return {_mm256_loadu_pd(p)}; }
CR_INLINE void store(float* p, Vec<float> a) { _mm256_storeu_ps(p, a.v); }
CR_INLINE void store(double* p, Vec<double> a) { _mm256_storeu_pd(p, a.v); }

alignas(64) constexpr int32_t kWindow32[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
alignas(64) constexpr int64_t kWindow64[8] = {-1, -1, -1, -1, 0, 0, 0, 0};
CR_INLINE __m256i first8(int64_t n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kWindow32 + 8 - n)); }
CR_INLINE __m256i first4(int64_t n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kWindow64 + 4 - n)); }
CR_INLINE Vec<float> load_n(const float* p, int64_t n) { return {_mm256_maskload_ps(p, first8(n))}; }
CR_INLINE Vec<double> load_n(const double* p, int64_t n) { return {_mm256_maskload_pd(p, first4(n))}; }
CR_INLINE void store_n(float* p, Vec<float> a, int64_t n) { _mm256_maskstore_ps(p, first8(n), a.v); }
CR_INLINE void store_n(double* p, Vec<double> a, int64_t n) { _mm256_maskstore_pd(p, first4(n), a.v); }

#define CR_BINARY(T, S)                                                                                            \
  CR_INLINE Vec<T> operator+(Vec<T> a, Vec<T> b) { return {_mm256_add_##S(a.v, b.v)}; }                            \
  CR_INLINE Vec<T> operator-(Vec<T> a, Vec<T> b) { return {_mm256_sub_##S(a.v, b.v)}; }                            \
  CR_INLINE Vec<T> operator*(Vec<T> a, Vec<T> b) { return {_mm256_mul_##S(a.v, b.v)}; }                            \
  CR_INLINE Vec<T> operator/(Vec<T> a, Vec<T> b) { return {_mm256_div_##S(a.v, b.v)}; }                            \
  CR_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) { return {_mm256_fmadd_##S(a.v, b.v, c.v)}; }                 \
  CR_INLINE Vec<T> sqrt(Vec<T> a) { return {_mm256_sqrt_##S(a.v)}; }                                               \
  CR_INLINE Vec<T> bits_and(Vec<T> a, Vec<T> b) { return {_mm256_and_##S(a.v, b.v)}; }                             \
  CR_INLINE Vec<T> bits_or(Vec<T> a, Vec<T> b) { return {_mm256_or_##S(a.v, b.v)}; }                               \
  CR_INLINE Vec<T> bits_xor(Vec<T> a, Vec<T> b) { return {_mm256_xor_##S(a.v, b.v)}; }                             \
  CR_INLINE Vec<T> neg(Vec<T> a) { return bits_xor(a, splat<T>(T(-0.0))); }                                        \
  CR_INLINE Vec<T> abs(Vec<T> a) { return {_mm256_andnot_##S(_mm256_set1_##S(T(-0.0)), a.v)}; }                    \
  CR_INLINE Vec<T> larger(Vec<T> a, Vec<T> b) { return {_mm256_max_##S(a.v, b.v)}; }                               \
  CR_INLINE Vec<T> smaller(Vec<T> a, Vec<T> b) { return {_mm256_min_##S(a.v, b.v)}; }                              \
  CR_INLINE Mask<T> lt(Vec<T> a, Vec<T> b) { return {_mm256_cmp_##S(a.v, b.v, _CMP_LT_OQ)}; }                      \
  CR_INLINE Mask<T> le(Vec<T> a, Vec<T> b) { return {_mm256_cmp_##S(a.v, b.v, _CMP_LE_OQ)}; }                      \
  CR_INLINE Mask<T> eq(Vec<T> a, Vec<T> b) { return {_mm256_cmp_##S(a.v, b.v, _CMP_EQ_OQ)}; }                      \
  CR_INLINE Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) { return {_mm256_blendv_##S(b.v, a.v, m.m)}; }            \
  CR_INLINE Mask<T> operator&(Mask<T> a, Mask<T> b) { return {_mm256_and_##S(a.m, b.m)}; }                         \
  CR_INLINE Mask<T> operator|(Mask<T> a, Mask<T> b) { return {_mm256_or_##S(a.m, b.m)}; }                          \
  CR_INLINE Mask<T> operator!(Mask<T> a) { return {_mm256_xor_##S(a.m, _mm256_cmp_##S(a.m, a.m, _CMP_TRUE_UQ))}; } \
  CR_INLINE uint32_t first_bits(Mask<T> a) { return static_cast<uint32_t>(_mm256_movemask_##S(a.m)); }
CR_BINARY(float, ps)
CR_BINARY(double, pd)
#undef CR_BINARY

CR_INLINE bool all(Mask<float> a) { return _mm256_movemask_ps(a.m) == 0xff; }

CR_INLINE Bits<float> bits(Vec<float> a) { return {_mm256_castps_si256(a.v)}; }
CR_INLINE Vec<float> value(Bits<float> a) { return {_mm256_castsi256_ps(a.i)}; }
CR_INLINE Bits<float> operator+(Bits<float> a, Bits<float> b) { return {_mm256_add_epi32(a.i, b.i)}; }
CR_INLINE Bits<float> operator-(Bits<float> a, Bits<float> b) { return {_mm256_sub_epi32(a.i, b.i)}; }
CR_INLINE Bits<float> operator&(Bits<float> a, Bits<float> b) { return {_mm256_and_si256(a.i, b.i)}; }
CR_INLINE Bits<float> operator|(Bits<float> a, Bits<float> b) { return {_mm256_or_si256(a.i, b.i)}; }
template <int N>
CR_INLINE Bits<float> shl(Bits<float> a) {
  return {_mm256_slli_epi32(a.i, N)};
}
template <int N>
CR_INLINE Bits<float> shr(Bits<float> a) {
  return {_mm256_srli_epi32(a.i, N)};
}
template <class T>
CR_INLINE Bits<T> splat_bits(int64_t x);
template <>
CR_INLINE Bits<float> splat_bits<float>(int64_t x) {
  return {_mm256_set1_epi32(static_cast<int>(x))};
}
template <>
CR_INLINE Bits<double> splat_bits<double>(int64_t x) {
  return {_mm256_set1_epi64x(x)};
}

CR_INLINE Bits<double> bits(Vec<double> a) { return {_mm256_castpd_si256(a.v)}; }
CR_INLINE Vec<double> value(Bits<double> a) { return {_mm256_castsi256_pd(a.i)}; }
CR_INLINE Bits<double> operator+(Bits<double> a, Bits<double> b) { return {_mm256_add_epi64(a.i, b.i)}; }
CR_INLINE Bits<double> operator-(Bits<double> a, Bits<double> b) { return {_mm256_sub_epi64(a.i, b.i)}; }
CR_INLINE Bits<double> operator&(Bits<double> a, Bits<double> b) { return {_mm256_and_si256(a.i, b.i)}; }
CR_INLINE Bits<double> operator|(Bits<double> a, Bits<double> b) { return {_mm256_or_si256(a.i, b.i)}; }
template <int N>
CR_INLINE Bits<double> shl(Bits<double> a) {
  return {_mm256_slli_epi64(a.i, N)};
}
template <int N>
CR_INLINE Bits<double> shr(Bits<double> a) {
  return {_mm256_srli_epi64(a.i, N)};
}

template <class T>
CR_INLINE Mask<T> first_lanes(int64_t n) {
  if constexpr (sizeof(T) == 4) {
    return {_mm256_castsi256_ps(first8(n))};
  } else {
    return {_mm256_castsi256_pd(first4(n))};
  }
}
CR_INLINE float first(Vec<float> a) { return _mm256_cvtss_f32(a.v); }
CR_INLINE double first(Vec<double> a) { return _mm256_cvtsd_f64(a.v); }
template <int N>
CR_INLINE Vec<float> cross(Vec<float> a) {
  if constexpr (N == 4) {
    return {_mm256_permute2f128_ps(a.v, a.v, 1)};
  } else {
    return {_mm256_permute_ps(a.v, N == 2 ? 0x4e : 0xb1)};
  }
}
template <int N>
CR_INLINE Vec<double> cross(Vec<double> a) {
  if constexpr (N == 2) {
    return {_mm256_permute2f128_pd(a.v, a.v, 1)};
  } else {
    return {_mm256_permute_pd(a.v, 0x5)};
  }
}

struct Wide {
  static constexpr int parts = 2;
  Vec<double> part[parts];
};
CR_INLINE Wide widen(Vec<float> a) {
  return {{{_mm256_cvtps_pd(_mm256_castps256_ps128(a.v))}, {_mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1))}}};
}
CR_INLINE Vec<float> narrow(Wide a) {
  return {_mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(a.part[0].v)), _mm256_cvtpd_ps(a.part[1].v), 1)};
}
CR_INLINE bool any_low_word(Wide a, uint32_t offset, uint32_t mask) {
  const __m256 words = _mm256_shuffle_ps(_mm256_castpd_ps(a.part[0].v), _mm256_castpd_ps(a.part[1].v), 0x88);
  const __m256i sum = _mm256_add_epi32(_mm256_castps_si256(words), _mm256_set1_epi32(static_cast<int>(offset)));
  const __m256i kept = _mm256_and_si256(sum, _mm256_set1_epi32(static_cast<int>(mask)));
  return _mm256_movemask_epi8(_mm256_cmpeq_epi32(kept, _mm256_setzero_si256())) != 0;
}
// Four loads; the gather instruction is no faster here and far slower on some CPUs.
CR_INLINE Vec<double> lookup16(const double (&table)[16], Bits<double> index) {
  alignas(32) int64_t i[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(i), _mm256_and_si256(index.i, _mm256_set1_epi64x(15)));
  return {_mm256_setr_pd(table[i[0]], table[i[1]], table[i[2]], table[i[3]])};
}

constexpr int kRoots = 16;
CR_INLINE Vec<float> lookup(const float (&table)[kRoots], Bits<float> index) {
  const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index.i);
  const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index.i);
  return {_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index.i, 28)))};
}

// In-register transposes: pairs, quads, then 128-bit halves.
CR_INLINE void transpose(Vec<float> (&r)[8]) {
  __m256 t[8], u[8];
  CR_UNROLL
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i].v, r[i + 1].v);
    t[i + 1] = _mm256_unpackhi_ps(r[i].v, r[i + 1].v);
  }
  CR_UNROLL
  for (int i = 0; i < 8; i += 4) {
    CR_UNROLL
    for (int h = 0; h < 2; ++h) {
      u[i + 2 * h] = _mm256_shuffle_ps(t[i + h], t[i + h + 2], 0x44);
      u[i + 2 * h + 1] = _mm256_shuffle_ps(t[i + h], t[i + h + 2], 0xee);
    }
  }
  CR_UNROLL
  for (int i = 0; i < 4; ++i) {
    r[i].v = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
    r[i + 4].v = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
  }
}
CR_INLINE void transpose(Vec<double> (&r)[4]) {
  const __m256d a = _mm256_unpacklo_pd(r[0].v, r[1].v), b = _mm256_unpackhi_pd(r[0].v, r[1].v);
  const __m256d c = _mm256_unpacklo_pd(r[2].v, r[3].v), d = _mm256_unpackhi_pd(r[2].v, r[3].v);
  r[0].v = _mm256_permute2f128_pd(a, c, 0x20);
  r[1].v = _mm256_permute2f128_pd(b, d, 0x20);
  r[2].v = _mm256_permute2f128_pd(a, c, 0x31);
  r[3].v = _mm256_permute2f128_pd(b, d, 0x31);
}

// Four rows by four columns in each 128 bits.
CR_INLINE void transpose_blocks(const __m256 (&r)[4], Vec<float> (&c)[4]) {
  const __m256d low = _mm256_castps_pd(_mm256_unpacklo_ps(r[0], r[1]));
  const __m256d low2 = _mm256_castps_pd(_mm256_unpacklo_ps(r[2], r[3]));
  const __m256d high = _mm256_castps_pd(_mm256_unpackhi_ps(r[0], r[1]));
  const __m256d high2 = _mm256_castps_pd(_mm256_unpackhi_ps(r[2], r[3]));
  c[0].v = _mm256_castpd_ps(_mm256_unpacklo_pd(low, low2));
  c[1].v = _mm256_castpd_ps(_mm256_unpackhi_pd(low, low2));
  c[2].v = _mm256_castpd_ps(_mm256_unpacklo_pd(high, high2));
  c[3].v = _mm256_castpd_ps(_mm256_unpackhi_pd(high, high2));
}
// Of the second vector, one element before the end of the first, the odd ones.
CR_INLINE Vec<float> load_even(const float* p) {
  const __m256 mixed = _mm256_shuffle_ps(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 7), 0xd8);
  return {_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xd8))};
}
CR_INLINE Vec<double> load_even(const double* p) {
  return {_mm256_permute4x64_pd(_mm256_shuffle_pd(_mm256_loadu_pd(p), _mm256_loadu_pd(p + 3), 0xa), 0xd8)};
}
CR_INLINE void store_pairs(float* p, Vec<float> a, Vec<float> b) {
  const __m256 low = _mm256_unpacklo_ps(a.v, b.v), high = _mm256_unpackhi_ps(a.v, b.v);
  _mm256_storeu_ps(p, _mm256_permute2f128_ps(low, high, 0x20));
  _mm256_storeu_ps(p + 8, _mm256_permute2f128_ps(low, high, 0x31));
}
CR_INLINE void store_pairs(double* p, Vec<double> a, Vec<double> b) {
  const __m256d low = _mm256_unpacklo_pd(a.v, b.v), high = _mm256_unpackhi_pd(a.v, b.v);
  _mm256_storeu_pd(p, _mm256_permute2f128_pd(low, high, 0x20));
  _mm256_storeu_pd(p + 4, _mm256_permute2f128_pd(low, high, 0x31));
}

template <class T>
constexpr int64_t kColumns = 16 / sizeof(T);
CR_INLINE void load_columns(const float* p, int64_t s, Vec<float> (&c)[4]) {
  __m256 r[4];
  CR_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m256 low = _mm256_castps128_ps256(_mm_loadu_ps(p + i * s));
    r[i] = _mm256_insertf128_ps(low, _mm_loadu_ps(p + (i + 4) * s), 1);
  }
  transpose_blocks(r, c);
}
CR_INLINE void load_columns(const double* p, int64_t s, Vec<double> (&c)[2]) {
  __m256d r[2];
  CR_UNROLL
  for (int i = 0; i < 2; ++i) {
    const __m256d low = _mm256_castpd128_pd256(_mm_loadu_pd(p + i * s));
    r[i] = _mm256_insertf128_pd(low, _mm_loadu_pd(p + (i + 2) * s), 1);
  }
  c[0].v = _mm256_unpacklo_pd(r[0], r[1]);
  c[1].v = _mm256_unpackhi_pd(r[0], r[1]);
}
CR_INLINE void store_columns(float* p, int64_t s, const Vec<float> (&c)[4]) {
  const __m256 columns[4] = {c[0].v, c[1].v, c[2].v, c[3].v};
  Vec<float> r[4];
  transpose_blocks(columns, r);
  CR_UNROLL
  for (int i = 0; i < 4; ++i) _mm_storeu_ps(p + i * s, _mm256_castps256_ps128(r[i].v));
  CR_UNROLL
  for (int i = 0; i < 4; ++i) _mm_storeu_ps(p + (i + 4) * s, _mm256_extractf128_ps(r[i].v, 1));
}
CR_INLINE void store_columns(double* p, int64_t s, const Vec<double> (&c)[2]) {
  const __m256d r[2] = {_mm256_unpacklo_pd(c[0].v, c[1].v), _mm256_unpackhi_pd(c[0].v, c[1].v)};
  CR_UNROLL
  for (int i = 0; i < 2; ++i) _mm_storeu_pd(p + i * s, _mm256_castpd256_pd128(r[i]));
  CR_UNROLL
  for (int i = 0; i < 2; ++i) _mm_storeu_pd(p + (i + 2) * s, _mm256_extractf128_pd(r[i], 1));
}

}  // namespace
}  // namespace chainrule
