"""Batch, stochastic and minibatch gradient descent through fit: the steps of each (row 71 of the lecture notes)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr

N, EPOCHS, LR = 24, 3, 0.01
X = cr.random.Generator(seed=5).normal((N, 3), dtype=np.float64)
Y = X @ np.array([[1.0], [-2.0], [0.5]]) + 0.25 + 0.1 * cr.random.Generator(seed=6).normal((N, 1), dtype=np.float64)


def fitted(batch_size: int | None, reduction: str = "mean", lr: float = LR, epochs: int = EPOCHS) -> cr.nn.Linear:
    model = cr.nn.Linear(3, 1, generator=cr.random.Generator(seed=7), dtype=np.float64)
    loss = cr.nn.MSELoss(reduction=reduction)
    optimizer = cr.optim.SGD(model.parameters(), lr)
    options: dict[str, Any] = {"batch_size": batch_size, "epochs": epochs, "seed": 8, "progress": False}
    cr.fit(model, X, Y, loss=loss, optimizer=optimizer, **options)
    return model


def by_hand(batch_size: int, mean: bool, lr: float = LR) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """W(j+1) = W(j) - lr * the sum over the batch of the gradients, or their mean; each epoch in its own order."""
    start = cr.nn.Linear(3, 1, generator=cr.random.Generator(seed=7), dtype=np.float64)
    w, b = start.weight.numpy().copy(), start.bias.numpy().copy()
    for epoch in range(EPOCHS):
        order = cr.random.Generator(8, stream=2**32 + epoch).permutation(N)
        for first in range(0, N, batch_size):
            rows = order[first : first + batch_size]
            residual = 2 * (X[rows] @ w + b - Y[rows]) / (len(rows) if mean else 1)
            w, b = w - lr * X[rows].T @ residual, b - lr * residual.sum(0)
    return w, b


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [None, N, 1, 5, 8])
def test_each_kind_of_descent_is_its_formula(batch_size: int | None, reduction: str) -> None:
    """All rows at once, one at a time, and minibatches, of which the last is smaller for 5."""
    model = fitted(batch_size, reduction)
    w, b = by_hand(batch_size or N, reduction == "mean")
    np.testing.assert_allclose(model.weight.numpy(), w, rtol=1e-12)
    np.testing.assert_allclose(model.bias.numpy(), b, rtol=1e-12)


def test_sum_and_mean_differ_by_the_learning_rate() -> None:
    """The step of the sum is that of the mean with n times the rate; powers of 2 round nothing."""
    summed, mean = fitted(8, "sum", lr=2.0**-10), fitted(8, "mean", lr=2.0**-7)
    assert summed.weight.numpy().tobytes() == mean.weight.numpy().tobytes()
    assert not np.allclose(fitted(8, "sum").weight.numpy(), fitted(8, "mean").weight.numpy(), rtol=1e-3)
    one = fitted(1, "sum"), fitted(1, "mean")  # one row has one gradient
    assert one[0].weight.numpy().tobytes() == one[1].weight.numpy().tobytes()


def test_all_of_them_come_to_the_least_squares() -> None:
    design = np.hstack([X, np.ones((N, 1))])
    solution = np.linalg.lstsq(design, Y, rcond=None)[0]
    full = fitted(None, lr=0.2, epochs=400)
    np.testing.assert_allclose(full.weight.numpy(), solution[:3], atol=1e-9)
    np.testing.assert_allclose(full.bias.numpy(), solution[3], atol=1e-9)
    for batch_size in (1, 8):  # they stay near it, as their steps do not vanish
        near = fitted(batch_size, lr=0.002, epochs=400)
        np.testing.assert_allclose(near.weight.numpy(), solution[:3], atol=0.02)


def test_a_batch_of_all_rows_is_one_step_an_epoch() -> None:
    losses = []

    def loss(prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        losses.append(prediction.shape[0])
        return cr.mse_loss(prediction, target)

    model = cr.nn.Linear(3, 1, dtype=np.float64)
    optimizer = cr.optim.SGD(model.parameters(), LR)
    trainer = cr.Trainer(model, X, Y, loss=loss, optimizer=optimizer, batch_size=None, compile=False)
    trainer.run_epoch()
    assert losses == [1, N]  # the first looks at one row
