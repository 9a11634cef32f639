"""Optimizers against PyTorch's values, SGD against its formula; options, groups, state."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.optimizer_steps import START, STEPS, A, B
from cases.optimizers import CLASSES, EVERY, Make, bits, each_optimizer, kernels, one_step, options, parameters, run
from chainrule import _core
from chainrule.optim import SGD, Adagrad, Adam, AdamW, RMSprop
from reference import UPDATES, assert_same_bits

OPTIONS = [
    {"lr": 0.1, "momentum": momentum, "nesterov": nesterov, "weight_decay": decay}
    for momentum, nesterov, decay in itertools.product((0.0, 0.9), (False, True), (0.0, 0.01))
    if momentum or not nesterov
]
# Formulas.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_step_follows_the_formula(options: dict[str, float], dtype: type) -> None:
    params = parameters(dtype)
    optimizer = SGD(params, **options)
    weights = [p.numpy().astype(np.float64) for p in params]
    velocity = [np.zeros_like(p) for p in weights]
    run(params, optimizer, 5)
    for _ in range(5):
        gradients = [2 * weights[0]] + [4 * p**3 for p in weights[1:]]
        for i, gradient in enumerate(gradients):
            d = gradient + options["weight_decay"] * weights[i]
            if options["momentum"]:
                velocity[i] = options["momentum"] * velocity[i] + d
                d = d + options["momentum"] * velocity[i] if options["nesterov"] else velocity[i]
            weights[i] = weights[i] - options["lr"] * d
    for p, expected in zip(params, weights, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-13 if dtype is np.float64 else 2e-5, atol=1e-6)


@pytest.mark.parametrize("name", CLASSES)
def test_options_are_declared_in_the_order_of_the_kernel(name: str) -> None:
    declared = [number for option in CLASSES[name]._options.values() for number in option.kernel_names()]
    for kernel in kernels(CLASSES[name]):
        of_kernel = _core.update_options(kernel).split(", ")
        assert declared[: len(of_kernel)] == of_kernel, f"{name} and {kernel}: order the options as update.cpp does"


def test_every_update_belongs_to_an_optimizer() -> None:
    assert {kernel for kind in CLASSES.values() for kernel in kernels(kind)} == set(UPDATES)
    with pytest.raises(ValueError, match="update_options: no update is called adamx"):
        _core.update_options("adamx")


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - {"Muon"}))
def test_steps_are_those_of_the_reference(name: str) -> None:
    """With the reference's hyperparameters as options; states that the options do not require do not exist."""
    kind = CLASSES[name]
    row = UPDATES[kernels(kind)[0]]
    for numbers in row.hyperparameters:
        (p,) = parameters()[:1]
        optimizer = kind([p], **options(kind, numbers))
        expected, states = p.numpy().copy(), [s.copy() for s in optimizer.param_groups[0]._states[0]]
        clock = row.start
        for _ in range(4):
            one_step([p], optimizer)
            expected, states = row.step(expected, expected + expected, states, numbers, clock)
            clock = row.advanced(clock, numbers)
            assert_same_bits(p.numpy(), expected, f"{name}, {numbers}")
        for state, wanted in zip(optimizer.param_groups[0]._states[0][: len(states)], states, strict=True):
            assert_same_bits(state, wanted, f"state of {name}, {numbers}")


