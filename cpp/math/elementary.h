// Elementary functions on vectors: one include for the kernels.
// Vec<float>: exp expm1 log log1p tanh sigmoid softplus, correctly rounded (tests/exhaustive proves it on all 2^32
// inputs).
// Vec<double>: the same, at most 1 ULP from the mathematical value, and normal_quantile; one fixed sequence of
// operations, the same bits on every level. The errors stated above them were measured on 4 million samples against 113
// bits.
//
// exp and log reduce their argument with tables of 16 entries, so that the polynomials stay short; the others are built
// from their parts. A float32 function evaluates quickly in binary64 and doubts itself (rounding.h). The coefficients
// come from tests/exhaustive/coefficients.py.
//
// One vector a call is enough: a loop unrolled by two is no faster (Zen 4, within 1 %), the processor overlaps the
// turns.
#pragma once

#include "math/exp.h"
#include "math/log.h"
#include "math/logistic.h"
#include "math/normal.h"
