"""Many forks after work on several threads: no child hangs or computes other bits."""

import os
from collections.abc import Callable

import pytest

from support import fresh_interpreter as fresh

Record = Callable[[str, object], None]  # pytest's record_property
FORKS = 1_000


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_thousand_forks(record_property: Record) -> None:
    fresh.output(f"import test_threads as t; t.CHILDREN = {FORKS}; t.fork_many()", timeout=1100)
    record_property("forks", FORKS)
