// im2col and col2im: windows of images as columns, and columns added up to images, which make a convolution a matrix
// product. Rows of a plane are short: a call for each would take longer than to copy it.
#include "kernels/registry.h"
#include "kernels/window_lines.h"

namespace chainrule {
namespace {

// Element (y, x) of all windows lies at (r * stride_h + y, s * stride_w + x) of the plane: this is where it begins, and
// the windows for which it is inside.
struct Line {
  int64_t y, x;
  Inside rows, columns;
  Line(const Windows& q, int64_t element)
      : y(element / q.kw * q.dilation_h - q.pad_top),
        x(element % q.kw * q.dilation_w - q.pad_left),
        rows(inside(q.oh, q.stride_h, y, q.h)),
        columns(inside(q.ow, q.stride_w, x, q.w)) {}
};

// `rows` rows of n elements; the last vector of a row goes over a part of the one before it. Rows are short: one loop
// over all of them, with nothing else in it, takes half of the time of a function of one row.
template <class T>
void copy_rows(int64_t rows, int64_t n, const T* from, int64_t ld, int64_t stride, T* to, int64_t ld_to) {
  constexpr int64_t L = Vec<T>::lanes;
  for (int64_t r = 0; r < rows; ++r, from += ld, to += ld_to) {
    if (stride != 1) {
      for (int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
    } else if (n < L) {
      store_n(to, load_n(from, n), n);
    } else {
      for (int64_t i = 0; i + L < n; i += L) store(to + i, load(from + i));
      store(to + n - L, load(from + n - L));
    }
  }
}

template <class T>
void unfold(const Windows& q, int64_t begin, int64_t end, const void* in, void* out, double padding) {
  const int64_t elements = q.kh * q.kw, size = q.oh * q.ow;
  for (int64_t i = begin; i < end; ++i) {
    const auto [y, x, rows, columns] = Line(q, i % elements);
    const T* const plane = static_cast<const T*>(in) + i / elements * q.h * q.w;
    T* const to = static_cast<T*>(out) + i * size;
    const int64_t height = rows.end - rows.begin, width = columns.end - columns.begin;
    const T outside = static_cast<T>(padding);
    if (height == 0 || width == 0) {
      fill(to, size, outside);
      continue;
    }
    // Only what is outside: to fill all of it first took as long again as the copy.
    fill(to, rows.begin * q.ow, outside);
    fill(to + rows.end * q.ow, (q.oh - rows.end) * q.ow, outside);
    for (int64_t r = rows.begin; r < rows.end && width < q.ow; ++r) {
      T* const row = to + r * q.ow;
      for (int64_t s = 0; s < columns.begin; ++s) row[s] = outside;
      for (int64_t s = columns.end; s < q.ow; ++s) row[s] = outside;
    }
    copy_rows(height, width, plane + (rows.begin * q.stride_h + y) * q.w + columns.begin * q.stride_w + x,
              q.stride_h * q.w, q.stride_w, to + rows.begin * q.ow + columns.begin, q.ow);
  }
}

// Lane by lane p[i], or zero unless begin <= i < end: nothing else is read.
template <class T>
Vec<T> load_between(const T* p, int64_t begin, int64_t end) {
  T lanes[Vec<T>::lanes] = {};
  for (int64_t i = begin < 0 ? 0 : begin; i < Vec<T>::lanes && i < end; ++i) lanes[i] = p[i];
  return load(lanes);
}

// Row `row` of a plane where strides are 1: each vector gets its sum in registers. Elements of another row of
// windows are masked; sums that begin at +0 are never -0, so that to add +0 in its place changes nothing.
template <class T>
void fold_row(const Windows& q, int64_t row, const T* columns, const T* all, const T* all_end, T* out) {
  constexpr int64_t L = Vec<T>::lanes;
  for (int64_t j = 0; j < q.w; j += L) {
    Vec<T> sum = splat(T(0));
    for (int64_t y = 0; y < q.kh; ++y) {
      const int64_t r = row + q.pad_top - y * q.dilation_h;
      if (r < 0 || r >= q.oh) continue;
      for (int64_t x = 0; x < q.kw; ++x) {
        const int64_t s = j + q.pad_left - x * q.dilation_w, begin = -s, end = q.ow - s;
        if (begin >= L || end <= 0) continue;
        const T* const from = columns + ((y * q.kw + x) * q.oh + r) * q.ow + s;
        if (from < all || from + L > all_end) {
          sum = sum + load_between(from, begin, end);
        } else if (begin <= 0 && end >= L) {
          sum = sum + load(from);
        } else {
          const Mask<T> inside = first_lanes<T>(end < L ? end : L) & !first_lanes<T>(begin > 0 ? begin : 0);
          sum = sum + select(inside, load(from), splat(T(0)));
        }
      }
    }
    store_or_n(out + j, sum, q.w - j);
  }
}

// Where the strides are 1 and all vectors may be read: which lanes of a vector of sums get something from which line
// of columns is the same in all rows. 9 lines took a sixth of the time of fold_row.
constexpr int64_t kMostLines = 16;  // of a row of a window
template <class T>
void fold_plane(const Windows& q, const T* columns, T* out) {
  constexpr int64_t L = Vec<T>::lanes;
  const int64_t line = q.oh * q.ow;
  for (int64_t j = 0; j < q.w; j += L) {
    int64_t offsets[kMostLines], lines = 0;
    Mask<T> masks[kMostLines];
    for (int64_t x = 0; x < q.kw; ++x) {
      const int64_t s = j + q.pad_left - x * q.dilation_w, begin = -s, end = q.ow - s;
      if (begin >= L || end <= 0) continue;
      offsets[lines] = x * line + s;
      masks[lines++] = first_lanes<T>(end < L ? end : L) & !first_lanes<T>(begin > 0 ? begin : 0);
    }
    for (int64_t row = 0; row < q.h; ++row) {
      Vec<T> sum = splat(T(0));
      for (int64_t y = 0; y < q.kh; ++y) {
        const int64_t r = row + q.pad_top - y * q.dilation_h;
        if (r < 0 || r >= q.oh) continue;
        const T* const from = columns + y * q.kw * line + r * q.ow;
        for (int64_t i = 0; i < lines; ++i) sum = sum + select(masks[i], load(from + offsets[i]), splat(T(0)));
      }
      store_or_n(out + row * q.w + j, sum, q.w - j);
    }
  }
}

// Any strides: line by line onto the plane.
template <class T>
void fold_lines(const Windows& q, const T* columns, T* plane) {
  fill(plane, q.h * q.w, T(0));
  for (int64_t element = 0; element < q.kh * q.kw; ++element) {
    const Line line(q, element);
    for (int64_t r = line.rows.begin; r < line.rows.end; ++r) {
      const T* const from = columns + (element * q.oh + r) * q.ow;
      T* const to = plane + (r * q.stride_h + line.y) * q.w + line.x;
      for (int64_t s = line.columns.begin; s < line.columns.end; ++s) to[s * q.stride_w] = to[s * q.stride_w] + from[s];
    }
  }
}

template <class T>
void fold_windows(const Windows& q, int64_t begin, int64_t end, const void* in, void* out) {
  const int64_t size = q.kh * q.kw * q.oh * q.ow;
  const T* const all = static_cast<const T*>(in);
  for (int64_t i = begin; i < end; ++i) {
    const T* const columns = all + i * size;
    T* const plane = static_cast<T*>(out) + i * q.h * q.w;
    const int64_t before = (i - begin) * size, behind = (end - 1 - i) * size;
    if (q.stride_h != 1 || q.stride_w != 1) {
      fold_lines(q, columns, plane);
    } else if (q.kw <= kMostLines && before >= Vec<T>::lanes && behind >= Vec<T>::lanes) {
      fold_plane(q, columns, plane);
    } else {
      for (int64_t row = 0; row < q.h; ++row)
        fold_row(q, row, columns, all + begin * size, all + end * size, plane + row * q.w);
    }
  }
}

}  // namespace

namespace CR_LEVEL {
void register_windows(KernelTable& table) {
  table.unfold[kFloat32] = unfold<float>;
  table.unfold[kFloat64] = unfold<double>;
  table.fold[kFloat32] = fold_windows<float>;
  table.fold[kFloat64] = fold_windows<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
