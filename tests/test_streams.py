"""Tables and images from pipes: no row is lost, however the bytes arrive."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from chainrule.data import DataError, read_csv, read_idx

ROWS = [(i / 7, i % 5, i % 3) for i in range(5000)]
TABLE = "".join(f"{a!r},{b},{c}\n" for a, b, c in ROWS).encode()
SHORT = b"1,2,3\n4,5,6\n"
IMAGES = bytes([0, 0, 8, 1, 0, 0, 0, 200, *range(200)])


@contextmanager
def pipe_with(folder: Path, content: bytes, piece: int) -> Iterator[Path]:
    """A named pipe into which a thread writes, so many bytes at a time."""
    path = folder / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(content), piece):
                file.write(content[start : start + piece])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield path
    finally:
        writer.join()


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("piece", [1, 2, 3, 7, 4096, 65536, 10**9])
def test_a_table_from_a_pipe_has_all_its_rows(piece: int, compressed: bool, header: bool, tmp_path: Path) -> None:
    small = piece < 100
    content = (b"x,y,z\n" if header else b"") + (SHORT if small else TABLE)
    wanted = [(1, 2, 3), (4, 5, 6)] if small else ROWS
    with pipe_with(tmp_path, gzip.compress(content) if compressed else content, piece) as path:
        table = read_csv(path, header=header)
    np.testing.assert_array_equal(table.features, np.array(wanted, np.float64))
    assert table.names == (("x", "y", "z") if header else ("1", "2", "3"))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("piece", [1, 5, 10**9])
def test_images_from_a_pipe(piece: int, compressed: bool, tmp_path: Path) -> None:
    with pipe_with(tmp_path, gzip.compress(IMAGES) if compressed else IMAGES, piece) as path:
        assert read_idx(path).tolist() == list(range(200))


@pytest.mark.parametrize(
    "content", [b"", b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08", gzip.compress(TABLE, mtime=0)[:-9], b"1"]
)
@pytest.mark.parametrize("read", [read_csv, read_idx])
def test_cut_streams(content: bytes, read: object, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    if read is read_csv and content == b"1":
        assert read_csv(path, header=False).features.tolist() == [[1.0]]
        return
    with pytest.raises(DataError):
        read(path)  # type: ignore[operator]
