"""Tables in files: what is guessed, what is said, and that texts and numbers come back as they stand."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.data import DataError, read_csv, read_table
from chainrule.data._kinds import column_kinds
from chainrule.data._read import FrameRead, read_frame, read_frames
from chainrule.sklearn import TabularClassifier

GERMAN = "größe;preis;datum\n1,5;1.200,50;3.2.2016\n2,25;80,00;14.2.2016\n"


def read(text: str | bytes, **options: Any) -> FrameRead:
    return read_frame(io.BytesIO(text.encode() if isinstance(text, str) else text), **options)


def values(text: str | bytes, **options: Any) -> dict[str, list[Any]]:
    return {column.name: column.values.tolist() for column in read(text, **options).frame.columns}


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


PLAIN = "a,b\n1,x\n2,y\n"


# Named, because archives hold the time at which they were written: as names of tests their bytes would differ between
# the workers of a parallel run.
WRITTEN = {
    "plain": PLAIN.encode(),
    "semicolons": PLAIN.replace(",", ";").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "bars": PLAIN.replace(",", "|").encode(),
    "crlf": PLAIN.replace("\n", "\r\n").encode(),
    "cr": PLAIN.replace("\n", "\r").encode(),
    "utf-8-sig": PLAIN.encode("utf-8-sig"),
    "utf-16": PLAIN.encode("utf-16"),
    "utf-16-be": ("\ufeff" + PLAIN).encode("utf-16-be"),
    "comments": ("# made by hand\n#\n" + PLAIN).encode(),
    "delimiter at the line's end": PLAIN.replace("\n", ",\n").encode(),
    "delimiter at the rows' end": b"a,b\n1,x,\n2,y,\n",
    "blanks and quotes": b'a, "b"\n1,"x"\n"2" ,y\n',
    "gzip": gzip.compress(PLAIN.encode()),
    "bzip2": bz2.compress(PLAIN.encode()),
    "xz": lzma.compress(PLAIN.encode()),
    "zip": zipped(("t.csv", PLAIN.encode())),
    "gzip in zip": zipped(("t.csv.gz", gzip.compress(PLAIN.encode())), ("__MACOSX/t.csv", b"")),
}


@pytest.mark.parametrize("content", WRITTEN.values(), ids=WRITTEN)
def test_one_table_however_it_is_written(content: bytes) -> None:
    assert values(content) == {"a": [1, 2], "b": ["x", "y"]}


def test_what_is_guessed_is_said() -> None:
    found = read(GERMAN)
    assert found.notes == ("delimiter ';'", "decimal ','")
    assert values(GERMAN) == {"größe": [1.5, 2.25], "preis": [1200.5, 80.0], "datum": ["3.2.2016", "14.2.2016"]}
    assert column_kinds(found.frame)[2].kind == "date"
    assert values(GERMAN.encode("cp1252"), encoding="cp1252")["preis"] == [1200.5, 80.0]
    assert values("n;m\n1,5;1.200\n2,5;3.500\n")["m"] == [1200, 3500]
    assert values("n;m\n1,5;0.25\n2,5;3.5\n")["m"] == [0.25, 3.5]
    assert values('n,m\n"1,200",$3\n"3",$4.50\n') == {"n": [1200, 3], "m": [3, 4.5]}
    assert "m: '%': read as numbers" in read("n,m\n1,3%\n2,4 %\n").notes
    assert values("n m\n1  2\n 3 4\n") == {"n": [1, 3], "m": [2, 4]}


def test_a_header_of_numbers() -> None:
    assert list(values("0,1,2\n5,6,7\n8,9,9\n")) == ["0", "1", "2"]
    assert list(values("2019,2020,2021\n5,6,7\n")) == ["2019", "2020", "2021"]
    assert list(values("id,2019,2020\n5,6,7\n")) == ["id", "2019", "2020"]
    assert list(values("5,9,7\n1,2,3\n", expected=["9"])) == ["5", "9", "7"]
    assert values("1,2\n3,4\n") == {"1": [1, 3], "2": [2, 4]}
    assert "line 1 (1, 2, 3, ...) is read as a row; header=True takes it for names" in read("1,2,3\n4,5,6\n").notes
    assert values("1,x\n3,y\n") == {"1": [1, 3], "2": ["x", "y"]}


def test_texts_stay_as_they_stand() -> None:
    text = "t,c,n\n02134,NA,1\n9007199254740993,b,2\n1E2,NA,3\n1.0,a,4\n"
    found = read(text, texts=["t"], categories=["c"])
    assert found.frame["t"].values.tolist() == ["02134", "9007199254740993", "1E2", "1.0"]
    assert found.frame["c"].values.tolist() == ["NA", "b", "NA", "a"]
    assert values("t\n9007199254740993\n5\n")["t"] == [9007199254740993, 5]
    assert values("t,n\n02134,1\n10001,2\n")["t"] == ["02134", "10001"]
    assert read("t,n\n02134,1\n10001,2\n").notes == ("t: leading zeros ('02134'): read as texts",)
    assert values("t,n\n02134,1\n10001,2\n", numbers=["t"])["t"] == [2134, 10001]
    assert values('t,n\n"a ""b""\nc",1\n') == {"t": ['a "b"\nc'], "n": [1]}


@pytest.mark.parametrize("word", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", ".", "-", "?", '"NA"'])
def test_missing_values(word: str) -> None:
    found = read(f"a,b,c\n1,x,true\n{word},{word},{word}\n3,y,False\n").frame
    np.testing.assert_array_equal(found["a"].values, [1, np.nan, 3])
    assert found["b"].values.tolist() == ["x", None, "y"]
    np.testing.assert_array_equal(found["c"].values, [1, np.nan, 0])


def test_other_missing_values_are_declared() -> None:
    with pytest.raises(DataError, match=r"line 3, column 'a': 'none' is not a number; .*missing_values=\['none'\]"):
        read("a\n1\nnone\n3\n")
    assert read("a\n1\nnone\n3\n", missing=["none"]).frame["a"].missing.tolist() == [False, True, False]


def test_mixed_columns_are_texts_where_texts_are_meant() -> None:
    tickets = "".join(f"{i},{'A/' * (i % 3 == 0)}{i * 7}\n" for i in range(60))
    found = read("n,ticket\n" + tickets)
    assert found.frame["ticket"].values[3] == "A/21"
    assert "ticket: 40 different numbers and 20 other texts: read as texts" in found.notes
    doors = "".join(f"{i},{['2', '3', '4', '5more'][i % 4]}\n" for i in range(40))
    assert column_kinds(read("n,doors\n" + doors).frame)[1].levels == ("2", "3", "4", "5more")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(DataError) as caught:
        read("a,b\n1,2\nx,3\n4\n5,6,7\n6,y\n7,y\n")
    assert str(caught.value).splitlines()[:4] == [
        "the open file: 4 problems",
        "  line 3, column 'a': 'x' is not a number; declare the column in categories= (--categories), "
        "or missing_values=['x'] (--missing x) if it stands for none",
        "  line 4: 1 fields, expected 2 as in the first line",
        "  line 5: 3 fields, expected 2 as in the first line",
    ]
    assert "line 6, column 'b': 'y' is not a number (in 2 rows)" in str(caught.value)
    with pytest.raises(DataError) as caught:
        read("a,b\n1,2\n3,4\n" + "1\n" * 50)
    assert str(caught.value).endswith("  ... and 40 more")


def test_chunks_are_the_whole() -> None:
    rows = "".join(f"{i},{i / 7!r},{'ab'[i % 2]},{'' if i % 5 else i}\n" for i in range(20_000))
    whole = read("i,x,c,m\n" + rows)
    parts = list(read_frames(io.StringIO("i,x,c,m\n" + rows), chunk_rows=777))
    assert [part.frame.rows for part in parts] == [777] * 25 + [575]
    assert np.concatenate([part.lines for part in parts]).tolist() == whole.lines.tolist()
    for column in whole.frame.columns:
        joined = np.concatenate([part.frame[column.name].values for part in parts])
        np.testing.assert_array_equal(joined, column.values)
    with pytest.raises(DataError, match="line 12, column 'a': 'x' is not a number"):
        list(read_frames(io.StringIO("a\n" + "1\n" * 10 + "x\n"), chunk_rows=5))


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63 - 1))))
def test_what_python_writes_comes_back(rows: list[tuple[str, float, int]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows([("t", "x", "i"), *rows])
    found = read(text.getvalue(), texts=["t"], delimiter=",", missing=(), header=True).frame
    missing = {"", *("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", ".", "-", "?")}
    assert found["t"].values.tolist() == [None if t in missing else t for t, _, _ in rows]
    assert found["x"].numbers().tolist() == [x for _, x, _ in rows]
    assert found["i"].values.tolist() == [i for _, _, i in rows]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.from_regex(r"[+-]?[0-9]{0,20}\.?[0-9]{0,20}([eE][+-]?[0-9]{1,3})?", fullmatch=True), min_size=1))
def test_numbers_are_those_of_python(texts: list[str]) -> None:
    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return np.nan

    wanted = [number(text) for text in texts]
    kept = [(text, value) for text, value in zip(texts, wanted, strict=True) if abs(value) < np.inf]
    found = read("x,y\n" + "".join(f"{text},1\n" for text, _ in kept), numbers=["x"]).frame
    np.testing.assert_array_equal(found["x"].numbers(), [value for _, value in kept])


SPELLINGS: tuple[Callable[[float], str], ...] = (
    repr,
    lambda x: f"{x:+.17g}",
    lambda x: f"{x:.6f}",
    lambda x: f"{x:.20f}",
    lambda x: f"{x:.3e}",
    lambda x: f"{x:013.5f}",
    lambda x: str(int(x)),
    lambda x: f" {x!r} ",
    lambda x: f'"{x!r}"',
    lambda x: repr(x).replace("0.", ".", 1),
)


@pytest.mark.parametrize("threads", [1, 2])
def test_random_numbers_are_those_of_python(threads: int) -> None:
    """All sizes of float64, subnormal ones among them, and of the usual lengths; each in another spelling."""
    draw = np.random.default_rng(0)
    bits = draw.integers(0, 2**63 - 1, 6000, np.int64).view(np.float64)
    small = draw.integers(0, 2**50, 1000, np.int64).view(np.float64)
    usual = draw.normal(size=12_000) * 10.0 ** draw.integers(-4, 9, 12_000)
    halves = draw.integers(2**52, 2**53, 500) + 0.5
    drawn = np.concatenate([bits[np.isfinite(bits)], small, usual, halves, -halves, [0.0, -0.0, 5e-324, 2**53 + 2]])
    texts = [SPELLINGS[i % len(SPELLINGS) if 1e-4 < abs(x) < 1e15 else i % 2](x) for i, x in enumerate(drawn.tolist())]
    before = cr.get_num_threads()
    cr.set_num_threads(threads)
    try:
        found = read("x,y\n" + "".join(f"{text},1\n" for text in texts), numbers=["x"]).frame
    finally:
        cr.set_num_threads(before)
    expected = np.array([float(text.strip('"')) for text in texts])
    np.testing.assert_array_equal(found["x"].numbers().view(np.int64), expected.view(np.int64))


def test_numbers_with_other_marks_are_those_of_python() -> None:
    drawn = (np.random.default_rng(1).normal(size=3000) * 1e5).round(4).tolist()
    german = "".join(f"{x:,.4f};1\n".translate(str.maketrans(",.", ".,")) for x in drawn)
    assert values("x;y\n" + german)["x"] == drawn
    quoted = "".join(f'"{x:,.4f}",1\n' for x in drawn)
    assert values("x,y\n" + quoted)["x"] == drawn
    assert values("x,y\n" + quoted, thousands=",")["x"] == drawn


@pytest.mark.parametrize("longer", [False, True])
def test_rows_of_very_different_lengths(longer: bool, tmp_path: Path) -> None:
    """More or fewer rows than the beginning of a file lets expect."""
    long, short = [f"{i}.0000000000000000000000000000,{i}" for i in range(20_000)], ["1,2"] * 200_000
    rows = [*short, *long] if longer else [*long, *short]
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "\n".join(rows), encoding="utf-8")
    expected = [(float(a), int(b)) for a, b in (row.split(",") for row in rows)]
    for source in (str(path), io.BytesIO(path.read_bytes())):
        frame = read_frame(source).frame
        assert list(zip(frame["a"].values.tolist(), frame["b"].values.tolist(), strict=True)) == expected
        assert frame["b"].values.dtype == np.int64
    parts = [part.frame for part in read_frames(str(path), chunk_rows=30_000)]
    assert [x for part in parts for x in part["b"].values.tolist()] == [b for _, b in expected]


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_parquet_and_feather(kind: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [4, 1, 3], "b": ["x", None, "02"], "t": ["u", "v", "u"]})
    path = tmp_path / f"t.{kind}"
    getattr(frame, f"to_{kind}")(path)
    table = read_table(path, target="t", missing="nan")
    assert table.columns == ("a", "b")
    assert table.target == ("u", "v", "u")
    assert table.lines.tolist() == [1, 2, 3]
    assert [part.frame.rows for part in read_frames(path, chunk_rows=2)] == [2, 1]
    with pytest.raises(DataError, match="delimiter is an option of text files"):
        read_table(path, delimiter=",")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="cannot be read"):
        read_table(path)


def test_a_table_of_all_kinds() -> None:
    rows = "".join(
        f"{7 * i},{i}.{1 + i % 12}.2020,person {i},{'yes' if i % 2 else 'no'},${i},{i % 3 == 0},5\n"
        for i in range(1, 29)
    )
    table = read_csv(io.StringIO("id,day,who,answer,fee,flag,five\n" + rows), target="answer")
    assert table.columns == ("day", "fee", "flag", "five")
    assert table.features[0].tolist() == [18293.0, 1.0, 0.0, 5.0]
    assert [kind.kind for kind in table.kinds] == ["identifier", "date", "identifier", "number", "boolean", "number"]
    with pytest.raises(DataError, match="line 3: the target column 'b' is empty or a missing value"):
        read_csv(io.StringIO("a,b\n1,2\n3,NA\n"), target="b")


def test_features_lie_where_they_were_read(tmp_path: Path) -> None:
    """Numbers, whole numbers and true and false of one and several blocks, all columns or some, in any order."""
    rows = [(i / 8, i * 7 % 101 - 50, i % 2, i * i) for i in range(40_000)]
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,d\n" + "".join(f"{a},{b},{c},{d}\n" for a, b, c, d in rows), encoding="utf-8")
    expected = np.array(rows, np.float64)
    for source in (path, io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(read_csv(source).features, expected)
    for columns in (["d", "b"], ["b"], ["a", "c"], ["c", "b", "a"], ["a", "b", "d"]):
        found = read_csv(path, columns=columns).features
        np.testing.assert_array_equal(found, expected[:, ["abcd".index(name) for name in columns]])
        found[:] = 1  # nobody else's
    mixed = "n,t,day,big,flag,fee\n" + "".join(
        f"{i},{'ab'[i % 2]},2020-01-{1 + i % 28:02d},{2**60 + i},{i % 3 == 0},${i}.5\n" for i in range(30_000)
    )
    path.write_text(mixed, encoding="utf-8")
    days = 18262 + np.arange(30_000) % 28
    every = {"n": np.arange(30_000), "t": np.arange(30_000) % 2, "day": days}
    every |= {"big": 2**60 + np.arange(30_000), "flag": np.arange(30_000) % 3 == 0, "fee": np.arange(30_000) + 0.5}
    for columns in (list(every), ["fee", "n", "t"], ["day", "big"]):
        wanted = np.stack([every[name].astype(np.float64) for name in columns], 1)
        np.testing.assert_array_equal(read_csv(path, columns=columns).features, wanted)
        np.testing.assert_array_equal(read_csv(io.StringIO(mixed), columns=columns).features, wanted)
    tall = read_csv(io.StringIO("a,b,t\n" + "1,2.5,x\n3,,y\n" * 20), missing="nan").features
    np.testing.assert_array_equal(tall[:2], [[1, 2.5, 0], [3, np.nan, 1]])


def test_a_table_is_taken_where_a_data_frame_is() -> None:
    """Numbers, categories, dates, true and false, and missing ones of each: the model of pandas' frame."""
    rows = "".join(
        f"{i * i % 17 if i % 5 else ''},{['gas', 'oil', '', 'coal'][i * i % 4]},2020-{1 + i % 12:02d}-07,{i % 3 == 0},"
        f"{'yes' if i * i % 17 > 8 else 'no'}\n"
        for i in range(80)
    )
    text = "size,heat,day,flag,sold\n" + rows
    table = read_csv(io.StringIO(text), target="sold", missing="nan")
    pandas = pd.read_csv(io.StringIO(text), parse_dates=["day"])
    X, y = pandas.drop(columns="sold"), pandas["sold"].to_numpy(object)
    one = TabularClassifier(n_members=1, random_state=0).fit(table, table.target)
    other = TabularClassifier(n_members=1, random_state=0).fit(X, y)
    assert [column.kind for column in one.columns_] == [column.kind for column in other.columns_]
    np.testing.assert_array_equal(one.predict_proba(table), one.predict_proba(X))
    np.testing.assert_array_equal(one.predict_proba(table), other.predict_proba(table))
    assert list(one.feature_names_in_) == list(table.columns)