# p after 12 steps of torch.optim (2.13, float64) from START on the sum of A * p² + B * p; more: optimizer_steps.
PYTORCH: list[tuple[type, dict[str, Any], list[float]]] = [
    (
        SGD,
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02},
        [-0.2700741471429786, -0.0256252978363119, 0.040430939884776466],
    ),
    (SGD, {"lr": 0.05, "momentum": 0.7}, [-0.23254468181439997, -0.5947887051182077, 0.16893426236479994]),
    (Adam, {"lr": 0.1}, [-0.3754919180225706, -0.08664360001528501, 0.8429819007376687]),
    (
        Adam,
        {"lr": 0.3, "betas": (0.5, 0.8), "eps": 0.001, "weight_decay": 0.1},
        [-0.13124377521498207, 0.7222509743663486, -0.08083779775363212],
    ),
    (
        Adam,
        {"lr": 0.3, "betas": (0.5, 0.8), "amsgrad": True},
        [-0.1566634682279204, 0.9374903049747341, -0.011923656450844127],
    ),
    (AdamW, {"lr": 0.1}, [-0.37438465534448895, -0.07868273446188524, 0.8266493431674601]),
    (
        AdamW,
        {"lr": 0.2, "betas": (0.8, 0.9), "weight_decay": 0.3, "amsgrad": True},
        [-0.08838802820088518, 0.7950939208837818, -0.1981520814546367],
    ),
    (RMSprop, {}, [0.05160348540935558, -0.7122820537789458, 1.4659504366004308]),
    (
        RMSprop,
        {"lr": 0.03, "alpha": 0.8, "eps": 0.01, "weight_decay": 0.1, "momentum": 0.6},
        [-0.15556422142345133, -0.3196267458977987, 1.0428077798905766],
    ),
    (
        RMSprop,
        {"lr": 0.03, "alpha": 0.7, "momentum": 0.3, "centered": True},
        [-0.1385440851051828, 0.13446340214864663, 0.677205579502354],
    ),
    (
        RMSprop,
        {"lr": 0.02, "alpha": 0.6, "centered": True, "eps": 0.001},
        [-0.0614809412043723, -0.16620918755187208, 0.9555390567180859],
    ),
    (Adagrad, {"lr": 0.4}, [-0.1499750478879221, 0.4415000984320291, 0.3830255854415783]),
    (
        Adagrad,
        {"lr": 0.5, "lr_decay": 0.2, "weight_decay": 0.1, "initial_accumulator_value": 0.3, "eps": 0.001},
        [-0.1414452885732662, -0.05220872446583549, 0.5899725947788231],
    ),
]


@pytest.mark.parametrize(("kind", "options", "expected"), PYTORCH + STEPS, ids=str)
def test_twelve_steps_are_those_of_pytorch(kind: Any, options: dict[str, Any], expected: list[float]) -> None:
    for dtype, rtol in ((np.float64, 1e-12), (np.float32, 2e-5)):
        p = cr.nn.Parameter(START.astype(dtype))
        optimizer = kind([p], **options)
        a, b = A.astype(dtype), B.astype(dtype)

        def step(p: Any = p, optimizer: Any = optimizer, a: Any = a, b: Any = b) -> cr.Tensor:
            optimizer.zero_grad()
            loss = cr.sum(a * p * p + b * p)
            loss.backward()
            optimizer.step()
            return loss

        for _ in range(12):
            step()
        np.testing.assert_allclose(p.numpy(), expected, rtol=rtol)
        eager = p.numpy().copy()
        p.copy_(START)
        optimizer.load_state_dict(kind([p], **options).state_dict())
        compiled = cr.compile(step)
        for _ in range(12):
            compiled()
        assert p.numpy().tobytes() == eager.tobytes()


def test_momentum_is_the_heavy_ball() -> None:
    """W(j+1) = W(j) - lr g + momentum (W(j) - W(j-1)), row 72 of the notes, is v = momentum v + g; W = W - lr v."""
    lr, momentum = 0.05, 0.7
    p = cr.nn.Parameter(START)
    optimizer = SGD([p], lr=lr, momentum=momentum)
    now = before = START
    for _ in range(200):
        optimizer.zero_grad()
        cr.sum(A * p * p + B * p).backward()
        optimizer.step()
        now, before = now - lr * (2 * A * now + B) + momentum * (now - before), now
        np.testing.assert_allclose(p.numpy(), now, rtol=1e-12)
    np.testing.assert_allclose(now, -B / (2 * A), rtol=0.01)


# Options.


def test_pytorchs_switches_change_nothing() -> None:
    results = []
    for switches in ({}, {"foreach": True, "fused": None, "capturable": False, "differentiable": False}):
        params = parameters()
        run(params, Adam(params, 0.1, **switches), 2)
        results.append(bits(params))
    assert results[0] == results[1]
    for switches, message in (
        ({"differentiable": True}, "Adam: differentiable=True is not supported"),
        ({"epsilon": 0.1}, "Adam: unexpected argument 'epsilon'"),
        ({"foreach": 0.1}, "Adam: foreach must be True, False or None, got 0.1"),
    ):
        with pytest.raises(TypeError, match=message):
            Adam(parameters(), **switches)


