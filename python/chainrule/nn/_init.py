"""Seeded initialization of weights, and the argument checks shared by layers with weights."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import tensor
from .._util.dtypes import FLOATS, default_dtype
from ..random import Generator, given_or_default

__all__ = [
    "check_init",
    "draw_bias",
    "draw_normal",
    "draw_uniform",
    "draw_weight",
    "float_dtype",
    "without_initial_weights",
]

_INITS = ("glorot", "he", "torch")


class _Drawing(threading.local):
    """Whether this thread draws initial weights; otherwise `limit` is the greatest size of one."""

    limit: int | None = None


_drawing = _Drawing()


@contextmanager
def without_initial_weights(limit: int) -> Iterator[None]:
    """Give layers that this thread constructs zeros in place of random weights: stored values replace them.

    ValueError for a layer with a weight of more than `limit` elements, those of the largest stored value.
    """
    before, _drawing.limit = _drawing.limit, limit
    try:
        yield
    finally:
        _drawing.limit = before


def check_init(name: str, init: str, dtype: npt.DTypeLike | None) -> np.dtype[Any]:
    """Return the dtype; ValueError for an unknown init, TypeError for another dtype than float32 and float64."""
    if init not in _INITS:
        raise ValueError(f"{name}: init must be one of {', '.join(_INITS)}, got {init!r}")
    return float_dtype(name, dtype)


def float_dtype(name: str, dtype: npt.DTypeLike | None) -> np.dtype[Any]:
    """The dtype of a layer, by default that of `cr.set_default_dtype`; TypeError unless it is float32 or float64."""
    kind = default_dtype() if dtype is None else np.dtype(dtype)
    if kind not in FLOATS:
        raise TypeError(f"{name}: dtype must be float32 or float64, got {kind}")
    return kind


def draw_weight(
    shape: tuple[int, ...], fan_in: int, fan_out: int, init: str, dtype: np.dtype[Any], generator: Generator | None
) -> npt.NDArray[Any]:
    """Uniform from [-b, b).

    b = sqrt(6 / (fan_in + fan_out)) for "glorot", sqrt(6 / fan_in) for "he", sqrt(1 / fan_in) for "torch".
    """
    fan = fan_in + (fan_out if init == "glorot" else 0)
    scale = 1.0 if init == "torch" else 6.0
    bound = ops.sqrt(ops.div(tensor(scale, dtype=dtype), tensor(float(fan), dtype=dtype))).item()
    return draw_uniform(shape, bound, dtype, generator)


def draw_bias(size: int, fan_in: int, init: str, dtype: np.dtype[Any], generator: Generator | None) -> npt.NDArray[Any]:
    """Zeros, or for "torch" uniform from [-b, b), b = sqrt(1 / fan_in)."""
    if init != "torch":
        return np.zeros(size, dtype)
    return draw_weight((size,), fan_in, 0, init, dtype, generator)


def draw_uniform(
    shape: tuple[int, ...], bound: float, dtype: np.dtype[Any], generator: Generator | None
) -> npt.NDArray[Any]:
    """Uniform from [-bound, bound)."""
    if _drawing.limit is not None:
        return _without_draw(shape, dtype)
    source = given_or_default(generator)
    return source.uniform(shape, low=-bound, high=bound, dtype=dtype)


def draw_normal(
    shape: tuple[int, ...], dtype: np.dtype[Any], generator: Generator | None, std: float = 1.0
) -> npt.NDArray[Any]:
    """From N(0, std^2)."""
    if _drawing.limit is not None:
        return _without_draw(shape, dtype)
    return given_or_default(generator).normal(shape, std=std, dtype=dtype)


def _without_draw(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if _drawing.limit is not None and math.prod(shape) > _drawing.limit:
        raise ValueError(f"a weight of shape {shape} is larger than every stored value")
    return np.broadcast_to(np.zeros((), dtype), shape)
