// Compares the software fma of the scalar level, compiled for a CPU without one, with the CPU's own.
//
//   fma TRIPLES   that many random triples for each of float32 and float64, and directed ones
//
// Prints "float32 random N directed N different N" and the same for float64. Build: g++ -O2 -mfma fma.cpp.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "simd/inline.h"
#pragma push_macro("__FMA__")
#undef __FMA__
#include "simd/soft_fma.h"
#pragma pop_macro("__FMA__")

namespace {

template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
template <class T>
constexpr int kMantissa = sizeof(T) == 4 ? 23 : 52;
template <class T>
constexpr int kBias = sizeof(T) == 4 ? 127 : 1023;

uint64_t mix(uint64_t x) {  // splitmix64: one output of a counter
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

template <class T>
T value(Bits<T> bits) {
  T x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
template <class T>
Bits<T> pattern(T x) {
  Bits<T> bits;
  std::memcpy(&bits, &x, sizeof x);
  return bits;
}

// Any sign and mantissa, an exponent within `span` of 1.
template <class T>
T near_one(uint64_t random, int span) {
  const int exponent = kBias<T> + static_cast<int>(random >> 56) % (2 * span + 1) - span;
  const Bits<T> mantissa = static_cast<Bits<T>>(mix(random)) & ((Bits<T>(1) << kMantissa<T>)-1);
  const Bits<T> sign = static_cast<Bits<T>>(random & 1) << (8 * sizeof(T) - 1);
  return value<T>(sign | static_cast<Bits<T>>(exponent) << kMantissa<T> | mantissa);
}

template <class T>
struct Count {
  int64_t random = 0, directed = 0, different = 0;

  void compare(T a, T b, T c) {
    const T soft = chainrule::exact_fma(a, b, c), hard = std::fma(a, b, c);
    if (pattern(soft) == pattern(hard) || (soft != soft && hard != hard)) return;
    if (different++ < 3) std::fprintf(stderr, "fma(%a, %a, %a): %a, expected %a\n", +a, +b, +c, +soft, +hard);
  }

  // Half are any bit patterns, the others near each other, so that digits overlap and cancel.
  void random_triples(int64_t n, uint64_t seed) {
    for (int64_t i = 0; i < n; ++i, ++random) {
      const uint64_t r = mix(seed + static_cast<uint64_t>(3 * i)), s = mix(r + 1), t = mix(s + 2);
      if (i % 2 == 0) {
        compare(value<T>(static_cast<Bits<T>>(r)), value<T>(static_cast<Bits<T>>(s)),
                value<T>(static_cast<Bits<T>>(t)));
      } else {
        const T a = near_one<T>(r, 4), b = near_one<T>(s, 4);
        const T c = t % 4 == 0 ? -(a * b) : near_one<T>(t, kMantissa<T> * 2 + 6);
        compare(a, b, c);
      }
    }
  }

  // Products of few or all digits against a c that makes ties, cancels, or is the last digit that matters; at both
  // ends of the range of exponents.
  void directed_triples() {
    const Bits<T> mantissas[] = {0,
                                 1,
                                 2,
                                 3,
                                 Bits<T>(1) << (kMantissa<T> - 1),
                                 (Bits<T>(1) << kMantissa<T>)-1,
                                 (Bits<T>(1) << kMantissa<T>)-2,
                                 (Bits<T>(1) << (kMantissa<T> / 2)) + 1};
    const int least = -kBias<T>, most = kBias<T>;
    const int exponents[] = {least, least + 1, least + kMantissa<T>, -kMantissa<T> - 1, -1, 0, 1, most / 2,
                             most,  most + 1};
    const auto each = [&](auto&& f) {
      for (const int e : exponents)
        for (const Bits<T> m : mantissas)
          for (const Bits<T> sign : {0, 1})
            f(value<T>(sign << (8 * sizeof(T) - 1) | static_cast<Bits<T>>(e + kBias<T>) << kMantissa<T> | m));
    };
    each([&](T a) {
      each([&](T b) {
        each([&](T c) { compare(a, b, c), ++directed; });
        const T p = a * b, ulp = p * value<T>(static_cast<Bits<T>>(kBias<T> - kMantissa<T>) << kMantissa<T>);
        for (const T c : {-p, p, ulp, -ulp, ulp / 2, -ulp / 2, ulp / 4, -p + ulp, -p - ulp})
          compare(a, b, c), ++directed;
      });
    });
  }

  void print(const char* name) const {
    std::printf("%s random %lld directed %lld different %lld\n", name, static_cast<long long>(random),
                static_cast<long long>(directed), static_cast<long long>(different));
  }
};

template <class T>
void run(const char* name, int64_t n, uint64_t seed) {
  Count<T> count;
  count.random_triples(n, seed);
  count.directed_triples();
  count.print(name);
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t n = argc > 1 ? std::atoll(argv[1]) : 1000000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  run<float>("float32", n, seed << 40);
  run<double>("float64", n, seed << 40);
}
