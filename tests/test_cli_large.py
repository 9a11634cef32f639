"""Predictions for files that are larger than what may stay in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chainrule.cli import run

PREDICT = """
import sys
from chainrule.cli import run
assert run(["predict", "m", sys.argv[1], "--out", sys.argv[2], "--threads", "1"]) == 0
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024)
"""
COLOURS = ("red", "green", "blue")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("train.csv", 300)
    options = ["--members", "1", "--epochs", "1", "--hidden", "4", "--quiet", "--out", "m"]
    assert run(["train", "train.csv", "--target", "y", *options]) == 0


def write(path: str, rows: int) -> int:
    """A table of so many rows; returns its size in MB."""
    block = "".join(f"{i * i % 977 / 8},{i * 7 % 501},{COLOURS[i * i % 3]},code {i},{i % 2}\n" for i in range(10_000))
    with Path(path).open("w", encoding="utf-8") as file:
        file.write("a,b,c,note,y\n")
        file.writelines(line for line in block.splitlines(keepends=True)[: rows % 10_000])
        for _ in range(rows // 10_000):
            file.write(block)
    return Path(path).stat().st_size >> 20


def peak(source: str, out: str) -> int:
    """The most memory of a process that predicts the file, in MB."""
    done = subprocess.run([sys.executable, "-c", PREDICT, source, out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def rows_of(path: str) -> int:
    with Path(path).open("rb") as file:
        return sum(1 for _ in file)


def test_memory_does_not_grow_with_the_file() -> None:
    write("a.csv", 60_000)
    write("b.csv", 240_000)
    small, large = peak("a.csv", "small.csv"), peak("b.csv", "large.csv")
    assert rows_of("large.csv") == 240_001
    assert large - small < 25  # MB: 180,000 rows of 5 columns as Python objects would be 60


@pytest.mark.full
@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_a_file_of_300_mb(out: str) -> None:
    assert write("a.csv", 11_000_000) > 250
    assert peak("a.csv", out) < 350
