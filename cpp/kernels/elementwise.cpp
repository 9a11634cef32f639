// Rows of the elementwise kernels, made from the lists in math_functions.h, activations.h and arithmetic.h.
#include "kernels/activations.h"
#include "kernels/arithmetic.h"
#include "kernels/loops.h"
#include "kernels/math_functions.h"
#include "kernels/registry.h"

namespace chainrule {
namespace {

template <class Op>
struct Value : Op {
  using Op::Op;
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> x) const {
    return this->value(x);
  }
};
template <class Op>
struct Gradient : Op {
  using Op::Op;
  template <class T>
  CR_INLINE Vec<T> operator()(Vec<T> saved, Vec<T> g) const {
    return this->gradient(saved, g);
  }
};

constexpr float kStream = 0.1f, kFunction = 0.6f;
template <class Op>
constexpr float value_cost() {
  if constexpr (requires { Op::cost; }) {
    return Op::cost;
  } else {
    return kFunction;
  }
}

template <class Op>
constexpr float gradient_cost() {
  if constexpr (requires { Op::gradient_cost; }) {
    return Op::gradient_cost;
  } else {
    return kStream;
  }
}

struct MapRows {
  static constexpr int64_t with_gradient = MathFunctions::size + Activations::size;
  static constexpr int64_t binary = Binary::size + BinaryActivations::size;
  MapRow row[2 * with_gradient + Unary::size + binary + Comparisons::size + 1];
  int64_t n;
};

template <class... Ops>
void add_functions(MapRows& rows, List<Ops...>) {
  ((rows.row[rows.n++] =
        {Ops::names[0], 1, false, false, value_cost<Ops>(), {map1<float, Value<Ops>>, map1<double, Value<Ops>>}},
    rows.row[rows.n++] = {Ops::names[1],
                          2,
                          false,
                          false,
                          gradient_cost<Ops>(),
                          {map2<float, Gradient<Ops>>, map2<double, Gradient<Ops>>}}),
   ...);
}
template <class... Ops>
void add_unary(MapRows& rows, List<Ops...>) {
  ((rows.row[rows.n++] = {Ops::name, 1, false, false, kStream, {map1<float, Ops>, map1<double, Ops>}}), ...);
}
template <class... Ops>
void add_binary(MapRows& rows, List<Ops...>) {
  ((rows.row[rows.n++] = {Ops::name, 2, false, false, kStream, {map2<float, Ops>, map2<double, Ops>}}), ...);
}
template <class... Ops>
void add_comparisons(MapRows& rows, List<Ops...>) {
  ((rows.row[rows.n++] = {Ops::name, 2, false, true, kStream, {compare2<float, Ops>, compare2<double, Ops>}}), ...);
}

MapRows make_rows() {
  MapRows rows = {};
  add_functions(rows, MathFunctions());
  add_functions(rows, Activations());
  add_unary(rows, Unary());
  add_binary(rows, Binary());
  add_binary(rows, BinaryActivations());
  add_comparisons(rows, Comparisons());
  rows.row[rows.n++] = {"where", 3, true, false, kStream, {select3<float>, select3<double>}};
  return rows;
}

}  // namespace

namespace CR_LEVEL {
void register_maps(KernelTable& table) {
  static MapRows rows = {};
  rows = make_rows();
  table.maps = rows.row;
  table.n_maps = rows.n;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
