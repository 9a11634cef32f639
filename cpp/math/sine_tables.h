// Tables and constants of sin and cos, printed by tests/exhaustive/coefficients.py.
#pragma once

#include "simd/vec.h"

namespace chainrule {
namespace {
namespace math {

// sin and cos of j pi / 16, and the part of them that the 53 bits lack.
alignas(64) constexpr double kSines[16] = {
    0.0,
    0x1.8f8b83c69a60bp-3,
    0x1.87de2a6aea963p-2,
    0x1.1c73b39ae68c8p-1,
    0x1.6a09e667f3bcdp-1,
    0x1.a9b66290ea1a3p-1,
    0x1.d906bcf328d46p-1,
    0x1.f6297cff75cb0p-1,
    0x1.0000000000000p+0,
    0x1.f6297cff75cb0p-1,
    0x1.d906bcf328d46p-1,
    0x1.a9b66290ea1a3p-1,
    0x1.6a09e667f3bcdp-1,
    0x1.1c73b39ae68c8p-1,
    0x1.87de2a6aea963p-2,
    0x1.8f8b83c69a60bp-3,
};
alignas(64) constexpr double kSinesLow[16] = {
    0.0,
    -0x1.26d19b9ff8d82p-57,
    -0x1.72cedd3d5a610p-57,
    0x1.b25dd267f6600p-55,
    -0x1.bdd3413b26456p-55,
    0x1.9f630e8b6dac8p-60,
    0x1.457e610231ac2p-56,
    0x1.562172a361fd3p-56,
    0.0,
    0x1.562172a361fd3p-56,
    0x1.457e610231ac2p-56,
    0x1.9f630e8b6dac8p-60,
    -0x1.bdd3413b26456p-55,
    0x1.b25dd267f6600p-55,
    -0x1.72cedd3d5a610p-57,
    -0x1.26d19b9ff8d82p-57,
};
alignas(64) constexpr double kCosines[16] = {
    0x1.0000000000000p+0,  0x1.f6297cff75cb0p-1,  0x1.d906bcf328d46p-1,
    0x1.a9b66290ea1a3p-1,  0x1.6a09e667f3bcdp-1,  0x1.1c73b39ae68c8p-1,
    0x1.87de2a6aea963p-2,  0x1.8f8b83c69a60bp-3,  0.0,
    -0x1.8f8b83c69a60bp-3, -0x1.87de2a6aea963p-2, -0x1.1c73b39ae68c8p-1,
    -0x1.6a09e667f3bcdp-1, -0x1.a9b66290ea1a3p-1, -0x1.d906bcf328d46p-1,
    -0x1.f6297cff75cb0p-1,
};
alignas(64) constexpr double kCosinesLow[16] = {
    0.0,
    0x1.562172a361fd3p-56,
    0x1.457e610231ac2p-56,
    0x1.9f630e8b6dac8p-60,
    -0x1.bdd3413b26456p-55,
    0x1.b25dd267f6600p-55,
    -0x1.72cedd3d5a610p-57,
    -0x1.26d19b9ff8d82p-57,
    0.0,
    0x1.26d19b9ff8d82p-57,
    0x1.72cedd3d5a610p-57,
    -0x1.b25dd267f6600p-55,
    0x1.bdd3413b26456p-55,
    -0x1.9f630e8b6dac8p-60,
    -0x1.457e610231ac2p-56,
    -0x1.562172a361fd3p-56,
};

constexpr double kArcs = 0x1.45f306dc9c883p+2;  // 16 / pi
// pi / 16: two parts of 30 bits, whose multiples up to 2^23 are exact, and two of 53.
constexpr double kArc[4] = {0x1.921fb54800000p-3, -0x1.de973dd000000p-34, 0x1.313198a2e0370p-64,
                            0x1.cd129024e088ap-118};
constexpr double kHalfTurns = 0x1.45f306dc9c883p-2;  // 1 / pi
constexpr double kPi = 0x1.921fb54442d18p+1;
constexpr double kPiLow = 0x1.1a62633145c07p-53;

// A word of zeros, then 1 / (2 pi) after the point.
constexpr uint64_t kTurns[20] = {
    0x0000000000000000, 0x28be60db9391054a, 0x7f09d5f47d4d3770, 0x36d8a5664f10e410, 0x7f9458eaf7aef158,
    0x6dc91b8e909374b8, 0x01924bba82746487, 0x3f877ac72c4a69cf, 0xba208d7d4baed121, 0x3a671c09ad17df90,
    0x4e64758e60d4ce7d, 0x272117e2ef7e4a0e, 0xc7fe25fff7816603, 0xfbcbc462d6829b47, 0xdb4d9fb3c9f2c26d,
    0xd3d18fd9a797fa8b, 0x5d49eeb1faf97c5e, 0xcf41ce7de294a4ba, 0x9afed7ec47e35742, 0x1580cc11bf1edaea,
};

}  // namespace math
}  // namespace
}  // namespace chainrule
