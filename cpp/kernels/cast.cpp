// Conversion between dtypes: C++ conversions, exact or rounded once (to nearest even).
#include "kernels/registry.h"

namespace chainrule {
namespace {

template <class To, class From>
void cast(int64_t n, const void* in, void* out) {
  for (int64_t i = 0; i < n; ++i) static_cast<To*>(out)[i] = static_cast<To>(static_cast<const From*>(in)[i]);
}

// Whole numbers, such as indices that were selected as float64; what int64 cannot hold is the nearest that it can, NaN
// the least.
template <>
void cast<int64_t, double>(int64_t n, const void* in, void* out) {
  for (int64_t i = 0; i < n; ++i) {
    const double v = static_cast<const double*>(in)[i];
    static_cast<int64_t*>(out)[i] = v >= 0x1p63 ? INT64_MAX : v > -0x1p63 ? static_cast<int64_t>(v) : INT64_MIN;
  }
}

}  // namespace

namespace CR_LEVEL {
void register_cast(KernelTable& table) {
  table.cast[kFloat32][kFloat32] = cast<float, float>;
  table.cast[kFloat32][kFloat64] = cast<float, double>;
  table.cast[kFloat32][kInt64] = cast<float, int64_t>;
  table.cast[kFloat32][kBool] = cast<float, bool>;
  table.cast[kFloat64][kFloat32] = cast<double, float>;
  table.cast[kFloat64][kFloat64] = cast<double, double>;
  table.cast[kFloat64][kInt64] = cast<double, int64_t>;
  table.cast[kFloat64][kBool] = cast<double, bool>;
  table.cast[kInt64][kFloat64] = cast<int64_t, double>;
  table.cast[kInt64][kInt64] = cast<int64_t, int64_t>;
  table.cast[kInt64][kBool] = cast<int64_t, bool>;
}
}  // namespace CR_LEVEL
}  // namespace chainrule
