"""Descriptions of programs at random, with sanitizers: each is refused or built."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.build_objects import ROOT, objects

Record = Callable[[str, object], None]  # pytest's record_property
CLANG = shutil.which("clang++") or shutil.which("clang++-14")
FUZZ = ROOT / "tests" / "fuzz"

pytestmark = [pytest.mark.skipif(CLANG is None, reason="needs clang with libFuzzer"), pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program layer with sanitizers, the kernels of one level without: no kernel runs."""
    assert CLANG is not None
    folder = tmp_path_factory.mktemp("fuzz")
    kernels = objects()
    assert kernels is not None, "no build tree with current objects"
    core = [path for part in ("", "program", "threads", "host") for path in (ROOT / "cpp" / part).glob("*.cpp")]
    flags = ["-std=c++20", "-O1", "-g", "-fno-omit-frame-pointer", "-ffp-contract=off", f"-I{ROOT / 'cpp'}"]
    flags += ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all", "-DCR_LEVELS=X(scalar)"]
    program = folder / "programs"
    sources = [str(path) for path in [FUZZ / "programs.cpp", *core]]
    command = [CLANG, *flags, *sources, *map(str, kernels["kernels_scalar"]), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return program


def fuzz(target: Path, corpus: Path, *options: str) -> int:
    """The number of inputs that ran."""
    limits = ["-max_len=400", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    command = [str(target), *limits, *options, str(corpus), str(FUZZ / "corpus")]
    done = subprocess.run(command, cwd=corpus, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    (count,) = (line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line)
    return int(count)


@pytest.mark.full
def test_some_programs(target: Path, tmp_path: Path, record_property: Record) -> None:
    """Those of the corpus, and a minute of others."""
    assert len(list((FUZZ / "corpus").iterdir())) > 20
    record_property("fuzzed inputs", fuzz(target, tmp_path, "-max_total_time=60", "-seed=1"))


@pytest.mark.nightly
def test_many_programs(target: Path, tmp_path: Path, record_property: Record) -> None:
    """Another seed each time: the counts add up over the runs."""
    record_property("fuzzed inputs", fuzz(target, tmp_path, "-max_total_time=900"))
