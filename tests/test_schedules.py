"""Schedules have PyTorch's rates; saved and loaded they resume; in fit they step after every epoch."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf, nan
from typing import Any

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.optim import (
    SGD,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from chainrule.optim._schedules import cos_pi

SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "step": lambda o: StepLR(o, 3, 0.4),
    "exponential": lambda o: ExponentialLR(o, 0.83),
    "cosine": lambda o: CosineAnnealingLR(o, 5, 0.01),
    "linear": lambda o: LinearLR(o, 0.2, 0.9, 7),
    "linear defaults": lambda o: LinearLR(o),
    "lambda": lambda o: LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "warm-up, then cosine": lambda o: SequentialLR(o, [LinearLR(o, 0.1, 1.0, 3), CosineAnnealingLR(o, 5)], [3]),
}
PLATEAUS: dict[str, Callable[[Any], Any]] = {
    "defaults": lambda o: ReduceLROnPlateau(o, patience=2),
    "abs": lambda o: ReduceLROnPlateau(o, factor=0.5, patience=1, threshold=0.05, threshold_mode="abs"),
    "cooldown": lambda o: ReduceLROnPlateau(o, factor=0.3, patience=0, cooldown=2, min_lr=0.01),
    "max": lambda o: ReduceLROnPlateau(o, mode="max", factor=0.5, patience=1, threshold=0.02),
    "max abs": lambda o: ReduceLROnPlateau(
        o, mode="max", factor=0.5, patience=1, threshold=0.05, threshold_mode="abs", eps=0.02
    ),
}
MEASURES = [1.0, 0.9, 0.91, 0.905, 0.899, 0.95, 0.96, 0.97, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99]

# torch.optim.lr_scheduler (2.13): of two groups with rates 0.5 and 0.02 the second's in every third epoch.
PYTORCH = {
    "step": [0.02, 0.5, 0.5, 0.008, 0.2, 0.2, 0.0032, 0.08, 0.08],
    "exponential":
        [0.02, 0.415, 0.34445, 0.01143574, 0.237291605, 0.196952032, 0.00653880747, 0.135680255, 0.112614612],
    "cosine": [0.02, 0.453209164, 0.330709164, 0.013454915, 0.0567908364, 0.01, 0.010954915, 0.179290836, 0.330709164],
    "linear": [0.004, 0.15, 0.2, 0.01, 0.3, 0.35, 0.016, 0.45, 0.45],
    "linear defaults": [0.00666666667, 0.233333333, 0.3, 0.0146666667, 0.433333333, 0.5, 0.02, 0.5, 0.5],
    "lambda": [0.02, 0.25, 0.166666667, 0.005, 0.1, 0.0833333333, 0.00285714286, 0.0625, 0.0555555556],
    "warm-up, then cosine": [0.002, 0.2, 0.35, 0.02, 0.452254249, 0.327254249, 0.00690983006, 0.0477457514, 0.0],
    "defaults": [0.02, 0.5, 0.5, 0.02, 0.5, 0.5, 0.02, 0.5, 0.05, 0.002, 0.05, 0.05, 0.0002, 0.005],
    "abs": [0.02, 0.5, 0.5, 0.02, 0.25, 0.25, 0.005, 0.125, 0.0625, 0.0025, 0.0625, 0.03125, 0.00125, 0.015625],
    "cooldown": [0.02, 0.5, 0.5, 0.01, 0.15, 0.15, 0.01, 0.045, 0.045, 0.01, 0.0135, 0.0135, 0.01, 0.01],
    "max": [0.02, 0.5, 0.5, 0.01, 0.25, 0.125, 0.005, 0.0625, 0.0625, 0.00125, 0.03125, 0.015625, 0.000625, 0.0078125],
    "max abs": [0.02, 0.5, 0.5, 0.02, 0.25, 0.125, 0.02, 0.0625, 0.0625, 0.02, 0.03125, 0.03125, 0.02, 0.03125],
}  # fmt: skip


def optimizer() -> cr.optim.SGD:
    p, q = cr.nn.Parameter([1.0]), cr.nn.Parameter([2.0])
    return cr.optim.SGD([{"params": p}, {"params": q, "lr": 0.02}], lr=0.5)


def rates(schedule: Any, epochs: range) -> list[float]:
    """The rates in these epochs, and one step after each."""
    found = []
    for epoch in epochs:
        found.append(schedule.get_last_lr()[0 if epoch % 3 else 1])
        schedule.step(*([MEASURES[epoch]] if isinstance(schedule, ReduceLROnPlateau) else []))
    return found


@pytest.mark.parametrize("name", {**SCHEDULES, **PLATEAUS})
def test_rates_are_those_of_pytorch(name: str) -> None:
    expected = PYTORCH[name]
    schedule = {**SCHEDULES, **PLATEAUS}[name](optimizer())
    np.testing.assert_allclose(rates(schedule, range(len(expected))), expected, rtol=1e-8, atol=1e-15)


@pytest.mark.parametrize("name", {**SCHEDULES, **PLATEAUS})
def test_a_loaded_schedule_goes_on(name: str) -> None:
    make, expected = {**SCHEDULES, **PLATEAUS}[name], PYTORCH[name]
    first = make(optimizer())
    before = rates(first, range(5))
    second = make(optimizer())
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    again = rates(second, range(5, len(expected)))
    np.testing.assert_allclose([*before, *again], expected, rtol=1e-8, atol=1e-15)
    assert again == rates(first, range(5, len(expected)))


@pytest.mark.parametrize("name", {**SCHEDULES, **PLATEAUS})
def test_a_bad_state_changes_nothing(name: str) -> None:
    schedule = {**SCHEDULES, **PLATEAUS}[name](optimizer())
    rates(schedule, range(2))
    before = schedule.state_dict(), schedule.get_last_lr()
    with pytest.raises(ValueError, match="load_state_dict: missing last_epoch"):
        schedule.load_state_dict({"base_lrs": [1.0, 2.0], "best": 0.1})
    if name in SCHEDULES:
        with pytest.raises(ValueError, match="load_state_dict: 1 rates for 2 groups"):
            schedule.load_state_dict({"base_lrs": [1.0], "last_epoch": 3})
    assert (schedule.state_dict(), schedule.get_last_lr()) == before


def test_cosines_are_correctly_rounded() -> None:
    with mpmath.workprec(400):
        for d in (1, 2, 3, 5, 7, 48, 100, 1001):
            for n in range(-d - 3, 4 * d, max(1, d // 50)):
                assert cos_pi(n, d) == pytest.approx(float(mpmath.cospi(mpmath.mpf(n) / d)), rel=0, abs=1e-38), (n, d)


def test_a_schedule_s_error_changes_nothing() -> None:
    o = optimizer()
    schedule = LambdaLR(o, lambda epoch: -1.0 if epoch == 2 else 0.5)
    schedule.step()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"SGD: lr must be a finite number of at least 0, got -0\.5"):
            schedule.step()
    assert (schedule.last_epoch, schedule.get_last_lr()) == (1, [0.25, 0.01])


X = cr.random.Generator(seed=1).normal((60, 4))
Y = (X[:, 0] > X[:, 1]).astype(np.int64)


@pytest.mark.parametrize("name", ["cosine", "abs"])
@pytest.mark.parametrize("validation", [None, (X[40:], Y[40:])])
def test_fit_steps_after_every_epoch(name: str, validation: Any) -> None:
    """As the loop by hand; a plateau is one of the validation loss, without validation of the loss."""
    results = []
    for by_hand in (False, True):
        model = cr.nn.Linear(4, 2, generator=cr.random.Generator(seed=2))
        o = cr.optim.SGD(model.parameters(), 0.5, 0.9)
        schedule = {**SCHEDULES, **PLATEAUS}[name](o)
        seen: list[float] = []
        history = cr.History()
        for _ in range(8 if by_hand else 1):
            cr.fit(
                model,
                X[:40],
                Y[:40],
                loss=cr.nn.CrossEntropyLoss(),
                optimizer=o,
                schedule=None if by_hand else schedule,
                epochs=1 if by_hand else 8,
                batch_size=8,
                validation=validation,
                seed=3,
                progress=False,
                history=history,
                callbacks=[lambda h, o=o, seen=seen: seen.append(o.lr)],
            )
            if by_hand:
                measure = (history.val_loss if validation else history.loss)[-1]
                schedule.step(*([measure] if name in PLATEAUS else []))
                seen[-1] = o.lr
        assert len(set(seen)) > 1
        results.append((model.weight.numpy().tobytes(), seen, history.loss))
    assert results[0] == results[1]


def test_fit_rejects_a_foreign_schedule() -> None:
    model = cr.nn.Linear(4, 2)
    o = cr.optim.SGD(model.parameters(), 0.5)
    before = model.weight.numpy().copy()
    with pytest.raises(ValueError, match="fit: schedule was created for a different optimizer"):
        cr.fit(model, X, Y, loss=cr.cross_entropy, optimizer=o, schedule=StepLR(optimizer(), 2))
    np.testing.assert_array_equal(model.weight.numpy(), before)


@pytest.mark.parametrize("monitor", ["loss", "val_loss", "val_accuracy"])
def test_plateaus_follow_a_measure_by_its_name(monitor: str) -> None:
    seen = []

    class Spy(ReduceLROnPlateau):
        def step(self, metric: float) -> None:
            seen.append(metric)
            super().step(metric)

    model = cr.nn.Linear(4, 2)
    o = cr.optim.SGD(model.parameters(), 0.5)
    schedule = Spy(o, mode="max" if monitor == "val_accuracy" else "min", monitor=monitor)
    history = cr.fit(
        model, X, Y, loss=cr.nn.CrossEntropyLoss(), optimizer=o, schedule=schedule, epochs=3, validation=(X[:9], Y[:9])
    )
    assert seen == history.measures[monitor]


def test_a_measure_that_there_is_not() -> None:
    model = cr.nn.Linear(4, 2)
    o = cr.optim.SGD(model.parameters(), 0.5)
    schedule = ReduceLROnPlateau(o, monitor="val_f1")
    before = model.weight.numpy().copy()
    with pytest.raises(ValueError, match=r"fit: the schedule monitors 'val_f1', expected one of loss$"):
        cr.fit(model, X, Y, loss=cr.cross_entropy, optimizer=o, schedule=schedule)
    with pytest.raises(ValueError, match=r"unknown measure 'val_f1', expected one of loss$"):
        schedule(cr.History(loss=[1.0]))
    np.testing.assert_array_equal(model.weight.numpy(), before)


def test_rates_follow_inside_compiled_steps() -> None:
    """And a schedule cannot step inside of one."""
    p = cr.nn.Parameter([1.0])
    o = cr.optim.SGD([p], 0.5)
    schedule = ExponentialLR(o, 0.5)

    @cr.compile
    def step() -> cr.Tensor:
        o.zero_grad()
        loss = cr.sum(p * 2.0)
        loss.backward()
        o.step()
        return loss

    values = []
    for _ in range(3):
        step()
        schedule.step()
        values.append(p.item())
    assert values == [0.0, -0.5, -0.75]

    def wrong() -> cr.Tensor:
        schedule.step()
        return p * 1.0

    with pytest.raises(cr.CompileError, match="SGD: lr is changed inside a compiled function"):
        cr.compile(wrong)()
    assert (schedule.last_epoch, o.lr) == (3, 0.0625)


REFUSED: list[tuple[Callable[[Any], Any], type, str]] = [
    (lambda o: StepLR(o, 0), ValueError, "StepLR: step_size must be a finite number of at least 1, got 0"),
    (lambda o: StepLR(o, 1.5), TypeError, "StepLR: step_size must be an integer, got 1.5"),
    (lambda o: ExponentialLR(o, -0.1), ValueError, "ExponentialLR: gamma must be a finite number of at least 0"),
    (lambda o: CosineAnnealingLR(o, 5, float("nan")), ValueError, "CosineAnnealingLR: eta_min must be a finite"),
    (lambda o: LinearLR(o, total_iters=0), ValueError, "LinearLR: total_iters must be"),
    (lambda o: LambdaLR(o, [float]), ValueError, "LambdaLR: 1 functions for 2 groups"),
    (lambda o: StepLR(o.params, 2), TypeError, "StepLR: expected an optimizer of cr.optim, got list"),
    (lambda o: ReduceLROnPlateau(o.params), TypeError, "ReduceLROnPlateau: expected an optimizer of cr.optim, got"),
    (
        lambda o: ReduceLROnPlateau(o, "least"),
        ValueError,
        "ReduceLROnPlateau: mode must be 'min' or 'max', got 'least'",
    ),
    (lambda o: ReduceLROnPlateau(o, factor=1.0), ValueError, "ReduceLROnPlateau: factor must be below 1, got 1.0"),
    (lambda o: ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold_mode must be 'rel' or 'abs', got 'x'"),
    (lambda o: SequentialLR(o, [StepLR(o, 2)], [3]), ValueError, "1 schedules require 0 ascending milestones above 0"),
    (lambda o: SequentialLR(o, [StepLR(o, 2)] * 3, [3, 3]), ValueError, "3 schedules require 2 ascending milestones"),
    (
        lambda o: SequentialLR(o, [StepLR(optimizer(), 2)], []),
        ValueError,
        "schedule 0 was created for a different optimizer",
    ),
    (lambda o: SequentialLR(o, [ReduceLROnPlateau(o)], []), TypeError, "is a ReduceLROnPlateau, not a function of the"),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED, ids=lambda x: x if isinstance(x, str) else "")
def test_rejected(make: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    o = optimizer()
    with pytest.raises(error, match=message):
        make(o)
    assert [group["lr"] for group in o.param_groups] == [0.5, 0.02]


def plateau(measures: list[float], **options: Any) -> float:
    """The rate after these measures; it began at 1 and falls to a tenth with patience 2."""
    optimizer = SGD([cr.nn.Parameter([1.0])], lr=1.0)
    schedule = ReduceLROnPlateau(optimizer, patience=2, **options)
    for measure in measures:
        schedule.step(measure)
    return optimizer.lr


SIZES = (1.0, -1.0, -1e-3, 1e3, -1e3, 1e-30, -1e30)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("size", SIZES)
def test_a_plateau_of_any_sign(size: float, mode: str) -> None:
    """Constant, worse or hardly better is no improvement, better by 1 % is one."""
    better = -0.01 if (mode == "min") == (size > 0) else 0.01
    for change in (0.0, -better, 0.002 * better):
        assert plateau([size * (1 + change) ** i for i in range(5)], mode=mode) == pytest.approx(0.1), change
    assert plateau([size * (1 + better) ** i for i in range(8)], mode=mode) == 1.0


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_plateau_across_0_and_of_nothing(mode: str) -> None:
    sign = 1.0 if mode == "min" else -1.0
    assert plateau([sign * v for v in (2.0, 1.0, 0.0, -1.0, -2.0, -3.0)], mode=mode) == 1.0
    assert plateau([0.0] * 5, mode=mode) == pytest.approx(0.1)
    assert plateau([sign * inf] * 3, mode=mode) == pytest.approx(0.1)
    assert plateau([nan] * 3, mode=mode) == pytest.approx(0.1)
    assert plateau([sign * 1.0, nan, nan, nan], mode=mode) == pytest.approx(0.1)
    assert plateau([-sign * inf] * 5, mode=mode) == pytest.approx(0.1)
    assert plateau([nan, sign * inf, sign * 3.0, sign * 2.0, sign * 1.0], mode=mode) == 1.0


@pytest.mark.parametrize("threshold", [0.0, 0.1, 1.0, 2.5])
@pytest.mark.parametrize("best", [4.0, -4.0, 0.5, -0.25])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_bound_of_an_improvement(mode: str, best: float, threshold: float) -> None:
    """best - threshold * |best|, or best + threshold * |best|, exclusively."""
    sign = -1.0 if mode == "min" else 1.0
    for relative, change in (("rel", threshold * abs(best)), ("abs", threshold)):
        bound = best + sign * change
        for value, rate in ((bound + sign * 1e-3, 1.0), (bound - sign * 1e-3, 0.1)):
            options = {"mode": mode, "threshold": threshold, "threshold_mode": relative}
            assert plateau([best, best, best, value], **options) == pytest.approx(rate), (relative, value)
