"""Optimizers and schedules take PyTorch's steps, for all combinations of their options.

`pip install torch`, a build for CPUs; elsewhere these tests are skipped.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

import chainrule as cr

torch: Any = pytest.importorskip("torch")

pytestmark = pytest.mark.full

STEPS = 20
OPTIONS: dict[str, dict[str, tuple[Any, ...]]] = {
    "SGD": {
        "lr": (0.03,),
        "momentum": (0.0, 0.8),
        "dampening": (0.0, 0.3),
        "weight_decay": (0.0, 0.1),
        "nesterov": (False, True),
        "maximize": (False, True),
    },
    **{
        name: {
            "lr": (0.05,),
            "betas": ((0.9, 0.999), (0.0, 0.9), (0.6, 0.8)),
            "eps": (1e-8, 1e-3),
            "weight_decay": (0.0, 0.1),
            "amsgrad": (False, True),
            "maximize": (False, True),
        }
        for name in ("Adam", "AdamW")
    },
    "Adagrad": {
        "lr": (0.1,),
        "lr_decay": (0.0, 0.1),
        "weight_decay": (0.0, 0.1),
        "initial_accumulator_value": (0.0, 0.5),
        "eps": (1e-10, 1e-3),
        "maximize": (False, True),
    },
    "RMSprop": {
        "lr": (0.02,),
        "alpha": (0.99, 0.5),
        "eps": (1e-8, 1e-3),
        "weight_decay": (0.0, 0.1),
        "momentum": (0.0, 0.8),
        "centered": (False, True),
        "maximize": (False, True),
    },
    "Adadelta": {
        "lr": (1.0, 0.5),
        "rho": (0.9, 0.6),
        "eps": (1e-6, 1e-3),
        "weight_decay": (0.0, 0.1),
        "maximize": (False, True),
    },
    "Adamax": {
        "lr": (0.05,),
        "betas": ((0.9, 0.999), (0.5, 0.7)),
        "eps": (1e-8, 1e-3),
        "weight_decay": (0.0, 0.1),
        "maximize": (False, True),
    },
    "NAdam": {
        "lr": (0.05,),
        "betas": ((0.9, 0.999), (0.5, 0.7)),
        "weight_decay": (0.0, 0.1),
        "momentum_decay": (0.004, 0.2),
        "decoupled_weight_decay": (False, True),
        "maximize": (False, True),
    },
    "RAdam": {
        "lr": (0.05,),
        "betas": ((0.9, 0.999), (0.5, 0.7)),
        "eps": (1e-8, 1e-3),
        "weight_decay": (0.0, 0.1),
        "decoupled_weight_decay": (False, True),
        "maximize": (False, True),
    },
}


def combinations() -> Iterator[Any]:
    for name, options in OPTIONS.items():
        for values in product(*options.values()):
            chosen = dict(zip(options, values, strict=True))
            if chosen.get("nesterov") and (not chosen["momentum"] or chosen["dampening"]):
                continue  # refused by both
            yield pytest.param(name, chosen, id=f"{name} {' '.join(map(str, values))}")


@pytest.fixture(autouse=True)
def numbers_of_float64() -> Iterator[None]:
    """PyTorch's NAdam keeps the product of its betas in the default dtype, float32, good to 1e-8 only."""
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(previous)


@pytest.mark.parametrize(("name", "options"), list(combinations()))
def test_steps_are_those_of_pytorch(name: str, options: dict[str, Any]) -> None:
    """20 steps from random numbers by gradients of other sizes, one of which is 0 at times, to 1e-12; compiled, too."""
    rng = np.random.default_rng(sum(map(ord, name)))
    start, gradients = rng.standard_normal(5), rng.standard_normal((STEPS, 5)) * 10.0 ** rng.integers(-3, 3, 5)
    gradients[::3, 0] = 0.0
    own = [cr.nn.Parameter(start) for _ in range(2)]
    made = [getattr(cr.optim, name)([p], **options) for p in own]
    other = torch.tensor(start, requires_grad=True)
    theirs = getattr(torch.optim, name)([other], **options)

    def update(which: int, gradient: Any) -> None:
        own[which].grad = gradient
        made[which].step()

    compiled = cr.compile(lambda gradient: update(1, gradient))
    for gradient in gradients:
        other.grad = torch.tensor(gradient)
        theirs.step()
        update(0, cr.tensor(gradient))
        compiled(cr.tensor(gradient))
        np.testing.assert_allclose(own[0].numpy(), other.detach().numpy(), rtol=1e-12, atol=1e-12)
        assert own[0].numpy().tobytes() == own[1].numpy().tobytes()


