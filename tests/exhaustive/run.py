"""Checks that the float32 elementary functions are correctly rounded, on all 2^32 inputs.

    python tests/exhaustive/run.py                       every function on every target but scalar
    python tests/exhaustive/run.py exp tanh --on avx2    some of them
    python tests/exhaustive/run.py --on scalar --stride 16

A target is an instruction set of this machine, run through the extension module, or a variant in variants.cpp,
`alone` (`alone-avx2`: with the shorter table of that set; `alone-avx512`: tanh by table) and `exact`, compiled here.
The output is one line per target and function: number of inputs, number of misrounded results, seconds. The exit status
is 1 if any result is misrounded. Requires a C++ compiler (CXX, default g++) and libquadmath; a function takes some
minutes on two cores. With a stride, all inputs near special values are still checked.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chainrule import _core

FUNCTIONS = ("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "erf", "ndtr", "sin", "cos")
# Those that are evaluated as pairs have one variant, so that one target shows what all do.
PAIRS = ("rsqrt", "cbrt", "exp2", "log2", "log10", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh")
FUNCTIONS = (*FUNCTIONS, *PAIRS, "atanh", "erfc", "lgamma")
X86 = platform.machine().lower() in ("x86_64", "amd64")
BLOCK = 1 << 20
# Bounds of the ranges in which a function is neither constant nor trivial, and of the pieces of its evaluation.
SPECIAL = (0.0, 2.0**-149, 2.0**-126, 2.0**-29, 2.0**-24, 0.5, 1.0, 9.0109, 10.0, 15.0, 17.33, 20.0, 30.0)
SPECIAL_FAR = (3.9192, 3.99, 5.4195, 6.0, 12.9454, 12.9837, 14.1701, 87.3366, 88.7229, 103.9721, 2.0**127, np.inf)
# Multiples of pi / 2, the ends of the ranges of the reductions, and the float32 nearest to a multiple.
SPECIAL_SINE = (2.0**-12, 0.7853982, 1.5707964, 3.1415927, 4.712389, 6.2831855, 2.0**20, 2.0**28, 16367173 * 2.0**72)
SPECIAL_TANH = tuple((i / 8 * 2.0**e - 0.903) / 1.4375 for e in range(-1, 4) for i in range(8, 16))  # its cells
ZONE = 1 << 12
Floats = npt.NDArray[np.float32]
Function = Callable[[bytes, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p], int]


def compile_library(folder: Path, name: str, *options: str) -> ctypes.CDLL:
    library = folder / f"{name}-{len(list(folder.iterdir()))}.so"
    source = Path(__file__).with_name(f"{name}.cpp")
    include = Path(__file__).parents[2] / "cpp"
    flags = ["-O3", "-std=c++20", "-ffp-contract=off", "-shared", "-fPIC", "-I", str(include), "-o", str(library)]
    subprocess.run([os.environ.get("CXX", "g++"), *flags, str(source), *options], check=True)
    return ctypes.CDLL(str(library))


def level(name: str) -> str:
    """The compiler's option that chooses a vector vocabulary."""
    return f'-DCR_LEVEL_HEADER="simd/{name}.h"'


def target(name: str, folder: Path) -> Function:
    """The evaluation function of the named target."""
    avx2 = (level("avx2"), "-mavx2", "-mfma")
    if name == "alone":
        return compile_library(folder, "variants", level("scalar"), *(["-mfma"] if X86 else [])).alone
    if name == "alone-avx2":
        return compile_library(folder, "variants", *avx2).alone
    if name == "alone-avx512":
        flags = (f"-mavx512{part}" for part in ("f", "dq", "bw", "vl"))
        return compile_library(folder, "variants", *avx2[1:], level("avx512"), *flags).alone
    if name == "exact":
        return compile_library(folder, "variants", *(avx2 if X86 else [level("neon")])).exact
    _core.use_isa(name)
    unary = ctypes.CDLL(_core.__file__).chainrule_unary
    return lambda function, size, x, y: unary(function, 0, size, x, y)


def block(first: int, stride: int) -> Floats:
    """Every stride-th float32 from the bit pattern `first`, at most BLOCK of them."""
    patterns = np.arange(first, min(first + BLOCK * stride, 1 << 32), stride, dtype=np.uint64)
    return patterns.astype(np.uint32).view(np.float32)


def special_zones() -> Floats:
    """All float32 near the special values and their negatives."""
    centres = np.array(
        [sign * value for value in SPECIAL + SPECIAL_FAR + SPECIAL_SINE + SPECIAL_TANH for sign in (1, -1)], np.float32
    )
    zones = centres.view(np.uint32).astype(np.int64)[:, None] + np.arange(-ZONE, ZONE, dtype=np.int64)
    return (zones.ravel() & 0xFFFFFFFF).astype(np.uint32).view(np.float32)


def pointer(array: Floats) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def check(name: str, x: Floats, evaluate: Function, oracle: ctypes.CDLL) -> tuple[int, int, list[float]]:
    """Number of inputs, number of misrounded results, and the first few of their inputs. ctypes releases the GIL."""
    y = np.empty_like(x)
    where = np.empty(4, np.float32)
    size = ctypes.c_int64(x.size)
    if evaluate(name.encode(), size, pointer(x), pointer(y)) != 0:
        raise ValueError(f"check: unknown function {name}")
    wrong = int(oracle.misrounded(name.encode(), size, pointer(x), pointer(y), ctypes.c_int64(4), pointer(where)))
    if wrong < 0:
        raise ValueError(f"check: the oracle does not contain {name}")
    return x.size, wrong, [float(v) for v in where[:wrong]]


def run(name: str, stride: int, threads: int, evaluate: Function, oracle: ctypes.CDLL) -> tuple[int, int, list[float]]:
    """The sums of `check` over all blocks and, with a stride above 1, over the neighbourhoods of special values."""
    checked, wrong, where = check(name, special_zones(), evaluate, oracle) if stride > 1 else (0, 0, [])
    with ThreadPoolExecutor(threads) as pool:
        starts = range(0, 1 << 32, BLOCK * stride)
        for n, w, inputs in pool.map(lambda first: check(name, block(first, stride), evaluate, oracle), starts):
            checked, wrong, where = checked + n, wrong + w, where + inputs
    return checked, wrong, where[:4]


def main() -> int:
    parser = argparse.ArgumentParser(description="Correct rounding of the float32 elementary functions.")
    parser.add_argument("functions", nargs="*", choices=[[], *FUNCTIONS], help="default: all")
    sets = _core.available_isas()
    targets = [*sets, "alone", *(f"alone-{name}" for name in ("avx2", "avx512") if name in sets), "exact"]
    parser.add_argument("--on", action="append", choices=targets, help="target, repeatable; default: all but scalar")
    parser.add_argument("--stride", type=int, default=1, help="check every n-th input")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    _core.set_num_threads(1)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        oracle = compile_library(Path(folder), "oracle", "-lquadmath")
        oracle.misrounded.restype = ctypes.c_int64
        for on in options.on or [name for name in targets if name != "scalar"]:
            evaluate = target(on, Path(folder))
            for name in options.functions or FUNCTIONS:
                start = time.perf_counter()
                checked, wrong, where = run(name, options.stride, options.threads, evaluate, oracle)
                seconds = time.perf_counter() - start
                inputs = f" at {', '.join(v.hex() for v in where)}" if where else ""
                print(f"{on:12} {name:9} {checked:11} inputs {wrong:6} misrounded{inputs} {seconds:7.1f} s", flush=True)
                failures += wrong
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
