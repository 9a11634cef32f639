// Sums of rows by index: the gradient of a gather of rows.
#include "kernels/registry.h"

namespace chainrule {
namespace {

template <class T>
void index_add(const IndexAddArgs& a) {
  const T* const g = static_cast<const T*>(a.g);
  T* const out = static_cast<T*>(a.out);
  for (int64_t r = 0; r < a.out_rows; ++r) {
    for (int64_t j = 0; j < a.n; ++j) out[r * a.ld + j] = T(0);
  }
  for (int64_t i = 0; i < a.rows; ++i) {
    T* const sums = out + a.index[i] * a.ld;
    for (int64_t j = 0; j < a.n; ++j) sums[j] = sums[j] + g[i * a.ld + j];
  }
}

}  // namespace

namespace CR_LEVEL {
void register_index_add(KernelTable& table) {
  table.index_add[kFloat32] = index_add<float>;
  table.index_add[kFloat64] = index_add<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
