"""What columns are used as, and how texts are read as numbers and dates."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from chainrule.data import DataError
from chainrule.data._amounts import parse_numbers
from chainrule.data._dates import parse_dates
from chainrule.data._frame import Frame
from chainrule.data._kinds import column_kinds

N = 40


def kind_of(values: object, name: str = "a", **options: object) -> tuple[str, str]:
    kind = column_kinds(Frame.of({name: values, "other": np.arange(N) % 7}), **options)[0]
    return kind.kind, kind.note


def test_kinds_by_content() -> None:
    texts = [f"person {i * i}" for i in range(N)]
    assert kind_of(np.arange(N) * 0.5)[0] == "number"
    assert kind_of(np.arange(N) % 2 == 0)[0] == "boolean"
    assert kind_of([0, 1, None, 1.0] * 10)[0] == "boolean"
    assert kind_of([1, 2] * 20)[0] == "number"
    assert kind_of(["x", None] * 20)[0] == "category", "missing or not is information"
    assert kind_of(["x"] * N) == ("constant", "always 'x'; left out")
    assert kind_of([3] * N) == ("constant", "always 3; left out")
    assert kind_of([None] * N) == ("constant", "no values; left out")
    assert kind_of(texts)[0] == "identifier"
    assert kind_of([*texts[:20], *texts[:20]])[0] == "category"
    assert kind_of(pd.date_range("2016-01-01", periods=N))[0] == "date"
    assert kind_of([f"{1 + i % 28}.2.2016" for i in range(N)]) == ("date", "dates like %d.%m.%Y")
    assert kind_of(["12 %", "7%"] * 20) == ("number", "shares in '%', read as numbers")
    assert kind_of(["€ 1.200,50", "€3,5"] * 20) == (
        "number",
        "amounts in '€' (decimal ',', thousands '.'), read as numbers",
    )
    assert kind_of(["02134", "10001"] * 20)[0] == "category"
    assert kind_of(["1", "2"] * 20)[0] == "category", "texts of few numbers stay texts"
    assert kind_of([str(i * i) for i in range(N)]) == ("number", "texts of numbers, read as numbers")


def test_text_of_many_values_is_left_out_with_advice() -> None:
    many = np.array([f"remark {i % 900}" for i in range(2000)], object)
    kind = column_kinds(Frame.of({"remark": many}))[0]
    assert kind.kind == "text"
    assert "900 different texts" in kind.note
    often = np.array([f"town {i % 150}" for i in range(2000)], object)
    assert column_kinds(Frame.of({"town": often}))[0].kind == "category"
    assert column_kinds(Frame.of({"remark": many}), categories=["remark"])[0].kind == "category"


def test_integers_are_identifiers_only_where_something_says_so() -> None:
    different = np.random.default_rng(0).permutation(10 * N)[:N]
    for name in ("id", "customer_id", "customerID", "ID", "Id", "Unnamed: 0", "index", "row id", "Nr", "no"):
        assert kind_of(different, name)[0] == "identifier", name
    for name in ("price", "width", "idle", "valid", "paid", "number of rooms", "x0"):
        assert kind_of(different, name)[0] == "number", name
    assert kind_of([*different[:-1], different[0]], "id")[0] == "number", "a repeated id is a group"
    assert kind_of(different * 1.0, "id")[0] == "number"
    assert kind_of(np.arange(N) + 1001, "a") == ("identifier", "counts the rows; left out")
    assert kind_of(np.arange(N) + 1951, "year")[0] == "number"
    assert kind_of(np.arange(N) * 2, "a")[0] == "number"
    assert column_kinds(Frame.of({"a": np.arange(N)}))[0].kind == "number", "the only feature"
    assert column_kinds(Frame.of(np.arange(N).reshape(-1, 1)))[0].kind == "number"
    assert kind_of(np.arange(N), "id", numbers=["id"])[0] == "number"


def test_declared_kinds() -> None:
    frame = Frame.of({"a": [10, 9, 10], "b": ["1", "x", "1"], "c": ["1/2/2016"] * 3, "d": [1, 2, 3]})
    kinds = column_kinds(frame, categories=["a"], dates={"c": "%d/%m/%Y"}, ignore=["d"])
    assert [(kind.name, kind.kind) for kind in kinds] == [("a", "category"), ("b", "category"), ("c", "date")]
    assert kinds[0].levels == ("9", "10")
    assert kinds[1].levels == ("1", "x")
    assert kinds[2].format == "%d/%m/%Y"
    assert "%d/%m/%Y fits, too" in column_kinds(frame, dates=["c"])[2].note
    for options, message in [
        ({"numbers": ["b"]}, "numbers: column 'b': 'x' is not a number"),
        ({"dates": ["b"]}, "dates: column 'b': '1' is not a date"),
        ({"dates": ["a"]}, "dates: column 'a': expected dates, found numbers"),
        ({"ignore": ["e"]}, "ignore: there is no column 'e'"),
        ({"ignore": "abc"}, r"ignore: expected a list of names, got the text 'abc'; write \['abc'\]"),
        ({"categories": ["a"], "numbers": ["a"]}, "numbers: column 'a' is also in categories"),
        ({"dates": {"c": "%c"}}, "dates: the format of 'c' must be one of"),
    ]:
        with pytest.raises(DataError, match=message):
            column_kinds(frame, **options)  # type: ignore[arg-type]


def test_categorical_dtype_keeps_values_that_do_not_occur() -> None:
    kind = column_kinds(Frame.of(pd.DataFrame({"c": pd.Categorical(["b", "a", "b"], ["b", "a", "z"])})))[0]
    assert (kind.kind, kind.levels) == ("category", ("b", "a", "z"))


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2.5", "+.5", "1e3"], [1, -2.5, 0.5, 1000]),
        (["1,200", "3"], [1200, 3]),
        (["1,200.5", "3"], [1200.5, 3]),
        (["1.200,5", "3"], [1200.5, 3]),
        (["1,5", "1,200"], [1.5, 1.2]),
        (["1.234.567", "1,5"], [1234567, 1.5]),
        (["1 234,5", "2"], [1234.5, 2]),
        (["1'234.5", "2"], [1234.5, 2]),
        (["$1,200", "($3.50)", "-$2", "$-1"], [1200, -3.5, -2, -1]),
        (["12%", "7.5 %"], [12, 7.5]),
        (["3 €", "4,5 €"], [3, 4.5]),
        (["0", "0.5", "00.5"], [0, 0.5, 0.5]),
        (["\u22123", "4"], [-3, 4]),
    ],
)
def test_numbers_of_texts(texts: list[str], values: list[float]) -> None:
    numbers = parse_numbers(texts)
    assert not isinstance(numbers, str), numbers
    np.testing.assert_array_equal(numbers.values, values)


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["1", "x"], "x"),
        (["1", ""], ""),
        (["02134", "5"], "02134"),
        (["1_000"], "1_000"),
        (["0x10"], "0x10"),
        (["inf"], "inf"),
        (["٣"], "٣"),
        (["$3", "3 €"], "3 €"),
        (["1,2,3", "1"], "1,2,3"),
        (["1,200.5", "1.200,5"], "1.200,5"),
        (["12:30"], "12:30"),
        (["1-2"], "1-2"),
        (["(3"], "(3"),
        (["1,,5"], "1,,5"),
    ],
)
def test_texts_that_are_no_numbers(texts: list[str], first: str) -> None:
    assert parse_numbers(texts) == first


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2016-07-02", "2016-07-02"),
        ("2016/7/2", "2016-07-02"),
        ("2.7.2016", "2016-07-02"),
        ("7/2/2016", "2016-07-02"),
        ("7-2-2016", "2016-07-02"),
        ("2-Jul-2016", "2016-07-02"),
        ("2 July 2016", "2016-07-02"),
        ("Jul 2, 2016", "2016-07-02"),
        ("2016-07-02T12:30:15.25Z", "2016-07-02T12:30:15.250000"),
        ("2016-07-02 12:30", "2016-07-02T12:30:00.000000"),
        ("2016-07-02 12:30:00+02:00", "2016-07-02T12:30:00.000000"),
        ("7/2/2016 1:05 PM", "2016-07-02T13:05:00.000000"),
        ("7/2/2016 12:05 AM", "2016-07-02T00:05:00.000000"),
    ],
)
def test_dates_of_texts(text: str, iso: str) -> None:
    dates = parse_dates([text])
    assert not isinstance(dates, str)
    assert dates.values[0] == np.datetime64(iso, "us")


@pytest.mark.parametrize(
    "text", ["2016", "20160702", "2016-13-01", "2016-02-30", "2015-02-29", "7/2/16", "12:30", "1.5.6", "Marble 2, 2016"]
)
def test_texts_that_are_no_dates(text: str) -> None:
    assert parse_dates([text]) == text


def test_day_and_month_are_told_apart_by_the_whole_column() -> None:
    dates = parse_dates(["3/2/2016", "13/2/2016"])
    assert not isinstance(dates, str)
    assert (dates.format, dates.also) == ("%d/%m/%Y", "")
    assert dates.values[0].astype("datetime64[D]").astype(object) == datetime.date(2016, 2, 3)
    both = parse_dates(["3/2/2016"])
    assert not isinstance(both, str)
    assert (both.format, both.also) == ("%m/%d/%Y", "%d/%m/%Y")
    assert parse_dates(["13/2/2016", "2/13/2016"]) == "2/13/2016"
