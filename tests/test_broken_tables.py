"""A hundred broken files: each a DataError of few lines, or an OSError of the system."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from pathlib import Path

import pytest

from chainrule.data import DataError, read_table

GOOD = b"a,b,c\n" + b"".join(b"%d,%d,x%d\n" % (i, i * i % 7, i % 3) for i in range(1000))


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def at_row(row: int, record: bytes) -> bytes:
    lines = GOOD.splitlines(keepends=True)
    return b"".join([*lines[:row], record + b"\n", *lines[row:]])


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def nested(levels: int) -> bytes:
    data = GOOD
    for _ in range(levels):
        data = zipped(("inner.zip", data))
    return data


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "blank": b" ",
    "only line ends": b"\n\r\n\n",
    "only a mark": b"\xef\xbb\xbf",
    "only a utf-16 mark": b"\xff\xfe",
    "only a header": b"a,b,c\n",
    "only comments": b"# a\n# b\n",
    "NUL in a field": at_row(5, b"1,\x002,x"),
    "NULs only": b"\x00" * 1000,
    "NUL at the end": GOOD + b"\x00",
    "utf-16 without a mark": GOOD.decode().encode("utf-16-le"),
    "utf-32 without a mark": GOOD.decode().encode("utf-32-be"),
    "utf-16 cut": GOOD.decode().encode("utf-16")[:-1],
    "latin-1": at_row(7, "1,2,größe".encode("latin-1")),
    "utf-8 cut": GOOD + b"1,2,\xc3",
    "overlong utf-8": at_row(9, b"1,2,\xc0\xaf"),
    "surrogate": at_row(9, b"1,2,\xed\xa0\x80"),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10,
    "elf": b"\x7fELF\x02\x01\x01" + b"\0" * 100,
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00]\x94(K\x01K\x02e.",
    "numpy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'}" + b"\0" * 64,
    "sqlite": b"SQLite format 3\x00" + b"\0" * 100,
    "zstd": b"\x28\xb5\x2f\xfd" + b"abc" * 10,
    "xlsx": zipped(("xl/workbook.xml", b"<x/>"), ("[Content_Types].xml", b"")),
    "ods": zipped(("content.xml", b"<x/>"), ("mimetype", b"")),
    "empty zip": zipped(),
    "zip of two": zipped(("a.csv", GOOD), ("b.csv", GOOD)),
    "zip of a folder": zipped(("a/", b"")),
    "zip of an empty file": zipped(("a.csv", b"")),
    "cut zip": zipped(("a.csv", GOOD))[:-30],
    "zip header only": b"PK\x03\x04",
    "deep zip": nested(4),
    "very deep zip": nested(30),
    "deep gzip": gzip.compress(gzip.compress(gzip.compress(gzip.compress(GOOD)))),
    "gzip of nothing": gzip.compress(b""),
    "gzip header only": b"\x1f\x8b",
    "gzip and rubbish": gzip.compress(GOOD) + b"rubbish",
    "gzip of a png": gzip.compress(b"\x89PNG\r\n\x1a\n\x00\x00\xff"),
    "cut bzip2": bz2.compress(GOOD)[:-20],
    "flipped bzip2": flipped(bz2.compress(GOOD), 60),
    "cut xz": lzma.compress(GOOD)[:-20],
    "flipped xz": flipped(lzma.compress(GOOD), 60),
    "short row": at_row(500, b"1,2"),
    "long row": at_row(500, b"1,2,x,4"),
    "one field": at_row(500, b"1"),
    "last row cut": GOOD + b"1,2",
    "two tables": GOOD + b"\nd,e\n1,2\n",
    "open quote at the end": GOOD + b'1,2,"x',
    "open quote": at_row(20, b'1,2,"x'),
    "open quote in the header": b'a,"b,c\n' + GOOD,
    "text after a quote": at_row(20, b'1,2,"x"y'),
    "backslash quote": at_row(20, b'1,2,"x\\"y"'),
    "huge quoted field": at_row(20, b'1,2,"' + b"x" * 200_000 + b'"'),
    "huge field": at_row(20, b"1,2," + b"x" * 200_000),
    "huge line": at_row(20, b"1," * (1 << 24)),
    "no line ends": b"a,b\n" + b"x" * (1 << 22),
    "duplicate names": b"a,b,a\n1,2,3\n4,5,6\n",
    "all names equal": b"a,a,a\n1,2,3\n4,5,6\n",
    "a column without a name": b"a,,c\n1,2,3\n4,5,6\n",
    "only blank names": b'"",""\n1,2\n',
    "missing values": at_row(30, b"1,,x"),
    "a word among numbers": at_row(30, b"1,oops,x"),
    "infinity": at_row(30, b"1,inf,x"),
    "too large": at_row(30, b"1,1e999,x"),
    "hexadecimal": at_row(30, b"1,0x1F,x"),
    "underscore": at_row(30, b"1,1_000,x"),
    "foreign digits": at_row(30, "1,٣,x".encode()),
    "two points": at_row(30, b"1,1.2.3,x"),
    "a date among numbers": at_row(30, b"1,2020-01-01,x"),
    "an amount among numbers": at_row(30, b'1,"1,2,3",x'),
    "two currencies": b"a,b\n1,$5\n2,5 \xe2\x82\xac\n3,4\n4,4\n",
    "parquet magic": b"PAR1",
    "parquet rubbish": b"PAR1" + b"\0" * 100 + b"PAR1",
    "feather magic": b"ARROW1",
    "feather rubbish": b"ARROW1\0\0" + b"\xff" * 100,
    "old feather": b"FEA1" + b"\0" * 100,
    **{f"gzip cut at {at} %": gzip.compress(GOOD)[: len(gzip.compress(GOOD)) * at // 100] for at in range(5, 100, 10)},
    **{f"gzip flipped at {at} %": flipped(gzip.compress(GOOD), 20 + at * 20) for at in range(0, 50, 10)},
    **{f"zip flipped at {at}": flipped(zipped(("a.csv", GOOD)), 60 + at * 30) for at in range(0, 10, 2)},
    **{f"random bytes {seed}": bytes((seed * 7 + i * i * 31) % 256 for i in range(3000)) for seed in range(5)},
}


def test_there_are_a_hundred() -> None:
    assert len(BROKEN) >= 100


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_in_few_lines(name: str, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(BROKEN[name])
    with pytest.raises(DataError) as caught:
        read_table(path)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(str(path))
    assert len(lines) <= 12
    assert all(len(line) < len(str(path)) + 300 for line in lines)
    assert str(caught.value).isprintable() or len(lines) > 1


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder, expected a file"):
        read_table(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "nothing")
    with pytest.raises(TypeError, match="expected a path, '-' or an open file"):
        read_table(3)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no data"):
        read_table(os.devnull)
