// Table of tanh, printed by tests/exhaustive/coefficients.py: 32 cells, one row per coefficient.
#pragma once

namespace chainrule {
namespace {
namespace math {

// tanh(c + d) = T + (1 - T^2) (d - T d^2) + d^3 p(d): rows c, T and the coefficients of p, the constant first. c is
// near the middle of its cell, chosen so that T, and what floats make of 1 - T^2 and T (1 - T^2), need no low parts
// (Gal).
alignas(64) constexpr float kTanh[6][32] = {
    {0x1.b07cbap-1f, 0x1.080dacp+0f, 0x1.3174dep+0f, 0x1.5ec6d4p+0f, 0x1.8a1994p+0f, 0x1.b5365ep+0f, 0x1.e66584p+0f,
     0x1.08bd46p+1f, 0x1.2a92eap+1f, 0x1.584732p+1f, 0x1.837822p+1f, 0x1.ab621ap+1f, 0x1.dae63cp+1f, 0x1.039458p+2f,
     0x1.19bbb2p+2f, 0x1.2f630cp+2f, 0x1.521296p+2f, 0x1.7f1b56p+2f, 0x1.ab77e6p+2f, 0x1.d1cb7ep+2f, 0x1.0a2b24p+3f,
     0x1.154246p+3f, 0.0f,           0x1.7fee86p-5f, 0x1.a4e434p-4f, 0x1.91e2e6p-3f, 0x1.23d1dcp-2f, 0x1.743afap-2f,
     0x1.d90d72p-2f, 0x1.156e58p-1f, 0x1.44275ep-1f, 0x1.70c0b8p-1f},
    {0x1.6067b8p-1f, 0x1.8c8a4ep-1f, 0x1.a9c2f2p-1f, 0x1.c1ea8ep-1f, 0x1.d2f562p-1f, 0x1.df6dccp-1f, 0x1.e997cep-1f,
     0x1.efe560p-1f, 0x1.f6725ep-1f, 0x1.fb4cd8p-1f, 0x1.fd99f0p-1f, 0x1.feb684p-1f, 0x1.ff6314p-1f, 0x1.ffb164p-1f,
     0x1.ffd8a8p-1f, 0x1.ffec00p-1f, 0x1.fff93cp-1f, 0x1.fffe58p-1f, 0x1.ffff96p-1f, 0x1.ffffe0p-1f, 0x1.fffffcp-1f,
     0x1.fffffep-1f, 0.0f,           0x1.7fa6a0p-5f, 0x1.a36a90p-4f, 0x1.8cce56p-3f, 0x1.1c2b16p-2f, 0x1.64a868p-2f,
     0x1.ba0b8cp-2f, 0x1.fa4216p-2f, 0x1.1ed17ap-1f, 0x1.3bed6cp-1f},
    {0x1.2ea924p-4f,  0x1.b4d14cp-4f,  0x1.c4960ep-4f,  0x1.9980b8p-4f,  0x1.576c76p-4f,  0x1.12387ep-4f,
     0x1.978384p-5f,  0x1.32be1ap-5f,  0x1.7d6916p-6f,  0x1.84443cp-7f,  0x1.92afb4p-8f,  0x1.b3743cp-9f,
     0x1.a0b3d6p-10f, 0x1.a25e64p-11f, 0x1.a338f0p-12f, 0x1.aa6f60p-13f, 0x1.20926cp-14f, 0x1.1a9cd4p-16f,
     0x1.1a9f1cp-18f, 0x1.555814p-20f, 0x1.552d4ap-23f, 0x1.555618p-24f, -0x1.555556p-2f, -0x1.5257e6p-2f,
     -0x1.47214ep-2f, -0x1.2385a6p-2f, -0x1.e485d4p-3f, -0x1.7d8b40p-3f, -0x1.e9d856p-4f, -0x1.132906p-4f,
     -0x1.b6df04p-7f, 0x1.e10c36p-6f},
    {0x1.1e3b46p-4f,   0x1.5353d6p-6f,   -0x1.a13f96p-8f,  -0x1.5a109ap-6f,  -0x1.9f005cp-6f,  -0x1.8d2234p-6f,
     -0x1.4c4548p-6f,  -0x1.0aac96p-6f,  -0x1.6051aap-7f,  -0x1.75db1cp-8f,  -0x1.8b1a5cp-9f,  -0x1.af1c3ep-10f,
     -0x1.9eb83cp-11f, -0x1.a16348p-12f, -0x1.a2b9a8p-13f, -0x1.aa3266p-14f, -0x1.208aa0p-15f, -0x1.1a993ap-17f,
     -0x1.1a9ee4p-19f, -0x1.55c2e0p-21f, -0x1.596302p-24f, -0x1.55a5aep-25f, -0x1.b1748cp-21f, 0x1.fcb82ap-6f,
     0x1.105212p-4f,   0x1.e08740p-4f,   0x1.35597ap-3f,   0x1.55c796p-3f,   0x1.598e00p-3f,   0x1.430256p-3f,
     0x1.15cb00p-3f,   0x1.bf8a4ep-4f},
    {-0x1.f2a1eep-5f, -0x1.5d81dep-5f, -0x1.9550d0p-6f, -0x1.3f50b0p-7f, -0x1.2dee08p-10f, 0x1.962ab2p-9f,
     0x1.344152p-8f,  0x1.31c01ep-8f,  0x1.d97994p-9f,  0x1.1506e8p-9f,  0x1.3113c0p-10f,  0x1.52abd8p-11f,
     0x1.49f538p-12f, 0x1.4d7490p-13f, 0x1.4f8cf8p-14f, 0x1.55e4cep-15f, 0x1.d582a0p-17f,  0x1.cc0abap-19f,
     0x1.cc224ap-21f, 0x1.116bdap-22f, 0x1.de7ccep-26f, 0x1.115fb8p-26f, 0x1.113c5ep-3f,   0x1.0ac69cp-3f,
     0x1.f1a096p-4f,  0x1.7fc156p-4f,  0x1.d7cb60p-5f,  0x1.81aa46p-6f,  -0x1.eb4d7ap-7f,  -0x1.3cf06cp-5f,
     -0x1.cc2972p-5f, -0x1.04a3e8p-4f},
    {0x1.5b6414p-7f,   0x1.3c0668p-6f,   0x1.0eff68p-6f,   0x1.66067ap-7f,   0x1.7dae64p-8f,   0x1.3f5624p-9f,
     0x1.05d7dep-11f,  -0x1.b85ceep-12f, -0x1.907f76p-11f, -0x1.37d8a0p-11f, -0x1.7694dap-12f, -0x1.9e2512p-13f,
     -0x1.aa77d4p-14f, -0x1.b09b02p-15f, -0x1.b9189ep-16f, -0x1.bd3738p-17f, -0x1.36ad90p-18f, -0x1.333aa6p-20f,
     -0x1.32e25cp-22f, -0x1.36d146p-24f, -0x1.241070p-26f, -0x1.39a7a2p-28f, -0x1.cebb50p-9f,  -0x1.7611c2p-6f,
     -0x1.2d3acep-5f,  -0x1.f14956p-5f,  -0x1.3e6c40p-4f,  -0x1.0b0f26p-4f,  -0x1.0ef5ecp-4f,  -0x1.36a998p-5f,
     -0x1.9c51e4p-6f,  -0x1.2b8108p-7f},
};

}  // namespace math
}  // namespace
}  // namespace chainrule
