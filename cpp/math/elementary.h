// Elementary functions on vectors: one include for the kernels.
// Vec<float>: exp expm1 log log1p tanh sigmoid softplus erf normal_cdf sin cos, correctly rounded (tests/exhaustive
// proves it on all 2^32 inputs). Vec<double>: the same, at most 1 ULP from the mathematical value, and normal_quantile;
// one fixed sequence of operations, the same bits on every level. The errors stated above them were measured on 4
// million samples against 113 bits.
//
// exp and log reduce their argument with tables of 16 entries, so that the polynomials stay short; erf has a polynomial
// for each of 16 cells; the others are built from their parts. A float32 function is evaluated quickly in binary64, and
// again, accurately, where that may round wrongly (rounding.h); exp, tanh and sigmoid are tried in pairs of floats
// first (float_pair.h), four vectors at a time where there are so many: 1.3 to 1.5 times as fast with AVX-512, 1.5
// to 1.7 times with AVX2 (Zen 4). So are log, erf and normal_cdf where one instruction looks up 32 floats: 1.2, 1.7 and
// 1.7 times. The coefficients come from tests/exhaustive/coefficients.py.
#pragma once

#include "math/erf.h"
#include "math/exp.h"
#include "math/log.h"
#include "math/logistic.h"
#include "math/normal.h"
#include "math/sine.h"
