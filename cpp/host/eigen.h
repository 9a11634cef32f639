// Eigenvalues and eigenvectors of symmetric matrices in float64, one fixed sequence of + - * / sqrt.
#pragma once

#include <cstdint>

namespace chainrule {

// a (n, n) is symmetric and finite, and is overwritten by the eigenvectors, one unit vector per row; values (n) are
// their eigenvalues, largest first. The largest component of a vector by magnitude (the first of equal ones) is
// positive. Returns false when the iteration does not converge, which no finite matrix has shown.
bool symmetric_eigen(int64_t n, double* a, double* values);

}  // namespace chainrule