@pytest.mark.parametrize("seed", range(30))
def test_lbfgs_ends_where_pytorchs_does(seed: int) -> None:
    """Both with a strong Wolfe line search: other ones, so that the minimum of a convex function is compared."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((6, 4))
    matrix, vector, start = root.T @ root + 0.1 * np.eye(4), rng.standard_normal(4), rng.standard_normal(4)
    p, q = cr.nn.Parameter(start), torch.tensor(start, requires_grad=True)
    a, b = cr.tensor(matrix), cr.tensor(vector)

    def loss() -> cr.Tensor:
        p.grad = None
        value = 0.5 * (p * (a @ p)).sum() - (b * p).sum() + 0.1 * (p**4).sum()
        value.backward()
        return value

    def other() -> Any:
        q.grad = None
        value = 0.5 * q @ torch.tensor(matrix) @ q - torch.tensor(vector) @ q + 0.1 * (q**4).sum()
        value.backward()
        return value

    own = cr.optim.LBFGS([p], max_iter=200, tolerance_grad=1e-12, tolerance_change=0.0, line_search_fn="strong_wolfe")
    theirs = torch.optim.LBFGS(
        [q], max_iter=200, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    own.step(loss)
    theirs.step(other)
    np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-6, atol=1e-7)


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 4, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [3, 5, 20], "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [4, 4, 9]}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 6}),
    ("LinearLR", {"start_factor": 0.2, "end_factor": 0.8, "total_iters": 7}),
    ("PolynomialLR", {"total_iters": 12, "power": 2.0}),
    ("PolynomialLR", {"total_iters": 8, "power": 0.7}),
    ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 1}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.02}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 1.0 / (1 + epoch)}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 40}),
    ("OneCycleLR", {"max_lr": 0.5, "epochs": 5, "steps_per_epoch": 9, "anneal_strategy": "linear", "pct_start": 0.4}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 45, "three_phase": True, "div_factor": 10, "final_div_factor": 100}),
]


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=lambda value: value if isinstance(value, str) else "")
def test_learning_rates_are_those_of_pytorch(name: str, options: dict[str, Any]) -> None:
    own = cr.optim.SGD([cr.nn.Parameter([0.0])], lr=0.1, momentum=0.9)
    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    schedule = getattr(cr.optim, name)(own, **options)
    theirs = getattr(torch.optim.lr_scheduler, name)(other, **options)
    for _ in range(38):
        other.step()
        assert own.lr == pytest.approx(other.param_groups[0]["lr"], rel=1e-12)
        assert own.momentum == pytest.approx(other.param_groups[0]["momentum"], rel=1e-12)
        schedule.step()
        theirs.step()


@pytest.mark.parametrize("seed", range(30))
def test_plateaus_are_those_of_pytorch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = {
        "mode": ("min", "max")[seed % 2],
        "factor": 0.5,
        "patience": int(rng.integers(0, 4)),
        "threshold_mode": ("rel", "abs")[seed // 2 % 2],
        "threshold": 0.05,
        "cooldown": int(rng.integers(0, 3)),
        "min_lr": 0.01,
    }
    own = cr.optim.SGD([cr.nn.Parameter([0.0])], lr=0.1)
    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = cr.optim.ReduceLROnPlateau(own, **options)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **options)
    for metric in rng.uniform(0.5, 1.5, 40):
        schedule.step(float(metric))
        theirs.step(float(metric))
        assert own.lr == pytest.approx(other.param_groups[0]["lr"], rel=1e-12)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 100.0])
def test_clipped_gradients_are_those_of_pytorch(norm_type: float, max_norm: float) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        gradients = [rng.standard_normal(shape) for shape in ((3, 2), (4,))]
        own = [cr.nn.Parameter(np.zeros(g.shape)) for g in gradients]
        other = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in gradients]
        for p, q, g in zip(own, other, gradients, strict=True):
            p.grad, q.grad = cr.tensor(g), torch.tensor(g)
        norm = cr.optim.clip_grad_norm_(own, max_norm, norm_type).item()
        assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(other, max_norm, norm_type).item(), rel=1e-12)
        for p, q in zip(own, other, strict=True):
            assert p.grad is not None and q.grad is not None
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)


def test_lbfgs_in_fit_takes_the_steps_of_pytorch() -> None:
    """Without a line search: three steps of five iterations, on nets with one hidden layer, to 1e-8."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal((25, 3)), rng.standard_normal((25, 2))
        layers = [linear(rng, 3, 4), cr.nn.Tanh(), linear(rng, 4, 2)]
        peer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
        copy_linear(layers, peer)
        optimizer = torch.optim.LBFGS(peer.parameters(), lr=0.3, max_iter=5)

        def closure(peer: Any = peer, optimizer: Any = optimizer, x: Any = x, y: Any = y) -> Any:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(peer(torch.tensor(x)), torch.tensor(y))
            loss.backward()
            return loss

        losses = [optimizer.step(closure).item() for _ in range(3)]
        model = cr.nn.Sequential(*layers)
        own = cr.optim.LBFGS(model.parameters(), lr=0.3, max_iter=5)
        history = cr.fit(model, x, y, loss=cr.mse_loss, optimizer=own, epochs=3, batch_size=None, progress=False)
        np.testing.assert_allclose(history.loss, losses, rtol=1e-8)
        np.testing.assert_allclose(model[0].weight.numpy().T, peer[0].weight.detach().numpy(), rtol=1e-8, atol=1e-8)


