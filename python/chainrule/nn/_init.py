"""Seeded initialization of weights, and the argument checks shared by layers with weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import tensor
from .._util.dtypes import FLOATS
from ..random import Generator, default_generator

__all__ = ["check_init", "draw_weight"]

_INITS = ("glorot", "he")


def check_init(name: str, init: str, dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return the dtype; ValueError for an unknown init, TypeError for another dtype than float32 and float64."""
    if init not in _INITS:
        raise ValueError(f"{name}: init must be one of {', '.join(_INITS)}, got {init!r}")
    kind = np.dtype(dtype)
    if kind not in FLOATS:
        raise TypeError(f"{name}: dtype must be float32 or float64, got {kind}")
    return kind


def draw_weight(
    shape: tuple[int, ...], fan_in: int, fan_out: int, init: str, dtype: np.dtype[Any], generator: Generator | None
) -> npt.NDArray[Any]:
    """Uniform from [-b, b): b = sqrt(6 / (fan_in + fan_out)) for "glorot", sqrt(6 / fan_in) for "he"."""
    fan = fan_in + (fan_out if init == "glorot" else 0)
    bound = ops.sqrt(ops.div(tensor(6.0, dtype=dtype), tensor(float(fan), dtype=dtype))).item()
    source = default_generator() if generator is None else generator
    return source.uniform(shape, low=-bound, high=bound, dtype=dtype)
