// Maximum of each window, and its gradient, in one pass over the windows of a plane.
#include <string.h>

#include <limits>

#include "kernels/registry.h"
#include "kernels/window_lines.h"

namespace chainrule {
namespace {

template <class T>
constexpr T kLeast = -std::numeric_limits<T>::infinity();

// Planes as the windows of this thread see them: nothing outside of [all, all_end) is read.
template <class T>
struct Planes {
  const T *all, *all_end;
};

// Lane i is p[i * stride] for begin <= i < end, else `other` if i is below `n`; what the lanes above hold is not used.
template <class T>
CR_INLINE Vec<T> load_strided(const Planes<T>& planes, const T* p, int64_t stride, int64_t begin, int64_t end,
                              int64_t n, T other) {
  constexpr int64_t L = Vec<T>::lanes;
  if (stride <= 2 && p >= planes.all && p + (L - 1) * stride < planes.all_end) {
    const Vec<T> whole = stride == 1 ? load(p) : load_even(p);
    if (begin <= 0 && end >= n) return whole;
    const int64_t from = begin > 0 ? begin : 0, to = end < L ? end : L;
    if (from >= to) return splat(other);
    return select(first_lanes<T>(to) & !first_lanes<T>(from), whole, splat(other));
  }
  T lanes[L];
  for (int64_t i = 0; i < L; ++i) lanes[i] = begin <= i && i < end ? p[i * stride] : other;
  return load(lanes);
}

// Windows [s, s + n) of row r, at most a vector of them.
struct Few {
  int64_t r, s, n;
};

// Calls visit(element, begin, end, values) for the elements that are inside of the plane for some of the windows:
// values of lanes [begin, end), -inf in other lanes.
template <class T, class Visit>
CR_INLINE void each_element(const Windows& q, const Planes<T>& planes, const T* plane, const Few& few,
                            const Visit& visit) {
  for (int64_t y = 0; y < q.kh; ++y) {
    const int64_t row = few.r * q.stride_h + y * q.dilation_h - q.pad_top;
    if (row < 0 || row >= q.h) continue;
    for (int64_t x = 0; x < q.kw; ++x) {
      const int64_t first = few.s * q.stride_w + x * q.dilation_w - q.pad_left;
      int64_t begin = 0, end = few.n;
      if (first < 0 || first + (few.n - 1) * q.stride_w >= q.w) {
        const Inside lanes = inside(few.n, q.stride_w, first, q.w);
        begin = lanes.begin;
        end = lanes.end;
        if (begin >= end) continue;
      }
      const T* const from = plane + row * q.w + first;
      visit(y * q.kw + x, begin, end, load_strided(planes, from, q.stride_w, begin, end, few.n, kLeast<T>));
    }
  }
}

template <class T>
void max_pool(const Windows& q, int64_t begin, int64_t end, const void* in, void* out) {
  constexpr int64_t L = Vec<T>::lanes;
  const T* const x = static_cast<const T*>(in);
  T* to = static_cast<T*>(out) + begin * q.oh * q.ow;
  const Planes<T> planes = {x + begin * q.h * q.w, x + end * q.h * q.w};
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t r = 0; r < q.oh; ++r, to += q.ow) {
      for (int64_t s = 0; s < q.ow; s += L) {
        Vec<T> largest = splat(kLeast<T>);
        each_element(q, planes, x + i * q.h * q.w, {r, s, q.ow - s < L ? q.ow - s : L},
                     [&](int64_t, int64_t, int64_t, Vec<T> v) CR_LAMBDA { largest = maximum(largest, v); });
        store_or_n(to + s, largest, q.ow - s);
      }
    }
  }
}

// The first of the largest elements, or of NaN, that are inside of the plane.
template <class T>
struct First {
  Vec<T> value = splat(kLeast<T>);
  Bits<T> element = splat_bits<T>(0);
  Mask<T> missing = first_lanes<T>(Vec<T>::lanes);
};

