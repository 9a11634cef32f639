"""Shift and scale of columns, in the arithmetic of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from ..tensor import tensor
from ._errors import DataError

__all__ = ["Scaling"]

_ROWS = 4096  # converted at a time, so that float64 copies stay small


@dataclass(frozen=True)
class Scaling:
    """The map z = (x - shift) / scale, one shift and scale per column.

    `shift` and `scale` are float64 of shape (columns,). The map is computed in float64 and rounded once to the result's
    dtype.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> scaling = cr.data.Scaling.standard(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> scaling.apply(np.array([[3.0, 5.0]]))
    array([[1., 0.]], dtype=float32)
    """

    shift: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]

    @classmethod
    def standard(cls, X: npt.NDArray[Any], names: Sequence[str] | None = None) -> Scaling:
        """Return the scaling to mean 0 and standard deviation 1 of these rows.

        shift = mean(x), scale = sqrt(mean((x - shift)**2)); a constant column gets scale 1.

        Arguments: `X`, numbers of shape (rows, columns) with at least one row; `names`, the columns' for errors.
        Returns: a `Scaling`.
        Errors: `DataError` naming the column when its values are too large for float64 squares.

        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.data.Scaling.standard(np.array([[2.0], [4.0]])).shift
        array([3.])
        """
        values = np.asarray(X, dtype=np.float64)
        x = tensor(values)
        shift = ops.mean(x, axis=0)
        scale = ops.sqrt(ops.mean(ops.square(ops.sub(x, shift)), axis=0)).numpy().copy()
        constant = values.min(axis=0) == values.max(axis=0)
        scale[constant | (scale == 0)] = 1.0
        bad = np.flatnonzero(~(np.isfinite(shift.numpy()) & np.isfinite(scale)))
        if len(bad):
            column = str(bad[0]) if names is None else repr(names[bad[0]])
            raise DataError(f"column {column}: the values are too large to standardise")
        return cls(shift.numpy().copy(), scale)

    @classmethod
    def divide(cls, columns: int, by: float) -> Scaling:
        """Return the scaling z = x / by for every column, e.g. by 255 for 8-bit images.

        Arguments: `columns`, how many; `by`, the divisor.
        Returns: a `Scaling`.
        Errors: none.

        >>> import chainrule as cr
        >>> cr.data.Scaling.divide(3, 16.0).scale
        array([16., 16., 16.])
        """
        return cls(np.zeros(columns), np.full(columns, by, dtype=np.float64))

    def apply(self, X: npt.NDArray[Any], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
        """Return (X - shift) / scale.

        Arguments: `X`, numbers of shape (rows, columns); `dtype`, float32 or float64.
        Returns: a new ndarray of this dtype.
        Errors: ValueError when the number of columns differs.

        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.data.Scaling.divide(2, 4.0).apply(np.array([[1, 2]]))
        array([[0.25, 0.5 ]], dtype=float32)
        """
        self._check(X)
        out = np.empty(X.shape, dtype=dtype)
        for start in range(0, len(X), _ROWS):
            rows = tensor(np.asarray(X[start : start + _ROWS], dtype=np.float64))
            out[start : start + _ROWS] = ops.div(ops.sub(rows, self.shift), self.scale).astype(dtype).numpy()
        return out

    def invert(self, Z: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return Z * scale + shift, the way back.

        Arguments: `Z`, numbers of shape (rows, columns).
        Returns: a new float64 ndarray.
        Errors: ValueError when the number of columns differs.

        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.data.Scaling.divide(2, 4.0).invert(np.array([[0.25, 0.5]]))
        array([[1., 2.]])
        """
        self._check(Z)
        z = tensor(np.asarray(Z, dtype=np.float64))
        return np.array(ops.add(ops.mul(z, self.scale), self.shift).numpy(), dtype=np.float64)

    def _check(self, X: npt.NDArray[Any]) -> None:
        if X.ndim != 2 or X.shape[1] != len(self.shift):
            raise ValueError(f"Scaling: expected shape (rows, {len(self.shift)}), got {X.shape}")
