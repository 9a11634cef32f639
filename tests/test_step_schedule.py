"""StepSchedule: options of optimizers and the rate of dropout as functions of the step, compiled and not."""

from __future__ import annotations

import re
from math import cos, log2, pi
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data._split import epoch_order
from chainrule.optim import StepSchedule

X = cr.random.Generator(seed=3).normal((150, 7))
Y = (X[:, 0] > X[:, 1]).astype(np.int64)
LOSS = nn.CrossEntropyLoss()


def net() -> nn.Sequential:
    g = cr.random.Generator(seed=1)
    dropout = nn.Dropout(0.3, cr.random.Generator(seed=2))
    return nn.Sequential(nn.Linear(7, 12, generator=g), nn.Tanh(), dropout, nn.Linear(12, 2, generator=g))


def adam(model: nn.Sequential) -> optim.AdamW:
    groups: list[dict[str, Any]] = [
        {"params": list(model[0].parameters())},
        {"params": list(model[3].parameters()), "lr": 0.002, "weight_decay": 0.0},
    ]
    return optim.AdamW(groups, lr=0.02, weight_decay=0.04)


def schedules(model: nn.Module, optimizer: optim.Optimizer, **options: Any) -> list[StepSchedule]:
    return [
        StepSchedule(optimizer, "lr", "coslog4", **options),
        StepSchedule(optimizer, "weight_decay", "flat_cos", **options),
        StepSchedule(model, "p", "flat_cos", warmup=0.2, **options),
    ]


def state(model: nn.Module, optimizer: optim.Optimizer, made: list[StepSchedule]) -> bytes:
    moments = [*optimizer.state_dict()["exp_avg"], *optimizer.state_dict()["exp_avg_sq"]]
    values = [np.array(schedule.get_last_value()) for schedule in made]
    return b"".join(array.tobytes() for array in [*model.state_dict().values(), *moments, *values])


def by_hand(epochs: int = 4) -> bytes:
    model = net()
    optimizer = adam(model)
    made = schedules(model, optimizer, total_steps=epochs * 3)
    for epoch in range(epochs):
        order = epoch_order(150, 5, epoch)
        for rows in (order[:64], order[64:128], order[128:]):
            optimizer.zero_grad()
            LOSS(model(cr.tensor(X[rows])), Y[rows]).backward()
            optimizer.step()
            for schedule in made:
                schedule.step()
    return state(model, optimizer, made)


def fitted(epochs: int = 4, **options: Any) -> bytes:
    model = net()
    optimizer = adam(model)
    made = schedules(model, optimizer)
    cr.fit(model, X, Y, loss=LOSS, optimizer=optimizer, epochs=epochs, batch_size=64, seed=5, schedule=made, **options)
    assert [schedule.last_step for schedule in made] == [12] * 3
    return state(model, optimizer, made)


def test_a_fit_is_the_loop() -> None:
    expected = by_hand()
    assert fitted() == expected
    assert fitted(compile=False) == expected
    assert fitted(micro_batch=23) == expected


def test_a_trainer_is_the_loop_without_a_new_trace_per_step() -> None:
    model = net()
    optimizer = adam(model)
    made = schedules(model, optimizer, total_steps=12)
    trainer = cr.Trainer(model, X, Y, loss=LOSS, optimizer=optimizer, batch_size=64, seed=5, schedule=made)
    for _ in range(4):
        trainer.run_epoch()
    assert state(model, optimizer, made) == by_hand()
    assert trainer._compiled is not None
    assert trainer._compiled._traced == 2  # batches of 64 and of 22 rows


def test_a_resumed_fit_has_the_bits_of_one(tmp_path: Any) -> None:
    class Stop(cr.Callback):
        def __call__(self, history: cr.History) -> None:
            if history.epochs == 2:
                raise KeyboardInterrupt

    path = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fitted(checkpoint=path, callbacks=[Stop()])
    assert fitted(checkpoint=path, resume=True) == by_hand()


@pytest.mark.parametrize(
    ("curve", "formula"),
    [
        ("constant", lambda t: 1.0),
        ("linear", lambda t: 1 - t),
        ("cosine", lambda t: (1 + cos(pi * t)) / 2),
        ("flat_cos", lambda t: 1.0 if t < 0.5 else (1 + cos(pi * (2 * t - 1))) / 2),
        ("coslog4", lambda t: (1 - cos(2 * pi * log2(1 + 15 * t))) / 2),
        (lambda t: 3 * t, lambda t: 3 * t),
    ],
)
@pytest.mark.parametrize("warmup", [0.0, 0.25])
def test_the_curves_are_their_formulas(curve: Any, formula: Any, warmup: float) -> None:
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.5)
    schedule = StepSchedule(optimizer, "lr", curve, total_steps=20, warmup=warmup)
    for step in range(24):
        t = min(step / 20, 1.0)
        factor = t / warmup if t < warmup else formula((t - warmup) / (1 - warmup))
        assert optimizer.lr == pytest.approx(0.5 * factor, abs=1e-14)
        schedule.step()


def test_schedules_of_one_optimizer_have_the_options_it_was_made_with() -> None:
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.5)
    first = StepSchedule(optimizer, "lr", "linear", total_steps=4)
    first.step()
    assert optimizer.lr == 0.375
    assert StepSchedule(optimizer, "lr", "linear").base_values == [0.5]
    assert optimizer.lr == 0.5
    assert optim.StepLR(optimizer, step_size=1).base_lrs == [0.5]


def test_a_rate_of_dropout_that_is_set_ends_the_schedule() -> None:
    layer, x = nn.Dropout(0.5), cr.tensor(np.ones(200, np.float32))
    StepSchedule(layer, "p", lambda t: 0.0)
    assert (layer(x).numpy() == 1).all()
    layer.p = 0.5
    assert (layer(x).numpy() == 0).any()
    assert layer.config() == {"p": 0.5}


