"""The self-test's digest: the recorded one, on every instruction set and thread count."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli import selftest
from chainrule.cli.main import run


@pytest.fixture(autouse=True)
def settings_restored() -> Iterator[None]:
    isa, threads = cr.active_isa(), cr.get_num_threads()
    yield
    cr.use_isa(isa)
    cr.set_num_threads(threads)


@pytest.mark.parametrize("isa", cr.available_isas())
def test_digest_on_every_isa(isa: str) -> None:
    cr.use_isa(isa)
    assert cr.active_isa() == isa
    assert selftest.digest() == selftest.EXPECTED


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_digest_on_any_threads(threads: int) -> None:
    cr.set_num_threads(threads)
    begun = time.perf_counter()
    assert selftest.digest() == selftest.EXPECTED
    assert time.perf_counter() - begun < 10


def test_one_line_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["selftest", "--threads", "2"]) == 0
    words = capsys.readouterr().out.split()
    assert (
        words
        == (
            f"chainrule selftest numerics {cr.numerics_version} isa {cr.active_isa()} threads 2 "
            f"sha256 {selftest.EXPECTED}"
        ).split()
    )


@pytest.mark.parametrize("part", ["_products", "_functions", "_reductions", "_draws", "_training"])
def test_a_difference_in_any_part_is_seen(
    part: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last bit of one result is flipped; the rest is skipped for speed."""
    parts = ("_products", "_functions", "_reductions", "_draws", "_training")
    first = next(iter(getattr(selftest, part)())).copy()
    for other in parts:
        monkeypatch.setattr(selftest, other, lambda: iter(()))
    monkeypatch.setattr(selftest, part, lambda: iter([first]))
    clean = selftest.digest()
    assert clean == selftest.digest()
    first.reshape(-1).view("u1")[first.itemsize * (first.size // 3)] ^= 1
    assert selftest.digest() != clean
    assert run(["selftest"]) == 1
    assert f"the digest of this version is {selftest.EXPECTED}" in capsys.readouterr().err


def test_nans_and_only_nans_are_made_the_same() -> None:
    bits = np.array([0x7FC00000, 0xFFC00001, 0x7F800001, 0x80000000, 0x00000000], dtype=np.uint32)
    a, b, c, d, e = (selftest._canonical(bits[i : i + 1].view(np.float32)) for i in range(5))
    assert a == b == c
    assert d != e
    assert selftest._canonical(np.array([1], dtype=">i8")) == selftest._canonical(np.array([1], dtype="<i8"))
