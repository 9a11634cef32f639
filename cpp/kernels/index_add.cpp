// Sums of rows, or of elements of rows, by index: the gradients of gathers.
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

template <class T>
void scatter(int64_t rows, int64_t cols, int64_t picks, const void* g, const int64_t* index, void* out) {
  for (int64_t i = 0; i < rows; ++i) {
    const T* const from = static_cast<const T*>(g) + i * picks;
    T* const to = static_cast<T*>(out) + i * cols;
    for (int64_t j = 0; j < cols; ++j) to[j] = T(0);
    if (picks == 1) {
      to[index[i]] = from[0];
      continue;
    }
    for (int64_t j = 0; j < picks; ++j) {
      const int64_t at = index[i * picks + j];
      to[at] = to[at] + from[j];
    }
  }
}

}  // namespace

namespace CR_LEVEL {
void register_index_add(KernelTable& table) {
  table.index_add[kFloat32] = index_add<float>;
  table.index_add[kFloat64] = index_add<double>;
  table.scatter[kFloat32] = scatter<float>;
  table.scatter[kFloat64] = scatter<double>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
