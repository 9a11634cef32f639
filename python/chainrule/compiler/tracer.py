"""Tracer values: the data of a tensor while a function is traced, with shape and dtype but no values."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from .._ir.shapes import product
from .._util.dtypes import Shape, Spec
from .._util.errors import CompileError

if TYPE_CHECKING:
    import numpy as np


__all__ = ["TracerValue", "raise_value_unknown", "user_line"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # pathlib takes 4 ms to import


def user_line() -> str:
    """File and line of the innermost frame outside this package: `net.py:12`."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def raise_value_unknown(shape: Shape) -> NoReturn:
    """Raise the CompileError for reading the values of a traced tensor."""
    raise CompileError(
        f"compile: the value of a tensor {shape} is not known while the function is traced ({user_line()}). "
        "To select by value, use cr.where; instead of a NumPy function, use the op of chainrule; to inspect values, "
        "return the tensor from the function; values that change between calls must be arguments"
    )


class TracerValue:
    """Replaces the array of a traced tensor. Only shape and dtype are available; all other accesses raise."""

    __slots__ = ("dtype", "plain", "shape", "spec", "trace", "value")

    def __init__(self, trace: object, value: int, spec: Spec, plain: bool = False) -> None:
        self.trace, self.value, self.spec = trace, value, spec
        self.plain = plain  # an argument that is an array, not a tensor: it takes the dtype of a tensor beside it
        self.shape: Shape = spec.shape
        self.dtype: np.dtype[Any] = spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return product(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return int(self.dtype.itemsize)

    def reshape(self, wanted: Shape) -> TracerValue:
        """The same value with another shape; ValueError if the sizes differ, as in NumPy."""
        inferred = [i for i, n in enumerate(wanted) if n == -1]
        known = product([n for n in wanted if n != -1])
        shape = tuple(int(n) for n in wanted)
        if len(inferred) == 1 and known > 0 and self.size % known == 0:
            shape = tuple(self.size // known if n == -1 else n for n in shape)
        if min(shape, default=0) < 0 or product(shape) != self.size:
            raise ValueError("shape")
        return TracerValue(self.trace, self.value, Spec(shape, self.dtype))

    def _raise(self, *_: Any, **__: Any) -> NoReturn:
        raise_value_unknown(self.shape)

    # Tensor's accesses to the values of its array.
    item = tolist = view = copy = astype = __array__ = __dlpack__ = __dlpack_device__ = _raise
    __getitem__ = __setitem__ = __iter__ = __bool__ = __float__ = __int__ = _raise
