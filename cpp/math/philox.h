// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers, as easy as 1, 2, 3; SC 2011). Counter-based: word
// i of a stream is a pure function of (seed, stream, i), so any thread may compute any part. Integers only: the file
// belongs to no instruction set.
#pragma once

#include <stdint.h>

namespace chainrule {
namespace {

// N blocks of four words, word w of block b at [w][b]: the compiler makes vectors of the loops over b.
template <int N>
struct PhiloxBlocks {
  uint32_t word[4][N];
};

// Blocks from `first` on, round by round: the multiplications of one fill the latency of the others. 32 blocks take
// 0.8 ns an element with AVX-512, one by one 3.7; the compiler unrolls 16 before it looks for vectors, and finds none.
template <int N>
inline void philox(uint64_t seed, uint64_t stream, uint64_t first, PhiloxBlocks<N>& blocks) {
  uint32_t* const __restrict x0 = blocks.word[0];
  uint32_t* const __restrict x1 = blocks.word[1];
  uint32_t* const __restrict x2 = blocks.word[2];
  uint32_t* const __restrict x3 = blocks.word[3];
  for (int b = 0; b < N; ++b) {
    const uint64_t block = first + static_cast<uint64_t>(b);
    x0[b] = static_cast<uint32_t>(block);
    x1[b] = static_cast<uint32_t>(block >> 32);
    x2[b] = static_cast<uint32_t>(stream);
    x3[b] = static_cast<uint32_t>(stream >> 32);
  }
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int b = 0; b < N; ++b) {
      const uint64_t p = uint64_t{0xD2511F53u} * x0[b], q = uint64_t{0xCD9E8D57u} * x2[b];
      const uint32_t y0 = static_cast<uint32_t>(q >> 32) ^ x1[b] ^ k0, y2 = static_cast<uint32_t>(p >> 32) ^ x3[b] ^ k1;
      x1[b] = static_cast<uint32_t>(q);
      x3[b] = static_cast<uint32_t>(p);
      x0[b] = y0;
      x2[b] = y2;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

}  // namespace
}  // namespace chainrule
