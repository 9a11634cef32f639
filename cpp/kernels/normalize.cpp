// Sums of normalisation (docs/arithmetic.md, Normalisation): mean and variance of each channel, and the sums of their
// gradients. A block of channels stays in cache while it is read again.
#include "kernels/lane_sum.h"
#include "kernels/registry.h"

namespace chainrule {
namespace {

// Columns of one element for each (inner is 1): V vectors of channels side by side, so that additions overlap; the last
// vector is whole or a part of one.
template <int V, bool Whole, class T>
struct ChannelBlock {
  static constexpr int64_t L = Vec<T>::lanes;
  int64_t rows, stride, last;  // last: channels of the last vector

  CR_INLINE Vec<T> read(const T* p, int v) const {
    return Whole || v < V - 1 ? load(p + v * L) : load_n(p + v * L, last);
  }
  CR_INLINE void write(T* p, int v, Vec<T> a) const {
    if (Whole || v < V - 1) {
      store(p + v * L, a);
    } else {
      store_n(p + v * L, a, last);
    }
  }

  CR_INLINE void moments(const T* x, Vec<T> n, T* mean, T* variance) const {
    Vec<T> m[V], s[V];
    CR_UNROLL
    for (int v = 0; v < V; ++v) m[v] = splat(T(0));
    for (int64_t i = 0; i < rows; ++i) {
      CR_UNROLL
      for (int v = 0; v < V; ++v) m[v] = m[v] + read(x + i * stride, v);
    }
    CR_UNROLL
    for (int v = 0; v < V; ++v) {
      m[v] = m[v] / n;
      write(mean, v, m[v]);
      s[v] = splat(T(0));
    }
    for (int64_t i = 0; i < rows; ++i) {
      CR_UNROLL
      for (int v = 0; v < V; ++v) {
        const Vec<T> d = read(x + i * stride, v) - m[v];
        s[v] = s[v] + d * d;
      }
    }
    CR_UNROLL
    for (int v = 0; v < V; ++v) write(variance, v, s[v] / n);
  }

