"""Columns of what users have: arrays, mappings, and data frames of other libraries through narwhals."""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.arrays import as_ndarray
from ._column import Column
from ._errors import DataError

__all__ = ["columns_of"]

_EXACT = 2**53


def columns_of(X: Any, what: str) -> tuple[list[Column], int]:
    """The columns of a table and its number of rows; see `Frame.of`."""
    if isinstance(X, Mapping):
        columns = [_of_sequence(str(name), values, what) for name, values in X.items()]
        return columns, 0
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise DataError(f"{what}: expected a table of columns, got a sparse matrix; pass {what}.toarray()")
    if not isinstance(X, (np.ndarray, list, tuple)) and (hasattr(X, "columns") or hasattr(X, "column_names")):
        return _of_data_frame(X, what)
    return _of_array(X, what)


def _of_array(X: Any, what: str) -> tuple[list[Column], int]:
    try:
        array = as_ndarray(X, what)
    except (TypeError, ValueError):
        if not isinstance(X, (list, tuple)):
            raise
        array = np.array(X, dtype=object)
    if array.dtype.kind in "US" and isinstance(X, (list, tuple)):
        array = np.array(X, dtype=object)  # NumPy writes the numbers of mixed rows as texts
    if array.dtype.names:
        return [_of_values(name, array[name], what) for name in array.dtype.names], len(array)
    if array.ndim != 2:
        hint = "; reshape(-1, 1) makes a single column of it" if array.ndim == 1 else ""
        raise DataError(f"{what}: expected shape (rows, columns), got {array.shape}{hint}")
    columns = [_of_values(f"x{i}", array[:, i], what) for i in range(array.shape[1])]
    return [_as_float(column) for column in columns], len(array)


def _as_float(column: Column) -> Column:
    """Integers of an array as float64 where that is exact: an array has one dtype, which says nothing."""
    values = column.values
    if values.dtype.kind != "i" or (values.size and not -_EXACT <= values.min() <= values.max() <= _EXACT):
        return column
    return Column(column.name, values.astype(np.float64))


def _of_sequence(name: str, values: Any, what: str) -> Column:
    if hasattr(values, "to_numpy") and not isinstance(values, np.ndarray) and not hasattr(values, "_as_constant"):
        return _of_series(name, values, what)  # a series of a data frame library
    array = values if isinstance(values, np.ndarray) else None
    if array is None or array.dtype.kind in "US":
        listed = list(values)
        array = np.empty(len(listed), object)
        array[:] = listed
    if array.ndim != 1:
        raise DataError(f"{what}: column {name!r} has shape {array.shape}, expected one dimension")
    return _of_values(name, array, what)


def _of_values(name: str, values: npt.NDArray[Any], what: str) -> Column:
    kind = values.dtype.kind
    if kind == "b":
        return Column(name, np.array(values))
    if kind in "iu":
        return Column(name, _integers(values))
    if kind == "f":
        return Column(name, values.astype(np.float64))
    if kind == "M":
        return Column(name, values.astype("datetime64[us]"))
    if kind == "m":
        return Column(name, _seconds(values))
    if kind == "U" or type(values.dtype).__name__ == "StringDType":
        return _of_objects(name, values.tolist(), what)
    if kind == "O":
        return _of_objects(name, values.tolist(), what)
    raise DataError(f"{what}: column {name!r} has dtype {values.dtype}, expected numbers, texts, booleans or dates")


