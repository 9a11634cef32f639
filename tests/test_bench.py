"""The benchmarks: the case table is consistent; a short run checks results, measures and writes files."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # bench is not part of the installed package

from bench import goals, net_reference, problems, report, runs, sklearn_mlp
from bench.cases import BY_NAME, CASES, DEFAULT_GROUPS, GROUPS, PEER_SHAPES, RUNS, UNARY, Case, select
from bench.contenders import baseline_of, contenders
from bench.nets import Net
from bench.problems import Inputs
from bench.results import Row, Timing, lost
from bench.run import main
from bench.runners.base import Call, NotOfferedError, Runner, Variants
from bench.runners.chainrule import ChainruleRunner
from bench.runners.numpy import NumpyRunner
from bench.worker import Worker

import chainrule as cr
from chainrule.cli import task as training

LIGHT = [
    c for c in CASES if c.kind != "sequence" and c.flops < (3e6 if c.kind == "epoch" else 2e8) and c.elements < 1e5
]


def test_names_are_unique_and_every_kind_has_a_runner() -> None:
    assert len(BY_NAME) == len(CASES + RUNS)
    for case in CASES + RUNS:
        assert case.kind not in vars(Runner), case.name
        assert hasattr(ChainruleRunner, case.kind), case.name
    assert {f"matmul {m}x{k}x{n}" for m, k, n in PEER_SHAPES} <= set(BY_NAME)
    assert set(GROUPS) >= {"matmul", "elementwise", "softmax", "forward", "gradient", "eager", *DEFAULT_GROUPS, "call"}


@pytest.mark.parametrize("case", LIGHT, ids=lambda case: case.name)
def test_numpy_gives_the_expected_answer(case: Case) -> None:
    if not hasattr(NumpyRunner, case.kind):
        pytest.skip("not supported by NumPy")
    try:
        expected = check(NumpyRunner(1), case)
    except NotOfferedError as reason:
        pytest.skip(str(reason))
    assert all(e.dtype == np.float64 and np.isfinite(e).all() and np.any(e != 0) for e in expected)


@pytest.mark.parametrize("kind", ["predict", "eager", "step", "epoch"])
@pytest.mark.parametrize("net", ["30-100-2 @200", "4-32-16-4 tanh @10000", "2-50-50-50-1 tanh", "23-256-256-1"])
def test_chainrule_gives_the_expected_answer(kind: str, net: str) -> None:
    case = next(case for case in reversed(CASES) if case.name.startswith(f"{kind} {net}"))
    check(ChainruleRunner(cr.get_num_threads()), case)


@pytest.mark.parametrize("name", [case.name for case in CASES if case.kind == "layers_step"])
def test_steps_of_layers_have_the_expected_losses(name: str) -> None:
    check(ChainruleRunner(1), BY_NAME[name])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_recommender_gives_the_expected_answer(optimizer: str) -> None:
    whole = BY_NAME[f"recommender {optimizer} @1024"]
    check(ChainruleRunner(1), replace(whole, params=whole.params | {"rows": 500, "batch": 64}))


@pytest.mark.parametrize("case", [c for c in CASES if c.kind == "conv_step"], ids=lambda case: case.name)
def test_chainrule_gives_the_expected_answer_for_images(case: Case) -> None:
    check(ChainruleRunner(cr.get_num_threads()), replace(case, params=case.params | {"batch": 3}))


@pytest.mark.parametrize("case", [c for c in CASES if c.kind == "sequence"], ids=lambda case: case.name)
def test_chainrule_gives_the_expected_answer_for_sequences(case: Case) -> None:
    check(ChainruleRunner(cr.get_num_threads()), case)


@pytest.mark.parametrize("op", sorted(set(UNARY) - {"copy"}))
def test_chainrule_computes_the_functions(op: str) -> None:
    check(ChainruleRunner(1), BY_NAME[f"elementwise {op} 8192"])


def check(runner: Runner, case: Case) -> list[np.ndarray]:
    """Compare the runner's results with the expected result, which is returned."""
    data = problems.inputs(case)
    expected = problems.expected_answer(case, data)
    for build in runner.prepare(case, data).values():
        call = build()
        with call.context():
            if call.reset is None:
                call()
            assert problems.error(case, call.answer(), expected) < problems.tolerance(case)
    return expected


