"""Dropout, drawn from the streams of a generator."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_number
from .._util.dtypes import Array
from .._util.mode import grad_mode
from ..random import Generator, default_generator
from ._operands import one

__all__ = ["dropout", "dropout_by", "rates_of"]


def dropout(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Set elements to 0 with probability p and multiply the others by 1 / (1 - p); without training return x.

    y = x * mask, where element i of the mask is 0 when the i-th random word is below p * 2^32, else 1 / (1 - p) (all
    are 0 when p is 1). The gradient is g * mask. Every call takes the next stream of the generator, and
    so does every run of a compiled function, whose results then cannot be differentiated outside it.

    Arguments: `x`, float32 or float64 of any shape; `p`, from 0 to 1; `training`; `generator` (default: that of
    `cr.manual_seed`).
    Returns: a tensor of the same shape and dtype.
    Errors: TypeError for another dtype; ValueError for p out of range.
    Source: Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 15 (2014).

    >>> import chainrule as cr
    >>> cr.dropout(cr.tensor([1.0, 2.0, 3.0, 4.0]), 0.5, generator=cr.random.Generator(seed=7)).numpy()
    array([2., 4., 0., 0.], dtype=float32)
    """
    p = check_number("dropout: p", p, maximum=1)
    tensor = _check(x)
    return tensor if not training or p == 0 else _masked(tensor, _rates(p), generator)


def dropout_by(x: Any, rates: Array, generator: Generator | None = None) -> Tensor:
    """Dropout in training by the rates (p, 1 / (1 - p)) that an array has at every run of a compiled function, too."""
    return _masked(_check(x), rates, generator)


def rates_of(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The probabilities of 0, and the factors of the remaining elements, 1 / (1 - p) or 0; shape (..., 2)."""
    scale = ops.where(p < 1, ops.div(1.0, ops.sub(1.0, p)), 0.0)
    return ops.stack([p, scale], axis=-1).numpy()


def _check(x: Any) -> Tensor:
    tensor = one(x)
    if tensor.dtype.kind != "f":
        raise TypeError(f"dropout: expected float32 or float64, got {tensor.dtype}; convert with astype()")
    return tensor


def _masked(tensor: Tensor, rates: Array, generator: Generator | None) -> Tensor:
    source = default_generator() if generator is None else generator
    mask = grad_mode.executor.draw(source._state, tensor.shape, tensor.dtype, rates)
    return ops.mul(tensor, Tensor._wrap(mask))


@lru_cache
def _rates(p: float) -> Array:
    rates = np.array([p, 0.0 if p == 1 else ops.div(np.float64(1), ops.sub(np.float64(1), np.float64(p))).item()])
    rates.flags.writeable = False  # a constant of compiled functions
    return rates
