"""The digest of three trainings is the recorded one: any level, number of threads, compiler and optimisation."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import trainings
from support.build_objects import LEVELS, ROOT, build, copy_tree

Record = Callable[[str, object], None]  # pytest's record_property
# Of numerics version 2; another one is a change of docs/arithmetic.md.
EXPECTED = "5db85ab7680bd0963c2cbd77ac27158d229204a9d1c39debf83449596c10e3ff"
KERNELS = "set(kernel_optimisation -O3)"  # in CMakeLists.txt


def test_digest_of_trainings(record_property: Record) -> None:
    found = dict(trainings.every_digest())
    assert found == dict.fromkeys(found, EXPECTED)
    record_property("configurations", len(found))


def test_the_kernels_optimisation_has_its_place() -> None:
    assert (ROOT / "CMakeLists.txt").read_text().count(KERNELS) == 1


# GCC at O3 is what the quick test runs.
@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("compiler", "optimisation"),
    [("g++", "-O1"), ("g++", "-O2"), ("clang++-14", "-O1"), ("clang++-14", "-O2"), ("clang++-14", "-O3")],
)
def test_builds(compiler: str, optimisation: str, tmp_path: Path, record_property: Record) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    with copy_tree(tmp_path / "copy", "cpp", "python", levels=LEVELS[0]) as copy:
        lists = copy / "CMakeLists.txt"
        lists.write_text(lists.read_text().replace(KERNELS, f"set(kernel_optimisation {optimisation})"))
        options = [f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_CXX_FLAGS_RELEASE={optimisation}"]
        build(copy, copy / "build", options=options)
        path = os.pathsep.join([str(copy / "python"), str(ROOT / "tests")])
        command = [sys.executable, "-m", "support.trainings"]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
        )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) >= len(trainings.THREADS)
    assert [line for line in lines if line[-1] != EXPECTED] == []
    record_property("configurations", len(lines))
