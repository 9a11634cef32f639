"""docs/arithmetic.md, executed in NumPy: what every kernel must give, bit by bit.

    bits            same_bits, assert_same_bits: equality, NaN canonical
    fma             fused multiply-add
    elementary      exp ... softplus; float32 correctly rounded
    exact           the same in mpmath; ULP error of a float64 result
    elementwise     arithmetic, comparison, maximum and minimum
    activations     activation functions and their gradients
    elementary_gradients   gradients of the elementary functions
    table           REFERENCE: one row per elementwise op
    softmax_losses  softmax and its losses; ROWWISE: one row per row-wise op
    samples         test data; special values
    updates         UPDATES: one row per optimizer's step
    matmul, conv, reduce, losses, philox

It is independent of the kernels and slow; it is itself checked by tests/test_reference*.py.
"""

from .bits import assert_same_bits, same_bits
from .elementary import float64_functions
from .exact import ulp_error
from .fma import fma
from .matmul import linear, linear_grad, matmul
from .philox import bernoulli, normal, permutation, philox4x32, uniform, words
from .samples import any_bits, arguments, normals, special_arguments, special_values
from .softmax_losses import ROWWISE
from .table import GRADIENTS, REFERENCE, Row
from .updates import UPDATES, Update, sgd_step

__all__ = [
    "GRADIENTS",
    "REFERENCE",
    "ROWWISE",
    "UPDATES",
    "Row",
    "Update",
    "any_bits",
    "arguments",
    "assert_same_bits",
    "bernoulli",
    "float64_functions",
    "fma",
    "linear",
    "linear_grad",
    "matmul",
    "normal",
    "normals",
    "permutation",
    "philox4x32",
    "same_bits",
    "sgd_step",
    "special_arguments",
    "special_values",
    "ulp_error",
    "uniform",
    "words",
]
