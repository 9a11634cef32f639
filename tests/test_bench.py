"""The benchmarks are code too: the table of cases is consistent, and a short run checks, times, writes figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # bench is not part of the installed package

from bench import goals, problems
from bench.cases import BY_NAME, CASES, GROUPS, PEER_SHAPES, select
from bench.contenders import contenders
from bench.results import Row, Timing, lost
from bench.run import main
from bench.runners.base import Runner
from bench.runners.chainrule import ChainruleRunner
from bench.runners.numpy import NumpyRunner

LIGHT = [case for case in CASES if case.flops < 1e8 and case.elements < 1e5]


def test_names_are_unique_and_every_kind_has_a_runner() -> None:
    assert len(BY_NAME) == len(CASES)
    for case in CASES:
        assert case.kind not in vars(Runner), case.name
        assert hasattr(ChainruleRunner, case.kind), case.name
    assert {f"matmul {m}x{k}x{n}" for m, k, n in PEER_SHAPES} <= set(BY_NAME)
    assert set(GROUPS) >= {"matmul", "elementwise", "softmax", "forward", "gradient", "step", "call"}


@pytest.mark.parametrize("case", LIGHT, ids=lambda case: case.name)
def test_numpy_gives_the_true_answer(case: object) -> None:
    name = getattr(case, "name", "")
    known = BY_NAME[name]
    if not hasattr(NumpyRunner, known.kind):
        pytest.skip("not a case for NumPy")
    data = problems.inputs(known)
    expected = problems.truth(known, data)
    assert all(e.dtype == np.float64 and np.isfinite(e).all() and np.any(e != 0) for e in expected)
    call = NumpyRunner(1).prepare(known, data)
    call()
    assert problems.error(known, call.answer(), expected) < problems.TOLERANCE[known.dtype]


def test_a_wrong_answer_is_found() -> None:
    case = BY_NAME["softmax 128x10"]
    expected = problems.truth(case, problems.inputs(case))
    near = [e * (1 + 1e-3) for e in expected]
    holes = [np.where(e == e.max(), np.nan, e) for e in expected]
    flat = [e.ravel() for e in expected]
    for answer in (near, holes, flat, []):
        assert problems.error(case, answer, expected) > problems.TOLERANCE[case.dtype]


def test_every_goal_is_measured_by_cases_that_exist() -> None:
    names = [c.name for c in contenders(1, ["avx2"], [2], [])]
    timings = {name: Timing.of([float(i + 1)], 0.0, [1.0]) for i, name in enumerate(names)}
    rows = {case.name: Row(case, timings=timings) for case in CASES}
    for goal in goals.GOALS:
        assert goal.measure(rows) is not None, goal.text
        assert goal.measure({}) is None, goal.text


def test_ratio_and_lost_cases() -> None:
    row = Row(BY_NAME["matmul 64x64x64"])
    row.timings = {
        "chainrule": Timing.of([2e-6, 4e-6, 2e-6], 0.0, [500.0]),
        "numpy": Timing.of([1e-6, 1e-6, 9e-6], 0.0, []),
        "torch": Timing(note="no matmul"),
    }
    assert row.ratio("numpy") == pytest.approx(0.5)
    assert row.ratio("torch") is None
    assert row.of_peak() == pytest.approx(2 * 64**3 / 2e-6 / 500e9)
    assert [entry[:2] for entry in lost([row], ["numpy", "torch"])] == [(row.case.name, "numpy")]


def test_a_short_run_writes_its_figures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    options = ["--only", "numpy", "--rounds", "1", "--seconds", "0.0005", "--json", str(file)]
    assert main(["add 1 returned", "softmax 1x10", "step 2-16", *options]) == 0
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert [row["case"]["name"] for row in figures["rows"]] == [
        "softmax 1x10",
        "step 2-16-16-2 @32",
        "call add 1 returned",
    ]
    for row in figures["rows"]:
        assert 0 < row["timings"]["numpy"]["minimum"] <= row["timings"]["numpy"]["median"]
    assert figures["machine"]["cpus"] >= 1
    assert "microseconds" in capfd.readouterr().out


def test_an_unknown_case_or_contender_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["convolutoin"]) == 2
    assert "convolutoin" in capfd.readouterr().err
    assert main(["call", "--only", "nunpy"]) == 2
    assert "nunpy" in capfd.readouterr().err
    assert not [case for case in select([], quick=True) if case.heavy]
