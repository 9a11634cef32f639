// AVX-512 F/DQ/BW/VL level: 16 floats or 8 doubles. Tails are masked loads and stores.
#pragma once

// GCC 12 takes the undefined pass-through operand of its own intrinsics for an uninitialised read.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

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
  static constexpr int64_t lanes = 16;
  __m512 v;
};
template <>
struct Vec<double> {
  static constexpr int64_t lanes = 8;
  __m512d v;
};
template <>
struct Mask<float> {
  __mmask16 m;
};
template <>
struct Mask<double> {
  __mmask8 m;
};
template <>
struct Bits<float> {
  __m512i i;
};
template <>
struct Bits<double> {
  __m512i i;
};

constexpr int64_t kRegisters = 32;

template <class T>
CR_INLINE Vec<T> splat(T x);
template <>
CR_INLINE Vec<float> splat<float>(float x) {
  return {_mm512_set1_ps(x)};
}
template <>
CR_INLINE Vec<double> splat<double>(double x) {
  return {_mm512_set1_pd(x)};
}

CR_INLINE Vec<float> load(const float* p) { return {_mm512_loadu_ps(p)}; }
CR_INLINE Vec<double> load(const double* p) { return {_mm512_loadu_pd(p)}; }
CR_INLINE void store(float* p, Vec<float> a) { _mm512_storeu_ps(p, a.v); }
CR_INLINE void store(double* p, Vec<double> a) { _mm512_storeu_pd(p, a.v); }

CR_INLINE __mmask16 first16(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
CR_INLINE __mmask8 first8(int64_t n) { return static_cast<__mmask8>((1u << n) - 1u); }
CR_INLINE Vec<float> load_n(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(first16(n), p)}; }
CR_INLINE Vec<double> load_n(const double* p, int64_t n) { return {_mm512_maskz_loadu_pd(first8(n), p)}; }
CR_INLINE void store_n(float* p, Vec<float> a, int64_t n) { _mm512_mask_storeu_ps(p, first16(n), a.v); }
CR_INLINE void store_n(double* p, Vec<double> a, int64_t n) { _mm512_mask_storeu_pd(p, first8(n), a.v); }

