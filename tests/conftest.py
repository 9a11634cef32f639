"""Markers of long tests and of tests that must run alone; the core's settings are restored after each test."""

import fcntl
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from chainrule import optim  # noqa: F401  its updates are instructions from then on, in every order of the tests
from support.variants import ISAS, THREADS, force_level, force_threads, restored

# cmake and ninja come with the [test] extra, also where the environment is not activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def pytest_configure(config: pytest.Config) -> None:
    """Long tests run only on request."""
    config.addinivalue_line("markers", "full: long tests, run by `pytest -m full`")
    config.addinivalue_line("markers", "nightly: very long tests, run by hand: `pytest -m nightly`")
    config.addinivalue_line("markers", "alone: tests that measure time; no worker of pytest-xdist runs another beside")
    if not config.option.markexpr:
        config.option.markexpr = "not full and not nightly"


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost, so that waiting does not count for pytest-timeout
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Among the workers of pytest-xdist, a test marked `alone` waits until it is the only one that runs."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    alone = item.get_closest_marker("alone") is not None
    # Two locks, on files that every worker has: a test that runs alone holds the first until the others have finished.
    with open(__file__) as entrance, (Path(__file__).parent.parent / "pyproject.toml").open() as room:
        fcntl.flock(entrance, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(entrance, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            fcntl.flock(room, fcntl.LOCK_UN)  # closing does not do it while a forked child has the file open


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
