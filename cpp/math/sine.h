// sin and cos.
#pragma once

#include "math/rounding.h"
#include "math/sine_tables.h"

namespace chainrule {
namespace {
namespace math {

// x = j pi / 16 + r + r_low, |r| <= pi / 32 + a little; the low five bits of `index` are j modulo 32.
struct Arc {
  Double r, r_low;
  Bits<double> index;
};

// For |x| <= kNear: a multiple of the first part of pi / 16 is exact, and so is what it leaves of x; then the other
// parts are taken away as pairs. Relative error 2^-80 of r: no float64 in this range is nearer than 2^-62 to a multiple
// of pi / 16.
constexpr double kNear = 0x1p20;
CR_INLINE Arc near_arc(Double x) {
  const Double magic = constant(0x1.8p52);
  const Double t = fma(x, constant(kArcs), magic);
  const Double n = t - magic;
  const Pair b = two_sum(fma(n, constant(-kArc[0]), x), n * constant(-kArc[1]));
  const Pair third = two_product(n, constant(kArc[2]));
  const Pair c = two_sum(b.hi, neg(third.hi));
  const Pair r = fast_two_sum(c.hi, c.lo + (b.lo - fma(n, constant(kArc[3]), third.lo)));
  return {r.hi, r.lo, bits(t)};
}

// One finite |x| > kNear (Payne and Hanek, 1983): its mantissa times the 192 bits of 2^exponent / (2 pi) after those
// that give whole turns, in integers. Returns j; the rest, a signed fraction of a turn of 192 bits, in four parts
// of 48.
CR_INLINE int64_t whole_arcs(uint64_t pattern, double (&parts)[4]) {
  using Long = unsigned __int128;
  const int first = static_cast<int>((pattern >> 52) & 0x7ff) - 1075 + 64, word = first >> 6, shift = first & 63;
  const uint64_t mantissa = (pattern & 0xfffffffffffff) | 0x10000000000000;
  uint64_t f[3];
  for (int i = 0; i < 3; ++i) {
    const Long two = static_cast<Long>(kTurns[word + i]) << 64 | kTurns[word + i + 1];
    f[i] = static_cast<uint64_t>(two >> (64 - shift));
  }
  const Long low = static_cast<Long>(f[2]) * mantissa;
  const Long middle = static_cast<Long>(f[1]) * mantissa + static_cast<uint64_t>(low >> 64);
  const uint64_t high = f[0] * mantissa + static_cast<uint64_t>(middle >> 64);
  const uint64_t j = (high + (uint64_t{1} << 58)) >> 59;
  const uint64_t rest[3] = {high - (j << 59), static_cast<uint64_t>(middle), static_cast<uint64_t>(low)};
  constexpr uint64_t kPart = 0xffffffffffff;
  parts[0] = static_cast<double>(static_cast<int64_t>(rest[0]) >> 16);
  parts[1] = static_cast<double>((rest[0] << 32 | rest[1] >> 32) & kPart);
  parts[2] = static_cast<double>((rest[1] << 16 | rest[2] >> 48) & kPart);
  parts[3] = static_cast<double>(rest[2] & kPart);
  return static_cast<int64_t>(j);
}

// For finite |x| > kNear; the arcs of the other lanes mean nothing.
__attribute__((noinline, cold)) Arc far_arc(Double x) {
  constexpr int64_t kLanes = Double::lanes;
  double lanes[kLanes], j[kLanes] = {}, parts[4][kLanes] = {};
  store(lanes, abs(x));
  for (int64_t i = 0; i < kLanes; ++i) {
    if (!(lanes[i] > kNear && lanes[i] < __builtin_inf())) continue;
    double part[4];
    uint64_t pattern;
    __builtin_memcpy(&pattern, lanes + i, sizeof pattern);
    j[i] = static_cast<double>(whole_arcs(pattern, part));
    for (int k = 0; k < 4; ++k) parts[k][i] = part[k];
  }
  // Exact sums: where the first two parts cancel, as a negative rest near 0 does, the third is within their sum's
  // reach.
  const Pair a = two_sum(load(parts[0]) * constant(0x1p-48), load(parts[1]) * constant(0x1p-96));
  const Pair b = two_sum(a.hi, load(parts[2]) * constant(0x1p-144));
  const Pair turn = fast_two_sum(b.hi, fma(load(parts[3]), constant(0x1p-192), a.lo + b.lo));
  const Pair r = two_product(turn.hi, constant(2 * kPi));
  const Double low = fma(turn.hi, constant(2 * kPiLow), fma(turn.lo, constant(2 * kPi), r.lo));
  const Pair arc = fast_two_sum(r.hi, low);
  const Mask<double> negative = lt(x, constant(0.0));
  const Double n = load(j);
  return {select(negative, neg(arc.hi), arc.hi), select(negative, neg(arc.lo), arc.lo),
          bits(select(negative, neg(n), n) + constant(0x1.8p52))};
}

CR_INLINE Arc arc(Double x) {
  const Arc near = near_arc(x);
  const Mask<double> is_far = gt(abs(x), constant(kNear)) & lt(abs(x), constant(__builtin_inf()));
  if (__builtin_expect(first_bits(is_far) == 0, true)) return near;
  const Arc far = far_arc(x);
  return {select(is_far, far.r, near.r), select(is_far, far.r_low, near.r_low),
          bits(select(is_far, value(far.index), value(near.index)))};
}

// |sin| of an arc up to a whole half turn, as a sum whose second part is small: S cos r + C sin r = (S + C r) +
// S (cos r - 1) + C (sin r - r), S and C from the tables, S + C r as an exact pair.
CR_INLINE Pair sine_sum(const Arc& a) {
  constexpr double kSine[] = {-0x1.5555555555555p-3, 0x1.1111111110470p-7, -0x1.a01a0139c09d3p-13,
                              0x1.71cda2c6d3f32p-19};
  constexpr double kCosine[] = {-0x1.0000000000000p-1, 0x1.5555555555555p-5, -0x1.6c16c16c151c8p-10,
                                0x1.a01a0128b1171p-16, -0x1.27d727ccd7eaap-22};
  const Double s = lookup16(kSines, a.index), c = lookup16(kCosines, a.index);
  const Double square = a.r * a.r, fourth = square * square;
  const Double sine = fma(a.r * square, polynomial(square, fourth, kSine), a.r_low);
  const Double cosine = fma(neg(a.r), a.r_low, square * polynomial(square, fourth, kCosine));
  const Pair slope = two_product(c, a.r), high = fast_two_sum(s, slope.hi);
  const Double low = fma(lookup16(kCosinesLow, a.index), a.r, lookup16(kSinesLow, a.index)) + (slope.lo + high.lo);
  return {high.hi, fma(c, sine, fma(s, cosine, low))};
}

// The sign bit of the arc's half turn.
CR_INLINE Double half_turn(const Arc& a) { return bits_and(value(shl<59>(a.index)), constant(-0.0)); }

template <Last L>
CR_INLINE Double sine(const Arc& a) {
  return bits_xor(sum<L>(sine_sum(a)), half_turn(a));
}

// sin(x) on float64: at most 0.53 ULP; NaN at infinity. sin(-0) is -0.
template <Last L = Last::nearest>
CR_INLINE Double sin(Double x) {
  return select(eq(x, constant(0.0)), x, sine<L>(arc(x)));
}

// cos(x) = sin(x + pi / 2) on float64: at most 0.53 ULP; NaN at infinity.
template <Last L = Last::nearest>
CR_INLINE Double cos(Double x) {
  Arc a = arc(x);
  a.index = a.index + splat_bits<double>(8);
  return sine<L>(a);
}

// The quick evaluation for float32: good to 2^-43.8, and so is the distance r to the nearest zero, n pi or (n + 1/2)
// pi: no float32 in this range is nearer than 2^-29 to it.
constexpr float kQuickSine = 0x1p28f;
template <bool Cosine>
CR_INLINE Double quick_sine(Double x) {
  // sin(r) / r; cos((n + 1/2) pi + r) = -sin(r) for even n.
  constexpr double kSign = Cosine ? -1.0 : 1.0;
  constexpr double kSine[] = {kSign * 0x1.ffffffffffdcep-1,  kSign * -0x1.5555555540b8fp-3,
                              kSign * 0x1.111111090ee63p-7,  kSign * -0x1.a019fce96bca7p-13,
                              kSign * 0x1.71dce5aa6092bp-19, kSign * -0x1.ae00fd01d7986p-26,
                              kSign * 0x1.52ace1b99ad2fp-33};
  const Double magic = constant(0x1.8p52);
  Double t, n;
  if constexpr (Cosine) {
    t = fma(x, constant(kHalfTurns), constant(-0.5)) + magic;
    n = (t - magic) + constant(0.5);
  } else {
    t = fma(x, constant(kHalfTurns), magic);
    n = t - magic;
  }
  const Double r = fma(n, constant(-kPiLow), fma(n, constant(-kPi), x));
  const Double square = r * r;
  return bits_xor(r * polynomial(square, square * square, kSine), value(shl<63>(bits(t))));
}

template <Double (*Exact)(Double), bool Cosine>
CR_INLINE Vec<float> round_sine(Vec<float> x) {
  Wide y = widen(x);
  CR_UNROLL
  for (int i = 0; i < Wide::parts; ++i) y.part[i] = quick_sine<Cosine>(y.part[i]);
  return round_once<Exact, 10>(x, y, first_bits(gt(abs(x), splat(kQuickSine))) != 0);
}

// Larger numbers and infinity take the exact way.
CR_INLINE Vec<float> sin(Vec<float> x) { return round_sine<sin<Last::odd>, false>(x); }
CR_INLINE Vec<float> cos(Vec<float> x) { return round_sine<cos<Last::odd>, true>(x); }

}  // namespace math
}  // namespace
}  // namespace chainrule
