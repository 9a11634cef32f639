"""Checks that the float32 elementary functions are correctly rounded, on all 2^32 inputs.

    python tests/exhaustive/run.py                       every function on every instruction set of this machine
    python tests/exhaustive/run.py exp tanh --isa avx2   some of them
    python tests/exhaustive/run.py --isa scalar --stride 16

One line per function and instruction set: inputs checked, results that are not the correctly rounded ones, seconds. The
exit status is 1 if there are any. It needs a C++ compiler (CXX, else g++) and libquadmath; a function takes a few
minutes on two cores. With a stride the neighbourhoods of special inputs are still checked completely.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chainrule import _core

FUNCTIONS = ("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus")
BLOCK = 1 << 20
# Ends of the ranges in which a function is neither constant nor trivial, and the seams of its evaluation.
SPECIAL = (0.0, 2.0**-149, 2.0**-126, 2.0**-29, 2.0**-24, 0.5, 1.0, 9.0109, 10.0, 15.0, 17.33, 20.0, 30.0)
SPECIAL_FAR = (87.3366, 88.7229, 103.9721, 2.0**127, np.inf)
ZONE = 1 << 12
Floats = npt.NDArray[np.float32]


def compile_oracle(folder: Path) -> ctypes.CDLL:
    source = Path(__file__).with_name("oracle.cpp")
    library = folder / "oracle.so"
    compiler = os.environ.get("CXX", "g++")
    options = ["-O2", "-std=c++17", "-ffp-contract=off", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run([compiler, *options, "-lquadmath"], check=True)
    oracle = ctypes.CDLL(str(library))
    oracle.misrounded.restype = ctypes.c_int64
    return oracle


def block(first: int, stride: int) -> Floats:
    """Every stride-th float32 from the bit pattern `first` on, BLOCK of them at most."""
    patterns = np.arange(first, min(first + BLOCK * stride, 1 << 32), stride, dtype=np.uint64)
    return patterns.astype(np.uint32).view(np.float32)


def special_zones() -> Floats:
    """All float32 near the special values and their negatives."""
    centres = np.array([sign * value for value in SPECIAL + SPECIAL_FAR for sign in (1, -1)], np.float32)
    zones = centres.view(np.uint32).astype(np.int64)[:, None] + np.arange(-ZONE, ZONE, dtype=np.int64)
    return (zones.ravel() & 0xFFFFFFFF).astype(np.uint32).view(np.float32)


def pointer(array: Floats) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def check(name: str, x: Floats, core: ctypes.CDLL, oracle: ctypes.CDLL) -> tuple[int, int, list[float]]:
    """Inputs checked, misrounded results, and the first few of their inputs. ctypes lets go of the interpreter lock."""
    y = np.empty_like(x)
    where = np.empty(4, np.float32)
    size = ctypes.c_int64(x.size)
    if core.chainrule_unary(name.encode(), 0, size, pointer(x), pointer(y)) != 0:
        raise ValueError(f"unknown function {name}")
    wrong = int(oracle.misrounded(name.encode(), size, pointer(x), pointer(y), ctypes.c_int64(4), pointer(where)))
    if wrong < 0:
        raise ValueError(f"the oracle has no {name}")
    return x.size, wrong, [float(v) for v in where[:wrong]]


def run(name: str, stride: int, threads: int, core: ctypes.CDLL, oracle: ctypes.CDLL) -> tuple[int, int, list[float]]:
    """The sums of `check` over all blocks, and over the special zones where a stride leaves inputs out."""
    checked, wrong, where = check(name, special_zones(), core, oracle) if stride > 1 else (0, 0, [])
    with ThreadPoolExecutor(threads) as pool:
        starts = range(0, 1 << 32, BLOCK * stride)
        for n, w, inputs in pool.map(lambda first: check(name, block(first, stride), core, oracle), starts):
            checked, wrong, where = checked + n, wrong + w, where + inputs
    return checked, wrong, where[:4]


def main() -> int:
    parser = argparse.ArgumentParser(description="Correct rounding of the float32 elementary functions.")
    parser.add_argument("functions", nargs="*", choices=[[], *FUNCTIONS], help="default: all")
    parser.add_argument("--isa", action="append", help="instruction set, repeatable; default: all of this machine")
    parser.add_argument("--stride", type=int, default=1, help="check every n-th input")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    core = ctypes.CDLL(_core.__file__)
    _core.set_num_threads(1)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        oracle = compile_oracle(Path(folder))
        for isa in options.isa or _core.available_isas():
            _core.use_isa(isa)
            for name in options.functions or FUNCTIONS:
                start = time.perf_counter()
                checked, wrong, where = run(name, options.stride, options.threads, core, oracle)
                seconds = time.perf_counter() - start
                inputs = f" at {', '.join(v.hex() for v in where)}" if where else ""
                print(f"{isa:8} {name:9} {checked:11} inputs {wrong:6} misrounded{inputs} {seconds:7.1f} s", flush=True)
                failures += wrong
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
