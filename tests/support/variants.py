"""The settings that no result may depend on: the instruction set level and the number of threads."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import chainrule as cr
from chainrule import _core

ISAS: list[str] = _core.available_isas()
THREADS = (1, 2, 3, 7)
MIN_PARALLEL_WORK = _core.min_parallel_work()


def force_level(name: str) -> None:
    """Make a level active (test_isa.py proves by single steps that the active level is the one that runs)."""
    cr.use_isa(name)
    assert _core.active_isa() == name


def force_threads(count: int) -> None:
    """Use `count` threads, whatever the amount of work."""
    _core.set_num_threads(count)
    _core.set_min_parallel_work(0)
    assert _core.get_num_threads() == count


def every_setting(threads: Sequence[int] = THREADS) -> Iterator[str]:
    """Force each level with each number of threads; yields its description for messages."""
    for isa in ISAS:
        force_level(isa)
        for count in threads:
            force_threads(count)
            yield f"{isa}, {count} threads"


@contextmanager
def restored() -> Iterator[None]:
    """Level, number of threads and threshold are as before after the block."""
    isa, threads = _core.active_isa(), _core.get_num_threads()
    try:
        yield
    finally:
        cr.use_isa(isa)
        _core.set_num_threads(threads)
        _core.set_min_parallel_work(MIN_PARALLEL_WORK)