def test_places_of_arguments_are_those_of_pytorch() -> None:
    """SGD(params, lr, momentum, dampening, weight_decay, nesterov); a bool in the place of a number is no number."""
    optimizer = SGD(parameters(), 0.1, 0.9, 0, 5e-4, True)
    assert (optimizer.dampening, optimizer.weight_decay, optimizer.nesterov) == (0, 5e-4, True)
    with pytest.raises(TypeError, match="SGD: dampening must be a number, got True"):
        SGD(parameters(), 0.1, 0.9, True)
    with pytest.raises(TypeError, match=r"RMSprop: centered must be True or False, got 0\.5"):
        RMSprop(parameters(), 0.1, 0.9, 1e-8, 0.0, 0.0, 0.5)  # type: ignore[arg-type]


def test_maximize_steps_up_the_negative_loss() -> None:
    up, down = parameters(), parameters()
    for params, optimizer, sign in ((up, Adam(up, 0.1, maximize=True), -1.0), (down, Adam(down, 0.1), 1.0)):
        for _ in range(3):
            optimizer.zero_grad()
            (sign * sum((cr.sum(cr.square(p)) for p in params), start=cr.tensor(0.0))).backward()
            optimizer.step()
    assert bits(up) == bits(down)


def test_a_closure_is_called_first() -> None:
    (p,) = parameters()[:1]
    optimizer = SGD([p], lr=0.5)

    def closure() -> cr.Tensor:
        optimizer.zero_grad()
        loss = cr.sum(cr.square(p))
        loss.backward()
        return loss

    before = float((p.numpy().astype(np.float64) ** 2).sum())
    assert optimizer.step(closure).item() == pytest.approx(before)
    np.testing.assert_array_equal(p.numpy(), np.zeros((4, 3)))
    optimizer.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(p.grad.numpy(), np.zeros((4, 3)))
    optimizer.zero_grad()
    assert p.grad is None


def test_add_param_group() -> None:
    a, b = parameters()[:2]
    optimizer = SGD([a], lr=0.5, momentum=0.9)
    optimizer.add_param_group({"params": b, "lr": 0.25})
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.25]
    assert optimizer.momentum == 0.9
    run([a, b], optimizer, 1)
    before = b.numpy().copy()
    run([a, b], optimizer, 1)
    assert not np.array_equal(before, b.numpy())
    with pytest.raises(ValueError, match="SGD: the same parameter appears twice"):
        optimizer.add_param_group({"params": [a]})
    with pytest.raises(TypeError, match="SGD: add_param_group: expected a dict with 'params'"):
        optimizer.add_param_group([b])  # type: ignore[arg-type]
    assert len(optimizer.params) == 2


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


CHANGES: dict[str, list[dict[str, Any]]] = {
    "sgd": [
        {"momentum": 0.5},
        {"weight_decay": 0.3, "lr": 0.01},
        {"nesterov": False},
        {"momentum": 0.0},
        {"momentum": 0.8},
    ],
    "dampened": [{"dampening": 0.1}, {"maximize": False}, {"dampening": 0.0}, {"nesterov": True}, {"momentum": 0.5}],
    "adam": [
        {"betas": (0.8, 0.9)},
        {"eps": 0.1},
        {"amsgrad": True},
        {"lr": 0.5},
        {"amsgrad": False},
        {"weight_decay": 0.2},
        {"decoupled_weight_decay": True},
        {"maximize": True},
    ],
    "rmsprop": [{"alpha": 0.5}, {"momentum": 0.0}, {"centered": True}, {"momentum": 0.3}, {"eps": 0.1}],
    "adagrad": [{"lr_decay": 0.9}, {"eps": 0.5}, {"weight_decay": 0.1}, {"lr": 1.0}],
}


_WITHOUT_ROW = EVERY.keys() - CHANGES.keys() - {"amsgrad", "adamw", "centered"}
for _name in sorted(_WITHOUT_ROW):
    _kind = next(kind for key, kind in CLASSES.items() if key.lower() == _name)
    _numbers = UPDATES[kernels(_kind)[0]].hyperparameters
    _first, _other = options(_kind, _numbers[0]), options(_kind, _numbers[1])
    CHANGES[_name] = [{key: value} for key, value in _other.items() if value != _first[key]]


