"""Columns of tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ._amounts import parse_numbers
from ._dates import parse_dates
from ._errors import DataError

__all__ = ["Column", "codes_of"]

_EXACT = 2**53  # from here on float64 does not represent every integer


@dataclass(frozen=True)
class Column:
    """A named column.

    `values` is one-dimensional: float64 (NaN: missing), int64, bool, datetime64[us] (NaT: missing), or texts, an object
    array of str (None: missing). `levels` are the known values of a categorical dtype, in its order; the values are
    then texts. `room`: memory for the values as float64, which nobody else refers to but perhaps `values`.

    >>> import numpy as np
    >>> from chainrule.data._column import Column
    >>> Column("size", np.array([1.0, np.nan, 2.5])).texts().tolist()
    ['1', None, '2.5']
    """

    name: str
    values: npt.NDArray[Any]
    levels: tuple[str, ...] | None = None
    room: npt.NDArray[np.float64] | None = None

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """Whether each value is missing."""
        kind = self.values.dtype.kind
        found: npt.NDArray[np.bool_] = np.zeros(len(self.values), np.bool_)
        if kind == "f":
            found = np.isnan(self.values)
        if kind == "M":
            found = np.isnat(self.values)
        if kind == "O":
            found = self.codes[0] < 0
        return found

    @cached_property
    def codes(self) -> tuple[npt.NDArray[np.int64], list[str]]:
        """The number of each text, in order of first appearance, and the different texts; as `codes_of`."""
        return codes_of(self.texts())

    @classmethod
    def coded(
        cls,
        name: str,
        codes: npt.NDArray[np.int64],
        different: list[str],
        room: npt.NDArray[np.float64] | None = None,
    ) -> Column:
        """A column of texts from their numbers."""
        texts = np.empty(len(different) + 1, object)
        texts[:-1] = different
        column = cls(name, texts[codes], room=room)
        column.__dict__["codes"] = (codes, different)
        return column

    def take(self, rows: Any) -> Column:
        """The values of these rows: indices, a mask or a slice."""
        return Column(self.name, self.values[rows], self.levels)

    def texts(self) -> npt.NDArray[np.object_]:
        """The values as texts, None where one is missing.

        A number is written in its shortest form, without a decimal point if it is an integer: 1 and 1.0 are one text.
        """
        kind = self.values.dtype.kind
        if kind == "O":
            return self.values
        if kind == "M":
            return _written(self.values, _date_text, self.missing)
        return _written(self.values, _number_text, self.missing)

    def numbers(self) -> npt.NDArray[np.float64]:
        """The values as float64, NaN where one is missing.

        Texts are parsed, also amounts and shares (`$1,200`, `12 %`).

        Errors: `DataError` for a text that is no number, and for dates.
        """
        if self.values.dtype.kind == "M":
            raise DataError(f"column {self.name!r}: expected numbers, found dates")
        if self.values.dtype.kind != "O":
            return self.values.astype(np.float64, copy=False)
        codes, texts = self.codes
        numbers = parse_numbers(texts)
        if isinstance(numbers, str):
            raise DataError(f"column {self.name!r}: {_shown(numbers)} is not a number")
        return _looked_up(numbers.values, codes, np.float64(np.nan))

    def dates(self, format: str = "") -> npt.NDArray[np.datetime64]:
        """The values as datetime64[us], NaT where one is missing; `format` as in `ColumnKind`.

        Errors: `DataError` for a text that is no date of this format, and for numbers.
        """
        if self.values.dtype.kind == "M":
            return self.values
        if self.values.dtype.kind != "O":
            if self.missing.all():
                return np.full(len(self.values), "NaT", "datetime64[us]")
            raise DataError(f"column {self.name!r}: expected dates, found numbers")
        codes, texts = self.codes
        dates = parse_dates(texts, format)
        if isinstance(dates, str):
            raise DataError(f"column {self.name!r}: {_shown(dates)} is not a date" + (f" ({format})" if format else ""))
        return _looked_up(dates.values, codes, np.datetime64("NaT", "us"))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _looked_up(values: npt.NDArray[Any], codes: npt.NDArray[np.int64], missing: Any) -> npt.NDArray[Any]:
    """The values by code; code -1 is a missing one."""
    return np.append(values, missing)[codes]


def codes_of(texts: npt.NDArray[np.object_]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Number the different texts in order of first appearance; None is -1.

    >>> import numpy as np
    >>> from chainrule.data._column import codes_of
    >>> codes, different = codes_of(np.array(["b", None, "a", "b"], object))
    >>> codes.tolist(), different
    ([0, -1, 1, 0], ['b', 'a'])
    """
    listed = texts.tolist()
    found = dict.fromkeys(listed)
    found.pop(None, None)
    index: dict[str | None, int] = {text: i for i, text in enumerate(found)}
    index[None] = -1
    return np.fromiter(map(index.__getitem__, listed), np.int64, len(listed)), list(found)


def _written(
    values: npt.NDArray[Any], write: Callable[[Any], str], missing: npt.NDArray[np.bool_]
) -> npt.NDArray[np.object_]:
    different, codes = np.unique(values, return_inverse=True)
    texts = np.empty(len(different), object)
    texts[:] = [write(value) for value in different]
    found: npt.NDArray[np.object_] = texts[codes.reshape(-1)]
    found[missing] = None
    return found


def _number_text(value: Any) -> str:
    if isinstance(value, np.floating):
        number = float(value)
        return str(int(number)) if abs(number) < _EXACT and number == int(number) else repr(number)
    return str(value)


def _date_text(value: np.datetime64) -> str:
    """ISO, without a time if it is midnight."""
    text = str(value)
    return text.removesuffix(".000000").removesuffix("T00:00:00")
