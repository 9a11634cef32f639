"""Schedules against PyTorch's values, by the epoch and by the step, in loops and in fit, saved and loaded."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim

# Rates and momenta of torch.optim.lr_scheduler (2.13) at steps 0, 1, ... of SGD with the rate 0.5 and momentum 0.9.
TORCH: list[tuple[str, dict[str, Any], list[float], list[float]]] = [
    (
        "MultiStepLR",
        {"milestones": [2, 5, 5], "gamma": 0.3},
        [0.5, 0.5, 0.15, 0.15, 0.15, 0.0135, 0.0135, 0.0135],
        [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9],
    ),
    ("ConstantLR", {"factor": 0.3, "total_iters": 3}, [0.15, 0.15, 0.15, 0.5, 0.5], [0.9, 0.9, 0.9, 0.9, 0.9]),
    (
        "PolynomialLR",
        {"total_iters": 6, "power": 1.7},
        [
            0.5,
            0.36674304459696466,
            0.250965985657079,
            0.1538930516681145,
            0.07724384279532831,
            0.02377458138069034,
            0.0,
            0.0,
        ],
        [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9],
    ),
    (
        "CosineAnnealingWarmRestarts",
        {"T_0": 3, "T_mult": 2, "eta_min": 0.01},
        [
            0.5,
            0.3775,
            0.13250000000000006,
            0.5,
            0.4671762239271875,
            0.3775,
            0.255,
            0.13250000000000006,
            0.04282377607281252,
            0.5,
            0.4916518274408217,
        ],
        [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9],
    ),
    (
        "OneCycleLR",
        {"max_lr": 0.8, "total_steps": 10},
        [
            0.03200000000000003,
            0.41600000000000004,
            0.8,
            0.7603877056107791,
            0.6493965231598104,
            0.48900961754903144,
            0.3109935824509686,
            0.1506066768401896,
            0.03961549438922103,
            3.2e-06,
        ],
        [
            0.95,
            0.8999999999999999,
            0.85,
            0.854951556604879,
            0.8688255099070633,
            0.8888739533021842,
            0.9111260466978157,
            0.9311744900929366,
            0.945048443395121,
            0.95,
        ],
    ),
    (
        "OneCycleLR",
        {"max_lr": 0.8, "total_steps": 10, "anneal_strategy": "linear", "three_phase": True, "pct_start": 0.4},
        [
            0.032,
            0.28800000000000003,
            0.544,
            0.8,
            0.544,
            0.28800000000000003,
            0.03200000000000003,
            0.021334400000000003,
            0.010668800000000003,
            3.2000000000018125e-06,
        ],
        [
            0.95,
            0.9166666666666666,
            0.8833333333333333,
            0.85,
            0.8833333333333333,
            0.9166666666666666,
            0.95,
            0.95,
            0.95,
            0.95,
        ],
    ),
]
each_row = pytest.mark.parametrize(("name", "options", "rates", "momenta"), TORCH)


def made(name: str, options: dict[str, Any]) -> tuple[optim.SGD, Any]:
    optimizer = optim.SGD([cr.nn.Parameter([1.0])], lr=0.5, momentum=0.9)
    return optimizer, getattr(optim, name)(optimizer, **options)


@each_row
def test_the_values_of_pytorch(name: str, options: dict[str, Any], rates: list[float], momenta: list[float]) -> None:
    for per_step in (False, True):
        optimizer, schedule = made(name, options)
        schedule = optim.PerStep(schedule) if per_step else schedule
        found = []
        for _ in rates:
            found.append((optimizer.lr, optimizer.momentum))
            schedule.step()
        np.testing.assert_allclose(found, list(zip(rates, momenta, strict=True)), rtol=1e-12, atol=1e-15)
        other, resumed = made(name, options)
        resumed = optim.PerStep(resumed) if per_step else resumed
        if len(found) < 10:  # one cycle ends
            resumed.load_state_dict(schedule.state_dict())
            assert other.lr == optimizer.lr


@each_row
def test_fit_steps_before_every_step(
    name: str, options: dict[str, Any], rates: list[float], momenta: list[float]
) -> None:
    """Epochs in the core have the bits of a loop that steps the schedule after every batch."""
    X = cr.random.Generator(seed=1).normal((8, 3))
    y = cr.random.Generator(seed=2).normal((8, 1))
    weights = []
    for fitted in (True, False):
        model = cr.nn.Linear(3, 1, generator=cr.random.Generator(seed=3))
        optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        schedule = getattr(optim, name)(optimizer, **options)
        if fitted:
            shared: dict[str, Any] = {
                "loss": cr.nn.MSELoss(),
                "optimizer": optimizer,
                "shuffle": False,
                "progress": False,
            }
            cr.fit(model, X, y, batch_size=4, epochs=3, schedule=optim.PerStep(schedule), **shared)
        for step in range(0 if fitted else 6):
            optimizer.zero_grad()
            rows = slice(4 * (step % 2), 4 * (step % 2) + 4)
            cr.mse_loss(model(X[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
        weights.append(model.weight.numpy().tobytes())
    assert weights[0] == weights[1]


def test_betas_are_cycled() -> None:
    optimizer = optim.Adam([cr.nn.Parameter([1.0])], betas=(0.7, 0.99))
    schedule = optim.PerStep(optim.OneCycleLR(optimizer, [0.1], epochs=2, steps_per_epoch=5))
    assert optimizer.betas == (0.95, 0.99)
    for _ in range(2):
        schedule.step()
    assert optimizer.betas == (0.85, 0.99)
    plain = optim.OneCycleLR(optimizer, 0.1, total_steps=4, cycle_momentum=False)
    assert plain.get_last_lr() == pytest.approx([0.004])


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("MultiStepLR", {"milestones": [1.5]}, "milestones"),
    ("PolynomialLR", {"total_iters": 0}, "total_iters"),
    ("CosineAnnealingWarmRestarts", {"T_0": 0}, "T_0"),
    ("OneCycleLR", {"max_lr": 0.1}, "give total_steps, or epochs and steps_per_epoch"),
    ("OneCycleLR", {"max_lr": [0.1, 0.2], "total_steps": 3}, "2 rates max_lr for 1 groups"),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 3, "anneal_strategy": "exp"}, "anneal_strategy must be 'cos' or"),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 3, "div_factor": 0}, "div_factor"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_refusals(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"{name}: .*{message}|{name}: {message}"):
        made(name, options)


def test_refusals_of_one_cycle_and_per_step() -> None:
    adagrad = optim.Adagrad([cr.nn.Parameter([1.0])])
    with pytest.raises(ValueError, match="cycle_momentum=True, but Adagrad has no momentum or betas"):
        optim.OneCycleLR(adagrad, 0.1, 3)
    with pytest.raises(ValueError, match="requires an optimizer with momentum above 0"):
        optim.OneCycleLR(optim.SGD([cr.nn.Parameter([1.0])]), 0.1, 3)
    schedule = optim.OneCycleLR(adagrad, 0.1, 2, cycle_momentum=False)
    schedule.step()
    schedule.step()
    with pytest.raises(ValueError, match="OneCycleLR: step 3, of 2 in all"):
        schedule.step()
    with pytest.raises(TypeError, match="PerStep: expected a schedule that is a function of the epoch"):
        optim.PerStep(optim.ReduceLROnPlateau(adagrad))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="PerStep: the schedule has made 2 steps; give a new one"):
        optim.PerStep(schedule)
