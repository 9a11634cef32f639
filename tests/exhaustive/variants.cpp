// The two variants of a float32 function (cpp/math/rounding.h) one input at a time. In a vector one doubtful lane takes
// all lanes through the exact variant, so a run over consecutive inputs sees each input in one variant only:
//   alone   each input decides for itself, in a vector of its equals (the scalar level has one lane; any level)
//   exact   each input takes the exact variant, as beside a doubtful one (any level)
#include <cstring>

#include "math/elementary.h"
#include "math/error_functions.h"
#include "math/gamma.h"
#include "math/hyperbolic.h"

namespace chainrule {
namespace {

struct Row {
  const char* name;
  Vec<float> (*alone)(Vec<float>);
  Vec<float> (*exact)(Vec<float>);
};

using namespace math;
const Row kRows[] = {
    {"exp", exp, round_exactly<exp<Last::odd>>},
    {"expm1", expm1, round_exactly<expm1<Last::odd>>},
    {"log", log, round_exactly<log<Last::odd>>},
    {"log1p", log1p, round_exactly<log1p<Last::odd>>},
    {"tanh", tanh, round_exactly<tanh<Last::odd>>},
    {"sigmoid", sigmoid, round_exactly<sigmoid_to_round>},
    {"softplus", softplus, round_exactly<softplus<Last::odd>>},
    {"erf", erf, round_exactly<erf<Last::odd>>},
    {"ndtr", normal_cdf, round_exactly<normal_cdf<Last::odd>>},
    {"sin", sin, round_exactly<sin<Last::odd>>},
    {"cos", cos, round_exactly<cos<Last::odd>>},
    {"rsqrt", rounded<rsqrt_pair>, rounded<rsqrt_pair>},
    {"cbrt", rounded<cbrt_pair>, rounded<cbrt_pair>},
    {"exp2", rounded<exp2_pair>, rounded<exp2_pair>},
    {"log2", rounded<log2_pair>, rounded<log2_pair>},
    {"log10", rounded<log10_pair>, rounded<log10_pair>},
    {"tan", rounded<tan_pair>, rounded<tan_pair>},
    {"asin", rounded<asin_pair>, rounded<asin_pair>},
    {"acos", rounded<acos_pair>, rounded<acos_pair>},
    {"atan", rounded<atan_pair>, rounded<atan_pair>},
    {"sinh", rounded<sinh_pair>, rounded<sinh_pair>},
    {"cosh", rounded<cosh_pair>, rounded<cosh_pair>},
    {"asinh", rounded<asinh_pair>, rounded<asinh_pair>},
    {"acosh", rounded<acosh_pair>, rounded<acosh_pair>},
    {"atanh", rounded<atanh_pair>, rounded<atanh_pair>},
    {"erfc", rounded<erfc_pair>, rounded<erfc_pair>},
    {"lgamma", rounded<lgamma_pair>, rounded<lgamma_pair>},
};

const Row* find(const char* name) {
  for (const Row& row : kRows) {
    if (std::strcmp(row.name, name) == 0) return &row;
  }
  return nullptr;
}

}  // namespace
}  // namespace chainrule

using namespace chainrule;

extern "C" int alone(const char* name, int64_t n, const float* x, float* y) {
  const Row* const row = find(name);
  if (row == nullptr) return 1;
  for (int64_t i = 0; i < n; ++i) y[i] = first(row->alone(splat(x[i])));
  return 0;
}
extern "C" int exact(const char* name, int64_t n, const float* x, float* y) {
  constexpr int64_t L = Vec<float>::lanes;
  const Row* const row = find(name);
  if (row == nullptr) return 1;
  for (int64_t i = 0; i < n; i += L) store_n(y + i, row->exact(load_or_n(x + i, n - i)), n - i < L ? n - i : L);
  return 0;
}
