"""Parameter groups, resumed optimizers, and optimizer steps within the Trainer's epochs."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.optimizers import Make, bits, each_optimizer, one_step, parameters, run
from chainrule.optim import SGD, Adam
from support.variants import every_setting

# Groups.


def test_groups_have_options_of_their_own() -> None:
    for compile in (False, True):
        params, alone = parameters(), parameters()
        optimizer = SGD([{"params": params[:2], "momentum": 0.9}, {"params": params[2], "lr": 0.01}], lr=0.1)
        apart = [SGD(alone[:2], lr=0.1, momentum=0.9), SGD(alone[2:], lr=0.01)]

        def step(params: Any = params, optimizer: Any = optimizer) -> cr.Tensor:
            one_step(params, optimizer)
            return params[0] * 1.0

        call = cr.compile(step) if compile else step
        for lr in (0.01, 0.02):
            optimizer.param_groups[1]["lr"] = apart[1].lr = lr
            call()
            for o in apart:
                o.zero_grad()
            sum((cr.sum(cr.square(cr.square(p))) for p in alone[1:]), start=cr.sum(cr.square(alone[0]))).backward()
            for o in apart:
                o.step()
            assert bits(params) == bits(alone)
        assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.02]
        assert optimizer.param_groups[0]["params"] == params[:2]
        with pytest.raises(ValueError, match=r"SGD: the groups differ in lr, \[0.1, 0.02\]"):
            _ = optimizer.lr
        optimizer.lr = 0.5
        assert optimizer.lr == 0.5
        with pytest.raises(ValueError, match="SGD: nesterov requires a momentum above 0"):
            optimizer.nesterov = True  # the second group has none
        assert not optimizer.nesterov
        with pytest.raises(KeyError, match="SGD: unknown option 'alpha', expected one of lr, momentum"):
            optimizer.param_groups[0]["alpha"] = 1.0


# State.


@each_optimizer
def test_state_continues_to_the_same_bits(make: Make) -> None:
    straight = parameters()
    run(straight, make(straight), 6)
    halted = parameters()
    first = make(halted)
    run(halted, first, 3)
    state = copy.deepcopy(first.state_dict())
    again = parameters()
    for p, q in zip(again, halted, strict=True):
        p.copy_(q.numpy())
    run(halted[:1], first, 1)  # the state is a copy: going on does not change it
    second = type(first)(again, lr=1.0)
    second.load_state_dict(state)
    run(again, second, 3)
    assert bits(again) == bits(straight)


def test_a_loaded_state_is_that_of_compiled_steps() -> None:
    params = parameters()
    optimizer = Adam(params, lr=0.05)

    @cr.compile
    def step() -> cr.Tensor:
        one_step(params, optimizer)
        return params[0] * 1.0

    results = []
    state, values = optimizer.state_dict(), [p.numpy().copy() for p in params]
    for _ in range(2):
        step()
        step()
        results.append(bits(params))
        optimizer.load_state_dict(state)
        for p, value in zip(params, values, strict=True):
            p.copy_(value)
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": None}, "missing groups"),
        ({"groups": []}, "0 groups, expected 1"),
        ({"groups": [{"momentum": 0.9, "nesterov": False, "weight_decay": 0.0}]}, "group 0: missing lr"),
        (
            {"groups": [{"lr": 0.1, "momentum": 2.0, "nesterov": False, "weight_decay": 0.0}]},
            "momentum must be below 1",
        ),
        ({"velocity": [np.zeros((4, 3), np.float32)]}, "velocity has 1 entries for 3 parameters"),
        ({"velocity": [None, None, None]}, r"velocity 0 is None, expected float32 \(4, 3\)"),
        ({"velocity": [np.zeros(s) for s in ((4, 3), (3,), ())]}, r"velocity 0 is float64 \(4, 3\)"),
    ],
)
def test_bad_state_changes_nothing(change: dict[str, object], message: str) -> None:
    params = parameters()
    optimizer = SGD(params, lr=0.5, momentum=0.9)
    run(params, optimizer, 1)
    before = optimizer.state_dict()
    other = {"groups": [{**before["groups"][0], "weight_decay": 0.5}]}
    state = {**before, **other, **change}
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict({name: value for name, value in state.items() if value is not None})
    after = optimizer.state_dict()
    assert after["groups"] == before["groups"]
    for v, expected in zip(after["velocity"], before["velocity"], strict=True):
        np.testing.assert_array_equal(v, expected)


@each_optimizer
def test_epochs_in_the_core_have_the_bits_of_the_loop(make: Make) -> None:
    """On every level and thread count, with full batches and row blocks; the core advances step states."""
    X = cr.random.Generator(seed=1).normal((70, 5))
    y = (X[:, 0] > X[:, 1]).astype(np.int64)

    def train(**options: Any) -> bytes:
        model = cr.nn.Sequential(
            cr.nn.Linear(5, 33, generator=cr.random.Generator(seed=2)),
            cr.nn.Tanh(),
            cr.nn.Linear(33, 2, generator=cr.random.Generator(seed=3)),
        )
        optimizer = make(list(model.parameters()))
        loss = cr.nn.CrossEntropyLoss()
        trainer = cr.Trainer(model, X, y, loss=loss, optimizer=optimizer, batch_size=16, seed=4, **options)
        for _ in range(2):
            trainer.run_epoch()
        state = [
            x.tobytes()
            for name, part in optimizer.state_dict().items()
            if name != "groups"
            for x in part
            if x is not None
        ]
        return bits(list(model.parameters())) + b"".join(state)

    expected = train(compile=False)
    for setting in every_setting(threads=(1, 3)):
        assert train() == expected, setting
    assert train(micro_batch=5) == expected


def test_states_without_a_later_option_are_loaded() -> None:
    """Adam's eps_hat came after version 0.1; a state without it means the formula of then."""
    old, new = (cr.optim.Adam([cr.nn.Parameter([1.0])], lr=lr, eps_hat=lr < 0.2) for lr in (0.5, 0.1))
    state = old.state_dict()
    for group in state["groups"]:
        del group["eps_hat"]
    new.load_state_dict(state)
    assert (new.lr, new.eps_hat) == (0.5, False)
