"""SGD against its formula step by step, and its state."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule.optim import SGD

OPTIONS = [
    {"lr": 0.1, "momentum": momentum, "nesterov": nesterov, "weight_decay": decay}
    for momentum, nesterov, decay in itertools.product((0.0, 0.9), (False, True), (0.0, 0.01))
    if momentum or not nesterov
]


def parameters(dtype: type = np.float32) -> list[cr.nn.Parameter]:
    generator = cr.random.Generator(seed=3)
    return [cr.nn.Parameter(generator.normal(shape, dtype=dtype)) for shape in ((4, 3), (3,), ())]


def run(params: list[cr.nn.Parameter], optimizer: SGD, steps: int) -> None:
    """Steps on a loss with a different gradient everywhere."""
    for _ in range(steps):
        optimizer.zero_grad()
        sum((cr.sum(cr.square(cr.square(p))) for p in params[1:]), start=cr.sum(cr.square(params[0]))).backward()
        optimizer.step()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_step_follows_the_formula(options: dict[str, float], dtype: type) -> None:
    params = parameters(dtype)
    optimizer = SGD(params, **options)
    truth = [p.numpy().astype(np.float64) for p in params]
    velocity = [np.zeros_like(p) for p in truth]
    run(params, optimizer, 5)
    for _ in range(5):
        gradients = [2 * truth[0]] + [4 * p**3 for p in truth[1:]]
        for i, gradient in enumerate(gradients):
            d = gradient + options["weight_decay"] * truth[i]
            if options["momentum"]:
                velocity[i] = options["momentum"] * velocity[i] + d
                d = d + options["momentum"] * velocity[i] if options["nesterov"] else velocity[i]
            truth[i] = truth[i] - options["lr"] * d
    for p, expected in zip(params, truth, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-13 if dtype is np.float64 else 2e-5, atol=1e-6)


def test_lr_can_be_changed_between_steps() -> None:
    (p,) = parameters()[:1]
    optimizer = SGD([p], lr=0.5)
    optimizer.lr = 0.0
    before = p.numpy().copy()
    run([p], optimizer, 1)
    np.testing.assert_array_equal(p.numpy(), before)
    optimizer.lr = 0.25
    run([p], optimizer, 1)
    np.testing.assert_array_equal(p.numpy(), before * np.float32(0.5))
    with pytest.raises(ValueError, match="lr must be a finite number of at least 0, got -1"):
        optimizer.lr = -1
    assert optimizer.lr == 0.25


def test_parameters_without_gradient_stay() -> None:
    a, b = parameters()[:2]
    optimizer = SGD([a, b], lr=0.5, momentum=0.9)
    before = b.numpy().copy()
    cr.sum(cr.square(a)).backward()
    optimizer.step()
    np.testing.assert_array_equal(b.numpy(), before)
    optimizer.zero_grad()
    assert a.grad is None
    assert b.grad is None


def test_state_continues_to_the_same_bits() -> None:
    straight = parameters()
    run(straight, SGD(straight, lr=0.05, momentum=0.9, nesterov=True), 6)
    halted = parameters()
    first = SGD(halted, lr=0.05, momentum=0.9, nesterov=True)
    run(halted, first, 3)
    state = first.state_dict()
    run(halted[:1], first, 1)  # the state is a copy: going on does not change it
    again = parameters()
    run(again, SGD(again, lr=0.05, momentum=0.9, nesterov=True), 3)
    second = SGD(again, lr=1.0)
    second.load_state_dict(state)
    run(again, second, 3)
    for p, expected in zip(again, straight, strict=True):
        assert p.numpy().tobytes() == expected.numpy().tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": None}, "missing lr"),
        ({"momentum": 2.0}, "momentum must be below 1"),
        ({"velocity": [np.zeros((4, 3), np.float32)]}, "1 velocities for 3 parameters"),
        ({"velocity": [None, None, None]}, r"velocity 0 is None, expected float32 \(4, 3\)"),
        ({"velocity": [np.zeros(s) for s in ((4, 3), (3,), ())]}, r"velocity 0 is float64 \(4, 3\)"),
    ],
)
def test_bad_state_changes_nothing(change: dict[str, object], message: str) -> None:
    params = parameters()
    optimizer = SGD(params, lr=0.5, momentum=0.9)
    run(params, optimizer, 1)
    before = optimizer.state_dict()
    state = {**before, "weight_decay": 0.5, **change}
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict({name: value for name, value in state.items() if value is not None})
    after = optimizer.state_dict()
    assert after["weight_decay"] == 0
    for v, expected in zip(after["velocity"], before["velocity"], strict=True):
        np.testing.assert_array_equal(v, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": float("nan")}, "lr must be a finite number"),
        ({"lr": 0.1, "momentum": -0.1}, "momentum must be a finite number"),
        ({"lr": 0.1, "momentum": 1.0}, "momentum must be below 1"),
        ({"lr": 0.1, "weight_decay": -1.0}, "weight_decay must be a finite number"),
        ({"lr": 0.1, "nesterov": True}, "nesterov needs a momentum"),
    ],
)
def test_refuses_options(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SGD(parameters(), **arguments)


def test_refuses_parameters() -> None:
    p = parameters()[0]
    with pytest.raises(ValueError, match="there are no parameters"):
        SGD([], lr=0.1)
    with pytest.raises(ValueError, match="given twice"):
        SGD([p, p], lr=0.1)
    with pytest.raises(TypeError, match="parameter 1 is not a tensor that requires a gradient"):
        SGD([p, cr.tensor([1.0])], lr=0.1)


def test_a_step_invalidates_graphs_of_the_old_values() -> None:
    (p,) = parameters()[:1]
    optimizer = SGD([p], lr=0.5)
    run([p], optimizer, 1)
    stale = cr.sum(cr.square(p))
    optimizer.step()
    with pytest.raises(RuntimeError, match="overwritten after the forward pass"):
        stale.backward()


def test_a_wrong_gradient_changes_no_parameter() -> None:
    params = parameters()[:2]
    before = [p.numpy().copy() for p in params]
    params[0].grad = cr.tensor(np.ones((4, 3), np.float32))
    params[1].grad = cr.tensor(np.ones(4, np.float32))
    with pytest.raises(ValueError):
        SGD(params, lr=0.1).step()
    for p, value in zip(params, before, strict=True):
        np.testing.assert_array_equal(p.numpy(), value)
