// Seeded permutations (docs/arithmetic.md).
#pragma once

#include <cstdint>

#include "kernels/philox.h"

namespace chainrule {

inline void random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = i;
  PhiloxBlock block = {};
  for (int64_t i = n - 1, t = 0; i >= 1; --i, ++t) {
    if (t % 2 == 0) block = philox(seed, stream, static_cast<uint64_t>(t) / 2);
    const int64_t at = (t % 2) * 2;
    const uint64_t r = block.word[at] + (uint64_t{block.word[at + 1]} << 32);
    const int64_t j = static_cast<int64_t>((static_cast<unsigned __int128>(r) * static_cast<uint64_t>(i + 1)) >> 64);
    const int64_t swapped = out[i];
    out[i] = out[j];
    out[j] = swapped;
  }
}

}  // namespace chainrule
