// Uniform and normal numbers from Philox streams (docs/arithmetic.md).
#include "kernels/registry.h"
#include "math/elementary.h"
#include "math/philox.h"

namespace chainrule {
namespace {

inline PhiloxBlocks<1> philox(const RandomArgs& r, uint64_t block) {
  PhiloxBlocks<1> one;
  philox(r.seed, r.stream, block, one);
  return one;
}

// Two words make one binary64 number; a block of four words holds elements 2b and 2b + 1.
struct WordPair {
  uint32_t first, second;
};
inline WordPair word_pair(const RandomArgs& r, int64_t i) {
  const PhiloxBlocks<1> block = philox(r, static_cast<uint64_t>(i) / 2);
  const int64_t at = (i % 2) * 2;
  return {block.word[at][0], block.word[at + 1][0]};
}

template <class T>
T unit(const RandomArgs& r, int64_t i);
template <>
float unit<float>(const RandomArgs& r, int64_t i) {
  const PhiloxBlocks<1> block = philox(r, static_cast<uint64_t>(i) / 4);
  return static_cast<float>(block.word[i % 4][0] >> 8) * 0x1p-24f;
}
template <>
double unit<double>(const RandomArgs& r, int64_t i) {
  const WordPair w = word_pair(r, i);
  const uint64_t k = (uint64_t{w.first >> 5} << 26) + (w.second >> 6);
  return static_cast<double>(k) * 0x1p-53;
}

template <class T>
CR_INLINE void write_scaled(T* out, const T* z, int64_t n, T scale, T shift) {
  store_n(out, fma(load_n(z, n), splat(scale), splat(shift)), n);
}

template <class T>
void uniform(const RandomArgs& r) {
  constexpr int64_t L = Vec<T>::lanes;
  const T low = static_cast<T>(r.a), high = static_cast<T>(r.b);
  T* const out = static_cast<T*>(r.out);
  for (int64_t i = 0; i < r.n; i += L) {
    const int64_t w = r.n - i < L ? r.n - i : L;
    T u[L] = {};
    for (int64_t x = 0; x < w; ++x) u[x] = unit<T>(r, r.first + i + x);
    write_scaled(out + i, u, w, high - low, low);
    for (int64_t x = 0; x < w; ++x) {
      if (out[i + x] >= high) out[i + x] = low;  // rounding may reach the open end
    }
  }
}

template <class T>
void normal(const RandomArgs& r) {
  constexpr int64_t L = Vec<double>::lanes, LT = Vec<T>::lanes;
  T* const out = static_cast<T*>(r.out);
  for (int64_t i = 0; i < r.n; i += LT) {
    const int64_t w = r.n - i < LT ? r.n - i : LT;
    double u[LT];
    for (int64_t x = 0; x < LT; ++x) {
      const WordPair p = word_pair(r, r.first + i + (x < w ? x : 0));
      const uint64_t k = (uint64_t{p.first >> 6} << 26) + (p.second >> 6);
      u[x] = (static_cast<double>(k) + 0.5) * 0x1p-52;
    }
    T z[LT];
    for (int64_t x = 0; x < LT; x += L) {
      store(u + x, math::normal_quantile(load(u + x)));
      for (int64_t y = 0; y < L; ++y) z[x + y] = static_cast<T>(u[x + y]);
    }
    write_scaled(out + i, z, w, static_cast<T>(r.b), static_cast<T>(r.a));
  }
}

constexpr int kBlocks = 32;  // at a time

template <class T>
void bernoulli(const RandomArgs& r) {
  const uint64_t threshold = static_cast<uint64_t>(r.a * 0x1p32);  // exact: r.a is from 0 to 1
  const T value = static_cast<T>(r.b);
  T* const out = static_cast<T*>(r.out);
  PhiloxBlocks<kBlocks> x;
  for (int64_t i = 0, some; i < r.n; i += some) {
    const int64_t at = (r.first + i) % 4;
    some = r.n - i < 4 * kBlocks - at ? r.n - i : 4 * kBlocks - at;
    philox(r.seed, r.stream, static_cast<uint64_t>(r.first + i) / 4, x);
    T elements[4 * kBlocks];
    for (int b = 0; b < kBlocks; ++b) {
      for (int w = 0; w < 4; ++w) elements[4 * b + w] = x.word[w][b] >= threshold ? value : T(0);
    }
    for (int64_t e = 0; e < some; ++e) out[i + e] = elements[at + e];
  }
}

}  // namespace

namespace CR_LEVEL {
void register_random(KernelTable& table) {
  table.uniform[kFloat32] = uniform<float>;
  table.uniform[kFloat64] = uniform<double>;
  table.normal[kFloat32] = normal<float>;
  table.normal[kFloat64] = normal<double>;
  table.bernoulli[kFloat32] = bernoulli<float>;
  table.bernoulli[kFloat64] = bernoulli<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
