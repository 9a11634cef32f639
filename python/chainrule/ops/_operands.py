"""The arguments of the public functions as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tensor import Tensor
from .._util.arrays import constant, is_plain, to_array
from .._util.dtypes import FLOAT32, FLOATS
from .._util.mode import grad_mode

__all__ = ["as_tensor", "number_dtype", "one", "own", "pair"]


def as_tensor(value: Any, dtype: np.dtype[Any] | None = None) -> Tensor:
    """`value` itself if it is a tensor; else one for an op to read. Python and NumPy scalars take `dtype`."""
    if isinstance(value, Tensor):
        return value
    array = value if isinstance(value, np.ndarray) else None
    scalar = isinstance(value, (bool, int, float, np.generic)) or (array is not None and array.ndim == 0)
    if dtype is not None and scalar:
        return Tensor._wrap(constant(value, dtype))
    if array is not None and is_plain(array):
        # A graph keeps its inputs: the caller may change the array before backward. Without a graph it is read at once.
        keep = grad_mode.enabled or not grad_mode.executor.has_values
        return Tensor._wrap(array.copy() if keep else array)
    return Tensor._wrap(to_array(value, None))


def number_dtype(like: Any) -> np.dtype[Any]:
    """What a Python number becomes beside `like`: its float dtype, else float32."""
    own: np.dtype[Any] = getattr(like, "dtype", FLOAT32)
    if own in FLOATS:
        return own
    native = np.dtype(own).newbyteorder("=")
    return native if native in FLOATS else FLOAT32


def one(x: Any) -> Tensor:
    """An operand, for an op to read."""
    return x if isinstance(x, Tensor) else as_tensor(x, number_dtype(x))


def pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two operands; a scalar takes the other's dtype."""
    if isinstance(a, Tensor):
        return a, b if isinstance(b, Tensor) else as_tensor(b, number_dtype(a))
    if isinstance(b, Tensor) or (isinstance(b, np.ndarray) and b.ndim):
        return as_tensor(a, number_dtype(b)), as_tensor(b)
    first = one(a)
    return first, as_tensor(b, number_dtype(first))


def own(x: Any) -> Tensor:
    """An operand of which a view may be returned: the memory is not that of the caller's array."""
    return x if isinstance(x, Tensor) else Tensor(x)
