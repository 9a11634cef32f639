// Seeded permutations and integers (docs/arithmetic.md).
#pragma once

#include <cstdint>
#include <utility>

#include "math/philox.h"

namespace chainrule {

inline void random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t* out) {
  // Drawn together: so many blocks become vectors (0.55 times the time), and swaps whose places are known overlap
  // (0.9 times).
  constexpr int kBlocks = 32, kDraws = 2 * kBlocks;
  PhiloxBlocks<kBlocks> blocks;
  int64_t places[kDraws];
  for (int64_t i = 0; i < n; ++i) out[i] = i;
  for (int64_t done = 0; done < n - 1; done += kDraws) {
    const int64_t last = n - 1 - done, draws = last < kDraws ? last : kDraws;
    philox(seed, stream, static_cast<uint64_t>(done) / 2, blocks);
    for (int b = 0; 2 * b < draws; ++b) {
      for (int half = 0; half < 2; ++half) {
        const int64_t x = 2 * b + half;
        const uint64_t r = blocks.word[2 * half][b] + (uint64_t{blocks.word[2 * half + 1][b]} << 32);
        places[x] =
            static_cast<int64_t>((static_cast<unsigned __int128>(r) * static_cast<uint64_t>(last - x + 1)) >> 64);
      }
    }
    for (int64_t x = 0; x < draws; ++x) std::swap(out[last - x], out[places[x]]);
  }
}

// Numbers first .. first + n - 1 of a stream's integers low .. low + range - 1.
inline void random_integers(uint64_t seed, uint64_t stream, int64_t first, int64_t low, uint64_t range, int64_t n,
                            int64_t* out) {
  PhiloxBlocks<1> block;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t place = first + i;
    if (i == 0 || place % 2 == 0) philox(seed, stream, static_cast<uint64_t>(place) / 2, block);
    const int64_t at = place % 2 * 2;
    const uint64_t r = block.word[at][0] + (uint64_t{block.word[at + 1][0]} << 32);
    const uint64_t steps = static_cast<uint64_t>((static_cast<unsigned __int128>(r) * range) >> 64);
    out[i] = static_cast<int64_t>(static_cast<uint64_t>(low) + steps);
  }
}

}  // namespace chainrule
