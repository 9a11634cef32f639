"""Reading tables: `chainrule.data.read_csv` beside pandas and pyarrow, on the same files.

Every reader has read a file once before it is timed; the rounds are interleaved. Printed are the least time of the
rounds and its ratio to pandas', the same of the processor's time (of all threads; other processes disturb it less), and
the most memory that a process of its own had (Linux).
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

_COLUMNS = 20
_PART = 20_000  # rows that are written at a time
_COLOURS = ("red", "green", "blue", "light blue", "black")


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.reading", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: the available CPUs; 1: on one CPU")
    parser.add_argument("--files", nargs="+", choices=FILES, default=list(FILES), help=", ".join(FILES))
    parser.add_argument("--peak", nargs=3, metavar=("READER", "FILE", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.peak:
        return _print_peak(*options.peak)
    threads = options.threads or 0
    if threads == 1 and hasattr(os, "sched_setaffinity"):  # pandas leaves a part of its work to other threads
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for kind in options.files:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{kind}.csv"
            with path.open("w", encoding="utf-8") as file:
                file.writelines(lines(kind, options.rows))
            print(f"{kind}: {options.rows:,} rows of {_COLUMNS}, {path.stat().st_size / 1e6:.0f} MB", flush=True)
            least = _timed(str(path), options.rounds, threads)
            for name, (wall, cpu) in least.items():
                ratios = f"{wall / least['pandas'][0]:5.2f}", f"{cpu / least['pandas'][1]:5.2f}"
                memory = _peak(name, str(path), threads)
                print(
                    f"  {name:10} {wall:7.3f} s {ratios[0]}  {cpu:7.3f} s CPU {ratios[1]}  {memory:5.0f} MB", flush=True
                )
    return 0


def lines(kind: str, rows: int) -> Iterator[str]:
    """The lines of a file: header and rows, the same ones each time."""
    yield ",".join(f"c{i}" for i in range(_COLUMNS)) + "\n"
    draw = np.random.default_rng(0)
    for at in range(0, rows, _PART):
        yield from FILES[kind](draw, min(_PART, rows - at))


def _floats(draw: Any, rows: int) -> Iterator[str]:
    for row in draw.normal(size=(rows, _COLUMNS)).tolist():
        yield ",".join(map(repr, row)) + "\n"


def _rounded(draw: Any, rows: int) -> Iterator[str]:
    for row in draw.normal(size=(rows, _COLUMNS)).tolist():
        yield ",".join(f"{value:.6g}" for value in row) + "\n"


def _integers(draw: Any, rows: int) -> Iterator[str]:
    for row in draw.integers(-100_000, 100_000, size=(rows, _COLUMNS)).tolist():
        yield ",".join(map(str, row)) + "\n"


def _mixed(draw: Any, rows: int, quote: str = "") -> Iterator[str]:
    """18 columns of numbers, of which one in twenty is missing, a category, a date."""
    dates = [str(np.datetime64("2000-01-01") + day) for day in range(5000)]
    for row in draw.normal(size=(rows, _COLUMNS - 2)).tolist():
        fields = [f"{value:.8g}" if abs(value) < 1.96 else "" for value in row] + [
            _COLOURS[draw.integers(5)],
            dates[draw.integers(5000)],
        ]
        yield ",".join(f"{quote}{field}{quote}" for field in fields) + "\n"


FILES: dict[str, Callable[[Any, int], Iterator[str]]] = {
    "floats": _floats,
    "rounded": _rounded,
    "integers": _integers,
    "mixed": _mixed,
    "quoted": lambda draw, rows: _mixed(draw, rows, '"'),
}


def _readers(threads: int) -> dict[str, Callable[[str], object]]:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.csv

    import chainrule as cr

    if threads:
        cr.set_num_threads(threads)
        pa.set_cpu_count(threads)

    def read(path: str) -> object:
        return cr.data.read_csv(path, missing="nan")

    return {"chainrule": read, "pandas": pd.read_csv, "pyarrow": pyarrow.csv.read_csv}


def _timed(path: str, rounds: int, threads: int) -> dict[str, tuple[float, float]]:
    """The least seconds of each reader, and the least of the processor's."""
    readers = _readers(threads)
    least = dict.fromkeys(readers, (math.inf, math.inf))
    for round_number in range(rounds + 1):
        for name, read in readers.items():
            begun = time.perf_counter(), time.process_time()
            read(path)
            taken = time.perf_counter() - begun[0], time.process_time() - begun[1]
            if round_number:
                least[name] = min(taken[0], least[name][0]), min(taken[1], least[name][1])
    return least


def _peak(name: str, path: str, threads: int) -> float:
    """The most memory of a process that reads the file, in MB."""
    command = [sys.executable, "-m", "bench.reading", "--peak", name, path, str(threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _print_peak(name: str, path: str, threads: str) -> int:
    _readers(int(threads))[name](path)
    status = Path("/proc/self/status").read_text()  # ru_maxrss begins with that of the process that started this one
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
