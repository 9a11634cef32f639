"""Small C helpers of the tests, compiled on first use with the system's C compiler."""

import ctypes
import functools
import os
import subprocess
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
FLAGS = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")


@functools.cache
def library(name: str, *flags: str) -> ctypes.CDLL:
    """`name`.c as a loaded library; RuntimeError with the compiler's output if compilation fails."""
    with tempfile.TemporaryDirectory(prefix="native-") as folder:
        shared = Path(folder) / f"{name}.so"
        command = [*os.environ.get("CC", "cc").split(), *FLAGS, *flags, str(FOLDER / f"{name}.c"), "-o", str(shared)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
        return ctypes.CDLL(str(shared))