def test_reference_of_the_differential_equation_against_finite_differences() -> None:
    rng = np.random.RandomState(3)
    params = {"activation": "tanh", "loss": "pinn"}
    shapes = ((2, 5), (5,), (5, 4), (4,), (4, 1), (1,))
    parameters = [rng.standard_normal(shape) for shape in shapes]
    x, targets = rng.standard_normal((7, 2)), np.zeros((7, 1))

    def loss(parameters: list[np.ndarray]) -> float:
        def u(x: np.ndarray) -> np.ndarray:
            return net_reference.forward(params, parameters, x)[-1]

        h = 1e-5 * np.array([1.0, -0.1])
        return float(np.square((u(x + h) - u(x - h)) / 2e-5 + u(x) ** 2).mean())

    value, gradients = net_reference.gradient(params, parameters, x, targets)
    assert value == pytest.approx(loss(parameters), rel=1e-8)
    direction = [rng.standard_normal(shape) for shape in shapes]
    ends = [loss([p + s * d for p, d in zip(parameters, direction, strict=True)]) for s in (1e-4, -1e-4)]
    along = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
    assert (ends[0] - ends[1]) / 2e-4 == pytest.approx(along, rel=1e-5)


def test_operations_of_a_step_are_counted() -> None:
    net = Net((3, 5, 2), 4)
    assert net.forward_flops == 2 * (15 + 10)
    assert net.step_flops == 2 * (3 * 25 - 15)
    assert Net((3, 5, 2), 4, loss="pinn").step_flops == 2 * (3 * 25 - 15 + 3 * 15)
    assert BY_NAME["epoch 64-128-10 @128"].flops == BY_NAME["step 64-128-10 @128"].flops == 128 * 2 * (3 * 9472 - 8192)
    assert Net((3, 5, 2), 4, full=True).epochs[0] == 4


def test_orders_are_those_of_fit() -> None:
    orders = problems.inputs(BY_NAME["epoch 784-128-10 @32"])["orders"]
    for epoch in range(2):
        expected = cr.random.Generator(problems.SEED, stream=2**32 + epoch).permutation(orders.shape[1])
        assert np.array_equal(orders[epoch], expected)


def test_data_of_a_run_are_written_and_read(tmp_path: Path) -> None:
    data = problems.inputs(BY_NAME["epoch 4-32-16-4 tanh @10000"])
    problems.save(tmp_path / "data.npz", data)
    again = problems.load(str(tmp_path / "data.npz"))
    assert again.keys() == data.keys()
    assert again["rates"] == data["rates"]
    assert all(np.array_equal(a, b) for a, b in zip(again["parameters"], data["parameters"], strict=True))


class TwoVariants(Runner):
    """One variant adds, one returns a wrong result, one raises."""

    module = "numpy"

    def add_returned(self, case: Case, data: Inputs) -> Variants:
        a, b = data["a"], data["b"]
        return {
            "right": lambda: Call(np.add, (a, b), answer=lambda: [a + b]),
            "wrong": lambda: Call(np.add, (a, a), answer=lambda: [a + a]),
            "broken": lambda: Call(np.add, (a,), answer=lambda: [a]),
        }


def test_only_a_variant_with_the_correct_answer_is_timed() -> None:
    worker = Worker(TwoVariants(1))
    answer = worker.prepare("call add 1 returned")
    assert answer["variant"] == "right"
    assert answer["error"] < 1e-7
    assert answer["failed_variants"]["wrong"].startswith("WRONG ANSWER")
    assert answer["failed_variants"]["broken"].startswith("TypeError")
    assert Timing(error=0.0, failed_variants=answer["failed_variants"]).wrong
    assert min(worker.time(0.001)["samples"]) > 0
    assert worker.prepare("call add 1 recorded") == {"skip": "no add_recorded", "failed": False}


def test_a_wrong_answer_is_detected() -> None:
    case = BY_NAME["softmax 128x10"]
    expected = problems.expected_answer(case, problems.inputs(case))
    near = [e * (1 + 1e-3) for e in expected]
    holes = [np.where(e == e.max(), np.nan, e) for e in expected]
    flat = [e.ravel() for e in expected]
    for answer in (near, holes, flat, []):
        assert problems.error(case, answer, expected) > problems.TOLERANCE[case.dtype]


def test_every_goal_is_measured_by_cases_that_exist() -> None:
    names = [c.name for c in contenders(1, ["avx2"], [], [2], [])]
    timings = {name: Timing().measured([float(i + 1)], [1.0]) for i, name in enumerate(names)}
    rows = {case.name: Row(case, timings=timings) for case in CASES}
    for goal in goals.GOALS:
        assert goal.measure(rows) is not None, goal.text
        assert goal.measure({}) is None, goal.text
        assert goal.bound({}) is None, goal.text


def test_ratio_and_lost_cases() -> None:
    row = Row(BY_NAME["matmul 64x64x64"])
    row.timings = {
        "chainrule": Timing().measured([2e-6, 4e-6, 2e-6], [500.0]),
        "numpy": Timing().measured([1e-6, 1e-6, 9e-6], []),
        "torch": Timing(note="no matmul"),
    }
    assert row.ratio("numpy") == pytest.approx(0.5)
    assert row.ratio("torch") is None
    assert row.of_peak() == pytest.approx(2 * 64**3 / 2e-6 / 500e9)
    assert [entry[:2] for entry in lost([row], ["numpy", "torch"])] == [(row.case.name, "numpy")]
    assert "LOST cases (1" in report.losses([row], contenders(1, [], [], [], []))


