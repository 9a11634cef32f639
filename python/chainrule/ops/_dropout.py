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
from ..random import Generator, given_or_default
from ._operands import one

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout_by", "dropout_channels", "rates_of"]

_ALPHA = 1.7580993408473766  # of selu, lambda times alpha


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


def dropout2d(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Dropout of whole channels: all elements of a channel of an image are 0, or multiplied by 1 / (1 - p).

    Arguments: `x` (n, channels, h, w) or (n, channels, l), as in PyTorch; the others as `cr.nn.functional.dropout`.
    Returns: a tensor of the same shape and dtype. Errors: as `cr.nn.functional.dropout`; ValueError for other shapes.
    Source: Tompson et al., Efficient object localization using convolutional networks (2015).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> x = np.ones((1, 4, 1, 2), np.float32)
    >>> cr.nn.functional.dropout2d(x, 0.5, generator=cr.random.Generator(seed=7)).tolist()
    [[[[2.0, 2.0]], [[2.0, 2.0]], [[0.0, 0.0]], [[0.0, 0.0]]]]
    """
    return dropout_channels("dropout2d", x, p, training, generator)


def dropout1d(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Dropout of whole channels of signals: all elements of a channel are 0, or multiplied by 1 / (1 - p).

    Arguments: `x` (n, channels, l) or (channels, l); the others as `cr.nn.functional.dropout`.
    Returns: a tensor of the same shape and dtype. Errors: as `cr.nn.functional.dropout2d`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> x = np.ones((4, 2), np.float32)
    >>> cr.nn.functional.dropout1d(x, 0.5, generator=cr.random.Generator(seed=7)).tolist()
    [[2.0, 2.0], [2.0, 2.0], [0.0, 0.0], [0.0, 0.0]]
    """
    return dropout_channels("dropout1d", x, p, training, generator)


def dropout_channels(name: str, x: Any, p: float, training: bool, generator: Generator | None) -> Tensor:
    """Dropout of whole channels, the second axis, or of (channels, l) the first."""
    p, tensor = check_number(f"{name}: p", p, maximum=1), _check(x, name)
    axes = {"dropout1d": (2, 3), "dropout2d": (3, 4)}[name]
    if tensor.ndim not in axes:
        shapes = {"dropout1d": "(n, channels, l) or (channels, l)", "dropout2d": "(n, channels, h, w)"}
        raise ValueError(f"{name}: x must be {shapes[name]}, got shape {tensor.shape}")
    if not training or p == 0:
        return tensor
    kept = 1 if tensor.ndim == 2 else 2
    mask = _mask(tensor.shape[:kept], tensor, _rates(p), generator)
    return ops.mul(tensor, ops.reshape(mask, (*tensor.shape[:kept], *[1] * (tensor.ndim - kept))))


def alpha_dropout(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Dropout that keeps mean and variance of what selu gives: dropped elements take selu's limit -1.758.

    y = a * x + b for elements that stay, a * -1.758... + b for the others, a = 1 / sqrt((1.758...^2 * p + 1) * (1 -
    p)), b = 1.758... * a * p; all are 0 when p is 1.

    Arguments: as `cr.nn.functional.dropout`. Returns: a tensor of the same shape and dtype.
    Errors: as `cr.nn.functional.dropout`.
    Source: Klambauer et al., Self-normalizing neural networks (2017).

    >>> import chainrule as cr
    >>> x = cr.tensor([1.0, 2.0, 3.0, 4.0])
    >>> cr.nn.functional.alpha_dropout(x, 0.5, generator=cr.random.Generator(seed=7)).shape
    (4,)
    """
    p, tensor = check_number("alpha_dropout: p", p, maximum=1), _check(x, "alpha_dropout")
    if not training or p == 0:
        return tensor
    if p == 1:
        return ops.mul(tensor, 0.0)
    mask = _mask(tensor.shape, tensor, _ones_and_zeros(p), generator)
    one_, rate, limit = (np.float64(value) for value in (1.0, p, _ALPHA))
    variance = ops.mul(ops.add(ops.mul(ops.mul(limit, limit), rate), one_), ops.sub(one_, rate))
    scale = ops.div(one_, ops.sqrt(variance))
    dropped = ops.mul(scale, limit)
    a, step, shift = scale.item(), dropped.item(), ops.mul(dropped, rate).item()
    offset = ops.add(ops.mul(ops.sub(mask, 1.0), step), shift)
    return ops.add(ops.mul(tensor, ops.mul(mask, a)), offset)


@lru_cache
def _ones_and_zeros(p: float) -> Array:
    rates = np.array([p, 1.0])
    rates.flags.writeable = False  # a constant of compiled functions
    return rates


def rates_of(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The probabilities of 0, and the factors of the remaining elements, 1 / (1 - p) or 0; shape (..., 2)."""
    scale = ops.where(p < 1, ops.div(1.0, ops.sub(1.0, p)), 0.0)
    return ops.stack([p, scale], axis=-1).numpy()


def _check(x: Any, name: str = "dropout") -> Tensor:
    tensor = one(x)
    if tensor.dtype.kind != "f":
        raise TypeError(f"{name}: expected float32 or float64, got {tensor.dtype}; convert with astype()")
    return tensor


def _masked(tensor: Tensor, rates: Array, generator: Generator | None) -> Tensor:
    return ops.mul(tensor, _mask(tensor.shape, tensor, rates, generator))


def _mask(shape: tuple[int, ...], like: Tensor, rates: Array, generator: Generator | None) -> Tensor:
    source = given_or_default(generator)
    return Tensor._wrap(grad_mode.executor.draw("bernoulli", source._state, shape, like.dtype, rates))


@lru_cache
def _rates(p: float) -> Array:
    rates = np.array([p, 0.0 if p == 1 else ops.div(np.float64(1), ops.sub(np.float64(1), np.float64(p))).item()])
    rates.flags.writeable = False  # a constant of compiled functions
    return rates
