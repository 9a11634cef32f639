"""The marker of long tests, and the core's settings put back after each test."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.variants import ISAS, THREADS, force_level, force_threads, restored

# cmake and ninja come with the [test] extra, also where the environment is not activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def pytest_configure(config: pytest.Config) -> None:
    """Long tests run only when they are asked for."""
    config.addinivalue_line("markers", "full: long tests, run by `pytest -m full`")
    config.addinivalue_line("markers", "xdist_group(name): tests that one worker of pytest-xdist runs")
    if not config.option.markexpr:
        config.option.markexpr = "not full"


@pytest.fixture(autouse=True)
def restore_core() -> Iterator[None]:
    """Level, number of threads and the threshold of threading as before."""
    with restored():
        yield


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    """Each available level in turn, active."""
    name = str(request.param)
    force_level(name)
    return name


@pytest.fixture(params=THREADS)
def threads(request: pytest.FixtureRequest) -> int:
    """Numbers of threads, used on the smallest shapes too."""
    count = int(request.param)
    force_threads(count)
    return count
