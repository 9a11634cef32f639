"""Tables in memory: named columns of equal length, whatever library they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ._column import Column, codes_of
from ._convert import columns_of
from ._errors import DataError, suggest

__all__ = ["Column", "Frame", "codes_of"]


class Frame:
    """Named columns with the same number of rows.

    >>> import numpy as np
    >>> from chainrule.data._frame import Frame
    >>> frame = Frame.of({"size": [50, 70], "kind": ["flat", "house"]})
    >>> frame.names, frame.rows, frame["kind"].values.tolist()
    (('size', 'kind'), 2, ['flat', 'house'])
    """

    def __init__(self, columns: Iterable[Column], rows: int | None = None, what: str = "X") -> None:
        self.columns = tuple(columns)
        self.rows = len(self.columns[0].values) if self.columns else rows or 0
        self.names = tuple(column.name for column in self.columns)
        self._index = {name: i for i, name in enumerate(self.names)}
        if len(self._index) < len(self.names):
            seen: set[str] = set()
            twice = next(name for name in self.names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise DataError(f"{what}: two columns are called {twice!r}; rename one of them")
        for column in self.columns:
            if len(column.values) != self.rows:
                found = f"{len(column.values)} rows, column {self.names[0]!r} {self.rows}"
                raise DataError(f"{what}: column {column.name!r} has {found}")

    def __len__(self) -> int:
        return self.rows

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __repr__(self) -> str:
        return f"Frame({self.rows} rows: {', '.join(self.names[:20])}{', ...' if len(self.names) > 20 else ''})"

    def __getitem__(self, name: str) -> Column:
        if name not in self._index:
            raise DataError(f"there is no column {name!r}{suggest(name, self.names)}")
        return self.columns[self._index[name]]

    def take(self, rows: Any) -> Frame:
        """These rows of all columns: indices, a mask or a slice."""
        taken = [column.take(rows) for column in self.columns]
        return Frame(taken, len(np.arange(self.rows)[rows]))

    def select(self, names: Sequence[str]) -> Frame:
        """These columns in this order; `DataError` for an unknown one."""
        return Frame([self[name] for name in names], self.rows)

    def drop(self, names: Sequence[str]) -> Frame:
        """All other columns; `DataError` for an unknown one."""
        dropped = {self[name].name for name in names}
        return Frame([column for column in self.columns if column.name not in dropped], self.rows)

    @classmethod
    def of(cls, X: Any, what: str = "X") -> Frame:
        """Make a frame of a table.

        Arguments: `X`, an array or nested list of shape (rows, columns), whose columns are called "x0", "x1", ...; a
        mapping of names to one-dimensional arrays; a data frame of pandas, polars, pyarrow or another library that
        narwhals knows; a `chainrule.data.Table`; or a Frame. `what`, the beginning of error messages.
        Returns: a Frame; numbers of arrays become float64 unless this would change one.
        Errors: `DataError` for other shapes, for columns that mix texts with numbers, complex numbers, and the like;
        ImportError if narwhals is needed and not installed.
        """
        own = X if isinstance(X, Frame) else getattr(X, "frame", None)
        return own if isinstance(own, Frame) else cls(*columns_of(X, what), what)
