// Elementary functions on vectors: one include for the kernels.
//
// Vec<float>: exp expm1 log log1p tanh sigmoid softplus, correctly rounded (tests/exhaustive proves it).
// Vec<double>: the same at most 1 ULP from the mathematical value, and normal_quantile; one fixed sequence of
// operations, the same bits on every level.
#pragma once

#include "math/exp.h"
#include "math/log.h"
#include "math/logistic.h"
#include "math/normal.h"
