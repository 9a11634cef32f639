"""Muon: PyTorch's steps with the iteration in float64, its bits, its state, what it refuses."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.optimizers import bits
from support.variants import every_setting

M = np.array([[0.5, -1.25, 2.0], [1.0, 0.25, -0.75]])
OTHER = {"lr": 0.2, "weight_decay": 0.0, "momentum": 0.5, "nesterov": False, "ns_steps": 3}
OTHER["adjust_lr_fn"] = "match_rms_adamw"
# Twelve steps of torch.optim.Muon (2.13) from M on the sum of w * p**2 + p, with float64 in place of its bfloat16.
PYTORCH: list[tuple[dict[str, Any], Any, list[list[float]]]] = [
    (
        {"lr": 0.1},
        M,
        [
            [0.12343951214842244, -0.9435374384265882, 0.6076105465884055],
            [0.15570712781730406, -0.13910952077257738, -0.28221713264213216],
        ],
    ),
    (
        {"lr": 0.1},
        M.T,
        [
            [0.03284699662740022, -0.2963753499490833],
            [-0.9892190941595886, -0.3094521673810021],
            [0.7986014260587814, -0.40331981858909965],
        ],
    ),
    (
        OTHER,
        M,
        [
            [0.2601079959451199, -1.1347858051139668, 1.1806006988939794],
            [0.428527127713602, -0.02236220908103708, -0.4662955725640034],
        ],
    ),
    (
        OTHER,
        M.T,
        [
            [0.260397050041745, 0.2941550569874626],
            [-1.1951431375822148, -0.07160902000178168],
            [1.4690448788904016, -0.6098016485666823],
        ],
    ),
]


def stepping(p: cr.Tensor, optimizer: cr.optim.Muon) -> Any:
    weights = (np.arange(1.0, 7.0).reshape(p.shape) / 3).astype(p.dtype)

    def step() -> cr.Tensor:
        optimizer.zero_grad()
        loss = cr.sum(weights * p * p + p)
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize(("options", "start", "expected"), PYTORCH)
def test_twelve_steps_are_those_of_pytorch(options: dict[str, Any], start: Any, expected: Any) -> None:
    for dtype, rtol in ((np.float64, 1e-12), (np.float32, 2e-4)):
        found = set()
        for compiled in (False, True):
            for _ in every_setting(threads=(1, 2)):
                p = cr.nn.Parameter(start.astype(dtype))
                step = stepping(p, cr.optim.Muon([p], **options))
                step = cr.compile(step) if compiled else step
                for _ in range(12):
                    step()
                np.testing.assert_allclose(p.numpy(), expected, rtol=rtol, atol=rtol)
                found.add(bits([p]))
        assert len(found) == 1


def test_state_continues_to_the_same_bits() -> None:
    def made() -> tuple[cr.nn.Parameter, cr.optim.Muon, Any]:
        p = cr.nn.Parameter(M.astype(np.float32))
        optimizer = cr.optim.Muon([p], lr=0.1, maximize=True)
        return p, optimizer, cr.compile(stepping(p, optimizer))

    straight, _, step = made()
    for _ in range(6):
        step()
    halted, first, step = made()
    for _ in range(3):
        step()
    again, second, step = made()
    again.copy_(halted.numpy())
    second.load_state_dict(first.state_dict())
    for _ in range(3):
        step()
    assert bits([again]) == bits([straight])
    assert (straight.numpy() > M).any()


def test_steps_are_orthogonal() -> None:
    """After many iterations with the coefficients of the plain iteration, which converges."""
    p = cr.nn.Parameter(M)
    options = {"ns_coefficients": (15 / 8, -10 / 8, 3 / 8), "ns_steps": 60, "weight_decay": 0.0, "nesterov": False}
    optimizer = cr.optim.Muon([p], lr=1.0, **options)
    p.grad = cr.tensor(np.array([[1.0, 2.0, -0.5], [0.25, 1.5, 3.0]]))
    optimizer.step()
    moved = M - p.numpy()
    np.testing.assert_allclose(moved @ moved.T, np.eye(2), atol=1e-12)
    for shape in ((0, 3), (3, 0)):
        empty = cr.nn.Parameter(np.zeros(shape, np.float32))
        empty.grad = cr.tensor(np.zeros(shape, np.float32))
        cr.optim.Muon([empty]).step()
        assert empty.shape == shape


def test_refusals() -> None:
    matrix = cr.nn.Parameter(M)
    vector = cr.nn.Parameter(np.ones(3))
    with pytest.raises(ValueError, match=r"Muon: parameter 1 is float64 \(3,\), expected matrices; give biases"):
        cr.optim.Muon([matrix, vector])
    with pytest.raises(ValueError, match="Muon: parameter 0 is float64"):
        cr.optim.Muon([matrix]).add_param_group({"params": [vector]})
    for options, message in (
        ({"ns_coefficients": (1.0, 2.0)}, "ns_coefficients must be three numbers"),
        ({"ns_steps": 100}, "ns_steps must be below 100, got 100"),
        ({"adjust_lr_fn": "rms"}, "adjust_lr_fn must be None, 'original' or 'match_rms_adamw', got 'rms'"),
        ({"momentum": 1.0}, "momentum must be below 1"),
    ):
        with pytest.raises(ValueError, match=f"Muon: {message}"):
            cr.optim.Muon([matrix], **options)
