"""A trace equal to an earlier one takes over its plan: the same program, of its own arrays."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases import random_nets
from chainrule.compiler.jit import Compiled
from chainrule.compiler.report import describe
from chainrule.compiler.reuse import PLANNED


@pytest.fixture(autouse=True)
def none_planned() -> Iterator[None]:
    PLANNED.clear()
    yield
    PLANNED.clear()


def text_of(step: Any, batch: Any, micro_batch: int | None) -> str:
    return describe(Compiled(step, micro_batch).plan_of(batch).built)


@pytest.mark.parametrize("seed", range(0, 160, 4))
def test_the_program_is_that_of_a_first_trace(seed: int) -> None:
    micro_batch = (None, 7)[seed // 4 % 2]
    texts, states = [], []
    for _ in range(2):
        net = random_nets.make(seed)
        texts.append(text_of(net.step, net.batches[0], micro_batch))
        net = random_nets.make(seed)
        trained = net.train(Compiled(net.step, micro_batch))
        states.append([a.tobytes() for state in trained for a in state.values() if a is not None])
    assert texts[0] == texts[1]
    assert states[0] == states[1]
    assert len(set(states[0])) > 1


def test_most_programs_are_remembered() -> None:
    for seed in range(0, 60, 3):
        net = random_nets.make(seed)
        Compiled(net.step).plan_of(net.batches[0])
    assert len(PLANNED) > 17


def traced(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of the function's program, and whether it was planned before."""
    before = len(PLANNED)
    result = Compiled(function)(*arguments)
    return result.numpy().tolist(), len(PLANNED) == before


X = np.array([[1.0, -2.0], [0.5, 4.0]])


def affine(weight: Any, bias: Any) -> Callable[[Any], Any]:
    return lambda x: x @ weight + bias


def test_captured_arrays_are_those_of_the_trace() -> None:
    for i in range(3):
        weight, bias = cr.nn.Parameter(np.eye(2) * (i + 1)), cr.nn.Parameter(np.array([0.0, i]))
        found, planned = traced(affine(weight, bias), X)
        assert found == (X * (i + 1) + np.array([0.0, i])).tolist()
        assert planned == (i > 0)


def test_arrays_that_share_memory_are_another_program() -> None:
    def step(a: Any, b: Any) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            with cr.no_grad():
                a.copy_(x)
            return b * 2.0

        return run

    one, other = cr.nn.Parameter(np.zeros(3)), cr.nn.Parameter(np.full(3, 5.0))
    with cr.no_grad():
        assert traced(step(one, other), np.ones(3)) == ([10.0] * 3, False)
        shared = one.detach()
        assert traced(step(one, shared), np.ones(3))[0] == [2.0] * 3
        assert traced(step(one, other), np.ones(3)) == ([10.0] * 3, True)


@pytest.mark.parametrize("pair", [(2.0, 3.0), (0.0, -0.0), (1.0, np.nan)], ids=str)
def test_constants_are_part_of_the_program(pair: tuple[float, float]) -> None:
    def scaled(values: Any) -> Callable[[Any], Any]:
        return lambda x: cr.tensor(np.array([1.0, values])) * x

    x = np.array([1.0, 2.0])
    texts = []
    for value in (*pair, *pair):
        found, planned = traced(scaled(value), x)
        texts.append((repr(found), planned))
    assert texts[0][0] == texts[2][0] != texts[1][0] == texts[3][0]
    assert [planned for _, planned in texts] == [False, False, True, True]


def test_options_of_ops_are_part_of_the_program() -> None:
    x = np.array([-1.0, 2.0])
    for slope in (0.1, 0.3, 0.1):
        found, _ = traced(lambda x, s=slope: cr.leaky_relu(x, s), x)
        assert found == [-slope, 2.0]


def test_errors_are_those_of_the_trace() -> None:
    def pick(name: str, table: Any) -> Callable[[Any], Any]:
        return lambda i: cr.take(table, i)

    for size in (3, 3, 4):
        table = cr.nn.Parameter(np.arange(float(size)))
        step = Compiled(pick("table", table))
        assert step(np.array([1])).item() == 1.0
        with pytest.raises(IndexError, match=f"{size}"):
            step(np.array([size]))


def test_arrays_of_a_trace_are_freed() -> None:
    weight = cr.nn.Parameter(np.eye(2))
    held = weakref.ref(weight)
    step = Compiled(affine(weight, cr.nn.Parameter(np.zeros(2))))
    step(X)
    del step, weight
    gc.collect()
    assert held() is None
    assert PLANNED


def test_the_number_of_plans_is_bounded() -> None:
    for n in range(1, 140):
        Compiled(lambda x: x + 1.0)(np.ones(n))
    assert 0 < len(PLANNED) <= 128


def test_fits_of_one_shape_are_planned_once() -> None:
    def fit(seed: int) -> list[bytes]:
        draw = cr.random.Generator(seed=seed)
        model = cr.nn.Sequential(cr.nn.Linear(2, 3, generator=draw), cr.nn.Tanh(), cr.nn.Linear(3, 1, generator=draw))
        rows = draw.normal((20, 2))
        cr.fit(model, rows, rows[:, :1], loss=cr.nn.MSELoss(), epochs=2, batch_size=8, seed=seed, verbose=False)
        return [parameter.numpy().tobytes() for parameter in model.parameters()]

    cold = []
    for seed in range(3):
        PLANNED.clear()
        cold.append(fit(seed))
    assert len(set(map(tuple, cold))) == 3
    known = len(PLANNED)
    assert [fit(seed) for seed in range(3)] == cold
    assert len(PLANNED) == known
