"""CSV and IDX readers: accepted files, and the location that each error names."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.data import DataError, load_idx_folder, read_csv, read_idx, suggest

GOOD = "a,b,kind\n1,2.5,x\n-3e2,4,y\n"


def write(folder: Path, content: str | bytes, name: str = "f.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.removesuffix("\n"),
        GOOD.replace("\n", "\n\n"),
        '"a","b","kind"\n"1","2.5","x"\n-3e2," 4 ",y\n',
        gzip.compress(GOOD.encode()),
    ],
    ids=["plain", "bom", "crlf", "no-last-newline", "empty-lines", "quotes", "gzip"],
)
def test_csv_accepts(tmp_path: Path, content: str | bytes) -> None:
    table = read_csv(write(tmp_path, content), target="kind")
    assert table.columns == ("a", "b")
    assert table.names == ("a", "b", "kind")
    assert table.features.tolist() == [[1.0, 2.5], [-300.0, 4.0]]
    assert table.target == ("x", "y")


def test_csv_lines_are_where_records_begin(tmp_path: Path) -> None:
    content = 'a,t\n1,"two\nlines"\n\n2,y\n'
    table = read_csv(write(tmp_path, content), target="t")
    assert table.lines.tolist() == [2, 5]
    assert table.target == ("two\nlines", "y")


def test_csv_selected_columns_keep_the_requested_order(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, GOOD), columns=["b", "a"])
    assert table.columns == ("b", "a")
    assert table.features.tolist() == [[2.5, 1.0], [4.0, -300.0]]
    assert table.target is None


@pytest.mark.parametrize("content", ["1,2\n3,4\n", "1,x\n3,y\n"], ids=["numbers", "mixed"])
def test_csv_without_header_counts_columns(tmp_path: Path, content: str) -> None:
    table = read_csv(write(tmp_path, content), target="2")
    assert table.columns == ("1",)
    assert table.features.tolist() == [[1.0], [3.0]]


def test_csv_header_of_numbers_can_be_forced(tmp_path: Path) -> None:
    path = write(tmp_path, "2001,2002\n5,6\n")
    assert read_csv(path, header=True).columns == ("2001", "2002")
    assert read_csv(path, header=False).features.tolist() == [[2001.0, 2002.0], [5.0, 6.0]]


def test_csv_other_delimiter(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, GOOD.replace(",", ";")), target="kind", delimiter=";")
    assert table.features.tolist() == [[1.0, 2.5], [-300.0, 4.0]]


def test_csv_text_becomes_categories(tmp_path: Path) -> None:
    path = write(tmp_path, "size,color,grade,t\n1,red,2,x\n2,Blue,,y\n3,red,10,x\nNA, green ,2,y\n")
    table = read_csv(path, target="t", missing="nan", categories=["grade"])
    assert table.columns == ("size", "color", "grade")
    assert table.categories == {"color": ("Blue", "green", "red"), "grade": ("10", "2")}
    assert table.coded == {1: 3, 2: 2}
    np.testing.assert_array_equal(table.features, [[1, 2, 1], [2, 0, np.nan], [3, 2, 0], [np.nan, 1, 1]])
    assert table.notes == ("categories: color (3), grade (2)", "missing values: size (1), grade (1)")
    known = {"color": ("red", "green", "Blue", "grey"), "grade": ("2", "10")}
    again = read_csv(path, columns=["grade", "color"], missing="nan", categories=known)
    assert again.categories == {"grade": ("2", "10"), "color": ("red", "green", "Blue", "grey")}
    np.testing.assert_array_equal(again.features, [[0, 0], [np.nan, 2], [1, 0], [0, 1]])
    with pytest.raises(
        DataError, match=r"line 3, column 'color': 'Blue' is not a known category, expected one of: red, green"
    ):
        read_csv(path, columns=["color"], categories={"color": ("red", "green")})
    with pytest.raises(DataError, match="line 2, column 'color': 'red' is not a number"):
        read_csv(path, columns=["color"], categories={})


def test_csv_drops_row_numbers_and_ignored_columns(tmp_path: Path) -> None:
    path = write(tmp_path, ",a,b,t\n3,1,x,u\n17,2,y,v\n")
    table = read_csv(path, target="t", ignore=["b"])
    assert table.columns == ("a",)
    assert table.names == ("a", "b", "t")
    assert table.notes == ("column 1 (unnamed row numbers): dropped",)
    assert read_csv(path, columns=["b"]).categories == {"b": ("x", "y")}
    with pytest.raises(DataError, match=r"unknown column 'bb'; did you mean 'b'\?"):
        read_csv(path, target="t", ignore=["bb"])
    with pytest.raises(DataError, match="unknown column 'c'; available columns: a, b, t"):
        read_csv(path, target="t", categories=["c"])
    with pytest.raises(DataError, match="read_csv: missing must be 'error' or 'nan', got 'mean'"):
        read_csv(path, missing="mean")


def test_csv_columns_that_hold_no_categories(tmp_path: Path) -> None:
    rows = "".join(f"name{chr(65 + i // 26)}{chr(65 + i % 26)},{i * i}\n" for i in range(101))
    path = write(tmp_path, "who,n\n" + rows)
    table = read_csv(path)
    assert table.columns == ("n",)
    assert table.notes == ("who: texts that are all different; left out",)
    assert len(read_csv(path, categories=["who"]).categories["who"]) == 101
    table = read_csv(write(tmp_path, "a,b\n,1\nNA,2\n"), missing="nan")
    assert table.columns == ("b",)
    assert table.notes == ("a: no values; left out",)
    late = read_csv(write(tmp_path, "a,b\n,1\nx,2\n"), missing="nan")
    assert late.categories == {"a": ("x",)}, "the first value that is not missing decides"


BAD = {
    "empty": (b"", "no data, the file is empty"),
    "header-only": (b"a,b\n", "no data after the header"),
    "short-row": (b"a,b\n1,2\n3\n", "line 3: 1 fields, expected 2"),
    "long-row": (b"a,b\n1,2,3\n", "line 2: 3 fields, expected 2"),
    "text": (b"a,b\n1,2\n3,four\n", "line 3, column 'b': 'four' is not a number"),
    "missing-value": (b"a,b\n1,\n2,3\n", "line 2, column 'b': the field is empty"),
    "missing-values": (b"a,b\n1,\n2,\n", "line 2, column 'b': the field is empty or a missing value (in 2 rows)"),
    "blank-value": (b"a,b\n1, \n", "line 2, column 'b': the field is empty"),
    "nan": (b"a,b\n1,2\n\nnan,2\n", "line 4, column 'a': the field is empty or a missing value"),
    "infinite": (b"a,b\n1,2\n\ninf,2\n", "line 4, column 'a': 'inf' is not a number"),
    "overflow": (b"a,b\n1,1e400\n", "line 2, column 'b': '1e400' is too large, not a finite number"),
    "two-styles": (b'a,b\n1,"2,5"\n2,3.5\n', "line 2, column 'b': '2,5' is not a number"),
    "hex": (b"a,b\n1,2\n1,0x10\n", "line 3, column 'b': '0x10' is not a number"),
    "digit-groups": (b"a,b\n1,2\n1,1_000\n", "line 3, column 'b': '1_000' is not a number"),
    "foreign-digits": ("a,b\n1,2\n1,٣\n".encode(), "line 3, column 'b': '٣' is not a number"),
    "long-text": (b"a,b\n1,2\n1," + b"z" * 100 + b"\n", "line 3, column 'b': 'zzzzz"),
    "not-utf8": (b"a,b\n1,2\n3,\xff\n", "line 3: not UTF-8 text"),
    "nul": (b"a,b\n1,\x00\n", "line 2"),
    "duplicate-name": (b"a,a\n1,2\n", "line 1: duplicate column name 'a' in the header"),
    "unnamed-column": (b"a,\n1,2\n", "line 1: column 2 has no name in the header"),
    "unnamed-only": (b'""\n1\n', "line 1: column 1 has no name in the header"),
    "unnamed-text": (
        b",a\n1,2\nx,3\n",
        "line 3: column 1 has no name in the header and does not contain ascending row numbers ('x')",
    ),
    "unnamed-repeats": (
        b",a\n4,2\n4,3\n",
        "line 3: column 1 has no name in the header and does not contain ascending row numbers ('4')",
    ),
    "number-in-text": (
        b"a,b\n1,x\n2,y\n3,4\n",
        "line 4, column 'b': '4' looks like a number in a column of texts; declare the column",
    ),
    "missing-na": (
        b"a,b\nNA,1\n2,2\n",
        "line 2, column 'a': the field is empty or a missing value; missing",
    ),
    "open-quote": (b'a,b\n1,"2\n', "line 2: unexpected end of data"),
    "text-after-quote": (b'a,b\n1,"2"x\n', "line 2: "),
    "field-too-long": (b"a,b\n1," + b"2" * 200_000 + b"\n", "line 2: field larger than 131072 bytes"),
    "line-too-long": (b"a,b\n" + b"1," * (1 << 24) + b"1\n", "after line 1: cannot be read (line 2 is longer than"),
    "cut-gzip": (gzip.compress(b"a,b\n1,2\n")[:-9], "cannot be read"),
    "damaged-gzip": (gzip.compress(b"a,b\n1,2\n")[:12] + b"\xff" * 30, "cannot be read"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_csv_error_names_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_csv(path)
    text = str(caught.value)
    assert message in text
    assert text.startswith(str(path))
    assert "\n" not in text
    assert len(text) < len(str(path)) + 200


def test_csv_suggests_targets_and_names_missing_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "price,size\n1,2\n")
    with pytest.raises(DataError, match=r"unknown target column 'Pirce'; did you mean 'price'\?"):
        read_csv(path, target="Pirce")
    with pytest.raises(DataError, match="unknown target column 'zzz'; available columns: price, size"):
        read_csv(path, target="zzz")
    with pytest.raises(DataError, match="missing columns: rooms, age; available columns: price, size"):
        read_csv(path, columns=["size", "rooms", "age"])
    assert read_csv(write(tmp_path, "price;size\n1;2\n"), target="price").notes[0] == "delimiter ';'"
    path = write(tmp_path, "price,size\n1,2\n")
    with pytest.raises(DataError, match="no feature column besides the target 'price'"):
        read_csv(write(tmp_path, "price\n1\n"), target="price")
    with pytest.raises(DataError, match="line 2: the target column 'price' is empty"):
        read_csv(write(tmp_path, "price,size\n,2\n"), target="price")
    with pytest.raises(DataError, match="delimiter must be one character"):
        read_csv(path, delimiter="::")
    with pytest.raises(FileNotFoundError):
        read_csv(tmp_path / "nowhere.csv")


CELLS = st.sampled_from(
    ["1", "-2.5", "1e999", "nan", "", " ", '"', "x", "\u0663", "1_0", "\0", "\ufeff", ";", "'", "\r"]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=60), st.lists(st.lists(CELLS, max_size=4), max_size=4)), st.booleans())
def test_csv_of_any_content_is_read_or_rejected_in_one_line(
    tmp_path: Path, content: bytes | list[list[str]], header: bool
) -> None:
    if isinstance(content, list):
        content = "\n".join(",".join(row) for row in content).encode()
    path = write(tmp_path, content)
    message, table = "one line", None
    try:
        table = read_csv(path, header=header)
    except DataError as error:
        message = str(error)
    assert 1 <= len(message.splitlines()) <= 12
    if table is not None:
        assert np.isfinite(table.features).all()
        assert table.features.shape == (len(table.lines), len(table.columns))


def test_suggest_shortens_long_lists() -> None:
    assert suggest("q", [f"column{i}" for i in range(30)]).endswith("column19, ... (30 in all)")


def test_csv_time_is_linear_in_columns(tmp_path: Path) -> None:
    """A quadratic search for duplicate names would take minutes here."""
    names = ",".join(f"c{i}" for i in range(65_536))
    values = ",".join(str(i) for i in range(65_536))
    assert read_csv(write(tmp_path, f"{names}\n{values}\n")).features[0, -1] == 65_535.0


def idx(code: int, shape: tuple[int, ...], data: bytes) -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
def test_idx_reads_every_dtype(tmp_path: Path, code: int, dtype: str, compress: bool) -> None:
    values = np.arange(-3, 21).astype(dtype).reshape(2, 3, 4)
    content = idx(code, values.shape, values.tobytes())
    read = read_idx(write(tmp_path, gzip.compress(content) if compress else content, "x"))
    assert read.dtype == values.dtype.newbyteorder("=")
    assert read.dtype.isnative
    assert read.shape == (2, 3, 4)
    np.testing.assert_array_equal(read, values)


BAD_IDX = {
    "empty": (b"", "not an IDX file, is empty"),
    "text": (b"a,b\n1,2\n", "not an IDX file, begins with bytes 61 2c 62 0a; expected 00 00 and a dtype code"),
    "unknown-code": (idx(0x0A, (1,), b"1"), "not an IDX file"),
    "no-axes": (idx(0x08, (), b"1"), "0 axes"),
    "cut-header": (idx(0x08, (2, 2), b"")[:9], "2 axes in a header of 9 bytes"),
    "short": (idx(0x08, (2, 2), b"123"), "needs 4 bytes of values, the file has 3"),
    "long": (idx(0x08, (2, 2), b"12345"), "needs 4 bytes of values, the file has more"),
    "huge": (idx(0x0E, (2**32 - 1,) * 4, b"12345"), "the file has 5"),
    "wraps-to-0": (idx(0x08, (2**31, 2**31, 4), b""), "the file has 0"),
    "cut-gzip": (gzip.compress(idx(0x08, (2, 2), b"1234"))[:-9], "damaged gzip"),
    "damaged-gzip": (gzip.compress(idx(0x08, (2, 2), b"1234"))[:14] + b"\xff" * 20, "damaged gzip"),
}


@pytest.mark.parametrize(("content", "message"), BAD_IDX.values(), ids=BAD_IDX.keys())
def test_idx_damaged(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, content, "x")
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(str(path))


def idx_folder(folder: Path, **changed: bytes) -> Path:
    images = {"train": np.arange(3 * 4, dtype=np.uint8), "t10k": np.arange(2 * 4, dtype=np.uint8) + 100}
    for part, pixels in images.items():
        n = len(pixels) // 4
        files = {
            f"{part}-images-idx3-ubyte": idx(0x08, (n, 2, 2), pixels.tobytes()),
            f"{part}-labels-idx1-ubyte": idx(0x08, (n,), bytes(range(n))),
        }
        for name, content in files.items():
            (folder / name).write_bytes(changed.get(name.replace("-", "_"), content))
    return folder


def test_idx_folder(tmp_path: Path) -> None:
    idx_folder(tmp_path)
    plain = tmp_path / "t10k-labels-idx1-ubyte"
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    (X, y), (X_test, y_test) = load_idx_folder(tmp_path)
    assert X.shape == (3, 2, 2)
    assert X_test.shape == (2, 2, 2)
    assert X_test[0, 0, 1] == 101
    assert y.tolist() == [0, 1, 2]
    assert y_test.tolist() == [0, 1]
    assert y.dtype == np.int64


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train_labels_idx1_ubyte", idx(0x08, (2,), b"12"), "2 labels for 3 images"),
        ("train_labels_idx1_ubyte", idx(0x08, (3, 1), b"123"), "expected integer labels"),
        ("train_labels_idx1_ubyte", idx(0x0D, (3,), b"1" * 12), "expected integer labels"),
        ("train_images_idx3_ubyte", idx(0x08, (0, 2, 2), b""), "expected images"),
        (
            "t10k_images_idx3_ubyte",
            idx(0x08, (2, 3, 1), b"123456"),
            r"training images have shape \(2, 2\), test images \(3, 1\); expected equal shapes",
        ),
    ],
)
def test_idx_folder_with_mismatched_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_idx_folder(idx_folder(tmp_path, **{name: content}))


def test_idx_folder_names_the_missing_file(tmp_path: Path) -> None:
    idx_folder(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match=r"contains neither t10k-images-idx3-ubyte nor t10k-images-idx3-ubyte\.gz$"):
        load_idx_folder(tmp_path)


def test_digits() -> None:
    X, y = cr.data.load_digits()
    assert X.shape == (1797, 64)
    assert X.dtype == np.float32
    assert y.dtype == np.int64
    assert X.min() == 0
    assert X.max() == 16
    assert X.sum(dtype=np.float64) == 561_718
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
