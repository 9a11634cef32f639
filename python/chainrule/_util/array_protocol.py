"""The array protocol of a tensor: shape, values and conversions, as Python and NumPy expect them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .dtypes import FLOAT32, Array
from .mode import grad_mode

__all__ = ["ArrayProtocol"]


class ArrayProtocol:
    """Base of Tensor: the methods that depend only on its array, `_data`."""

    __slots__ = ()

    _data: Array
    _requires_grad: bool

    __array_priority__ = 100  # ndarray + Tensor calls Tensor.__radd__

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype: float32, float64, int64 or bool."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    # Values.

    def numpy(self) -> Array:
        """Return the values as a read-only NumPy view (copy it to change it).

        >>> import chainrule as cr
        >>> cr.tensor([1.0, 2.0]).numpy()
        array([1., 2.], dtype=float32)
        """
        grad_mode.executor.require_values(self)
        view: Array = self._data.view()
        view.flags.writeable = False
        return view

    def _concrete(self) -> Array:
        """The values as an array; CompileError if they are not computed yet or a trace would make them constant."""
        grad_mode.executor.require_values(self)
        return self._data

    def item(self) -> Any:
        """Return the value of a tensor with one element as a Python number; ValueError for other sizes."""
        if self._data.size != 1:
            raise ValueError(f"item: expected one element, got shape {self.shape}")
        return self._concrete().item()

    def tolist(self) -> Any:
        """Return the values as nested Python lists."""
        return self._concrete().tolist()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if dtype is not None and np.dtype(dtype) != self.dtype:
            if copy is False:
                raise ValueError(f"__array__: a {self.dtype} tensor cannot become {np.dtype(dtype)} without a copy")
            return np.asarray(self._concrete().astype(dtype))
        return self._concrete().copy() if copy else self.numpy()

    def __dlpack__(self, **options: Any) -> Any:
        # The memory itself, not a read-only view: DLPack before version 1 cannot mark arrays as read-only, and
        # consumers reject read-only arrays of NumPy.
        return self._concrete().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[Any, Any]:
        return self._data.__dlpack_device__()

    def __repr__(self) -> str:
        traced = not isinstance(self._data, np.ndarray)
        values = f"<traced {self.shape}>" if traced else np.array2string(self._data, separator=", ", prefix="tensor(")
        suffix = "" if self.dtype == FLOAT32 else f", dtype={self.dtype}"
        suffix += ", requires_grad=True" if self._requires_grad else ""
        return f"tensor({values}{suffix})"

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return int(self._data.shape[0])

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(f"bool: a tensor of shape {self.shape} has no single truth value")
        return bool(self._concrete().item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())