@pytest.mark.parametrize("name", CHANGES)
def test_options_changed_between_steps_are_those_of_compiled_steps(name: str) -> None:
    """Including options that create or drop a state; each changes the next steps."""

    def once(compile: bool, changes: list[dict[str, Any]]) -> bytes:
        params = parameters()
        optimizer = EVERY[name](params)

        def step() -> cr.Tensor:
            one_step(params, optimizer)
            return params[0] * 1.0

        call = cr.compile(step) if compile else step
        for change in (*changes, {}):
            call()
            call()
            for option, value in change.items():
                setattr(optimizer, option, value)
                assert getattr(optimizer, option) == value
        return bits(params)

    results = [once(False, CHANGES[name][:i]) for i in range(len(CHANGES[name]) + 1)]
    assert len(set(results)) == len(results)
    for i, expected in enumerate(results):
        assert once(True, CHANGES[name][:i]) == expected


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


def test_steps_are_counted_for_each_parameter() -> None:
    """A parameter that gets its first gradient late takes the step of a new one."""
    late, early = (cr.nn.Parameter(START) for _ in range(2))
    optimizer = Adam([early, late], lr=0.1)
    for p in (early, early, late):
        optimizer.zero_grad()
        cr.sum(A * p * p).backward()
        optimizer.step()
    np.testing.assert_allclose(late.numpy(), START - 0.1 * np.sign(START), rtol=1e-6)
    assert [clock[0] for clock in optimizer.state_dict()["clock"]] == [2, 1]


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (SGD, {"lr": float("nan")}, "SGD: lr must be a finite number"),
        (SGD, {"lr": 0.1, "momentum": -0.1}, "SGD: momentum must be a finite number"),
        (SGD, {"lr": 0.1, "momentum": 1.0}, "SGD: momentum must be below 1"),
        (SGD, {"lr": 0.1, "weight_decay": -1.0}, "SGD: weight_decay must be a finite number"),
        (SGD, {"lr": 0.1, "nesterov": True}, "SGD: nesterov requires a momentum"),
        (Adam, {"betas": (0.9, 1.0)}, r"Adam: betas must be below 1, got \(0.9, 1.0\)"),
        (AdamW, {"betas": (0.9,)}, r"AdamW: betas must be two numbers, got \(0.9,\)"),
        (AdamW, {"eps": -1e-8}, "AdamW: eps must be a finite number of at least 0"),
        (RMSprop, {"alpha": float("inf")}, "RMSprop: alpha must be a finite number"),
        (RMSprop, {"alpha": 1.5}, "RMSprop: alpha must be at most 1, got 1.5"),
        (Adagrad, {"initial_accumulator_value": -1}, "Adagrad: initial_accumulator_value must be a finite"),
    ],
)
def test_rejects_options(kind: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(parameters(), **arguments)


def test_rejects_parameters() -> None:
    p = parameters()[0]
    with pytest.raises(ValueError, match="SGD: expected at least one parameter, got none"):
        SGD([], lr=0.1)
    with pytest.raises(ValueError, match="Adam: the same parameter appears twice"):
        Adam([{"params": [p]}, {"params": p}])
    with pytest.raises(TypeError, match="RMSprop: parameter 1 is not a tensor with requires_grad=True"):
        RMSprop([p, cr.tensor([1.0])])
    with pytest.raises(TypeError, match="SGD: group 1 is not a dict with 'params'"):
        SGD([{"params": [p]}, p], lr=0.1)  # type: ignore[list-item]
    with pytest.raises(KeyError, match="Adam: unknown option 'momentum'"):
        Adam([{"params": [p], "momentum": 0.1}])


def test_a_step_invalidates_graphs_of_the_old_values() -> None:
    (p,) = parameters()[:1]
    optimizer = SGD([p], lr=0.5)
    run([p], optimizer, 1)
    stale = cr.sum(cr.square(p))
    optimizer.step()
    with pytest.raises(RuntimeError, match="overwritten after the forward pass"):
        stale.backward()


@each_optimizer
def test_a_wrong_gradient_changes_nothing(make: Make) -> None:
    params = parameters()[:2]
    optimizer = make(params)
    before, state = bits(params), pickle.dumps(optimizer.state_dict())
    params[0].grad = cr.tensor(np.ones((4, 3), np.float32))
    params[1].grad = cr.tensor(np.ones(4, np.float32))
    with pytest.raises(ValueError, match=r"parameter 1 is float32 \(3,\), its gradient float32 \(4,\)"):
        optimizer.step()
    assert bits(params) == before
    assert pickle.dumps(optimizer.state_dict()) == state