def test_a_goal_beyond_the_peak_says_so() -> None:
    row = Row(BY_NAME["epoch 784-512-256-10 @128"])
    at_peak = row.case.flops / 100e9
    row.timings = {
        "chainrule": Timing().measured([1.05 * at_peak], [100.0]),
        "jax": Timing().measured([1.2 * at_peak], []),
    }
    text = goals.report([row])
    assert "MISSED    1.14 of 1.30  epoch 784-512-256-10 @128: time of jax over ours (at the FMA peak" in text
    assert "met       0.95 of 0.85" in text


def test_peers_with_two_threads_are_compared_with_chainrule_with_two() -> None:
    found = {c.name: c for c in contenders(1, [], [], [2], [])}
    assert found["jax-2threads"].threads == found["chainrule-2threads"].threads == 2
    assert found["jax-2threads"].takes_part(BY_NAME["step 784-512-256-10 @128"])
    assert not found["jax-2threads"].takes_part(BY_NAME["step 2-16-16-2 @32"])
    assert not found["jax-2threads"].takes_part(BY_NAME["gradient 784-512-256-10 @128"])
    assert baseline_of("jax-2threads") == "chainrule-2threads"
    assert baseline_of("chainrule-2threads") == baseline_of("jax") == baseline_of("numpy-haswell") == "chainrule"
    row = Row(BY_NAME["step 64-128-10 @128"])
    seconds = {"chainrule": 3.0, "chainrule-2threads": 1.0, "jax-2threads": 2.0, "jax": 6.0}
    row.timings = {name: Timing().measured([value], []) for name, value in seconds.items()}
    assert row.ratio("jax-2threads") == row.ratio("jax") == 2.0
    assert lost([row], ["jax", "jax-2threads"]) == []


def test_a_short_run_writes_its_figures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    options = ["--only", "numpy", "--rounds", "1", "--seconds", "0.0005", "--json", str(file)]
    assert main(["add 1 returned", "softmax 1x10", "step 2-16", "epoch 4-32", *options]) == 0
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert [row["case"]["name"] for row in figures["rows"]] == [
        "softmax 1x10",
        "epoch 4-32-16-4 tanh @10000",
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
    assert not [case for case in select(["all"], quick=True) if case.heavy]


def test_the_nets_are_the_default() -> None:
    assert {case.group for case in select([])} == set(DEFAULT_GROUPS)
    assert select(["all"]) == list(CASES)


def test_runs_without_fashion_mnist_say_how_to_get_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "RUNS", (RUNS[0],))
    assert runs.main([str(tmp_path / "nowhere"), "--only", "numpy"]) == 0
    assert "apt install dataset-fashion-mnist" in capfd.readouterr().out


def test_the_digits_run_is_that_of_the_command_line() -> None:
    case = RUNS[1]
    data = runs.run_data(case, Path())
    assert data["x"].shape == (1438, 64)
    assert data["rates"][0] == 0.1
    assert data["rates"][-1] == pytest.approx(0.1 / 30)
    call = ChainruleRunner(cr.get_num_threads()).prepare(case, data)[""]()
    assert problems.error(case, call.answer(), problems.expected_answer(case, data)) < problems.tolerance(case)
    problem = training.digits_problem(holdout=0.2, seed=0)
    assert case.params["widths"] == (64, *problem.defaults.hidden, 10)
    assert case.params["batch"] == problem.defaults.batch_size
    assert case.params["epochs"] == problem.defaults.epochs
    model = training.build_model(problem, problem.defaults)
    history = cr.History()
    training.train(problem, model, problem.defaults, lambda record: None, history)
    assert call.trained is not None
    assert call.reset is not None
    call.reset()
    call()
    expected = list(model.parameters())
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(call.trained(), expected, strict=True))
    assert problems.accuracy(case, call.trained(), data) == pytest.approx(history.metrics["accuracy"][-1])


def test_the_drop_ins_are_measured_beside_scikit_learn(capsys: pytest.CaptureFixture[str]) -> None:
    """One short case: a line with five ratios, and a code that says whether a goal is lost."""
    code = sklearn_mlp.main(["diabetes", "lbfgs", "--repeats", "1"])
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith("diabetes lbfgs"))
    assert len(re.findall(r"\d+\.\d[* ]", line)) >= 5
    assert code == int("*" in line)
    with pytest.raises(SystemExit):
        sklearn_mlp.main(["iris"])
