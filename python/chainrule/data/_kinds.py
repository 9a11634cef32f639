"""What each column of a table is used as, decided on the whole column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ._amounts import PLAIN, parse_numbers
from ._dates import FORMATS, parse_dates
from ._errors import DataError, suggest
from ._frame import Column, Frame

__all__ = ["USED", "ColumnKind", "column_kinds"]

USED = ("number", "boolean", "category", "date")  # the kinds that are features

_FEW = 100  # a column of at most so many texts is categorical
_MANY = 10_000  # one of more never is, unless it is declared
_REPEATS = 10  # in between: rows per text, at least
_ALL_DIFFERENT_FROM = 20  # rows: in smaller tables, texts that are all different may be categories

_KEYS = {"id", "ids", "idx", "index", "key", "uid", "uuid", "guid", "pk", "rowid", "rownum", "rownumber", "rownames"}
_KEY_NAMES = {"nr", "no", "number", "row", "rank", "serial", "unnamed"}
_TIMES = {"year", "years", "quarter", "month", "day", "week", "hour", "minute", "second", "time", "date", "t", "step"}
_TIMES |= {"period", "jahr", "monat", "tag"}


@dataclass(frozen=True)
class ColumnKind:
    """What a column is used as.

    `kind`: "number", "boolean", "category", "date"; or, not used as a feature, "identifier", "constant", "text".
    `note`: why, or what was done; advice for "text". `levels`: the values of a category, as texts; in order of size if
    all are numbers, otherwise sorted as texts or in the order of a categorical dtype. `format`: of texts that are
    dates.

    >>> from chainrule.data._kinds import ColumnKind
    >>> ColumnKind("size", "number").used
    True
    """

    name: str
    kind: str
    note: str = ""
    levels: tuple[str, ...] = ()
    format: str = ""

    @property
    def used(self) -> bool:
        """Whether the column is a feature."""
        return self.kind in USED


def column_kinds(
    frame: Frame,
    *,
    categories: Sequence[str] = (),
    numbers: Sequence[str] = (),
    dates: Sequence[str] | Mapping[str, str] = (),
    ignore: Sequence[str] = (),
) -> tuple[ColumnKind, ...]:
    """Decide what each column is used as.

    * number: numbers; texts that are amounts or shares (`$1,200`, `12 %`); texts of many different numbers.
    * boolean: booleans, and numbers that are 0 or 1. Missing values do not change this.
    * category: a categorical dtype; texts of at most 100 different values, or of at most 10,000 that occur ten times on
      the average.
    * date: dates, and texts that are all dates of one format.
    * identifier: texts that are all different (in tables of more than 20 rows), integers that are all different if the
      name says so (`id`, `customer_id`, `Index`) or they count the rows.
    * constant: one value, or none.
    * text: other texts.

    A column of another kind can be declared. Where no feature would be left, integers that count the rows are numbers.

    Arguments: `frame`; `categories`, `numbers`, `dates`: names of columns that are used as such; `dates` also as a
    mapping of names to formats (`%d/%m/%Y`); `ignore`, columns that are left out of the result.
    Returns: a `ColumnKind` for each column, in order.
    Errors: `DataError` for an unknown name, for one that is declared twice, and for values that are not of the declared
    kind.

    >>> import numpy as np
    >>> from chainrule.data._frame import Frame
    >>> from chainrule.data._kinds import column_kinds
    >>> frame = Frame.of({"id": [7, 3, 9], "fee": ["$5", "$7", "$5"], "heat": ["gas", "oil", None]})
    >>> for kind in column_kinds(frame):
    ...     print(kind.name, kind.kind, kind.note, kind.levels)
    id identifier all different and called an identifier; left out ()
    fee number amounts in '$', read as numbers ()
    heat category  ('gas', 'oil')
    """
    declared = _declared(frame, categories=categories, numbers=numbers, dates=dates, ignore=ignore)
    formats = dict(dates) if isinstance(dates, Mapping) else {}
    for name, format in formats.items():
        if format and format not in FORMATS:
            raise DataError(f"dates: the format of {name!r} must be one of {', '.join(FORMATS)}; got {format!r}")
    kinds = []
    for column in frame.columns:
        choice = declared.get(column.name)
        if choice == "ignore":
            continue
        kinds.append(_decide(column) if choice is None else _as_declared(column, choice, formats.get(column.name, "")))
    if not any(kind.used for kind in kinds):
        kinds = [
            replace(kind, kind="number", note="counts the rows; the only feature")
            if kind.kind == "identifier" and frame[kind.name].values.dtype.kind == "i"
            else kind
            for kind in kinds
        ]
    return tuple(kinds)


def _declared(frame: Frame, **options: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """The option that names each column."""
    declared: dict[str, str] = {}
    for option, names in options.items():
        if isinstance(names, str):
            raise DataError(f"{option}: expected a list of names, got the text {names!r}; write [{names!r}]")
        for name in names:
            if name not in frame:
                raise DataError(f"{option}: there is no column {name!r}{suggest(name, frame.names)}")
            if declared.setdefault(name, option) != option:
                raise DataError(f"{option}: column {name!r} is also in {declared[name]}")
    return declared


def _as_declared(column: Column, option: str, format: str) -> ColumnKind:
    try:
        if option == "categories":
            return ColumnKind(column.name, "category", levels=_levels(column))
        if option == "numbers":
            column.numbers()
            return ColumnKind(column.name, "number")
        if column.values.dtype.kind != "O":
            column.dates()
            return ColumnKind(column.name, "date")
        found = parse_dates(column.codes[1], format)
        if isinstance(found, str):
            column.dates(format)
        return _date_kind(column.name, found)
    except DataError as error:
        raise DataError(f"{option}: {error}") from None


def _levels(column: Column) -> tuple[str, ...]:
    if column.levels is not None:
        return column.levels
    texts = column.codes[1]
    numeric = all(map(PLAIN.fullmatch, texts))
    return tuple(sorted(texts, key=lambda text: (float(text) if numeric else 0.0, text)))


def _decide(column: Column) -> ColumnKind:
    name, values, missing = column.name, column.values, column.missing
    if missing.all():
        return ColumnKind(name, "constant", "no values; left out" if len(values) else "no rows")
    if values.dtype.kind == "O":
        return _decide_texts(column)
    if _are_all(values, lambda some: some == values[0]):
        return ColumnKind(name, "constant", f"always {column.take(slice(0, 1)).texts()[0]}; left out")
    if values.dtype.kind == "M":
        return ColumnKind(name, "date")
    if values.dtype.kind == "b" or _are_all(values, lambda some: (some == 0) | (some == 1) | np.isnan(some)):
        return ColumnKind(name, "boolean")
    why = _identifies(name, values) if values.dtype.kind == "i" else ""
    return ColumnKind(name, "identifier", f"{why}; left out") if why else ColumnKind(name, "number")


def _are_all(values: npt.NDArray[Any], test: Callable[[Any], npt.NDArray[np.bool_]]) -> bool:
    """Whether all values pass the test; the first ones mostly tell."""
    return bool(test(values[:1000]).all()) and bool(test(values).all())


def _identifies(name: str, values: npt.NDArray[Any]) -> str:
    """Why integers are an identifier; "" if they are none."""
    words = _words(name)
    named = bool(words & _KEYS) or (len(words) == 1 and bool(words & _KEY_NAMES)) or not words
    counts = len(values) > 2 and not words & _TIMES and _are_all(values[1:] - values[:-1], lambda steps: steps == 1)
    if counts:
        return "counts the rows"
    if named and len(np.unique(values)) == len(values):
        return "all different and called an identifier"
    return ""


def _words(name: str) -> set[str]:
    """The words of a name, in small letters: `customerID` and `customer_id` have `customer` and `id`."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return {word for word in re.split(r"[^a-zA-Z]+", parted.lower()) if word}