def _integers(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """int64, or float64 for integers that do not fit."""
    if values.dtype == np.uint64 and values.size and values.max() > np.iinfo(np.int64).max:
        return values.astype(np.float64)
    return values.astype(np.int64)


def _seconds(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Durations in seconds."""
    micro = values.astype("timedelta64[us]")
    return np.where(np.isnat(micro), np.nan, micro.astype(np.int64) / 1e6)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(value != value)


def _kind_of(value: Any) -> str:
    if isinstance(value, str):
        return "texts"
    if isinstance(value, (bool, np.bool_)):
        return "booleans"
    if isinstance(value, (numbers.Real, decimal.Decimal)):
        return "numbers"
    if isinstance(value, (datetime.date, np.datetime64)):  # a datetime is a date, too
        return "dates"
    return type(value).__name__


def _of_objects(name: str, values: list[Any], what: str) -> Column:
    """A column of Python objects, which must be of one kind."""
    classes = {type(value) for value in values}
    if classes <= {str, type(None)}:
        return Column(name, _objects([None if value is None else value for value in values]))
    missing = np.fromiter(map(_is_missing, values), np.bool_, len(values))
    kinds: dict[str, int] = {}
    for row, value in enumerate(values):
        if not missing[row]:
            kinds.setdefault(_kind_of(value), row)
    if len(kinds) > 1:
        (a, i), (b, j) = list(kinds.items())[:2]
        raise DataError(
            f"{what}: column {name!r} mixes {a} ({str(values[i])[:20]!r} in row {i}) and {b} ({str(values[j])[:20]!r} "
            f"in row {j}); convert all of it to one of them"
        )
    kind = next(iter(kinds), "numbers")
    present = [value for value, absent in zip(values, missing, strict=True) if not absent]
    if kind == "texts":
        return Column(name, _objects([None if m else str(v) for v, m in zip(values, missing, strict=True)]))
    if kind == "dates":
        return Column(name, _scattered(_datetimes(present), missing, np.datetime64("NaT", "us"), "datetime64[us]"))
    if kind == "booleans" and not missing.any():
        return Column(name, np.array(values, np.bool_))
    whole = kind == "numbers" and not missing.any() and all(isinstance(v, numbers.Integral) for v in present)
    if whole and all(-(2**63) <= v < 2**63 for v in present):
        return Column(name, np.array([int(v) for v in present], np.int64))
    if kind not in ("numbers", "booleans"):
        raise DataError(f"{what}: column {name!r} holds {kind} objects, expected numbers, texts, booleans or dates")
    return Column(name, _scattered([float(v) for v in present], missing, np.nan, "float64"))


def _objects(values: Sequence[str | None]) -> npt.NDArray[np.object_]:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _datetimes(values: Sequence[Any]) -> list[np.datetime64]:
    return [
        np.datetime64(value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value, "us")
        for value in values
    ]


def _scattered(present: Sequence[Any], missing: npt.NDArray[np.bool_], absent: Any, dtype: str) -> npt.NDArray[Any]:
    values = np.full(len(missing), absent, dtype)
    values[~missing] = np.array(present, dtype)
    return values


def _of_data_frame(X: Any, what: str) -> tuple[list[Column], int]:
    try:
        import narwhals.stable.v2 as nw
    except ImportError:
        raise ImportError(
            f"{what}: a {type(X).__module__.split('.')[0]} table needs narwhals: pip install chainrule[tables]"
        ) from None
    names = [str(name) for name in (X.column_names if hasattr(X, "column_names") else X.columns)]
    twice = (
        next((name for i, name in enumerate(names) if name in names[:i]), None)
        if len(set(names)) < len(names)
        else None
    )
    if twice is not None:
        raise DataError(f"{what}: two columns are called {twice!r}; rename one of them")
    if len(getattr(X, "columns", ())) == len(names) and any(not isinstance(name, str) for name in X.columns):
        X = X.copy(deep=False) if hasattr(X, "iloc") else X
        if hasattr(X, "iloc"):
            X.columns = names  # pandas allows names of any type
    try:
        frame = nw.from_native(X)
    except TypeError as error:
        raise DataError(f"{what}: expected a table, got {type(X).__name__} ({str(error).splitlines()[0]})") from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    return [_of_narwhals(frame[name], what) for name in frame.columns], len(frame)


def _of_series(name: str, values: Any, what: str) -> Column:
    try:
        import narwhals.stable.v2 as nw
    except ImportError:
        return _of_values(name, np.asarray(values), what)
    try:
        series = nw.from_native(values, series_only=True)
    except TypeError:
        return _of_values(name, np.asarray(values), what)
    return _of_narwhals(series.alias(name), what)


def _of_narwhals(series: Any, what: str) -> Column:
    """A column of a series: by its dtype, which is one of few whatever the library."""
    import narwhals.stable.v2 as nw

    name, dtype = str(series.name), series.dtype
    missing = series.is_null().to_numpy().astype(np.bool_)
    if isinstance(dtype, (nw.Categorical, nw.Enum)):
        levels = tuple(_written_levels(series.cat.get_categories().to_list(), name, what))
        return Column(name, _of_objects(name, _category_texts(series), what).texts(), levels)
    if dtype.is_integer() and not missing.any():
        return Column(name, _integers(series.to_numpy()))
    if dtype.is_numeric():
        values = series.cast(nw.Float64).to_numpy().astype(np.float64)
        return Column(name, np.where(missing, np.nan, values))
    if dtype == nw.Boolean:
        if missing.any():
            return Column(name, np.where(missing, np.nan, series.cast(nw.Float64).to_numpy().astype(np.float64)))
        return Column(name, series.to_numpy().astype(np.bool_))
    if dtype == nw.Datetime:
        series = series.dt.replace_time_zone(None)
    if dtype in (nw.Date, nw.Datetime):
        return _of_values(name, np.array(series.cast(nw.Datetime("us")).to_numpy(), "datetime64[us]"), what)
    if dtype == nw.Duration:
        return Column(name, _seconds(np.array(series.cast(nw.Duration("us")).to_numpy(), "timedelta64[us]")))
    if dtype == nw.String or dtype == nw.Object or dtype == nw.Unknown:
        return _of_objects(name, series.to_list(), what)
    if dtype == nw.Time:
        seconds = [None if t is None else t.hour * 3600 + t.minute * 60 + t.second for t in series.to_list()]
        return _of_objects(name, seconds, what)
    raise DataError(
        f"{what}: column {name!r} has dtype {dtype}, expected numbers, texts, booleans, categories or dates"
    )


def _category_texts(series: Any) -> list[Any]:
    return [None if _is_missing(value) else value for value in series.to_list()]


def _written_levels(levels: list[Any], name: str, what: str) -> list[str]:
    return [str(text) for text in _of_objects(name, levels, what).texts()]
