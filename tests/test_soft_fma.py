"""The fma of CPUs without one, in integers and wider floating point, is the hardware's."""

import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrule import _core
from support.build_objects import ROOT

Record = Callable[[str, object], None]  # pytest's record_property
pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or "avx2" not in _core.available_isas(),
    reason="needs x86-64 with fma",
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fma") / "fma"
    flags = ["-std=c++20", "-O2", "-mfma", "-ffp-contract=off", "-Wall", "-Wextra", "-I", str(ROOT / "cpp")]
    source = ROOT / "tests" / "exhaustive" / "fma.cpp"
    subprocess.run([os.environ.get("CXX", "g++"), *flags, str(source), "-o", str(path)], check=True)
    return path


def compare(program: Path, triples: int, seed: int, record: Record) -> None:
    """That many random triples of each dtype, and all directed ones."""
    done = subprocess.run([str(program), str(triples), str(seed)], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["float32", "float64"]
    for _, _, random, _, directed, _, different in lines:
        assert (int(random), int(different)) == (triples, 0), done.stderr
        assert int(directed) > 1_000_000
        record("random triples", int(random))
        record("directed triples", int(directed))
        record("different results", int(different))


def test_some_triples(program: Path, record_property: Record) -> None:
    compare(program, 1_000_000, 1, record_property)


@pytest.mark.full
@pytest.mark.parametrize("part", range(2))
def test_a_billion_triples(program: Path, part: int, record_property: Record) -> None:
    compare(program, 250_000_000, 2 + part, record_property)
