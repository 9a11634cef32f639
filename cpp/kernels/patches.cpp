// Windows of images as columns, and columns added up to images: what makes a convolution a matrix product. Rows of a
// plane are short, so that a call for each would take longer than to copy it.
#include "kernels/registry.h"
#include "simd/vec.h"

namespace chainrule {
namespace {

// Positions i in [begin, end) of n have i * step + at in [0, length).
struct Inside {
  int64_t begin, end;
};
Inside inside(int64_t n, int64_t step, int64_t at, int64_t length) {
  const int64_t begin = at >= 0 ? 0 : (-at + step - 1) / step;
  const int64_t end = at >= length ? 0 : (length - 1 - at) / step + 1;
  const int64_t last = end < n ? end : n;
  return {begin < last ? begin : last, last};
}

// Element (y, x) of all windows lies at (r * step_h + y, s * step_w + x) of the plane: this is where it begins, and
// the windows for which it is inside.
struct Line {
  int64_t y, x;
  Inside rows, columns;
  Line(const Windows& q, int64_t element)
      : y(element / q.kw * q.gap_h - q.top),
        x(element % q.kw * q.gap_w - q.left),
        rows(inside(q.oh, q.step_h, y, q.h)),
        columns(inside(q.ow, q.step_w, x, q.w)) {}
};

template <class T>
CR_INLINE void fill(T* to, int64_t begin, int64_t end, T value) {
  for (int64_t i = begin; i < end; ++i) to[i] = value;
}

template <class T>
CR_INLINE void copy_row(T* to, const T* from, int64_t step, int64_t n) {
  constexpr int64_t L = Vec<T>::lanes;
  if (step == 1) {
    for (int64_t i = 0; i < n; i += L) store_or_n(to + i, load_or_n(from + i, n - i), n - i);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
  }
}

template <class T>
void unfold(const Windows& q, int64_t begin, int64_t end, const void* in, void* out, double outside) {
  const T value = static_cast<T>(outside);
  for (int64_t i = begin; i < end; ++i) {
    const Line line(q, i % (q.kh * q.kw));
    const T* const plane = static_cast<const T*>(in) + i / (q.kh * q.kw) * q.h * q.w;
    T* const to = static_cast<T*>(out) + i * q.oh * q.ow;
    const auto [first, last] = line.columns;
    fill(to, 0, line.rows.begin * q.ow, value);
    for (int64_t r = line.rows.begin; r < line.rows.end; ++r) {
      T* const row = to + r * q.ow;
      fill(row, 0, first, value);
      if (first < last)
        copy_row(row + first, plane + (r * q.step_h + line.y) * q.w + first * q.step_w + line.x, q.step_w,
                 last - first);
      fill(row, last, q.ow, value);
    }
    fill(to, line.rows.end * q.ow, q.oh * q.ow, value);
  }
}

template <class T>
CR_INLINE void add_row(T* to, const T* from, int64_t step, int64_t n) {
  constexpr int64_t L = Vec<T>::lanes;
  if (step == 1) {
    for (int64_t i = 0; i < n; i += L) store_or_n(to + i, load_or_n(to + i, n - i) + load_or_n(from + i, n - i), n - i);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * step] = to[i * step] + from[i];
  }
}

template <class T>
void fold_windows(const Windows& q, int64_t begin, int64_t end, const void* in, void* out) {
  for (int64_t i = begin; i < end; ++i) {
    T* const plane = static_cast<T*>(out) + i * q.h * q.w;
    fill(plane, 0, q.h * q.w, T(0));
    for (int64_t element = 0; element < q.kh * q.kw; ++element) {
      const Line line(q, element);
      const T* const from = static_cast<const T*>(in) + (i * q.kh * q.kw + element) * q.oh * q.ow;
      const auto [first, last] = line.columns;
      if (first == last) continue;
      for (int64_t r = line.rows.begin; r < line.rows.end; ++r)
        add_row(plane + (r * q.step_h + line.y) * q.w + first * q.step_w + line.x, from + r * q.ow + first, q.step_w,
                last - first);
    }
  }
}

}  // namespace

namespace CR_LEVEL {
void register_patches(KernelTable& table) {
  table.unfold[kFloat32] = unfold<float>;
  table.unfold[kFloat64] = unfold<double>;
  table.fold[kFloat32] = fold_windows<float>;
  table.fold[kFloat64] = fold_windows<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