// The gradients g of a few windows of a plane, each added to its element; from the last window to the first, so that
// an element gets those of its windows in ascending order of its place in them.
template <class T>
CR_INLINE void add_gradients(const Windows& q, const Planes<T>& planes, const T* plane, const Few& few, const T* g,
                             T* out) {
  constexpr int64_t L = Vec<T>::lanes;
  First<T> first;
  each_element(q, planes, plane, few, [&](int64_t element, int64_t begin, int64_t end, Vec<T> v) CR_LAMBDA {
    Mask<T> larger = lt(first.value, v) | (isnan(v) & !isnan(first.value)) | first.missing;
    if (begin > 0 || end < few.n) larger = larger & first_lanes<T>(end) & !first_lanes<T>(begin);
    first.value = select(larger, v, first.value);
    first.element = bits(select(larger, value(splat_bits<T>(element)), value(first.element)));
    first.missing = first.missing & !larger;
  });
  T elements[L];
  store(elements, value(first.element));
  const uint32_t missing = first_bits(first.missing);
  const int64_t row = few.r * q.stride_h - q.pad_top, column = few.s * q.stride_w - q.pad_left;
  for (int64_t i = few.n - 1; i >= 0; --i) {
    if ((missing >> i & 1u) != 0) continue;
    uint32_t element = 0;
    memcpy(&element, elements + i, sizeof element);
    const auto width = static_cast<uint32_t>(q.kw);
    const int64_t y = element / width, x = element % width;
    T* const to = out + (row + y * q.dilation_h) * q.w + column + i * q.stride_w + x * q.dilation_w;
    *to = *to + g[i];
  }
}

// 2 x 2 elements next to each other, no padding: each element of the plane has one window.
template <class T>
void quarter_gradient(const Windows& q, const Planes<T>& planes, const T* plane, const T* g, T* out) {
  constexpr int64_t L = Vec<T>::lanes;
  const Vec<T> zero = splat(T(0));
  for (int64_t r = 0; r < q.oh; ++r, g += q.ow) {
    for (int64_t s = 0; s < q.ow; s += L) {
      const int64_t n = q.ow - s < L ? q.ow - s : L;
      Vec<T> v[4], largest = splat(kLeast<T>), share[4];
      CR_UNROLL
      for (int e = 0; e < 4; ++e) {
        v[e] = load_strided(planes, plane + (2 * r + e / 2) * q.w + 2 * s + e % 2, 2, 0, n, n, kLeast<T>);
        largest = maximum(largest, v[e]);
      }
      Vec<T> rest = zero + load_or_n(g + s, n);
      CR_UNROLL
      for (int e = 0; e < 4; ++e) {
        const Mask<T> hit = eq(v[e], largest) | isnan(v[e]);
        share[e] = select(hit, rest, zero);
        rest = select(hit, zero, rest);
      }
      CR_UNROLL
      for (int e = 0; e < 4; e += 2) {
        T* const to = out + (2 * r + e / 2) * q.w + 2 * s;
        if (n == L) {
          store_pairs(to, share[e], share[e + 1]);
        } else {
          T pairs[2 * L];
          store_pairs(pairs, share[e], share[e + 1]);
          memcpy(to, pairs, static_cast<size_t>(2 * n) * sizeof(T));
        }
      }
    }
  }
}

template <class T>
void max_pool_grad(const Windows& q, int64_t begin, int64_t end, const void* in, const void* g, void* out) {
  constexpr int64_t L = Vec<T>::lanes;
  const int64_t size = q.h * q.w, positions = q.oh * q.ow;
  const T* const x = static_cast<const T*>(in);
  const Planes<T> planes = {x + begin * size, x + end * size};
  const bool twos = q.kh == 2 && q.kw == 2 && q.stride_h == 2 && q.stride_w == 2 && q.dilation_h == 1 &&
                    q.dilation_w == 1 && q.pad_top == 0 && q.pad_left == 0 && 2 * q.oh <= q.h && 2 * q.ow <= q.w;
  for (int64_t i = begin; i < end; ++i) {
    const T *const plane = x + i * size, *const from = static_cast<const T*>(g) + i * positions;
    T* const to = static_cast<T*>(out) + i * size;
    if (!twos || 4 * positions < size) fill(to, size, T(0));
    if (twos) {
      quarter_gradient(q, planes, plane, from, to);
      continue;
    }
    for (int64_t r = q.oh - 1; r >= 0; --r) {
      for (int64_t s = (q.ow - 1) / L * L; s >= 0 && s < q.ow; s -= L) {
        const int64_t n = q.ow - s < L ? q.ow - s : L;
        add_gradients(q, planes, plane, {r, s, n}, from + r * q.ow + s, to);
      }
    }
  }
}

}  // namespace

namespace CR_LEVEL {
void register_pools(KernelTable& table) {
  table.max_pool[kFloat32] = max_pool<float>;
  table.max_pool[kFloat64] = max_pool<double>;
  table.max_pool_grad[kFloat32] = max_pool_grad<float>;
  table.max_pool_grad[kFloat64] = max_pool_grad<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
