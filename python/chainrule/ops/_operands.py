"""Conversion of the public functions' arguments to tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tensor import Tensor
from .._util.arrays import cast_array, check_operand, constant, is_plain, to_array
from .._util.dtypes import FLOATS
from .._util.mode import grad_mode
from ._dtypes import number_dtype
from ._op import OPS

__all__ = ["as_tensor", "from_dlpack", "one", "own", "pair"]


def as_tensor(value: Any, dtype: np.dtype[Any] | None = None) -> Tensor:
    """Return a tensor unchanged, and convert other values to one for an op to read; scalars take `dtype`."""
    if isinstance(value, Tensor):
        return value
    array = value if isinstance(value, np.ndarray) else None
    if array is not None and array.base is not None and grad_mode.enabled:
        check_operand(array)
    if dtype is not None and _is_number(value):
        return Tensor._wrap(constant(value, dtype))
    if array is not None and is_plain(array):
        # The graph saves its inputs, so copy: the caller may change the array before backward. Without a graph the op
        # reads the array immediately.
        saved = grad_mode.enabled or not grad_mode.executor.has_values
        return Tensor._wrap(array.copy() if saved else array)
    _refuse_matrix(value)
    return Tensor._wrap(to_array(value, None))


def _refuse_matrix(value: Any) -> None:
    """Raise TypeError for np.matrix: its * and ** are matrix products, those of tensors work elementwise."""
    if isinstance(value, np.matrix):
        raise TypeError("an op got an np.matrix, whose * and ** are matrix products; pass np.asarray(x)")


def one(x: Any) -> Tensor:
    """Convert an operand to a tensor for an op to read; it may share the memory of an array."""
    return x if isinstance(x, Tensor) else as_tensor(x, number_dtype(x) if _is_number(x) else None)


def pair(a: Any, b: Any, real: np.dtype[Any] | None = None) -> tuple[Tensor, Tensor]:
    """Convert two operands to tensors; a scalar, or an array beside a tensor, takes the other's dtype.

    Where that would lose something, it keeps its own, as in `number_dtype`; `real` is that of a float beside integers.
    """
    if isinstance(a, Tensor):
        if not isinstance(b, Tensor):
            return a, _beside(a, b, real)
        if a.dtype is not b.dtype and a.dtype != b.dtype:
            return _argument_beside(a, b), _argument_beside(b, a)
        return a, b
    if isinstance(b, Tensor):
        return _beside(b, a, real), b
    if isinstance(b, np.ndarray) and (b.ndim or type(a) in (bool, int, float)):
        other = as_tensor(b)
        return as_tensor(a, number_dtype(a, other.dtype, real) if _is_number(a) else None), other
    first = one(a)
    return first, as_tensor(b, number_dtype(b, first.dtype, real) if _is_number(b) else None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, np.generic)) or (isinstance(value, np.ndarray) and value.ndim == 0)


def _beside(tensor: Tensor, value: Any, real: np.dtype[Any] | None) -> Tensor:
    """A plain value as an operand beside a tensor: in its dtype, if that is a float one."""
    dtype = tensor.dtype
    if _is_number(value):
        return as_tensor(value, number_dtype(value, dtype, real))
    if isinstance(value, (list, tuple)) and dtype in FLOATS:  # numbers of it are rounded once
        return Tensor._wrap(to_array(value, dtype))
    other = as_tensor(value)
    if other.dtype == dtype or dtype not in FLOATS:
        return other
    return Tensor._wrap(cast_array(other._data, dtype))


def _argument_beside(t: Tensor, other: Tensor) -> Tensor:
    """The same for an array that is an argument of a function while it is traced."""
    data: Any = t._data
    if not getattr(data, "plain", False) or other.dtype not in FLOATS:
        return t
    data.trace.array_arguments.add(data.value)
    return Tensor._wrap(grad_mode.executor.apply(OPS["astype"], (t,), (other.dtype.char,)))


def own(x: Any) -> Tensor:
    """Convert an operand to a tensor that shares no memory with a caller's array, so that views may be returned."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, np.ndarray) and x.base is not None and grad_mode.enabled:
        check_operand(x)
    _refuse_matrix(x)
    return Tensor(x)


def from_dlpack(array: Any) -> Tensor:
    """Create a tensor from a CPU array that supports DLPack (PyTorch, JAX); the data is copied.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.from_dlpack(np.array([1.0, 2.0])).dtype
    dtype('float64')
    """
    return Tensor(np.from_dlpack(array))