def _decide_texts(column: Column) -> ColumnKind:
    name = column.name
    codes, texts = column.codes
    present = int((codes >= 0).sum())
    if column.levels is not None:
        if len(column.levels) == 1 and present == len(codes):
            return ColumnKind(name, "constant", f"always {texts[0]!r}; left out")
        return ColumnKind(name, "category", levels=column.levels)
    if len(texts) == 1 and present == len(codes):
        return ColumnKind(name, "constant", f"always {texts[0][:40]!r}; left out")
    few = len(texts) <= _FEW or (len(texts) <= _MANY and present >= _REPEATS * len(texts))
    different = len(texts) == present and present > _ALL_DIFFERENT_FROM
    dates = parse_dates(texts)
    if not isinstance(dates, str):
        return _date_kind(name, dates)
    numbers = parse_numbers(texts)
    if not isinstance(numbers, str) and (numbers.style.describe() or different or not few):
        style = numbers.style
        what = f"amounts in {style.mark!r}" if style.mark else "numbers"
        what = "shares in '%'" if style.mark == "%" else what
        marks = replace(style, mark="").describe()
        note = f"{what}{f' ({marks})' if marks else ''}, read as numbers"
        return ColumnKind(name, "number", note if style.describe() else "texts of numbers, read as numbers")
    if different:
        return ColumnKind(name, "identifier", "texts that are all different; left out")
    if few:
        return ColumnKind(name, "category", levels=_levels(column))
    advice = f"{len(texts)} different texts; left out unless declared (categories=), or replace it by a few categories"
    return ColumnKind(name, "text", advice)


def _date_kind(name: str, dates: Any) -> ColumnKind:
    also = f"; {dates.also} fits, too: dates={{{name!r}: {dates.also!r}}}" if dates.also else ""
    return ColumnKind(name, "date", f"dates like {dates.format}{also}", format=dates.format)