def test_quoted_fields_over_many_blocks_of_the_scanner() -> None:
    """Line ends, delimiters and doubled quotes in fields of all lengths, against Python's reader."""
    words = ["", "a,b", "two\nlines", 'a "word"', "x" * 70, ",\n" * 40, '""', "\r\n", "plain"]
    rows = [["head", "more"], *([words[i % 9] + str(i), words[(i * i + 3) % 9]] for i in range(300))]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    frame = read(out.getvalue(), texts=["head"], categories=["more"]).frame
    assert frame["head"].values.tolist() == [row[0].strip() if not row[0].strip() else row[0] for row in rows[1:]]
    assert frame["more"].values.tolist() == [row[1] or None for row in rows[1:]]


def test_a_column_that_turns_out_to_be_texts_late(tmp_path: Path) -> None:
    """After many blocks, whose texts are read again: from the file, from a pipe's bytes, on one thread or two."""
    rows = [f"{i / 8},{i},{i % 7}" for i in range(80_000)]
    rows[70_000] = "0.5,code,7"
    rows[75_000:] = [f"{row}b" for row in rows[75_000:]]
    text = "a,b,c\n" + "\n".join(rows)
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    assert len(text) > 4 * 2**18
    expected = [row.split(",")[1] for row in rows]
    before = cr.get_num_threads()
    for source, threads in ((str(path), 1), (str(path), 2), (io.BytesIO(text.encode()), 2)):
        cr.set_num_threads(threads)
        try:
            frame = read_frame(source, texts=["b"]).frame
        finally:
            cr.set_num_threads(before)
        assert frame["b"].values.tolist() == expected
        assert frame["c"].values.tolist() == [row.split(",")[2] for row in rows]
        assert frame["a"].values[70_001] == 70_001 / 8
