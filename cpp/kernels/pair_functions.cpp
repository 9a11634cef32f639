// Rows of the functions in pair_functions.h, behind those of elementwise.cpp.
#include "kernels/pair_functions.h"

#include "kernels/loops.h"
#include "kernels/registry.h"

namespace chainrule {
namespace {

template <class... Ops>
void add_unary(MapRow*& row, List<Ops...>) {
  ((*row++ = {Ops::name, 1, false, false, Ops::cost, {map1<float, Ops>, map1<double, Ops>}}), ...);
}
template <class... Ops>
void add_binary(MapRow*& row, List<Ops...>) {
  ((*row++ = {Ops::name, 2, false, false, Ops::cost, {map2<float, Ops>, map2<double, Ops>}}), ...);
}
template <class... Ops>
constexpr int64_t count(List<Ops...>) {
  return sizeof...(Ops);
}

}  // namespace

namespace CR_LEVEL {
void register_pair_functions(KernelTable& table) {
  static MapRow rows[256];
  if (table.n_maps + count(PairFunctions()) + count(PairFunctions2()) > 256) __builtin_trap();
  int64_t n = 0;
  for (; n < table.n_maps; ++n) rows[n] = table.maps[n];
  MapRow* row = rows + n;
  add_unary(row, PairFunctions());
  add_binary(row, PairFunctions2());
  table.maps = rows;
  table.n_maps = row - rows;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