  CR_INLINE void centred_sums(const T* x, const T* m, const T* g, T* sum, T* product) const {
    Vec<T> a[V], b[V], centre[V];
    CR_UNROLL
    for (int v = 0; v < V; ++v) {
      a[v] = b[v] = splat(T(0));
      centre[v] = read(m, v);
    }
    for (int64_t i = 0; i < rows; ++i) {
      CR_UNROLL
      for (int v = 0; v < V; ++v) {
        const Vec<T> u = read(g + i * stride, v);
        a[v] = a[v] + u;
        b[v] = b[v] + u * (read(x + i * stride, v) - centre[v]);
      }
    }
    CR_UNROLL
    for (int v = 0; v < V; ++v) {
      write(sum, v, a[v]);
      write(product, v, b[v]);
    }
  }
};

constexpr int kWidest = 4;

// f(block, first channel) for blocks of channels that cover [begin, end).
template <class T, int V, class F>
CR_INLINE void narrower(const ChannelArgs& args, int64_t at, int64_t width, F f) {
  constexpr int64_t L = Vec<T>::lanes;
  if constexpr (V < kWidest) {
    if (width > V * L) return narrower<T, V + 1>(args, at, width, f);
  }
  f(ChannelBlock<V, false, T>{args.outer, args.channels, width - (V - 1) * L}, at);
}
template <class T, class F>
CR_INLINE void by_blocks(const ChannelArgs& args, F f) {
  constexpr int64_t wide = kWidest * Vec<T>::lanes;
  int64_t j = args.begin;
  for (; j + wide <= args.end; j += wide)
    f(ChannelBlock<kWidest, true, T>{args.outer, args.channels, Vec<T>::lanes}, j);
  if (j < args.end) narrower<T, 1>(args, j, args.end - j, f);
}

// Elements of one channel in lines of `inner`: the lane sum of each line, added in the order of `outer`.
// f(p, i, w): w elements from i on of the line at offset p, the other lanes +0.
template <class T, class F>
CR_INLINE Vec<T> line_sums(const ChannelArgs& args, int64_t channel, F f) {
  Vec<T> total = splat(T(0));
  for (int64_t o = 0; o < args.outer; ++o) {
    const int64_t at = (o * args.channels + channel) * args.inner;
    total = total + lane_sum<T>(args.inner, [at, f](int64_t i, int64_t w) CR_LAMBDA { return f(at + i, w); });
  }
  return total;
}

// v in the first w lanes, +0 in the others.
template <class T>
CR_INLINE Vec<T> only(Vec<T> v, int64_t w) {
  return w >= Vec<T>::lanes ? v : select(first_lanes<T>(w), v, splat(T(0)));
}

template <class T>
void moments(const ChannelArgs& args) {
  const T* const x = static_cast<const T*>(args.in[0]);
  T* const out = static_cast<T*>(args.out);
  const Vec<T> n = splat(static_cast<T>(args.outer * args.inner));
  if (args.inner == 1 && !args.by_rows) {
    by_blocks<T>(args, [&](const auto& block, int64_t j)
                           CR_LAMBDA { block.moments(x + j, n, out + j, out + args.channels + j); });
    return;
  }
  const int64_t step = args.by_rows ? 2 : 1, next = args.by_rows ? 1 : args.channels;
  for (int64_t c = args.begin; c < args.end; ++c) {
    const Vec<T> m = line_sums<T>(args, c, [x](int64_t i, int64_t w) CR_LAMBDA { return load_or_n(x + i, w); }) / n;
    const Vec<T> s = line_sums<T>(args, c, [x, m](int64_t i, int64_t w) CR_LAMBDA {
      const Vec<T> d = load_or_n(x + i, w) - m;
      return only<T>(d * d, w);
    });
    out[c * step] = first(m);
    out[c * step + next] = first(s / n);
  }
}

template <class T>
void centred_sums(const ChannelArgs& args) {
  const T* const x = static_cast<const T*>(args.in[0]);
  const T* const mean = static_cast<const T*>(args.in[1]);
  const T* const g = static_cast<const T*>(args.in[2]);
  T* const out = static_cast<T*>(args.out);
  if (args.inner == 1 && !args.by_rows) {
    by_blocks<T>(args, [&](const auto& block, int64_t j)
                           CR_LAMBDA { block.centred_sums(x + j, mean + j, g + j, out + j, out + args.channels + j); });
    return;
  }
  const int64_t step = args.by_rows ? 2 : 1, next = args.by_rows ? 1 : args.channels;
  for (int64_t c = args.begin; c < args.end; ++c) {
    const Vec<T> m = splat(mean[c]);
    const Vec<T> a = line_sums<T>(args, c, [g](int64_t i, int64_t w) CR_LAMBDA { return load_or_n(g + i, w); });
    const Vec<T> b = line_sums<T>(args, c, [x, g, m](int64_t i, int64_t w) CR_LAMBDA {
      return only<T>(load_or_n(g + i, w) * (load_or_n(x + i, w) - m), w);
    });
    out[c * step] = first(a);
    out[c * step + next] = first(b);
  }
}

// The gradient of y = (x - m) * k through rows whose mean is m and whose k is 1 / sqrt(variance + eps): with the mean a
// of g and q = the sum of g * (x - m) * k * k / n, ((g - a) - (x - m) * q) * k. A row is read again from the first
// cache.
template <class T>
void row_norm_backward(const ChannelArgs& args) {
  const int64_t cols = args.inner;
  const Vec<T> n = splat(static_cast<T>(cols));
  for (int64_t r = args.begin; r < args.end; ++r) {
    const T* const x = static_cast<const T*>(args.in[0]) + r * cols;
    const T* const g = static_cast<const T*>(args.in[3]) + r * cols;
    T* const out = static_cast<T*>(args.out) + r * cols;
    const Vec<T> m = splat(static_cast<const T*>(args.in[1])[r]), k = splat(static_cast<const T*>(args.in[2])[r]);
    const Vec<T> a = lane_sum<T>(cols, [g](int64_t i, int64_t w) CR_LAMBDA { return load_or_n(g + i, w); }) / n;
    const Vec<T> b = lane_sum<T>(cols, [x, g, m](int64_t i, int64_t w) CR_LAMBDA {
      return only<T>(load_or_n(g + i, w) * (load_or_n(x + i, w) - m), w);
    });
    const Vec<T> q = ((b * k) * k) / n;
    constexpr int64_t L = Vec<T>::lanes;
    const auto slope = [m, k, a, q](Vec<T> v, Vec<T> u) CR_LAMBDA { return ((u - a) - (v - m) * q) * k; };
    int64_t i = 0;
    for (; i + L <= cols; i += L) store(out + i, slope(load(x + i), load(g + i)));
    if (i < cols) store_n(out + i, slope(load_n(x + i, cols - i), load_n(g + i, cols - i)), cols - i);
  }
}

// moments: mean, and variance = mean of (x - mean)^2. centred_sums of x, means, g: sum of g, sum of g * (x - mean).
constexpr ChannelRow kRows[] = {
    {"moments", 1, {moments<float>, moments<double>}},
    {"centred_sums", 3, {centred_sums<float>, centred_sums<double>}},
    {"row_norm_backward", 4, {row_norm_backward<float>, row_norm_backward<double>}},
};

}  // namespace

namespace CR_LEVEL {
void register_normalize(KernelTable& table) {
  table.channel_ops = kRows;
  table.n_channel_ops = sizeof kRows / sizeof kRows[0];
}
}  // namespace CR_LEVEL
}  // namespace chainrule
