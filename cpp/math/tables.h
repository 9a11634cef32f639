// Tables and constants of exp and log, printed by tests/exhaustive/coefficients.py.
#pragma once

#include "simd/vec.h"

namespace chainrule {
namespace {
namespace math {

// 2^(j/16) with j << 48 subtracted from its bits, and the part of it that the 53 bits lack.
alignas(64) constexpr double kPower[16] = {
    0x1.0000000000000p+0, 0x1.fb5586cf9890fp-1, 0x1.f72b83c7d517bp-1, 0x1.f387a6e756238p-1,
    0x1.f06fe0a31b715p-1, 0x1.edea64c123422p-1, 0x1.ebfdad5362a27p-1, 0x1.eab07dd485429p-1,
    0x1.ea09e667f3bcdp-1, 0x1.ea11473eb0187p-1, 0x1.eace5422aa0dbp-1, 0x1.ec49182a3f090p-1,
    0x1.ee89f995ad3adp-1, 0x1.f199bdd85529cp-1, 0x1.f5818dcfba487p-1, 0x1.fa4afa2a490dap-1,
};
alignas(64) constexpr double kPowerLow[16] = {
    0.0,
    0x1.8a62e4adc610bp-54,
    -0x1.19041b9d78a76p-55,
    0x1.9b07eb6c70573p-54,
    0x1.6f46ad23182e4p-55,
    0x1.ada0911f09ebcp-55,
    0x1.d4397afec42e2p-56,
    0x1.6324c054647adp-54,
    -0x1.bdd3413b26456p-54,
    -0x1.41577ee04992fp-55,
    0x1.6e9f156864b27p-54,
    0x1.c7c46b071f2bep-56,
    0x1.7a1cd345dcc81p-54,
    0x1.11065895048ddp-55,
    0x1.2ed02d75b3707p-55,
    -0x1.e9c23179c2893p-54,
};

// The mantissa interval [45/64, 45/32) in 16 parts of 2^48 units in the last place each; 1 is in the middle of part 9.
// kInverse[i] = 1/c for a c near the middle of part i, chosen so that log(c) = kLogC[i] is a multiple of 2^-42 within
// 2^-64 (Gal's accurate tables): k ln 2 + log(c) is then exact and log(c) needs no low part.
constexpr int64_t kLogStart = 0x3fe6800000000000;
alignas(64) constexpr double kInverse[16] = {
    0x1.642c896eda064p+0, 0x1.55555651886d5p+0, 0x1.47ae163fbe87bp+0, 0x1.3b13b335a5e94p+0,
    0x1.2f684dd131368p+0, 0x1.24924beb79f92p+0, 0x1.1a7b9656d8c96p+0, 0x1.11111149d6b11p+0,
    0x1.08421108b5484p+0, 0x1.0000000000000p+0, 0x1.e1e1e4102c21ep-1, 0x1.c71c72842a21cp-1,
    0x1.af2872744b428p-1, 0x1.99999c987389ap-1, 0x1.861868c1bf118p-1, 0x1.745d194c2cb46p-1,
};
alignas(64) constexpr double kLogC[16] = {
    -0x1.522aeb923d000p-2, -0x1.26962407e7000p-2, -0x1.f991d1d9a2000p-3, -0x1.a93ee0a564000p-3, -0x1.5bf413f950000p-3,
    -0x1.1178fb92d4000p-3, -0x1.9335e9c0dc000p-4, -0x1.08598ead78000p-4, -0x1.0415e8ac68000p-5, 0.0,
    0x1.f0a2e6ee28000p-5,  0x1.e270703d34000p-4,  0x1.5ff2e76214000p-3,  0x1.c8ff6d7f68000p-3,  0x1.1675b7be25000p-2,
    0x1.4618b6904b000p-2,
};

constexpr double kLn2 = 0x1.62e42fefa39efp-1;
constexpr double kLn2High = 0x1.62e42fefa3800p-1;  // a multiple of 2^-42
constexpr double kLn2Low = 0x1.ef35793c76730p-45;

constexpr double kSteps = 0x1.71547652b82fep+4;     // 16 / ln 2
constexpr double kStep = 0x1.62e42fefa39efp-5;      // ln 2 / 16
constexpr double kStepHigh = 0x1.62e42fefa0000p-5;  // a multiple of 2^-42
constexpr double kStepLow = 0x1.cf79abc9e3b3ap-44;

// 2^(j/32) rounded to float32, and the logarithm of what it lacks.
constexpr float kRoot32[32] = {
    0x1.000000p+0f, 0x1.059b0ep+0f, 0x1.0b5586p+0f, 0x1.11301ep+0f, 0x1.172b84p+0f, 0x1.1d4874p+0f, 0x1.2387a6p+0f,
    0x1.29e9e0p+0f, 0x1.306fe0p+0f, 0x1.371a74p+0f, 0x1.3dea64p+0f, 0x1.44e086p+0f, 0x1.4bfdaep+0f, 0x1.5342b6p+0f,
    0x1.5ab07ep+0f, 0x1.6247ecp+0f, 0x1.6a09e6p+0f, 0x1.71f75ep+0f, 0x1.7a1148p+0f, 0x1.82589ap+0f, 0x1.8ace54p+0f,
    0x1.93737cp+0f, 0x1.9c4918p+0f, 0x1.a5503cp+0f, 0x1.ae89fap+0f, 0x1.b7f770p+0f, 0x1.c199bep+0f, 0x1.cb720ep+0f,
    0x1.d5818ep+0f, 0x1.dfc974p+0f, 0x1.ea4afap+0f, 0x1.f50766p+0f};
constexpr float kRootRest32[32] = {0.0f,
                                   -0x1.947416p-25f,
                                   0x1.8d96d4p-25f,
                                   -0x1.dda2fep-25f,
                                   -0x1.9c0c22p-27f,
                                   -0x1.a2fbb4p-25f,
                                   0x1.964902p-25f,
                                   -0x1.2b0dbcp-25f,
                                   0x1.125002p-25f,
                                   -0x1.cde8cep-26f,
                                   0x1.370be4p-25f,
                                   0x1.336de2p-30f,
                                   -0x1.0a3552p-25f,
                                   -0x1.c541b6p-26f,
                                   -0x1.00d8acp-27f,
                                   -0x1.6cb284p-25f,
                                   0x1.26055cp-26f,
                                   0x1.8b2bb8p-26f,
                                   -0x1.05cb44p-25f,
                                   -0x1.1c2142p-26f,
                                   0x1.67a1cap-28f,
                                   -0x1.348e56p-25f,
                                   0x1.a3b5e4p-28f,
                                   -0x1.0b7ec8p-25f,
                                   -0x1.f9c306p-27f,
                                   -0x1.e4c886p-26f,
                                   -0x1.6961b4p-28f,
                                   -0x1.b5151ep-28f,
                                   -0x1.a5217cp-28f,
                                   -0x1.ab7132p-26f,
                                   0x1.61428ep-28f,
                                   -0x1.2ad5f8p-27f};
// Every one of them or every second, as many as the level looks up in one go.
struct RootTable {
  alignas(64) float s[kRoots], rest[kRoots];
};
constexpr RootTable root_table() {
  RootTable table = {};
  for (int j = 0; j < kRoots; ++j) {
    table.s[j] = kRoot32[j * (32 / kRoots)];
    table.rest[j] = kRootRest32[j * (32 / kRoots)];
  }
  return table;
}
constexpr RootTable kRootTable = root_table();
constexpr float kLn2Float = 0x1.62e430p-1f;
constexpr float kLn2FloatExcess = 0x1.05c610p-29f;  // above ln 2

// log in floats: [45.5/64, 45.5/32) in 32 parts of 2^18 units in the last place each; 1 is in the middle of part 18.
// Rows: the inverse of a number near the middle of the part, of so few bits that r is exact; the negative logarithm of
// it, a multiple of 2^-16 as the high part of ln 2; and what that lacks.
constexpr int64_t kFloatLogStart = 0x3f360000;
alignas(64) constexpr float kFloatLog[3][32] = {
    {0x1.640000p+0f, 0x1.5c0000p+0f, 0x1.540000p+0f, 0x1.500000p+0f, 0x1.480000p+0f, 0x1.400000p+0f, 0x1.3c0000p+0f,
     0x1.340000p+0f, 0x1.300000p+0f, 0x1.280000p+0f, 0x1.240000p+0f, 0x1.200000p+0f, 0x1.1c0000p+0f, 0x1.140000p+0f,
     0x1.100000p+0f, 0x1.0c0000p+0f, 0x1.080000p+0f, 0x1.040000p+0f, 0x1.000000p+0f, 0x1.f00000p-1f, 0x1.e00000p-1f,
     0x1.d40000p-1f, 0x1.c80000p-1f, 0x1.b80000p-1f, 0x1.b00000p-1f, 0x1.a40000p-1f, 0x1.980000p-1f, 0x1.900000p-1f,
     0x1.880000p-1f, 0x1.7c0000p-1f, 0x1.740000p-1f, 0x1.6c0000p-1f},
    {-0x1.51ac00p-2f,
     -0x1.3a6400p-2f,
     -0x1.229400p-2f,
     -0x1.167400p-2f,
     -0x1.fb9000p-3f,
     -0x1.c90000p-3f,
     -0x1.af4000p-3f,
     -0x1.7ab800p-3f,
     -0x1.5ff000p-3f,
     -0x1.295800p-3f,
     -0x1.0d7800p-3f,
     -0x1.e27000p-4f,
     -0x1.a92000p-4f,
     -0x1.342000p-4f,
     -0x1.f0a000p-5f,
     -0x1.774000p-5f,
     -0x1.f84000p-6f,
     -0x1.fc0000p-7f,
     0.0f,
     0x1.042000p-5f,
     0x1.086000p-4f,
     0x1.701000p-4f,
     0x1.da7000p-4f,
     0x1.366000p-3f,
     0x1.5bf800p-3f,
     0x1.95a800p-3f,
     0x1.d10000p-3f,
     0x1.f99000p-3f,
     0x1.117800p-2f,
     0x1.315000p-2f,
     0x1.471800p-2f,
     0x1.5d5c00p-2f},
    {0x1.278d20p-18f,
     -0x1.8aad28p-19f,
     -0x1.fbcf7ap-22f,
     -0x1.cababap-18f,
     -0x1.86d5e4p-19f,
     0x1.070cacp-20f,
     0x1.b58bfap-18f,
     -0x1.20421cp-20f,
     -0x1.83853cp-18f,
     0x1.683f00p-18f,
     0x1.832f72p-23f,
     -0x1.db8abcp-22f,
     -0x1.b4e92cp-18f,
     0x1.434f22p-19f,
     -0x1.86008cp-20f,
     -0x1.63d8ccp-19f,
     0x1.64f188p-18f,
     -0x1.5161f8p-20f,
     0.0f,
     -0x1.44ec32p-18f,
     -0x1.9d2988p-18f,
     -0x1.67a8aap-19f,
     0x1.3b1c22p-19f,
     -0x1.a7f538p-22f,
     -0x1.fca55ep-18f,
     -0x1.291848p-18f,
     0x1.bf932ap-18f,
     0x1.c6cb3cp-19f,
     0x1.d044fcp-19f,
     -0x1.c3c594p-19f,
     0x1.b84e38p-19f,
     -0x1.105350p-21f},
};
constexpr float kLn2FloatHigh = 0x1.62e4p-1f;
constexpr float kLn2FloatLow = 0x1.7f7d1cp-20f;

}  // namespace math
}  // namespace
}  // namespace chainrule
