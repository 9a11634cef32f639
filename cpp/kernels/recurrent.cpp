// Recurrent layers: steps in time of some rows, forward and backward (docs/arithmetic.md). Each step is one matrix
// product for all rows, and what follows it row by row, while it is in the first cache.
//
// h (state), x (projection of the input) and the gates lie in planes: an array of `width` elements for each step and
// row.
#include "kernels/activations.h"
#include "kernels/loops.h"
#include "kernels/registry.h"

namespace chainrule {
namespace {

// y[j] = op(get(j, w)), w elements from j on at a time.
template <class T, class Op, class Get>
CR_INLINE void activate(const Op& op, int64_t n, T* y, Get get) {
  constexpr int64_t L = Vec<T>::lanes;
  int64_t j = 0;
  if constexpr (requires(Vec<T>(&v)[4]) { op.values(v); }) {
    for (; j + 4 * L <= n; j += 4 * L) {
      Vec<T> v[4] = {get(j, L), get(j + L, L), get(j + 2 * L, L), get(j + 3 * L, L)};
      op.values(v);
      CR_UNROLL
      for (int i = 0; i < 4; ++i) store(y + j + i * L, v[i]);
    }
  }
  for (; j < n; j += L) {
    const int64_t w = n - j < L ? n - j : L;
    store_or_n(y + j, op.value(get(j, w)), w);
  }
}

// Calls f(j, w) for w elements from j on at a time.
template <class T, class F>
CR_INLINE void by_vectors(int64_t n, F f) {
  constexpr int64_t L = Vec<T>::lanes;
  for (int64_t j = 0; j < n; j += L) f(j, n - j < L ? n - j : L);
}

// Where a step of `rows` rows from row `begin` on is in a plane.
struct Place {
  int64_t first, stride;  // the first row, and from row to row, both in arrays of `width`
  CR_INLINE Place(const RecurrentArgs& r, int64_t t)
      : first(r.batch_first ? r.begin_row * r.steps + t : t * r.rows + r.begin_row),
        stride(r.batch_first ? r.steps : 1) {}
  template <class T>
  CR_INLINE T* at(T* plane, int64_t width, int64_t row = 0) const {
    return plane + (first + row * stride) * width;
  }
};

// The planes of a run: h, the gates, and two more of the cell's own.
template <class T, class Cell>
struct Planes {
  T *h, *gates, *extra[2];
  CR_INLINE Planes(const RecurrentArgs& r, T* p) : h(p) {
    const int64_t size = r.steps * r.rows * r.units;
    gates = Cell::kGates == 1 ? p : p + size;
    extra[0] = p + (Cell::kGates + 1) * size;
    extra[1] = extra[0] + size;
  }
};

// A row at one step. Forward: x, the product in `gates`, h_before (and c_before) give h, the gates' values and `extra`.
// Backward: g is the gradient of h, `product` and `direct` what came from the next step by way of the product and past
// it; the gradients of x, and of the product where it is another one, are written.
template <class T>
struct Row {
  int64_t n;
  const T *x, *h_before, *c_before, *bias, *g;
  T *gates, *h, *extra[2], *dx, *d_product, *product, *direct;
};

template <class T>
CR_INLINE Vec<T> get(const T* p, int64_t j, int64_t w) {
  return load_or_n(p + j, w);
}

// h = act(x + p)
template <class Activation>
struct Plain {
  static constexpr int64_t kGates = 1, kInputs = 3, kGradInputs = 3;
  static constexpr bool kBias = false, kCell = false, kTwoGradients = false;
  template <class T>
  CR_INLINE static void forward(const Row<T>& r) {
    activate(Activation(nullptr), r.n, r.h,
             [&r](int64_t j, int64_t w) CR_LAMBDA { return get(r.x, j, w) + get<T>(r.h, j, w); });
  }
  template <class T>
  CR_INLINE static void backward(const Row<T>& r) {
    const Activation act(nullptr);
    by_vectors<T>(r.n, [&](int64_t j, int64_t w) CR_LAMBDA {
      const Vec<T> dh = get(r.g, j, w) + get<T>(r.product, j, w);
      store_or_n(r.dx + j, act.gradient(get<T>(r.h, j, w), dh), w);
    });
  }
};

// r, z = sigmoid(x + p); n = tanh(x + r (p + bias)); h = n + z (h_before - n). extra: p + bias of n.
struct Gru {
  static constexpr int64_t kGates = 3, kInputs = 4, kGradInputs = 4;
  static constexpr bool kBias = true, kCell = false, kTwoGradients = true;
  template <class T>
  CR_INLINE static void forward(const Row<T>& r) {
    const int64_t n = r.n;
    T *const gates = r.gates, *const inner = r.extra[0], *const last = gates + 2 * n;
    activate(Sigmoid(nullptr), 2 * n, gates,
             [&r, gates](int64_t j, int64_t w) CR_LAMBDA { return get(r.x, j, w) + get<T>(gates, j, w); });
    by_vectors<T>(
        n, [&](int64_t j, int64_t w) CR_LAMBDA { store_or_n(inner + j, get<T>(last, j, w) + get(r.bias, j, w), w); });
    activate(Tanh(nullptr), n, last, [&r, gates, inner, n](int64_t j, int64_t w) CR_LAMBDA {
      return get(r.x + 2 * n, j, w) + get<T>(gates, j, w) * get<T>(inner, j, w);
    });
    by_vectors<T>(n, [&](int64_t j, int64_t w) CR_LAMBDA {
      const Vec<T> u = get<T>(last, j, w), z = get<T>(gates + n, j, w);
      store_or_n(r.h + j, u + z * (get(r.h_before, j, w) - u), w);
    });
  }
  template <class T>
  CR_INLINE static void backward(const Row<T>& r) {
    const int64_t n = r.n;
    const Sigmoid sigmoid(nullptr);
    const Tanh tanh(nullptr);
    by_vectors<T>(n, [&](int64_t j, int64_t w) CR_LAMBDA {
      const Vec<T> reset = get<T>(r.gates, j, w), z = get<T>(r.gates + n, j, w), u = get<T>(r.gates + 2 * n, j, w);
      const Vec<T> dh = get(r.g, j, w) + (get<T>(r.direct, j, w) + get<T>(r.product, j, w));
      const Vec<T> du = tanh.gradient(u, dh * (splat(T(1)) - z));
      const Vec<T> dr = sigmoid.gradient(reset, du * get<T>(r.extra[0], j, w));
      const Vec<T> dz = sigmoid.gradient(z, dh * (get(r.h_before, j, w) - u));
      store_or_n(r.dx + j, dr, w);
      store_or_n(r.dx + n + j, dz, w);
      store_or_n(r.dx + 2 * n + j, du, w);
      store_or_n(r.d_product + j, dr, w);
      store_or_n(r.d_product + n + j, dz, w);
      store_or_n(r.d_product + 2 * n + j, du * reset, w);
      store_or_n(r.direct + j, dh * z, w);
    });
  }
};

// i, f, o = sigmoid(x + p), g = tanh(x + p); c = f c_before + i g; h = o tanh(c). extra: c, tanh(c).
struct Lstm {
  static constexpr int64_t kGates = 4, kInputs = 4, kGradInputs = 5;
  static constexpr bool kBias = false, kCell = true, kTwoGradients = false;
  template <class T>
  CR_INLINE static void forward(const Row<T>& r) {
    const int64_t n = r.n;
    T *const gates = r.gates, *const c = r.extra[0], *const squashed = r.extra[1];
    const auto sum = [&r, gates](int64_t at) CR_LAMBDA {
      return [&r, gates, at](int64_t j, int64_t w) CR_LAMBDA { return get(r.x + at, j, w) + get<T>(gates + at, j, w); };
    };
    activate(Sigmoid(nullptr), 2 * n, gates, sum(0));
    activate(Tanh(nullptr), n, gates + 2 * n, sum(2 * n));
    activate(Sigmoid(nullptr), n, gates + 3 * n, sum(3 * n));
    by_vectors<T>(n, [&](int64_t j, int64_t w) CR_LAMBDA {
      const Vec<T> kept = get<T>(gates + n, j, w) * get(r.c_before, j, w);
      store_or_n(c + j, kept + get<T>(gates, j, w) * get<T>(gates + 2 * n, j, w), w);
    });
    activate(Tanh(nullptr), n, squashed, [c](int64_t j, int64_t w) CR_LAMBDA { return get<T>(c, j, w); });
    by_vectors<T>(n, [&](int64_t j, int64_t w)
                         CR_LAMBDA { store_or_n(r.h + j, get<T>(gates + 3 * n, j, w) * get<T>(squashed, j, w), w); });
  }
  template <class T>
  CR_INLINE static void backward(const Row<T>& r) {
    const int64_t n = r.n;
    const Sigmoid sigmoid(nullptr);
    const Tanh tanh(nullptr);
    by_vectors<T>(n, [&](int64_t j, int64_t w) CR_LAMBDA {
      const Vec<T> i = get<T>(r.gates, j, w), f = get<T>(r.gates + n, j, w), u = get<T>(r.gates + 2 * n, j, w),
                   o = get<T>(r.gates + 3 * n, j, w), squashed = get<T>(r.extra[1], j, w);
      const Vec<T> dh = get(r.g, j, w) + get<T>(r.product, j, w);
      const Vec<T> dc = get<T>(r.direct, j, w) + tanh.gradient(squashed, dh * o);
      store_or_n(r.dx + j, sigmoid.gradient(i, dc * u), w);
      store_or_n(r.dx + n + j, sigmoid.gradient(f, dc * get(r.c_before, j, w)), w);
      store_or_n(r.dx + 2 * n + j, tanh.gradient(u, dc * i), w);
      store_or_n(r.dx + 3 * n + j, sigmoid.gradient(o, dh * squashed), w);
      store_or_n(r.direct + j, dc * f, w);
    });
  }
};

GemmFn product_of[2];  // the level's matrix product
template <class T>
CR_INLINE void gemm_for(const GemmArgs& args) {
  product_of[sizeof(T) == 4 ? kFloat32 : kFloat64](args);
}

template <class T>
CR_INLINE const T* input(const RecurrentArgs& r, int i) {
  return static_cast<const T*>(r.in[i]);
}

template <class T, class Cell>
void forward(const RecurrentArgs& r) {
  const int64_t n = r.units, wide = Cell::kGates * n, m = r.end_row - r.begin_row;
  const Planes<T, Cell> p(r, static_cast<T*>(r.out[0]));
  for (int64_t s = r.begin_step; s < r.end_step; ++s) {
    const Place now(r, r.reverse ? r.steps - 1 - s : s), before(r, r.reverse ? r.steps - s : s - 1);
    const T* const h_before = s == 0 ? input<T>(r, 1) + r.begin_row * n : before.at(p.h, n);
    const T* const c_before = !Cell::kCell ? nullptr
                              : s == 0     ? input<T>(r, 3) + r.begin_row * n
                                           : before.at(p.extra[0], n);
    const int64_t ld = s == 0 ? n : before.stride * n;
    gemm_for<T>({m,
                 wide,
                 n,
                 h_before,
                 r.in[2],
                 ld,
                 1,
                 wide,
                 1,
                 now.at(p.gates, wide),
                 now.stride * wide,
                 r.scratch,
                 false,
                 {},
                 nullptr});
    for (int64_t i = 0; i < m; ++i) {
      Row<T> row = {};
      row.n = n;
      row.x = now.at(input<T>(r, 0), wide, i);
      row.h_before = h_before + i * ld;
      row.c_before = c_before + i * ld;
      row.bias = Cell::kBias ? input<T>(r, 3) : nullptr;
      row.gates = now.at(p.gates, wide, i);
      row.h = now.at(p.h, n, i);
      row.extra[0] = now.at(p.extra[0], n, i);
      row.extra[1] = now.at(p.extra[1], n, i);
      Cell::template forward<T>(row);
    }
  }
}

// From the last step to the first. in: the planes, the gradient of h, the transposed weights, then h or c before the
// first step, and the gradient of c after the last one. out: gradients of x and of the product; what comes out of the
// steps so far by way of the product and past it, (rows x units) each.
template <class T, class Cell>
void backward(const RecurrentArgs& r) {
  const int64_t n = r.units, wide = Cell::kGates * n, m = r.end_row - r.begin_row, at = r.begin_row * n;
  const Planes<T, Cell> p(r, static_cast<T*>(const_cast<void*>(r.in[0])));
  T* const dx = static_cast<T*>(r.out[0]);
  T* const d_product = Cell::kTwoGradients ? dx + r.steps * r.rows * wide : dx;
  T *const product = static_cast<T*>(r.out[1]) + at, *const direct = static_cast<T*>(r.out[2]) + at;
  if (r.begin_step == 0) {
    for (int64_t j = 0; j < m * n; ++j) product[j] = T(0);
    for (int64_t j = 0; j < m * n; ++j) direct[j] = Cell::kCell ? input<T>(r, 4)[at + j] : T(0);
  }
  for (int64_t s = r.steps - 1 - r.begin_step; s >= r.steps - r.end_step; --s) {
    const Place now(r, r.reverse ? r.steps - 1 - s : s), before(r, r.reverse ? r.steps - s : s - 1);
    const int64_t ld = s == 0 ? n : before.stride * n;
    const bool first = s == 0 && Cell::kGates > 1;
    const T* const state = first    ? input<T>(r, 3) + at
                           : s == 0 ? nullptr
                                    : before.at(Cell::kCell ? p.extra[0] : p.h, n);
    for (int64_t i = 0; i < m; ++i) {
      Row<T> row = {};
      row.n = n;
      row.g = now.at(input<T>(r, 1), n, i);
      row.h_before = row.c_before = state == nullptr ? nullptr : state + i * ld;
      row.gates = now.at(p.gates, wide, i);
      row.h = now.at(p.h, n, i);
      row.extra[0] = now.at(p.extra[0], n, i);
      row.extra[1] = now.at(p.extra[1], n, i);
      row.dx = now.at(dx, wide, i);
      row.d_product = now.at(d_product, wide, i);
      row.product = product + i * n;
      row.direct = direct + i * n;
      Cell::template backward<T>(row);
    }
    gemm_for<T>({m,
                 n,
                 wide,
                 now.at(d_product, wide),
                 r.in[2],
                 now.stride * wide,
                 1,
                 n,
                 1,
                 product,
                 n,
                 r.scratch,
                 false,
                 {},
                 nullptr});
  }
}

template <class Cell>
constexpr RecurrentRow forward_row(const char* name, float cost) {
  return {name, Cell::kInputs, 1, Cell::kGates, cost, {forward<float, Cell>, forward<double, Cell>}};
}
template <class Cell>
constexpr RecurrentRow backward_row(const char* name, float cost) {
  return {name, Cell::kGradInputs, 3, Cell::kGates, cost, {backward<float, Cell>, backward<double, Cell>}};
}

constexpr RecurrentRow kRows[] = {
    forward_row<Plain<Tanh>>("rnn_tanh", 0.6f),
    backward_row<Plain<Tanh>>("rnn_tanh_grad", 0.3f),
    forward_row<Plain<Relu>>("rnn_relu", 0.2f),
    backward_row<Plain<Relu>>("rnn_relu_grad", 0.3f),
    forward_row<Gru>("gru", 0.6f),
    backward_row<Gru>("gru_grad", 0.3f),
    forward_row<Lstm>("lstm", 0.7f),
    backward_row<Lstm>("lstm_grad", 0.3f),
};

}  // namespace

namespace CR_LEVEL {
void register_recurrent(KernelTable& table) {
  product_of[kFloat32] = table.gemm[kFloat32];
  product_of[kFloat64] = table.gemm[kFloat64];
  table.recurrent = kRows;
  table.n_recurrent = sizeof kRows / sizeof *kRows;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