#define CR_BINARY(T, S)                                                                                     \
  CR_INLINE Vec<T> operator+(Vec<T> a, Vec<T> b) { return {_mm512_add_##S(a.v, b.v)}; }                     \
  CR_INLINE Vec<T> operator-(Vec<T> a, Vec<T> b) { return {_mm512_sub_##S(a.v, b.v)}; }                     \
  CR_INLINE Vec<T> operator*(Vec<T> a, Vec<T> b) { return {_mm512_mul_##S(a.v, b.v)}; }                     \
  CR_INLINE Vec<T> operator/(Vec<T> a, Vec<T> b) { return {_mm512_div_##S(a.v, b.v)}; }                     \
  CR_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) { return {_mm512_fmadd_##S(a.v, b.v, c.v)}; }          \
  CR_INLINE Vec<T> sqrt(Vec<T> a) { return {_mm512_sqrt_##S(a.v)}; }                                        \
  CR_INLINE Vec<T> bits_and(Vec<T> a, Vec<T> b) { return {_mm512_and_##S(a.v, b.v)}; }                      \
  CR_INLINE Vec<T> bits_or(Vec<T> a, Vec<T> b) { return {_mm512_or_##S(a.v, b.v)}; }                        \
  CR_INLINE Vec<T> bits_xor(Vec<T> a, Vec<T> b) { return {_mm512_xor_##S(a.v, b.v)}; }                      \
  CR_INLINE Vec<T> neg(Vec<T> a) { return {-a.v}; }                                                         \
  CR_INLINE Vec<T> abs(Vec<T> a) { return {_mm512_andnot_##S(_mm512_set1_##S(T(-0.0)), a.v)}; }             \
  CR_INLINE Vec<T> larger(Vec<T> a, Vec<T> b) { return {_mm512_max_##S(a.v, b.v)}; }                        \
  CR_INLINE Vec<T> smaller(Vec<T> a, Vec<T> b) { return {_mm512_min_##S(a.v, b.v)}; }                       \
  CR_INLINE Mask<T> lt(Vec<T> a, Vec<T> b) { return {_mm512_cmp_##S##_mask(a.v, b.v, _CMP_LT_OQ)}; }        \
  CR_INLINE Mask<T> le(Vec<T> a, Vec<T> b) { return {_mm512_cmp_##S##_mask(a.v, b.v, _CMP_LE_OQ)}; }        \
  CR_INLINE Mask<T> eq(Vec<T> a, Vec<T> b) { return {_mm512_cmp_##S##_mask(a.v, b.v, _CMP_EQ_OQ)}; }        \
  CR_INLINE Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) { return {_mm512_mask_blend_##S(m.m, b.v, a.v)}; } \
  CR_INLINE Mask<T> operator&(Mask<T> a, Mask<T> b) { return {static_cast<decltype(a.m)>(a.m & b.m)}; }     \
  CR_INLINE Mask<T> operator|(Mask<T> a, Mask<T> b) { return {static_cast<decltype(a.m)>(a.m | b.m)}; }     \
  CR_INLINE Mask<T> operator!(Mask<T> a) { return {static_cast<decltype(a.m)>(~a.m)}; }                     \
  CR_INLINE uint32_t first_bits(Mask<T> a) { return a.m; }
CR_BINARY(float, ps)
CR_BINARY(double, pd)
#undef CR_BINARY

CR_INLINE bool all(Mask<float> a) { return a.m == 0xffff; }

CR_INLINE Bits<float> bits(Vec<float> a) { return {_mm512_castps_si512(a.v)}; }
CR_INLINE Vec<float> value(Bits<float> a) { return {_mm512_castsi512_ps(a.i)}; }
CR_INLINE Bits<float> operator+(Bits<float> a, Bits<float> b) { return {_mm512_add_epi32(a.i, b.i)}; }
CR_INLINE Bits<float> operator-(Bits<float> a, Bits<float> b) { return {_mm512_sub_epi32(a.i, b.i)}; }
CR_INLINE Bits<float> operator&(Bits<float> a, Bits<float> b) { return {_mm512_and_si512(a.i, b.i)}; }
CR_INLINE Bits<float> operator|(Bits<float> a, Bits<float> b) { return {_mm512_or_si512(a.i, b.i)}; }
template <int N>
CR_INLINE Bits<float> shl(Bits<float> a) {
  return {_mm512_slli_epi32(a.i, N)};
}
template <int N>
CR_INLINE Bits<float> shr(Bits<float> a) {
  return {_mm512_srli_epi32(a.i, N)};
}
template <class T>
CR_INLINE Bits<T> splat_bits(int64_t x);
template <>
CR_INLINE Bits<float> splat_bits<float>(int64_t x) {
  return {_mm512_set1_epi32(static_cast<int>(x))};
}
template <>
CR_INLINE Bits<double> splat_bits<double>(int64_t x) {
  return {_mm512_set1_epi64(x)};
}

CR_INLINE Bits<double> bits(Vec<double> a) { return {_mm512_castpd_si512(a.v)}; }
CR_INLINE Vec<double> value(Bits<double> a) { return {_mm512_castsi512_pd(a.i)}; }
CR_INLINE Bits<double> operator+(Bits<double> a, Bits<double> b) { return {_mm512_add_epi64(a.i, b.i)}; }
CR_INLINE Bits<double> operator-(Bits<double> a, Bits<double> b) { return {_mm512_sub_epi64(a.i, b.i)}; }
CR_INLINE Bits<double> operator&(Bits<double> a, Bits<double> b) { return {_mm512_and_si512(a.i, b.i)}; }
CR_INLINE Bits<double> operator|(Bits<double> a, Bits<double> b) { return {_mm512_or_si512(a.i, b.i)}; }
template <int N>
CR_INLINE Bits<double> shl(Bits<double> a) {
  return {_mm512_slli_epi64(a.i, N)};
}
template <int N>
CR_INLINE Bits<double> shr(Bits<double> a) {
  return {_mm512_srli_epi64(a.i, N)};
}

template <class T>
CR_INLINE Mask<T> first_lanes(int64_t n) {
  return {static_cast<decltype(Mask<T>::m)>((1u << n) - 1u)};
}
CR_INLINE float first(Vec<float> a) { return _mm512_cvtss_f32(a.v); }
CR_INLINE double first(Vec<double> a) { return _mm512_cvtsd_f64(a.v); }
template <int N>
CR_INLINE Vec<float> cross(Vec<float> a) {
  if constexpr (N >= 4) {
    return {_mm512_shuffle_f32x4(a.v, a.v, N == 8 ? 0x4e : 0xb1)};
  } else {
    return {_mm512_permute_ps(a.v, N == 2 ? 0x4e : 0xb1)};
  }
}
template <int N>
CR_INLINE Vec<double> cross(Vec<double> a) {
  if constexpr (N >= 2) {
    return {_mm512_shuffle_f64x2(a.v, a.v, N == 4 ? 0x4e : 0xb1)};
  } else {
    return {_mm512_permute_pd(a.v, 0x55)};
  }
}

struct Wide {
  static constexpr int parts = 2;
  Vec<double> part[parts];
};
CR_INLINE Wide widen(Vec<float> a) {
  return {{{_mm512_cvtps_pd(_mm512_castps512_ps256(a.v))}, {_mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1))}}};
}
CR_INLINE Vec<float> narrow(Wide a) {
  return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(a.part[0].v)), _mm512_cvtpd_ps(a.part[1].v), 1)};
}

CR_INLINE bool any_low_word(Wide a, uint32_t offset, uint32_t mask) {
  const __m512 words = _mm512_shuffle_ps(_mm512_castpd_ps(a.part[0].v), _mm512_castpd_ps(a.part[1].v), 0x88);
  const __m512i sum = _mm512_add_epi32(_mm512_castps_si512(words), _mm512_set1_epi32(static_cast<int>(offset)));
  return _mm512_testn_epi32_mask(sum, _mm512_set1_epi32(static_cast<int>(mask))) != 0;
}
CR_INLINE Vec<double> lookup16(const double (&table)[16], Bits<double> index) {
  return {_mm512_permutex2var_pd(_mm512_loadu_pd(table), index.i, _mm512_loadu_pd(table + 8))};
}

constexpr int kRoots = 32;
CR_INLINE Vec<float> lookup(const float (&table)[kRoots], Bits<float> index) {
  return {_mm512_permutex2var_ps(_mm512_loadu_ps(table), index.i, _mm512_loadu_ps(table + 16))};
}

// In-register transposes: pairs, quads, then 128-bit blocks; four rounds of 16 shuffles (three of 8 on double).
CR_INLINE void transpose(Vec<float> (&r)[16]) {
  __m512 t[16], u[16];
  CR_UNROLL
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i].v, r[i + 1].v);
    t[i + 1] = _mm512_unpackhi_ps(r[i].v, r[i + 1].v);
  }
  CR_UNROLL
  for (int i = 0; i < 16; i += 4) {
    CR_UNROLL
    for (int h = 0; h < 2; ++h) {
      const __m512d low = _mm512_castps_pd(t[i + h]), high = _mm512_castps_pd(t[i + h + 2]);
      u[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      u[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  }
  CR_UNROLL
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_f32x4(u[i], u[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(u[i], u[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_f32x4(u[i + 8], u[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(u[i + 8], u[i + 12], 0xdd);
  }
  CR_UNROLL
  for (int i = 0; i < 8; ++i) {
    r[i].v = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
    r[i + 8].v = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
  }
}
CR_INLINE void transpose(Vec<double> (&r)[8]) {
  __m512d t[8], u[8];
  CR_UNROLL
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm512_unpacklo_pd(r[i].v, r[i + 1].v);
    t[i + 1] = _mm512_unpackhi_pd(r[i].v, r[i + 1].v);
  }
  CR_UNROLL
  for (int i = 0; i < 2; ++i) {
    u[i] = _mm512_shuffle_f64x2(t[i], t[i + 2], 0x88);
    u[i + 2] = _mm512_shuffle_f64x2(t[i], t[i + 2], 0xdd);
    u[i + 4] = _mm512_shuffle_f64x2(t[i + 4], t[i + 6], 0x88);
    u[i + 6] = _mm512_shuffle_f64x2(t[i + 4], t[i + 6], 0xdd);
  }
  CR_UNROLL
  for (int i = 0; i < 4; ++i) {
    r[i].v = _mm512_shuffle_f64x2(u[i], u[i + 4], 0x88);
    r[i + 4].v = _mm512_shuffle_f64x2(u[i], u[i + 4], 0xdd);
  }
}

// Of the second vector, one element before the end of the first, the odd ones.
CR_INLINE Vec<float> load_even(const float* p) {
  const __m512i index = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);
  return {_mm512_permutex2var_ps(_mm512_loadu_ps(p), index, _mm512_loadu_ps(p + 15))};
}
CR_INLINE Vec<double> load_even(const double* p) {
  const __m512i index = _mm512_setr_epi64(0, 2, 4, 6, 9, 11, 13, 15);
  return {_mm512_permutex2var_pd(_mm512_loadu_pd(p), index, _mm512_loadu_pd(p + 7))};
}
CR_INLINE void store_pairs(float* p, Vec<float> a, Vec<float> b) {
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
  _mm512_storeu_ps(p, _mm512_permutex2var_ps(a.v, low, b.v));
  _mm512_storeu_ps(p + 16, _mm512_permutex2var_ps(a.v, high, b.v));
}
CR_INLINE void store_pairs(double* p, Vec<double> a, Vec<double> b) {
  const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i high = _mm512_add_epi64(low, _mm512_set1_epi64(4));
  _mm512_storeu_pd(p, _mm512_permutex2var_pd(a.v, low, b.v));
  _mm512_storeu_pd(p + 8, _mm512_permutex2var_pd(a.v, high, b.v));
}

// Four rows by four columns in each 128 bits.
CR_INLINE void transpose_blocks(const __m512 (&r)[4], Vec<float> (&c)[4]) {
  const __m512d low = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
  const __m512d low2 = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
  const __m512d high = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
  const __m512d high2 = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
  c[0].v = _mm512_castpd_ps(_mm512_unpacklo_pd(low, low2));
  c[1].v = _mm512_castpd_ps(_mm512_unpackhi_pd(low, low2));
  c[2].v = _mm512_castpd_ps(_mm512_unpacklo_pd(high, high2));
  c[3].v = _mm512_castpd_ps(_mm512_unpackhi_pd(high, high2));
}
template <class T>
constexpr int64_t kColumns = 16 / sizeof(T);
CR_INLINE void load_columns(const float* p, int64_t s, Vec<float> (&c)[4]) {
  __m512 r[4];
  CR_UNROLL
  for (int i = 0; i < 4; ++i) {
    const float* const q = p + i * s;
    const __m256 low = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(q)), _mm_loadu_ps(q + 4 * s), 1);
    const __m256 high =
        _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(q + 8 * s)), _mm_loadu_ps(q + 12 * s), 1);
    r[i] = _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
  }
  transpose_blocks(r, c);
}
CR_INLINE void load_columns(const double* p, int64_t s, Vec<double> (&c)[2]) {
  __m512d r[2];
  CR_UNROLL
  for (int i = 0; i < 2; ++i) {
    const double* const q = p + i * s;
    const __m256d low = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(q)), _mm_loadu_pd(q + 2 * s), 1);
    const __m256d high =
        _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(q + 4 * s)), _mm_loadu_pd(q + 6 * s), 1);
    r[i] = _mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1);
  }
  c[0].v = _mm512_unpacklo_pd(r[0], r[1]);
  c[1].v = _mm512_unpackhi_pd(r[0], r[1]);
}
CR_INLINE void store_columns(float* p, int64_t s, const Vec<float> (&c)[4]) {
  const __m512 columns[4] = {c[0].v, c[1].v, c[2].v, c[3].v};
  Vec<float> r[4];
  transpose_blocks(columns, r);
  CR_UNROLL
  for (int i = 0; i < 4; ++i) _mm_storeu_ps(p + i * s, _mm512_castps512_ps128(r[i].v));
  CR_UNROLL
  for (int i = 0; i < 4; ++i) _mm_storeu_ps(p + (i + 4) * s, _mm512_extractf32x4_ps(r[i].v, 1));
  CR_UNROLL
  for (int i = 0; i < 4; ++i) _mm_storeu_ps(p + (i + 8) * s, _mm512_extractf32x4_ps(r[i].v, 2));
  CR_UNROLL
  for (int i = 0; i < 4; ++i) _mm_storeu_ps(p + (i + 12) * s, _mm512_extractf32x4_ps(r[i].v, 3));
}
CR_INLINE void store_columns(double* p, int64_t s, const Vec<double> (&c)[2]) {
  const __m512d r[2] = {_mm512_unpacklo_pd(c[0].v, c[1].v), _mm512_unpackhi_pd(c[0].v, c[1].v)};
  CR_UNROLL
  for (int i = 0; i < 2; ++i) _mm_storeu_pd(p + i * s, _mm512_castpd512_pd128(r[i]));
  CR_UNROLL
  for (int i = 0; i < 2; ++i) _mm_storeu_pd(p + (i + 2) * s, _mm512_extractf64x2_pd(r[i], 1));
  CR_UNROLL
  for (int i = 0; i < 2; ++i) _mm_storeu_pd(p + (i + 4) * s, _mm512_extractf64x2_pd(r[i], 2));
  CR_UNROLL
  for (int i = 0; i < 2; ++i) _mm_storeu_pd(p + (i + 6) * s, _mm512_extractf64x2_pd(r[i], 3));
}

}  // namespace
}  // namespace chainrule
