"""Schedule-free AdamW: the average that eval() sets, its bits, its state; its steps are in test_optim.py."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.optimizer_steps import START, A, B
from cases.optimizers import bits, one_step, parameters, run

# The average after twelve steps of schedulefree 1.4 in float64.
AVERAGES: list[tuple[dict[str, Any], list[float]]] = [
    ({"lr": 0.1}, [-0.01218243124929315, -0.6341196802588801, 1.3883728792985846]),
    (
        {
            "lr": 0.2,
            "betas": (0.7, 0.9),
            "eps": 0.001,
            "weight_decay": 0.1,
            "warmup_steps": 5,
            "r": 1,
            "weight_lr_power": 1,
        },
        [-0.1563688056102678, -0.024941574359853832, 0.722567118870671],
    ),
]


@pytest.mark.parametrize(("options", "expected"), AVERAGES)
def test_the_average_is_that_of_the_authors(options: dict[str, Any], expected: list[float]) -> None:
    p = cr.nn.Parameter(START)
    optimizer = cr.optim.ScheduleFreeAdamW([p], **options)
    for _ in range(12):
        optimizer.zero_grad()
        cr.sum(A * p * p + B * p).backward()
        optimizer.step()
    optimizer.eval()
    np.testing.assert_allclose(p.numpy(), expected, rtol=1e-12)


def test_looking_at_the_average_changes_nothing() -> None:
    """train() brings back the bits, also from a saved state; values that were loaded in between are kept."""
    results = []
    for look in (False, True):
        params = parameters()
        optimizer = cr.optim.ScheduleFreeAdamW(params, 0.1)
        for _ in range(3):
            one_step(params, optimizer)
            if look:
                before = bits(params)
                optimizer.eval()
                optimizer.eval()
                assert not optimizer.training
                assert bits(params) != before or optimizer.state_dict()["clock"][0][0] == 1
                state = optimizer.state_dict()
                optimizer = cr.optim.ScheduleFreeAdamW(params)
                optimizer.load_state_dict(state)
                optimizer.train()
                optimizer.train()
                assert bits(params) == before
        results.append(bits(params))
    assert results[0] == results[1]
    optimizer.eval()
    for p in params:
        p.copy_(p.numpy() + 1)
    moved = [p.numpy().copy() for p in params]
    optimizer.train()
    for p, x, z in zip(params, moved, optimizer.state_dict()["z"], strict=True):
        np.testing.assert_allclose(p.numpy(), x + 0.1 * (z - x), rtol=1e-5)


def test_compiled_steps_between_looks() -> None:
    results = []
    for compiled in (False, True):
        params = parameters()
        optimizer = cr.optim.ScheduleFreeAdamW(params, 0.1, weight_decay=0.1, warmup_steps=2)

        def step(params: Any = params, optimizer: Any = optimizer) -> cr.Tensor:
            one_step(params, optimizer)
            return params[0] * 1.0

        step = cr.compile(step) if compiled else step
        for _ in range(3):
            optimizer.train()
            step()
            optimizer.eval()
        results.append(bits(params))
    assert results[0] == results[1]


def test_refusals() -> None:
    params = parameters()
    optimizer = cr.optim.ScheduleFreeAdamW(params)
    run(params, optimizer, 1)
    optimizer.train(False)
    with pytest.raises(RuntimeError, match=r"hold the average after eval\(\); call train\(\) before a step"):
        run(params, optimizer, 1)
    for options, message in (
        ({"betas": (0.0, 0.9)}, "the first of betas must be above 0, got 0"),
        ({"r": 0.5}, "r must be a whole number, got 0.5"),
        ({"weight_lr_power": 17}, "weight_lr_power must be at most 16, got 17"),
    ):
        with pytest.raises(ValueError, match=f"ScheduleFreeAdamW: {message}"):
            cr.optim.ScheduleFreeAdamW(params, **options)
