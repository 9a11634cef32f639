// Householder reduction to a tridiagonal matrix, then QL with implicit shifts: the procedures tred2 and imtql2 of
// Martin, Reinsch and Wilkinson (Numerische Mathematik 11 and 12, 1968), arranged so that inner loops run along rows:
// the compiler vectorises over elements, sums stay in ascending order.
#include "host/eigen.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace chainrule {
namespace {

constexpr int kMaxSweeps = 60;            // per eigenvalue; two or three are usual
constexpr double kNegligible = 0x1p-100;  // of a matrix whose largest element is between 1 and 2

// y += factor * x
void add_row(int64_t n, double factor, const double* x, double* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

double dot(int64_t n, const double* x, const double* y) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

// The power of two that takes the largest element to [1, 2); 1 for a matrix of zeros.
double power_of_scale(int64_t count, const double* a) {
  double largest = 0, scale = 1;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(a[i]));
  if (largest == 0) return 1;
  for (; largest * scale >= 2; scale *= 0.5) {
  }
  for (; largest * scale < 1 && scale < 0x1p1000; scale *= 2) {
  }
  return scale;
}

// The reflection H = I - beta v v' that takes x to (-sign(x[0]) |x|, 0, ...); x becomes v. Returns beta, 0 for none.
double reflect(int64_t n, double* x, double* first) {
  const double rest = dot(n - 1, x + 1, x + 1);
  *first = x[0];
  if (rest == 0) return 0;
  const double norm = std::sqrt(x[0] * x[0] + rest);
  *first = x[0] > 0 ? -norm : norm;
  x[0] -= *first;
  return 2 / (x[0] * x[0] + rest);
}

// a = Q T Q' with T tridiagonal: diagonal d, below it e. Row k of a keeps v of reflection k right of the diagonal.
void tridiagonalise(int64_t n, double* a, double* d, double* e, double* beta) {
  std::vector<double> p(n);
  for (int64_t k = 0; k < n; ++k) {
    d[k] = a[k * n + k];
    if (k + 1 == n) break;
    const int64_t m = n - k - 1;
    double* const v = a + k * n + k + 1;
    beta[k] = reflect(m, v, &e[k]);
    if (beta[k] == 0) continue;
    double* const rest = a + (k + 1) * n + k + 1;  // m x m, rows n apart
    std::fill_n(p.begin(), m, 0.0);
    for (int64_t i = 0; i < m; ++i) add_row(m, v[i], rest + i * n, p.data());
    for (int64_t i = 0; i < m; ++i) p[i] *= beta[k];
    add_row(m, -(beta[k] / 2 * dot(m, p.data(), v)), v, p.data());
    for (int64_t i = 0; i < m; ++i) {
      double* const row = rest + i * n;
      for (int64_t j = 0; j < m; ++j) row[j] -= v[i] * p[j] + p[i] * v[j];
    }
  }
}

// z (n, n) becomes Q', from the reflections in a.
void accumulate(int64_t n, const double* a, const double* beta, double* z) {
  std::fill_n(z, n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) z[i * n + i] = 1;
  for (int64_t k = n - 2; k >= 0; --k) {
    if (beta[k] == 0) continue;
    const int64_t m = n - k - 1;
    const double* const v = a + k * n + k + 1;
    for (int64_t i = k + 1; i < n; ++i) {  // a column of Q is a row of z
      double* const row = z + i * n + k + 1;
      add_row(m, -(beta[k] * dot(m, v, row)), v, row);
    }
  }
}

// Rotates rows x and y: (x, y) becomes (c x - s y, s x + c y).
void rotate(int64_t n, double c, double s, double* x, double* y) {
  for (int64_t i = 0; i < n; ++i) {
    const double low = x[i], high = y[i];
    y[i] = s * low + c * high;
    x[i] = c * low - s * high;
  }
}

// One implicit QL step on rows l..m of the tridiagonal matrix, shifted towards its first eigenvalue.
void ql_step(int64_t n, int64_t l, int64_t m, double* d, double* e, double* z) {
  double g = (d[l + 1] - d[l]) / (2 * e[l]);
  const double root = std::sqrt(g * g + 1);
  g = d[m] - d[l] + e[l] / (g < 0 ? g - root : g + root);
  double s = 1, c = 1, p = 0;
  for (int64_t i = m - 1; i >= l; --i) {
    const double f = s * e[i], b = c * e[i], r = std::sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r == 0) {  // the matrix splits in two
      d[i + 1] -= p;
      e[m] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = d[i + 1] - p;
    const double t = (d[i] - g) * s + 2 * c * b;
    p = s * t;
    d[i + 1] = g + p;
    g = c * t - b;
    rotate(n, c, s, z + i * n, z + (i + 1) * n);
  }
  d[l] -= p;
  e[l] = g;
  e[m] = 0;
}

bool diagonalise(int64_t n, double* d, double* e, double* z) {
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  for (int64_t l = 0; l < n; ++l) {
    for (int sweep = 0;; ++sweep) {
      int64_t m = l;
      while (m + 1 < n && std::fabs(e[m]) > kEpsilon * (std::fabs(d[m]) + std::fabs(d[m + 1])) + kNegligible) ++m;
      if (m == l) break;
      if (sweep == kMaxSweeps) return false;
      ql_step(n, l, m, d, e, z);
    }
  }
  return true;
}

void make_largest_positive(int64_t n, double* row) {
  const double* const at =
      std::max_element(row, row + n, [](double x, double y) { return std::fabs(x) < std::fabs(y); });
  if (*at < 0) {
    for (int64_t i = 0; i < n; ++i) row[i] = -row[i];
  }
}

}  // namespace

bool symmetric_eigen(int64_t n, double* a, double* values) {
  if (n == 0) return true;
  const double scale = power_of_scale(n * n, a);
  for (int64_t i = 0; i < n * n; ++i) a[i] *= scale;
  std::vector<double> z(n * n), d(n), e(n), beta(n);
  tridiagonalise(n, a, d.data(), e.data(), beta.data());
  accumulate(n, a, beta.data(), z.data());
  if (!diagonalise(n, d.data(), e.data(), z.data())) return false;
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return d[i] > d[j]; });
  for (int64_t i = 0; i < n; ++i) {
    values[i] = d[order[i]] / scale;
    std::copy_n(z.data() + order[i] * n, n, a + i * n);
    make_largest_positive(n, a + i * n);
  }
  return true;
}

}  // namespace chainrule
