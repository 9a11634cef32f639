// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers, as easy as 1, 2, 3; SC 2011). Counter-based: word
// i of a stream is a pure function of (seed, stream, i), so any thread may compute any part.
#pragma once

#include <stdint.h>

namespace chainrule {
namespace {

struct PhiloxBlock {
  uint32_t word[4];
};

// N blocks from `first` on, round by round: each one's multiplications fill the others' latency.
template <int N>
inline void philox(uint64_t seed, uint64_t stream, uint64_t first, PhiloxBlock (&blocks)[N]) {
  uint32_t x0[N], x1[N], x2[N], x3[N];
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int i = 0; i < N; ++i) {
    const uint64_t block = first + static_cast<uint64_t>(i);
    x0[i] = static_cast<uint32_t>(block);
    x1[i] = static_cast<uint32_t>(block >> 32);
    x2[i] = static_cast<uint32_t>(stream);
    x3[i] = static_cast<uint32_t>(stream >> 32);
  }
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < N; ++i) {
      const uint64_t p = uint64_t{0xD2511F53u} * x0[i], q = uint64_t{0xCD9E8D57u} * x2[i];
      x0[i] = static_cast<uint32_t>(q >> 32) ^ x1[i] ^ k0;
      x2[i] = static_cast<uint32_t>(p >> 32) ^ x3[i] ^ k1;
      x1[i] = static_cast<uint32_t>(q);
      x3[i] = static_cast<uint32_t>(p);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int i = 0; i < N; ++i) blocks[i] = {{x0[i], x1[i], x2[i], x3[i]}};
}

inline PhiloxBlock philox(uint64_t seed, uint64_t stream, uint64_t block) {
  PhiloxBlock one[1];
  philox(seed, stream, block, one);
  return one[0];
}

}  // namespace
}  // namespace chainrule
