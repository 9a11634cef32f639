"""Frames: tables of any library become the same named columns."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from chainrule.data import DataError
from chainrule.data._frame import Column, Frame

DAY = datetime.datetime(2016, 7, 2, 12, 30)
TABLE = {
    "whole": [3, 1, 2],
    "size": [1.5, None, 2.5],
    "flag": [True, False, True],
    "maybe": [True, None, False],
    "name": ["b", None, "a"],
    "day": [DAY, None, DAY + datetime.timedelta(days=1)],
}


@pytest.mark.parametrize("library", ["dict", "pandas", "pandas-pyarrow", "polars", "pyarrow", "objects"])
def test_tables_of_all_libraries_are_one_frame(library: str) -> None:
    X = {
        "dict": lambda: TABLE,
        "pandas": lambda: pd.DataFrame(TABLE),
        "pandas-pyarrow": lambda: pa.table(TABLE).to_pandas(types_mapper=pd.ArrowDtype),
        "polars": lambda: pl.DataFrame(TABLE),
        "pyarrow": lambda: pa.table(TABLE),
        "objects": lambda: pd.DataFrame(TABLE, dtype=object),
    }[library]()
    frame = Frame.of(X)
    assert frame.names == tuple(TABLE)
    assert frame.rows == len(frame) == 3
    kinds = {column.name: column.values.dtype.str[1:] for column in frame.columns}
    assert kinds == {"whole": "i8", "size": "f8", "flag": "b1", "maybe": "f8", "name": "O", "day": "M8[us]"}
    assert frame["whole"].values.tolist() == [3, 1, 2]
    np.testing.assert_array_equal(frame["size"].values, [1.5, np.nan, 2.5])
    np.testing.assert_array_equal(frame["maybe"].values, [1, np.nan, 0])
    assert frame["flag"].values.tolist() == [True, False, True]
    assert frame["name"].values.tolist() == ["b", None, "a"]
    assert frame["day"].values.tolist() == [DAY, None, DAY + datetime.timedelta(days=1)]
    assert [column.missing.tolist()[1] for column in frame.columns] == [False, True, False, True, True, True]


def test_series_and_lists_in_a_mapping() -> None:
    frame = Frame.of({"a": pd.Series([1, 2], index=[7, 8]), "b": pl.Series(["x", None]), "c": np.array([1, 0], bool)})
    assert frame["a"].values.tolist() == [1, 2]
    assert frame["b"].values.tolist() == ["x", None]
    assert frame["c"].values.tolist() == [True, False]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_categorical_dtypes_keep_their_values_in_order(library: str) -> None:
    if library == "pandas":
        X = pd.DataFrame({"c": pd.Categorical(["lo", None, "hi"], ["lo", "mid", "hi"]), "n": pd.Categorical([2, 1, 2])})
    else:
        X = pl.DataFrame({"c": pl.Series(["lo", None, "hi"], dtype=pl.Enum(["lo", "mid", "hi"]))})
    column = Frame.of(X)["c"]
    assert column.levels == ("lo", "mid", "hi")
    assert column.values.tolist() == ["lo", None, "hi"]
    if library == "pandas":
        assert Frame.of(X)["n"].levels == ("1", "2")
        assert Frame.of(X)["n"].values.tolist() == ["2", "1", "2"]


def test_arrays_have_columns_without_names_and_one_dtype() -> None:
    frame = Frame.of(np.array([[1, 2], [3, 4]], np.int32))
    assert frame.names == ("x0", "x1")
    assert frame["x1"].values.dtype == np.float64
    large = Frame.of(np.array([[2**53 + 1], [0]]))["x0"].values
    assert large.tolist() == [2**53 + 1, 0]
    mixed = Frame.of([[1, "a"], [2, "b"]])
    assert mixed["x0"].values.tolist() == [1, 2]
    assert mixed["x1"].values.tolist() == ["a", "b"]
    assert Frame.of(np.array([["1", "a"]]))["x0"].values.tolist() == ["1"]
    assert Frame.of(pd.DataFrame(np.eye(2))).names == ("0", "1"), "names that are numbers"


def test_integers_of_other_sizes() -> None:
    frame = Frame.of(pd.DataFrame({"u": np.array([1, 2**64 - 1], np.uint64), "n": pd.array([1, None], "Int64")}))
    assert frame["u"].values.tolist() == [1.0, 2.0**64]
    np.testing.assert_array_equal(frame["n"].values, [1, np.nan])
    exact = Frame.of({"d": [decimal.Decimal("1.5"), None]})["d"].values
    np.testing.assert_array_equal(exact, [1.5, np.nan])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.arange(3.0), r"X: expected shape \(rows, columns\), got \(3,\); reshape\(-1, 1\)"),
        (np.ones((2, 2, 2)), r"got \(2, 2, 2\)"),
        ({"a": [1, 2], "b": [1]}, "X: column 'b' has 1 rows, column 'a' 2"),
        ({"a": ["x", 1]}, r"column 'a' mixes texts \('x' in row 0\) and numbers \('1' in row 1\)"),
        ({"a": [1j, 2j]}, "column 'a' holds complex objects"),
        (np.ones((2, 1), complex), "column 'x0' has dtype complex128"),
        ({"a": np.ones((2, 2))}, r"column 'a' has shape \(2, 2\)"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are called 'a'"),
        (pl.DataFrame({"a": [[1], [2]]}), r"column 'a' has dtype List"),
        (pd.DataFrame({"a": [[1], [2]]}), "column 'a' holds list objects"),
    ],
)
def test_what_is_no_table_is_refused(X: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Frame.of(X)


def test_rows_and_columns_are_taken() -> None:
    frame = Frame.of(TABLE)
    assert frame.take([2, 0])["whole"].values.tolist() == [2, 3]
    assert frame.take(np.array([True, False, False])).rows == 1
    assert frame.select(["name", "whole"]).names == ("name", "whole")
    assert frame.drop(["size"]).names == ("whole", "flag", "maybe", "name", "day")
    assert frame.drop(list(TABLE)).rows == 3
    assert frame.drop(list(TABLE)).take([0]).rows == 1
    with pytest.raises(DataError, match="there is no column 'wole'; did you mean 'whole'"):
        frame["wole"]


def test_texts_of_numbers_are_canonical() -> None:
    assert Column("a", np.array([1.0, 0.1, np.nan, 2.0**60, -0.0])).texts().tolist() == [
        "1", "0.1", None, "1.152921504606847e+18", "0",
    ]  # fmt: skip
    assert Column("a", np.array([2**62 + 1])).texts().tolist() == [str(2**62 + 1)]
    assert Column("a", np.array([True])).texts().tolist() == ["True"]
    days = np.array(["2016-07-02", "NaT", "2016-07-02T01:00"], "datetime64[us]")
    assert Column("a", days).texts().tolist() == ["2016-07-02", None, "2016-07-02T01:00:00"]


def test_numbers_and_dates_of_texts() -> None:
    np.testing.assert_array_equal(Column("a", np.array(["$1,200", None, "-$3"], object)).numbers(), [1200, np.nan, -3])
    with pytest.raises(DataError, match="column 'a': 'x' is not a number"):
        Column("a", np.array(["1", "x"], object)).numbers()
    days = Column("d", np.array(["3/2/2016", None, "14/2/2016"], object)).dates()
    assert days.astype("datetime64[D]").astype(object).tolist() == [
        datetime.date(2016, 2, 3), None, datetime.date(2016, 2, 14),
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"column 'd': '14/2/2016' is not a date \(%m/%d/%Y\)"):
        Column("d", np.array(["3/2/2016", "14/2/2016"], object)).dates("%m/%d/%Y")
    with pytest.raises(DataError, match="expected dates, found numbers"):
        Column("d", np.array([1.0])).dates()
    with pytest.raises(DataError, match="expected numbers, found dates"):
        Column("d", np.array(["2016"], "datetime64[us]")).numbers()
