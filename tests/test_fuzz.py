"""Descriptions of programs and tables of text at random, with sanitizers: each is refused or built, or read."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support.build_objects import ROOT, objects

Record = Callable[[str, object], None]  # pytest's record_property
CLANG = shutil.which("clang++") or shutil.which("clang++-14")
FUZZ = ROOT / "tests" / "fuzz"

pytestmark = [pytest.mark.skipif(CLANG is None, reason="needs clang with libFuzzer"), pytest.mark.timeout(3600)]


@pytest.fixture(name="programs", scope="module")
def _programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program layer with sanitizers, the kernels of one level without: no kernel runs."""
    kernels = objects()
    assert kernels is not None, "no build tree with current objects"
    core = [path for part in ("", "program", "threads", "host") for path in (ROOT / "cpp" / part).glob("*.cpp")]
    return built(tmp_path_factory.mktemp("fuzz") / "programs", [*core, *map(Path, kernels["kernels_scalar"])])


@pytest.fixture(name="tables", scope="module")
def _tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader of tables with sanitizers."""
    parts = [ROOT / "cpp" / "host" / f"{name}.cpp" for name in ("csv", "decimal", "text_codes")]
    return built(tmp_path_factory.mktemp("fuzz") / "tables", parts)


def built(program: Path, parts: Sequence[Path]) -> Path:
    """A fuzz target of its source and these parts of the core."""
    assert CLANG is not None
    flags = ["-std=c++20", "-O1", "-g", "-fno-omit-frame-pointer", "-ffp-contract=off", f"-I{ROOT / 'cpp'}"]
    flags += ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all", "-DCR_LEVELS=X(scalar)"]
    command = [CLANG, *flags, str(FUZZ / f"{program.name}.cpp"), *map(str, parts), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return program


def fuzz(target: Path, corpus: Path, *options: str) -> int:
    """The number of inputs that ran."""
    limits = ["-max_len=600", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    command = [str(target), *limits, *options, str(corpus), str(FUZZ / "corpus" / target.name)]
    done = subprocess.run(command, cwd=corpus, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    (count,) = (line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line)
    return int(count)


@pytest.mark.full
def test_some_programs(programs: Path, tmp_path: Path, record_property: Record) -> None:
    """Those of the corpus, and a minute of others."""
    assert len(list((FUZZ / "corpus" / "programs").iterdir())) > 20
    record_property("fuzzed inputs", fuzz(programs, tmp_path, "-max_total_time=60", "-seed=1"))


@pytest.mark.full
def test_some_tables(tables: Path, tmp_path: Path, record_property: Record) -> None:
    """Those of the corpus, and a minute of others."""
    assert len(list((FUZZ / "corpus" / "tables").iterdir())) > 20
    record_property("fuzzed inputs", fuzz(tables, tmp_path, "-max_total_time=60", "-seed=1"))


@pytest.mark.nightly
def test_many_programs(programs: Path, tmp_path: Path, record_property: Record) -> None:
    """Another seed each time: the counts add up over the runs."""
    record_property("fuzzed inputs", fuzz(programs, tmp_path, "-max_total_time=900"))


@pytest.mark.nightly
def test_many_tables(tables: Path, tmp_path: Path, record_property: Record) -> None:
    """Another seed each time, too."""
    record_property("fuzzed inputs", fuzz(tables, tmp_path, "-max_total_time=900"))
