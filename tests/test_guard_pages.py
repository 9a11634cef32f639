"""No kernel reads or writes outside its arrays: see support/guard_pages.py."""

import signal
import sys
from collections.abc import Callable

import pytest

from support import fresh_interpreter as fresh
from support.variants import ISAS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="protects pages by Linux's calls")
CALLS = {
    "elementwise": 300_000,
    "rows": 30_000,
    "update": 50_000,
    "matmul": 60_000,
    "fused": 10_000,
}  # at least, for each level


@pytest.mark.parametrize("family", CALLS)
def test_nothing_outside_is_touched(family: str, record_property: Callable[[str, object], None]) -> None:
    calls = int(fresh.output(f"from support import guard_pages; print(guard_pages.{family}())"))
    record_property("guarded calls", calls)
    assert calls >= CALLS[family] * len(ISAS)


@pytest.mark.full
def test_nothing_outside_is_touched_at_any_offset(record_property: Callable[[str, object], None]) -> None:
    calls = int(fresh.output("from support import guard_pages; print(guard_pages.elementwise(every=True))"))
    record_property("guarded calls", calls)
    assert calls >= 2 * CALLS["elementwise"] * len(ISAS)


@pytest.mark.parametrize("crime", ["overread", "write_to_input"])
def test_the_guards_bite(crime: str) -> None:
    done = fresh.python(f"from support import guard_pages; guard_pages.{crime}()")
    assert done.returncode == -signal.SIGSEGV
