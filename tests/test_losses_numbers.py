"""Quantile, log-cosh and Gaussian losses: scikit-learn's, PyTorch's and exact values. Bits are in test_ops."""

from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath
import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

import chainrule as cr
from cases.loss_values import BY_VARIANCE, GAUSSIANS, TARGET, VARIANCES, X

ROWS = np.asarray([0.5, 2.0, 0.0, 1.25, 3.0])


@pytest.mark.parametrize("q", [0.1, 0.5, 0.93])
def test_quantiles_as_in_scikit_learn(q: float) -> None:
    """Its mean_pinball_loss, the slopes on both sides, and that a quantile of the targets is the best constant."""
    for weight in (None, ROWS):
        found = cr.quantile_loss(X, TARGET, quantile=q, sample_weight=weight).item()
        expected = mean_pinball_loss(TARGET, X, alpha=q, sample_weight=weight)
        assert found == pytest.approx(expected, rel=1e-13)
    slope = cr.grad(lambda p: cr.quantile_loss(p, TARGET, "sum", quantile=q))(cr.tensor(X)).numpy()
    np.testing.assert_array_equal(slope, np.where(X > TARGET, 1 - q, np.where(X < TARGET, -q, 0)))
    y = np.sort(TARGET.reshape(-1))
    each = [cr.quantile_loss(np.full(20, c), y, quantile=q).item() for c in y]
    assert abs(y[np.argmin(each)] - np.quantile(y, q)) <= np.diff(y).max()


def test_several_quantiles_have_one_column_each() -> None:
    quantiles = np.asarray([0.1, 0.5, 0.9])
    x, t = np.stack([X, X + 1, X - 0.3], -1), TARGET
    each = [cr.quantile_loss(x[..., i], t, "none", quantile=q).numpy() for i, q in enumerate(quantiles)]
    for target in (t, t[..., None]):
        for given in (quantiles, list(quantiles), cr.tensor(quantiles)):
            np.testing.assert_array_equal(
                cr.quantile_loss(x, target, "none", quantile=given).numpy(), np.stack(each, -1)
            )
    loss = cr.nn.QuantileLoss(quantile=[0.1, 0.5, 0.9])
    assert loss(x, t).item() == pytest.approx(np.mean(each), rel=1e-14)
    assert loss(x, t, ROWS).item() == pytest.approx(np.average(np.stack(each, -1).mean((1, 2)), weights=ROWS))
    first = np.arange(5) > 0
    x[0], t = np.nan, np.where(first[:, None], t, np.nan)
    slope = cr.grad(lambda p: cr.quantile_loss(p, t, quantile=quantiles, sample_weight=first * 1.0))(cr.tensor(x))
    assert np.isfinite(slope.numpy()).all(), "a row of weight 0 may hold anything"


GAUSSIAN_CALLS: dict[str, Callable[..., cr.Tensor]] = {
    "plain": partial(cr.gaussian_nll_loss, var=VARIANCES + 0.1),
    "full eps=0.3": partial(cr.gaussian_nll_loss, var=VARIANCES, full=True, eps=0.3),
    "by row": partial(cr.gaussian_nll_loss, var=VARIANCES[:, 1]),
}


@pytest.mark.parametrize("name", GAUSSIANS)
def test_gaussians_as_in_pytorch(name: str) -> None:
    loss, expected = GAUSSIAN_CALLS[name], GAUSSIANS[name]
    for reduction in ("mean", "sum"):
        np.testing.assert_allclose(loss(X, TARGET, reduction=reduction).item(), expected[reduction], rtol=1e-12)
    each = loss(X, TARGET, reduction="none").numpy()
    np.testing.assert_allclose(each.reshape(-1)[:3], expected["none"], rtol=1e-12)
    gradient = cr.grad(lambda v: loss(v, TARGET))(cr.tensor(X)).numpy()
    np.testing.assert_allclose(gradient[:2, :2].reshape(-1), expected["gradient"], rtol=1e-10, atol=1e-14)
    weighted = loss(X, TARGET, sample_weight=ROWS).item()
    assert weighted == pytest.approx(np.average(each.mean(1), weights=ROWS), rel=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_cosh_is_accurate_for_all_numbers(dtype: type[np.floating[Any]]) -> None:
    """Value and slope: the plain formula is 0 or wrong near 0."""
    d = np.concatenate([np.geomspace(1e-15, 1e4, 300), np.linspace(0.1, 25, 300)]).astype(dtype)
    d = np.concatenate([d, -d[::7]])
    with mpmath.workprec(200):
        exact = np.asarray([float(mpmath.log(mpmath.cosh(mpmath.mpf(float(v))))) for v in d])
        slopes = np.asarray([float(mpmath.tanh(mpmath.mpf(float(v)))) for v in d])
    x = cr.tensor(d, requires_grad=True)
    each = cr.log_cosh_loss(x, np.zeros_like(d), "none")
    cr.sum(each).backward()
    assert x.grad is not None
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(each.numpy().astype(np.float64), exact, rtol=3 * eps)
    np.testing.assert_allclose(x.grad.numpy().astype(np.float64), slopes, rtol=eps)
    ends = cr.log_cosh_loss(np.asarray([np.inf, -np.inf, np.nan], dtype), np.zeros(3, dtype), "none").numpy()
    np.testing.assert_array_equal(ends, np.asarray([np.inf, np.inf, np.nan], dtype))


def test_the_gradient_by_the_variance_is_that_of_pytorch() -> None:
    """Where eps replaces the variance, too; by numbers and by rows it is the sum."""

    def loss(v: cr.Tensor) -> cr.Tensor:
        return cr.gaussian_nll_loss(X, TARGET, v, full=True, eps=0.3)

    by_each = cr.grad(loss)(cr.tensor(VARIANCES)).numpy()
    np.testing.assert_allclose(by_each[0, :3], BY_VARIANCE, rtol=1e-12)
    same = np.full_like(VARIANCES, 0.7)
    by_same = cr.grad(loss)(cr.tensor(same)).numpy()
    np.testing.assert_allclose(cr.grad(loss)(cr.tensor(0.7, dtype=np.float64)).item(), by_same.sum(), rtol=1e-13)
    for rows in (same[:, :1], same[:, 0]):
        found = cr.grad(loss)(cr.tensor(rows)).numpy()
        np.testing.assert_allclose(found.reshape(-1), by_same.sum(1), rtol=1e-13)


def test_a_gaussian_is_trained_with_its_deviation() -> None:
    """Mean and log variance as columns of one net, as the docstring says; the noise is found."""
    noise = cr.random.Generator(seed=5)
    x = noise.uniform((600, 1), low=-1.0, high=1.0)
    y = 2 * x + 0.5 * noise.normal((600, 1)) * np.where(x > 0, 2, 1)
    model = cr.nn.Sequential(cr.nn.Linear(1, 16, generator=noise), cr.nn.Tanh(), cr.nn.Linear(16, 2, generator=noise))
    loss = lambda p, t: cr.gaussian_nll_loss(p[:, :1], t, cr.exp(p[:, 1:]))  # noqa: E731 (as in the docstring)
    cr.fit(model, x, y, loss=loss, optimizer=cr.optim.Adam(model.parameters(), 0.02), epochs=60, seed=1)
    low, high = np.exp(model.predict(np.asarray([[-0.5], [0.5]], np.float32))[:, 1] / 2)
    assert 0.4 < low < 0.65
    assert 0.8 < high < 1.2
