"""Allocations that fail: MemoryError, an unchanged model, and everything works again.

`python -m support.short_memory STAGE COUNT once|persistent`, with tests/native/failing_malloc.c compiled and preloaded,
shows the outcomes of one stage.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from native import FLAGS, FOLDER
from support import short_memory

# Transforms of small functions make no array of a page.
CASES = [(stage, mode) for stage in short_memory.NAMES for mode in ("once", "persistent")]
CASES.remove(("transform", "persistent"))


@pytest.fixture(scope="module")
def library() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        shared = str(Path(folder) / "failing_malloc.so")
        source = str(FOLDER / "failing_malloc.c")
        subprocess.run([*os.environ.get("CC", "cc").split(), *FLAGS, source, "-o", shared], check=True)
        yield shared


def points(library: str, stage: str, count: int, mode: str) -> int:
    """Let allocations of a stage fail; how many were tried."""
    environment = {**os.environ, "LD_PRELOAD": library, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-X", "faulthandler", "-m", "support.short_memory", stage, str(count), mode]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    tried, *lines = done.stdout.splitlines()
    assert {line.partition(" ")[2] for line in lines} <= {"MemoryError", "completed"}, done.stdout
    assert any("MemoryError" in line for line in lines)
    return int(tried)


@pytest.mark.parametrize(("stage", "mode"), CASES)
def test_short_memory_is_a_memory_error(library: str, stage: str, mode: str) -> None:
    assert points(library, stage, 25, mode) > 0


@pytest.mark.full
@pytest.mark.parametrize(("stage", "mode"), CASES)
def test_every_allocation_fails(
    library: str, stage: str, mode: str, record_property: Callable[[str, object], None]
) -> None:
    found = points(library, stage, 10_000, mode)
    record_property("failed allocations", found)
    assert found > 0
