"""One-hot encoding of categorical columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import ops
from ..._tensor import Tensor
from ..._util.mode import grad_mode
from ...ops._checks import raise_where
from .._module import Buffer, Stored
from .base import Preprocessing

__all__ = ["OneHot"]

_UNKNOWN = ("error", "zeros")


class OneHot(Preprocessing):
    """Replace each categorical column by one column per category that is 1 where x equals the category, else 0.

    Other columns are unchanged, and the order of columns is preserved. Categories are numbers, mostly integers.

    Arguments: `features`, the number of columns of x; `columns`, the categorical ones: a mapping from column to the
    number of its categories 0, 1, ... (the codes of `read_csv`), or a sequence of columns, whose categories are the
    distinct values in `fit`, ascending; `unknown`, the treatment of values that are not a category, NaN included:
    "error", or "zeros" in all columns of the categories.
    Input: x of shape (..., features). Output: (..., out_features) in the dtype of x (float32 for integers).
    Errors: ValueError before it is fitted, for another number of columns, and for a value that is not a category.

    >>> import chainrule as cr
    >>> layer = cr.nn.OneHot(2, {1: 3})
    >>> layer(cr.tensor([[0.5, 2.0], [0.25, 0.0]])).numpy()
    array([[0.5 , 0.  , 0.  , 1.  ],
           [0.25, 1.  , 0.  , 0.  ]], dtype=float32)
    """

    def __init__(self, features: int, columns: Mapping[int, int] | Sequence[int], unknown: str = "error") -> None:
        super().__init__(features, None)
        if unknown not in _UNKNOWN:
            raise ValueError(f"OneHot: unknown must be error or zeros, got {unknown!r}")
        self.columns = tuple(sorted(int(column) for column in columns))
        if len(set(self.columns)) < len(self.columns) or not all(0 <= c < self.in_features for c in self.columns):
            raise ValueError(f"OneHot: columns must differ and be from 0 to {self.in_features - 1}, got {self.columns}")
        self.unknown, self.given = unknown, isinstance(columns, Mapping)
        sizes = {int(column): int(size) for column, size in columns.items()} if isinstance(columns, Mapping) else {}
        if any(size < 1 for size in sizes.values()):
            raise ValueError(f"OneHot: a column has at least 1 category, got {sizes}")
        self._set([np.arange(sizes.get(column, 0)) for column in self.columns])

    def _set(self, categories: Sequence[npt.NDArray[Any]]) -> None:
        """Create the buffers; their sizes depend on the categories."""
        self.sizes = Buffer(np.array([len(values) for values in categories], dtype=np.int64))
        self.values = Buffer(np.concatenate([np.empty(0), *categories]))

    @property
    def fitted(self) -> bool:
        return bool(self.sizes._data.all())

    @property
    def out_features(self) -> int:
        """The number of columns of the result; ValueError before the layer is fitted."""
        if not self.fitted:
            raise ValueError("OneHot: the number of columns is not known before the layer is fitted")
        return self.in_features - len(self.columns) + len(self.values._data)

    def _invalid(self, table: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        mask = np.zeros(table.shape, dtype=bool)
        if self.unknown == "error":
            mask[:, self.columns] = ~np.isfinite(table[:, self.columns])
        return mask

    def _learn(self, x: Tensor) -> None:
        if self.given:
            self._map(x)  # every value must be a category
            return
        table = x.numpy()
        categories = [np.unique(table[np.isfinite(table[:, column]), column]) for column in self.columns]
        empty = [column for column, values in zip(self.columns, categories, strict=True) if not len(values)]
        if empty:
            raise ValueError(f"OneHot: column {empty[0]} has no value")
        self._set(categories)

    def _map(self, x: Tensor) -> Tensor:
        grad_mode.executor.guard(self, "values")
        parts, known = [], []
        copied = at = 0
        for column, size in zip(self.columns, self.sizes._data.tolist(), strict=True):
            parts.append(x[..., copied:column])
            hot = ops.equal(x[..., column : column + 1], self.values[at : at + size])
            parts.append(ops.astype(hot, np.float64))
            known.append(ops.sum(parts[-1], axis=-1, keepdims=True))
            copied, at = column + 1, at + size
        parts.append(x[..., copied:])
        if self.unknown == "error" and known:
            self._raise_unknown(x, ops.concatenate(known, axis=-1))
        return ops.concatenate([part for part in parts if part.shape[-1]], axis=-1)

    def _raise_unknown(self, x: Tensor, known: Tensor) -> None:
        """Raise ValueError where `known`, 1 or 0 for each category column, is 0; compiled functions check each run."""

        def error(index: tuple[int, ...]) -> ValueError:
            row = ", ".join(str(int(i)) for i in index[:-1])
            column = self.columns[index[-1]]
            return ValueError(f"OneHot: x[{row}, {column}] of this batch is not a category of that column")

        raise_where(ops.equal(known, 0.0), error)

    def config(self) -> dict[str, Any]:
        sizes = dict(zip(self.columns, self.sizes._data.tolist(), strict=True))
        return {
            "features": self.in_features,
            "columns": sizes if self.given else list(self.columns),
            "unknown": self.unknown,
        }

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> OneHot:
        columns = config.get("columns", ())
        sizes = stored("sizes", (len(columns),))
        values = stored("values", (int(sizes.sum()),))
        if isinstance(columns, Mapping) and [columns[c] for c in sorted(columns, key=int)] != sizes.tolist():
            raise ValueError(f"architecture: OneHot has sizes {sizes.tolist()} for columns {columns}")
        layer = cls(**config)
        layer._set(np.split(values, np.cumsum(sizes))[:-1])
        return layer