def test_schedules_of_epochs_and_steps_together() -> None:
    model = net()
    optimizer = adam(model)
    every = [optim.StepLR(optimizer, step_size=1, gamma=0.5), StepSchedule(optimizer, "weight_decay", "linear")]
    cr.fit(model, X, Y, loss=LOSS, optimizer=optimizer, epochs=3, batch_size=64, schedule=every)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0025, 0.00025]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.0]


def refusal(kind: str) -> Any:
    model = net()
    optimizer = adam(model)
    fit = {"loss": LOSS, "optimizer": optimizer, "batch_size": 64}
    match kind:
        case "curve":
            return StepSchedule(optimizer, "lr", "cosin")
        case "option":
            return StepSchedule(optimizer, "betas")
        case "unknown":
            return StepSchedule(optimizer, "momentum")
        case "target":
            return StepSchedule(3, "lr")
        case "model option":
            return StepSchedule(model, "lr")
        case "no dropout":
            return StepSchedule(nn.Linear(2, 2), "p")
        case "warmup":
            return StepSchedule(optimizer, warmup=1.0)
        case "total":
            return StepSchedule(optimizer, total_steps=0)
        case "factor":
            return StepSchedule(optimizer, "lr", lambda t: -1.0)
        case "p":
            return StepSchedule(model, "p", lambda t: 4.0)
        case "states":
            sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
            return StepSchedule(sgd, "momentum", "linear", total_steps=1).step()
        case "step":
            return StepSchedule(optimizer).step()
        case "trainer":
            return cr.Trainer(model, X, Y, **fit, schedule=StepSchedule(optimizer)).run_epoch()
        case "epochs in trainer":
            wrong: Any = optim.StepLR(optimizer, 1)
            return cr.Trainer(model, X, Y, **fit, schedule=wrong)
        case "other optimizer":
            return cr.fit(model, X, Y, **fit, schedule=StepSchedule(adam(model)))
        case "other model":
            return cr.fit(model, X, Y, **fit, schedule=StepSchedule(net(), "p"))
        case "twice":
            return cr.fit(model, X, Y, **fit, schedule=[StepSchedule(optimizer), StepSchedule(optimizer)])
        case "both":
            return cr.fit(model, X, Y, **fit, schedule=[StepSchedule(optimizer), optim.StepLR(optimizer, 1)])
        case "beyond":
            schedule = StepSchedule(optimizer)
            history = cr.fit(model, X, Y, **fit, epochs=1, schedule=schedule)
            return cr.fit(model, X, Y, **fit, epochs=1, schedule=schedule, history=history)
    raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("curve", ValueError, "StepSchedule: curve must be a function or one of 'constant', 'linear', 'cosine', "),
        ("option", ValueError, "StepSchedule: option must be one of lr, eps, weight_decay of AdamW, got 'betas'"),
        ("unknown", ValueError, "StepSchedule: option must be one of lr, eps, weight_decay of AdamW, got 'momentum'"),
        ("target", TypeError, "StepSchedule: expected an optimizer of cr.optim or a model, got int"),
        ("model option", ValueError, "StepSchedule: option of a model must be 'p', the rate of its dropout, got 'lr'"),
        ("no dropout", ValueError, "StepSchedule: the model has no Dropout layer"),
        ("warmup", ValueError, "StepSchedule: warmup must be from 0 to below 1, got 1.0"),
        ("total", ValueError, "StepSchedule: total_steps must be at least 1, got 0"),
        ("factor", ValueError, "StepSchedule: curve(0.0) must be a finite number of at least 0, got -1.0"),
        ("p", ValueError, "StepSchedule: p of dropout must be at most 1, got 1.2"),
        ("states", ValueError, "StepSchedule: SGD with momentum=0.0 needs other states than with 0.9"),
        ("step", ValueError, "StepSchedule: total_steps is not known; pass total_steps="),
        ("trainer", ValueError, "Trainer: total_steps of the schedule is not known; pass it to StepSchedule"),
        ("epochs in trainer", TypeError, "Trainer: schedule must be a cr.optim.StepSchedule, got StepLR; call"),
        ("other optimizer", ValueError, "fit: schedule was created for a different optimizer"),
        ("other model", ValueError, "fit: schedule was created for dropout layers of a different model"),
        ("twice", ValueError, "fit: two schedules set lr"),
        ("both", ValueError, "fit: StepLR and StepSchedule both set lr"),
        ("beyond", ValueError, "fit: schedule ends at step 3, where an earlier fit ended, this one at step 6"),
    ],
)  # fmt: skip
def test_refusals(kind: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        refusal(kind)


def test_a_state_is_loaded() -> None:
    a, b = optim.SGD([nn.Parameter([1.0])], lr=0.5), optim.SGD([nn.Parameter([1.0])], lr=0.25)
    first, second = (StepSchedule(o, "lr", "linear", total_steps=8) for o in (a, b))
    for _ in range(3):
        first.step()
    second.load_state_dict(first.state_dict())
    assert (b.lr, second.last_step, second.base_values) == (a.lr, 3, [0.5])
    with pytest.raises(ValueError, match="load_state_dict: missing total_steps"):
        second.load_state_dict({"last_step": 1, "base_values": [0.5]})


def test_inside_a_compiled_function_it_is_an_error() -> None:
    schedule = StepSchedule(optim.SGD([nn.Parameter([1.0])], lr=0.5), total_steps=3)
    with pytest.raises(cr.CompileError, match=r"StepSchedule: step\(\) is called inside a compiled function"):
        cr.compile(lambda x: (schedule.step(), x * 2.0)[1])(np.ones(2, np.float32))
