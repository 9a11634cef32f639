// fma and sqrt of one number for the scalar level, correctly rounded with baseline instructions only.
#pragma once

#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace chainrule {
namespace {

#if defined(__SSE2__)
// __builtin_sqrt calls libm for negative arguments (errno); the instruction is the IEEE operation.
CR_INLINE float hardware_sqrt(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
CR_INLINE double hardware_sqrt(double x) {
  const __m128d v = _mm_set_sd(x);
  return _mm_cvtsd_f64(_mm_sqrt_sd(v, v));
}
#else
CR_INLINE float hardware_sqrt(float x) { return __builtin_sqrtf(x); }
CR_INLINE double hardware_sqrt(double x) { return __builtin_sqrt(x); }
#endif

#if defined(__FMA__) || defined(__aarch64__)

CR_INLINE float exact_fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
CR_INLINE double exact_fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

#else

CR_INLINE uint64_t word(double x) {
  uint64_t u;
  __builtin_memcpy(&u, &x, sizeof u);
  return u;
}
CR_INLINE double from_word(uint64_t u) {
  double x;
  __builtin_memcpy(&x, &u, sizeof x);
  return x;
}

// The product of two floats is exact in binary64. Rounding its sum with c to odd before the last rounding to binary32
// makes the double rounding harmless (Boldo and Melquiond, 2008): 53 >= 24 + 2 digits.
CR_INLINE float exact_fma(float a, float b, float c) {
  const double p = static_cast<double>(a) * static_cast<double>(b);
  const double d = static_cast<double>(c);
  double s = p + d;
  const double t = s - p;
  const double error = (p - (s - t)) + (d - t);
  const uint64_t u = word(s);
  // Infinite or NaN sums have a NaN error, which compares false here and is left alone.
  if ((error > 0.0 || error < 0.0) && (u & 1) == 0) {
    const bool away = (error > 0.0) == (s > 0.0);
    s = from_word(away ? u + 1 : u - 1);
  }
  return static_cast<float>(s);
}

struct Unpacked {
  uint64_t mantissa;  // 53 bits with the leading one at bit 52, 0 for zero
  int exponent;       // value = mantissa * 2^exponent
};
inline Unpacked unpack(double x) {
  const uint64_t u = word(x);
  const int biased = static_cast<int>((u >> 52) & 0x7ff);
  uint64_t m = u & 0xfffffffffffffull;
  if (biased != 0) return {m | (1ull << 52), biased - 1075};
  if (m == 0) return {0, 0};
  const int shift = __builtin_clzll(m) - 11;
  return {m << shift, -1074 - shift};
}

// Rounds sign * magnitude * 2^exponent to nearest even; sticky says that lower non-zero bits were cut off.
inline double round_pack(bool negative, unsigned __int128 magnitude, int exponent, bool sticky) {
  const uint64_t high = static_cast<uint64_t>(magnitude >> 64);
  const int top = high != 0 ? 127 - __builtin_clzll(high) : 63 - __builtin_clzll(static_cast<uint64_t>(magnitude));
  int drop = top - 52;                                   // bits below the 53 kept ones
  if (exponent + drop < -1074) drop = -1074 - exponent;  // gradual underflow keeps fewer
  uint64_t kept;
  if (drop <= 0) {
    kept = static_cast<uint64_t>(magnitude << -drop);
  } else if (drop > 127) {
    kept = 0;
  } else {
    kept = static_cast<uint64_t>(magnitude >> drop);
    const unsigned __int128 rest = magnitude & ((static_cast<unsigned __int128>(1) << drop) - 1);
    const unsigned __int128 half = static_cast<unsigned __int128>(1) << (drop - 1);
    if (rest > half || (rest == half && (sticky || (kept & 1) != 0))) ++kept;
  }
  const int e = exponent + drop;  // value = kept * 2^e, e >= -1074
  const uint64_t sign = negative ? 1ull << 63 : 0;
  if (kept < (1ull << 52)) return from_word(sign | kept);  // subnormal, and its carry into the first normal
  // The carry out of the mantissa adds one to the exponent field, as it should.
  const int64_t biased = e + 1075;
  const uint64_t field = (static_cast<uint64_t>(biased) << 52) + (kept - (1ull << 52));
  return from_word(sign | (field >= 0x7ff0000000000000ull || biased >= 0x7ff ? 0x7ff0000000000000ull : field));
}

[[maybe_unused]] __attribute__((noinline)) double exact_fma(double a, double b, double c) {
  constexpr uint64_t kInfinity = 0x7ff0000000000000ull;
  constexpr uint64_t kMagnitude = ~(1ull << 63);
  const bool finite = (word(a) & kMagnitude) < kInfinity && (word(b) & kMagnitude) < kInfinity;
  if (!finite) return a * b + c;
  if ((word(c) & kMagnitude) >= kInfinity) return c;  // a*b may overflow on the way, c still wins
  const Unpacked ua = unpack(a), ub = unpack(b), uc = unpack(c);
  if (ua.mantissa == 0 || ub.mantissa == 0 || uc.mantissa == 0) {
    // A zero product: the sum is IEEE's. A zero c: the sign of zero does not matter for a non-zero product.
    if (ua.mantissa == 0 || ub.mantissa == 0) return a * b + c;
    return round_pack((word(a) ^ word(b)) >> 63, static_cast<unsigned __int128>(ua.mantissa) * ub.mantissa,
                      ua.exponent + ub.exponent, false);
  }
  const bool product_negative = (word(a) ^ word(b)) >> 63;
  const bool c_negative = word(c) >> 63;
  // Both operands with 20 spare low bits: 106 + 20 bits, one more for the carry.
  unsigned __int128 p = static_cast<unsigned __int128>(ua.mantissa) * ub.mantissa << 20;
  unsigned __int128 q = static_cast<unsigned __int128>(uc.mantissa) << 73;  // leading one at bit 125
  int ep = ua.exponent + ub.exponent - 20;
  int eq = uc.exponent - 73;
  if ((p >> 125) == 0) {
    p <<= 1;
    ep -= 1;
  }
  bool swap = eq > ep || (eq == ep && q > p);  // both normalised to bit 125: the exponent orders them
  unsigned __int128 large = swap ? q : p, small = swap ? p : q;
  const int exponent = swap ? eq : ep;
  const int distance = swap ? eq - ep : ep - eq;
  bool sticky = false;
  if (distance > 126) {
    small = 0;
    sticky = true;
  } else if (distance > 0) {
    sticky = (small & ((static_cast<unsigned __int128>(1) << distance) - 1)) != 0;
    small >>= distance;
  }
  const bool negative = swap ? c_negative : product_negative;
  if (product_negative == c_negative) return round_pack(negative, large + small, exponent, sticky);
  // large - (small + a bit): one less, with the bits below it sticky.
  const unsigned __int128 difference = large - small - (sticky ? 1 : 0);
  if (difference == 0 && !sticky) return 0.0;
  return round_pack(negative, difference, exponent, sticky);
}

#endif

}  // namespace
}  // namespace chainrule
