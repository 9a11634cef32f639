"""What users hand in, as tensors of the model's dtype. Conversions that round go through the contract's cast."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor, tensor

__all__ = ["first_bad", "to_model_input"]


def to_model_input(values: npt.ArrayLike, dtype: npt.DTypeLike, name: str) -> Tensor:
    """Return numbers of any real dtype as a tensor of `dtype` (float32 or float64).

    Arguments: `values`, an array of integers, bools or floats of up to 64 bits; `dtype`; `name`, for the error.
    Returns: a tensor that shares nothing with `values`, rounded once.
    Errors: TypeError when the values are not real numbers.

    >>> import numpy as np
    >>> from chainrule._util.arrays import to_model_input
    >>> to_model_input(np.array([0, 255], dtype=np.uint8), np.float32, "X").dtype
    dtype('float32')
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8 or array.dtype.name == "uint64":
        raise TypeError(f"{name} must be real numbers, got dtype {array.dtype}")
    return tensor(array, dtype=dtype)


def first_bad(array: npt.NDArray[Any]) -> tuple[int, ...] | None:
    """Return the index of the first value that is not finite, or None.

    >>> import numpy as np
    >>> from chainrule._util.arrays import first_bad
    >>> first_bad(np.array([[0.0, 1.0], [np.nan, 2.0]]))
    (1, 0)
    """
    finite = np.isfinite(array)
    if finite.all():
        return None
    return tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), array.shape))
