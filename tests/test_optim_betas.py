"""Running averages that keep nothing: betas of 0, and those that are 0 after rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.optim import Adam, AdamW, RMSprop

# Each gradient is lost in the rounding of the one before, or overflows when it is squared.
GRADIENTS = {
    "falling": (1e8, 1.0, -1e-8, 1e-16),
    "rising": (1e-16, -1e-8, 1.0, 1e8),
    "alternating": (1e12, -1.0, 1e12, 1.0),
    "overflowing": (1e30, 1.0, -1e25, 2.0),
}


def steps(optimizer: Any, p: cr.Tensor, gradients: tuple[float, ...], compiled: bool) -> list[float]:
    """The changes of p by one step for each gradient; p is 0 before each."""
    run = cr.compile(optimizer.step) if compiled else optimizer.step
    found = []
    for g in gradients:
        p.copy_(np.zeros(1))
        p.grad = cr.tensor(np.full(1, g), dtype=p.dtype)
        run()
        found.append(p.item())
    return found


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gradients", GRADIENTS.values(), ids=GRADIENTS)
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_sign_descent(kind: Any, amsgrad: bool, gradients: tuple[float, ...], dtype: type, compiled: bool) -> None:
    """Without memory Adam is descent by the sign of the gradient, if its square is a normal number."""
    p = cr.nn.Parameter(np.zeros(1, dtype))
    optimizer = kind([p], lr=0.5, betas=(0.0, 0.0), eps=0.0, amsgrad=amsgrad)
    found = steps(optimizer, p, gradients, compiled)
    low, high = (1e-37, 1e38) if dtype is np.float32 else (1e-300, 1e300)
    largest = 0.0
    for g, got in zip(gradients, found, strict=True):
        largest = max(largest, abs(g)) if amsgrad else abs(g)
        if g * g > low and largest**2 < high:
            assert np.isclose(got, -0.5 * g / largest, rtol=1e-6), (g, found)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gradients", GRADIENTS.values(), ids=GRADIENTS)
@pytest.mark.parametrize("beta1", [0.0, 1e-20])
@pytest.mark.parametrize("beta2", [0.0, 0.5, 0.999])
def test_the_first_moment_is_the_gradient(
    beta1: float, beta2: float, gradients: tuple[float, ...], dtype: type
) -> None:
    p = cr.nn.Parameter(np.zeros(1, dtype))
    optimizer = Adam([p], lr=0.5, betas=(beta1, beta2))
    for g in gradients:
        steps(optimizer, p, (g,), compiled=False)
        assert optimizer.state_dict()["exp_avg"][0].item() == dtype(g)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gradients", GRADIENTS.values(), ids=GRADIENTS)
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop_without_memory(centered: bool, gradients: tuple[float, ...], dtype: type) -> None:
    p = cr.nn.Parameter(np.zeros(1, dtype))
    optimizer = RMSprop([p], lr=0.5, alpha=0.0, eps=1e-3, centered=centered)
    for g in gradients:
        steps(optimizer, p, (g,), compiled=False)
        state = optimizer.state_dict()
        with np.errstate(over="ignore"):
            assert state["square_avg"][0].item() == dtype(g) * dtype(g)
        if centered:
            assert state["grad_avg"][0].item() == dtype(g)


@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_with_memory_nothing_changes(beta1: float) -> None:
    """The bits of the average itself: m = fma(1 - beta, g - m, m)."""
    p = cr.nn.Parameter(np.zeros(1))
    optimizer = Adam([p], lr=0.5, betas=(beta1, 0.999))
    m = 0.0
    for g in (0.3, -0.7, 1.9):
        steps(optimizer, p, (g,), compiled=False)
        m = g if beta1 == 0 else m + (1 - beta1) * (g - m)
        assert np.isclose(optimizer.state_dict()["exp_avg"][0].item(), m, rtol=1e-15)
