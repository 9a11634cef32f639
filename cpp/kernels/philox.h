// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers, as easy as 1, 2, 3; SC 2011). Counter-based: word
// i of a stream is a pure function of (seed, stream, i), so any thread may compute any part.
#pragma once

#include <stdint.h>

namespace chainrule {
namespace {

struct PhiloxBlock {
  uint32_t word[4];
};

inline PhiloxBlock philox(uint64_t seed, uint64_t stream, uint64_t block) {
  uint32_t x0 = static_cast<uint32_t>(block), x1 = static_cast<uint32_t>(block >> 32);
  uint32_t x2 = static_cast<uint32_t>(stream), x3 = static_cast<uint32_t>(stream >> 32);
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p = uint64_t{0xD2511F53u} * x0, q = uint64_t{0xCD9E8D57u} * x2;
    const uint32_t y0 = static_cast<uint32_t>(q >> 32) ^ x1 ^ k0, y2 = static_cast<uint32_t>(p >> 32) ^ x3 ^ k1;
    x1 = static_cast<uint32_t>(q);
    x3 = static_cast<uint32_t>(p);
    x0 = y0;
    x2 = y2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{x0, x1, x2, x3}};
}

}  // namespace
}  // namespace chainrule
