"""Questions about tensors in Python, answered with bools."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tensor import Tensor, tensor
from .._util.arrays import values_of
from .._util.dtypes import Array
from .._util.mode import grad_mode

__all__ = ["allclose", "from_numpy", "is_tensor"]


def is_tensor(x: Any) -> bool:
    """Whether an object is a tensor.

    >>> import chainrule as cr
    >>> cr.is_tensor(cr.tensor([1.0])), cr.is_tensor([1.0])
    (True, False)
    """
    return isinstance(x, Tensor)


def from_numpy(array: Array) -> Tensor:
    """A tensor with the values and the dtype of an array, in memory of its own; PyTorch's shares that of the array.

    Errors: TypeError for another object, or a dtype that tensors do not have.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.from_numpy(np.ones(2)).dtype
    dtype('float64')
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected an ndarray, got {type(array).__name__}; cr.tensor takes other data")
    return tensor(array)


def allclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether |input - other| <= atol + rtol * |other| for all elements, as `numpy.allclose`; not differentiated.

    Arguments: tensors, arrays or numbers whose shapes broadcast; `equal_nan`, whether two NaN are close.
    Returns: a bool of Python. Errors: an error in a compiled function, where values are not known.

    >>> import chainrule as cr
    >>> cr.allclose(cr.tensor([1.0]), [1.000001])
    True
    """
    grad_mode.executor.forbid("allclose: values are not known inside a compiled function; call it outside")
    a, b = values_of(input, "allclose: input"), values_of(other, "allclose: other")
    return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan))
