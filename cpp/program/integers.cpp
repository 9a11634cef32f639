// Plain loops. int64 wraps around where it overflows; bool is one byte an element, any other than 0 is true.
#include "program/integers.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <type_traits>

namespace chainrule {
namespace {

constexpr uint64_t bits_of(int64_t x) { return static_cast<uint64_t>(x); }
constexpr int64_t wrapped(uint64_t x) { return static_cast<int64_t>(x); }
constexpr int64_t element(int64_t x) { return x; }
constexpr bool element(uint8_t x) { return x != 0; }
// As it is computed with: int64_t or bool.
template <class T>
using Loaded = decltype(element(T{}));

#define CR_UNARY(Name, T, body)                 \
  struct Name {                                 \
    static constexpr T of(T x) { return body; } \
  };
#define CR_BINARY(Name, T, body)                     \
  struct Name {                                      \
    static constexpr T of(T a, T b) { return body; } \
  };
// Of both dtypes; comparisons give bool.
#define CR_BOTH(Name, body)           \
  struct Name {                       \
    template <class T>                \
    static constexpr T of(T a, T b) { \
      return static_cast<T>(body);    \
    }                                 \
  };
#define CR_COMPARISON(Name, body)        \
  struct Name {                          \
    template <class T>                   \
    static constexpr bool of(T a, T b) { \
      return body;                       \
    }                                    \
  };

constexpr int64_t quotient(int64_t a, int64_t b) {  // by 0: 0; the least number by -1 wraps around
  if (b == 0) return 0;
  if (b == -1) return wrapped(-bits_of(a));
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}
constexpr int64_t remainder(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return 0;
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
constexpr int64_t power(int64_t a, int64_t n) {  // 0 for n < 0
  uint64_t result = n < 0 ? 0 : 1, base = bits_of(a);
  for (; n > 0; n >>= 1, base *= base) result *= n % 2 != 0 ? base : 1;
  return wrapped(result);
}

CR_UNARY(Neg, int64_t, wrapped(-bits_of(x)))
CR_UNARY(Abs, int64_t, x < 0 ? wrapped(-bits_of(x)) : x)
CR_UNARY(Square, int64_t, wrapped(bits_of(x) * bits_of(x)))
CR_UNARY(Sign, int64_t, (x > 0) - (x < 0))
CR_UNARY(NotInteger, int64_t, ~x)
CR_UNARY(NotBool, bool, !x)
CR_BINARY(AddInteger, int64_t, wrapped(bits_of(a) + bits_of(b)))
CR_BINARY(Sub, int64_t, wrapped(bits_of(a) - bits_of(b)))
CR_BINARY(MulInteger, int64_t, wrapped(bits_of(a) * bits_of(b)))
CR_BINARY(AddBool, bool, a || b)
CR_BINARY(MulBool, bool, a&& b)
CR_BINARY(FloorDivide, int64_t, quotient(a, b))
CR_BINARY(Remainder, int64_t, remainder(a, b))
CR_BINARY(Power, int64_t, power(a, b))
CR_BOTH(Maximum, a < b ? b : a)
CR_BOTH(Minimum, b < a ? b : a)
CR_BOTH(And, a& b)
CR_BOTH(Or, a | b)
CR_BOTH(Xor, a ^ b)
CR_COMPARISON(Equal, a == b)
CR_COMPARISON(NotEqual, a != b)
CR_COMPARISON(Less, a < b)
CR_COMPARISON(LessEqual, a <= b)
CR_COMPARISON(Greater, a > b)
CR_COMPARISON(GreaterEqual, a >= b)

#undef CR_UNARY
#undef CR_BINARY
#undef CR_BOTH
#undef CR_COMPARISON

// For a dtype that has no such function.
struct None {};

template <class T>
const T* row_of(const MapArgs& m, int i, int64_t r) {
  return static_cast<const T*>(m.in[i]) + r * m.rs_in[i];
}
template <class T>
T* out_row(const MapArgs& m, int64_t r) {
  return static_cast<T*>(m.out) + r * m.rs_out;
}

template <class T, class Op>
void map1(const MapArgs& m) {
  for (int64_t r = 0; r < m.rows; ++r) {
    const T* const x = row_of<T>(m, 0, r);
    T* const y = out_row<T>(m, r);
    if (m.cs_in[0] != 0) {
      for (int64_t i = 0; i < m.n; ++i) y[i] = static_cast<T>(Op::of(element(x[i])));
    } else {
      for (int64_t i = 0; i < m.n; ++i) y[i] = static_cast<T>(Op::of(element(*x)));
    }
  }
}

template <class T, class Op>
void map2(const MapArgs& m) {
  using Result = decltype(Op::of(element(T{}), element(T{})));
  using Out = std::conditional_t<std::is_same_v<Result, bool>, uint8_t, Result>;
  if (m.n == 0) return;
  const bool whole_a = m.cs_in[0] != 0, whole_b = m.cs_in[1] != 0;
  for (int64_t r = 0; r < m.rows; ++r) {
    const T *const a = row_of<T>(m, 0, r), *const b = row_of<T>(m, 1, r);
    Out* const y = out_row<Out>(m, r);
    const Loaded<T> a0 = element(*a), b0 = element(*b);
    if (whole_a && whole_b) {
      for (int64_t i = 0; i < m.n; ++i) y[i] = static_cast<Out>(Op::of(element(a[i]), element(b[i])));
    } else if (whole_a) {
      for (int64_t i = 0; i < m.n; ++i) y[i] = static_cast<Out>(Op::of(element(a[i]), b0));
    } else if (whole_b) {
      for (int64_t i = 0; i < m.n; ++i) y[i] = static_cast<Out>(Op::of(a0, element(b[i])));
    } else {
      for (int64_t i = 0; i < m.n; ++i) y[i] = static_cast<Out>(Op::of(a0, b0));
    }
  }
}

// where(condition, a, b)
template <class T>
void select3(const MapArgs& m) {
  for (int64_t r = 0; r < m.rows; ++r) {
    const uint8_t* const c = row_of<uint8_t>(m, 0, r);
    const T *const a = row_of<T>(m, 1, r), *const b = row_of<T>(m, 2, r);
    T* const y = out_row<T>(m, r);
    for (int64_t i = 0; i < m.n; ++i) y[i] = c[i * m.cs_in[0]] != 0 ? a[i * m.cs_in[1]] : b[i * m.cs_in[2]];
  }
}

constexpr float kCost = 0.1f;
template <class T, class Op>
constexpr MapFn kMap1 = map1<T, Op>;
template <class T>
constexpr MapFn kMap1<T, None> = nullptr;
template <class T, class Op>
constexpr MapFn kMap2 = map2<T, Op>;
template <class T>
constexpr MapFn kMap2<T, None> = nullptr;

// A row: the functions of int64 and bool.
template <class Integer, class Bool>
constexpr MapRow unary(const char* name) {
  return {name, 1, false, false, kCost, {kMap1<int64_t, Integer>, kMap1<uint8_t, Bool>}};
}
template <class Integer, class Bool>
constexpr MapRow binary(const char* name) {
  return {name, 2, false, false, kCost, {kMap2<int64_t, Integer>, kMap2<uint8_t, Bool>}};
}
template <class Op>
constexpr MapRow comparison(const char* name) {
  return {name, 2, false, true, kCost, {kMap2<int64_t, Op>, kMap2<uint8_t, Op>}};
}

constexpr MapRow kMaps[] = {
    unary<Neg, None>("neg"),
    unary<Abs, None>("abs"),
    unary<Square, None>("square"),
    unary<Sign, None>("sign"),
    unary<NotInteger, NotBool>("bitwise_not"),
    binary<AddInteger, AddBool>("add"),
    binary<Sub, None>("sub"),
    binary<MulInteger, MulBool>("mul"),
    binary<FloorDivide, None>("floor_divide"),
    binary<Remainder, None>("remainder"),
    binary<Power, None>("integer_power"),
    binary<Maximum, Maximum>("maximum"),
    binary<Minimum, Minimum>("minimum"),
    binary<And, And>("bitwise_and"),
    binary<Or, Or>("bitwise_or"),
    binary<Xor, Xor>("bitwise_xor"),
    comparison<Equal>("equal"),
    comparison<NotEqual>("not_equal"),
    comparison<Less>("less"),
    comparison<LessEqual>("less_equal"),
    comparison<Greater>("greater"),
    comparison<GreaterEqual>("greater_equal"),
    {"where", 3, true, false, kCost, {select3<int64_t>, select3<uint8_t>}},
};

// Reductions: of rows, and of columns, in which `first` starts and otherwise what out holds is continued.

struct Sum {
  static constexpr int64_t start = 0;
  static constexpr int64_t of(int64_t a, int64_t b) { return AddInteger::of(a, b); }
};
struct Prod {
  static constexpr int64_t start = 1;
  static constexpr int64_t of(int64_t a, int64_t b) { return MulInteger::of(a, b); }
};
struct Max {
  static constexpr int64_t start = INT64_MIN;
  static constexpr int64_t of(int64_t a, int64_t b) { return Maximum::of(a, b); }
};
struct Min {
  static constexpr int64_t start = INT64_MAX;
  static constexpr int64_t of(int64_t a, int64_t b) { return Minimum::of(a, b); }
};
struct Any {  // max of bool
  static constexpr bool start = false;
  static constexpr bool of(bool a, bool b) { return a | b; }
};
struct All {  // min of bool
  static constexpr bool start = true;
  static constexpr bool of(bool a, bool b) { return a & b; }
};

template <class T, class Op>
void reduce_rows(int64_t rows, int64_t cols, const void* x, void* out) {
  for (int64_t i = 0; i < rows; ++i) {
    const T* const row = static_cast<const T*>(x) + i * cols;
    Loaded<T> total = Op::start;
    for (int64_t j = 0; j < cols; ++j) total = Op::of(total, element(row[j]));
    static_cast<T*>(out)[i] = static_cast<T>(total);
  }
}
template <class T, class Op>
void reduce_columns(int64_t rows, int64_t cols, const void* x, int64_t stride, void* out, bool first) {
  T* const y = static_cast<T*>(out);
  if (first) {
    for (int64_t j = 0; j < cols; ++j) y[j] = static_cast<T>(Op::start);
  }
  for (int64_t i = 0; i < rows; ++i) {
    const T* const row = static_cast<const T*>(x) + i * stride;
    for (int64_t j = 0; j < cols; ++j) y[j] = static_cast<T>(Op::of(element(y[j]), element(row[j])));
  }
}
// First index of the maximum.
template <class T>
void argmax_rows(int64_t rows, int64_t cols, const void* x, void* out) {
  for (int64_t i = 0; i < rows; ++i) {
    const T* const row = static_cast<const T*>(x) + i * cols;
    int64_t best = 0;
    for (int64_t j = 1; j < cols; ++j) best = element(row[best]) < element(row[j]) ? j : best;
    static_cast<int64_t*>(out)[i] = best;
  }
}

template <class T, class Op>
constexpr RowsFn kRows = reduce_rows<T, Op>;
template <class T, class Op>
constexpr ColumnsFn kColumns = reduce_columns<T, Op>;

constexpr ReduceRow kReductions[] = {
    {"sum", {kRows<int64_t, Sum>, nullptr}, {kColumns<int64_t, Sum>, nullptr}},
    {"prod", {kRows<int64_t, Prod>, nullptr}, {kColumns<int64_t, Prod>, nullptr}},
    {"max", {kRows<int64_t, Max>, kRows<uint8_t, Any>}, {kColumns<int64_t, Max>, kColumns<uint8_t, Any>}},
    {"min", {kRows<int64_t, Min>, kRows<uint8_t, All>}, {kColumns<int64_t, Min>, kColumns<uint8_t, All>}},
    {"argmax", {argmax_rows<int64_t>, argmax_rows<uint8_t>}, {nullptr, nullptr}},
};

// Products: of rows, so that b is read along its own rows where it is no transpose.
template <class T, class Plus, class Times>
void product_of(const GemmArgs& g) {
  for (int64_t i = 0; i < g.m; ++i) {
    T* const c = static_cast<T*>(g.c) + i * g.rs_c;
    if (!g.continues) std::fill_n(c, g.n, T{0});
    for (int64_t l = 0; l < g.k; ++l) {
      const auto a = element(static_cast<const T*>(g.a)[i * g.rs_a + l * g.cs_a]);
      const T* const b = static_cast<const T*>(g.b) + l * g.rs_b;
      for (int64_t j = 0; j < g.n; ++j) {
        c[j] = static_cast<T>(Plus::of(element(c[j]), Times::of(a, element(b[j * g.cs_b]))));
      }
    }
  }
}
constexpr GemmFn kProducts[] = {product_of<int64_t, Sum, Prod>, product_of<uint8_t, Any, All>};

void recurrence(const ScanArgs& s) {
  const int64_t* const a = static_cast<const int64_t*>(s.a);
  const int64_t* const b = static_cast<const int64_t*>(s.b);
  int64_t* const y = static_cast<int64_t*>(s.y);
  for (int64_t step = 0; step < s.length; ++step) {
    const int64_t at = (s.reverse ? s.length - 1 - step : step) * s.ld, before = s.reverse ? at + s.ld : at - s.ld;
    const int64_t factors = s.reverse ? before : at;
    for (int64_t j = 0; j < s.n; ++j) {
      const int64_t carried = step == 0 ? 0 : a == nullptr ? y[before + j] : Prod::of(a[factors + j], y[before + j]);
      y[at + j] = Sum::of(carried, b[at + j]);
    }
  }
}
constexpr ScanFn kScan = recurrence;

template <class Row>
const Row* find(const Row* rows, int64_t n, const std::string& name) {
  for (int64_t i = 0; i < n; ++i) {
    if (name == rows[i].name) return rows + i;
  }
  return nullptr;
}

}  // namespace

const GemmFn* integer_product(Dtype dtype) { return &kProducts[in_row(dtype)]; }
const ScanFn* integer_scan() { return &kScan; }
std::span<const MapRow> integer_maps() { return kMaps; }
const MapRow* find_map(const KernelTable& table, const std::string& name, Dtype dtype) {
  return is_float(dtype) ? find(table.maps, table.n_maps, name) : find(kMaps, std::ssize(kMaps), name);
}
const ReduceRow* find_reduction(const KernelTable& table, const std::string& name, Dtype dtype) {
  return is_float(dtype) ? find(table.reductions, table.n_reductions, name)
                         : find(kReductions, std::ssize(kReductions), name);
}

}  // namespace chainrule
