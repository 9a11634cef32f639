"""What a tensor holds while a function is traced: shape and dtype, no values."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .._ir.shapes import product
from .._util.dtypes import Shape, Spec
from .._util.errors import CompileError

if TYPE_CHECKING:
    import numpy as np


__all__ = ["TracerValue", "refuse", "user_line"]

_PACKAGE = str(Path(__file__).resolve().parent.parent)


def user_line() -> str:
    """File and line of the innermost frame outside of this package: `net.py:12`."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def refuse(shape: Shape) -> NoReturn:
    """Say that values cannot be looked at."""
    raise CompileError(
        f"compile: the value of a tensor {shape} is not known while the function is traced ({user_line()}). "
        "For a choice by value use cr.where; for a NumPy function the op of chainrule; to look at values return "
        "the tensor from the function; what changes from call to call must be an argument"
    )


class TracerValue:
    """Stands for the array of a traced tensor. Only shape and dtype can be asked; anything else is an error."""

    __slots__ = ("dtype", "shape", "trace", "value")

    def __init__(self, trace: object, value: int, spec: Spec) -> None:
        self.trace, self.value = trace, value
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
        """The same value under another shape; ValueError when it does not fit, as NumPy's."""
        free = [i for i, n in enumerate(wanted) if n == -1]
        known = product([n for n in wanted if n != -1])
        shape = tuple(int(n) for n in wanted)
        if len(free) == 1 and known > 0 and self.size % known == 0:
            shape = tuple(self.size // known if n == -1 else n for n in shape)
        if min(shape, default=0) < 0 or product(shape) != self.size:
            raise ValueError("shape")
        return TracerValue(self.trace, self.value, Spec(shape, self.dtype))

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        refuse(self.shape)

    # What Tensor asks of its array where it needs values.
    item = tolist = view = copy = astype = __array__ = __dlpack__ = __dlpack_device__ = _refuse
    __getitem__ = __setitem__ = __iter__ = __bool__ = __float__ = __int__ = _refuse