def test_update_bn_gives_the_statistics_of_pytorch() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        momentum = None if seed % 2 else float(rng.uniform(0.05, 0.5))
        layers = [
            linear(rng, 3, 4),
            cr.nn.BatchNorm1d(4, momentum=momentum, dtype=np.float64),
            cr.nn.Tanh(),
            cr.nn.BatchNorm1d(4, dtype=np.float64),
        ]
        norms = [torch.nn.BatchNorm1d(4, momentum=momentum), torch.nn.Tanh(), torch.nn.BatchNorm1d(4)]
        peer = torch.nn.Sequential(torch.nn.Linear(3, 4), *norms).double()
        copy_linear(layers, peer)
        batches = [rng.standard_normal((int(n), 3)) for n in rng.integers(2, 12, 3)]
        averaged = cr.AveragedModel(cr.nn.Sequential(*layers))
        theirs = torch.optim.swa_utils.AveragedModel(peer)
        cr.update_bn([(x, 0) for x in batches], averaged)
        torch.optim.swa_utils.update_bn([(torch.tensor(x), 0) for x in batches], theirs)
        for i in (1, 3):
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                found, expected = getattr(averaged.module[i], name).numpy(), getattr(theirs.module[i], name).numpy()
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def linear(rng: Any, inputs: int, outputs: int) -> cr.nn.Linear:
    layer = cr.nn.Linear(inputs, outputs, dtype=np.float64)
    layer.weight.copy_(rng.standard_normal((inputs, outputs)))
    return layer


def copy_linear(layers: list[Any], peer: Any) -> None:
    with torch.no_grad():
        for own, theirs in zip(layers, peer, strict=True):
            if isinstance(own, cr.nn.Linear):
                theirs.weight.copy_(torch.tensor(own.weight.numpy().T.copy()))
                theirs.bias.copy_(torch.tensor(own.bias.numpy()))
