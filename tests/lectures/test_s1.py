"""ECE 4200, neural networks. A test is named by its row."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.examples import experiments

F64 = np.float64


def leaf(values: Any) -> cr.Tensor:
    return cr.tensor(values, F64, requires_grad=True)


def test_row_10_two_routes_to_the_gradient_of_wx_squared() -> None:
    r = np.random.default_rng(10)
    W, x = r.normal(size=(5, 3)), r.normal(size=3)
    q = W @ x

    def loss(W: cr.Tensor, x: cr.Tensor) -> cr.Tensor:
        return cr.sum(cr.square(cr.matmul(W, x)))

    by_W, by_x = (g.numpy() for g in cr.grad(loss, (0, 1))(W, x))
    assert by_x == pytest.approx(2.0 * W.T @ q, rel=1e-13)
    assert by_x == pytest.approx(2.0 * W.T @ W @ x, rel=1e-12)
    assert by_W == pytest.approx(2.0 * np.outer(q, x), rel=1e-13)


def test_row_12_rows_of_a_jacobian_are_outputs() -> None:
    r = np.random.default_rng(12)
    W, x, upstream = r.normal(size=(4, 3)), r.normal(size=3), r.normal(size=4)

    def f(x: cr.Tensor) -> cr.Tensor:
        return cr.tanh(cr.matmul(W, x))

    J = cr.jacobian(f)(x).numpy()
    assert J.shape == (4, 3)
    assert pytest.approx((1.0 - np.tanh(W @ x) ** 2)[:, None] * W, rel=1e-12) == J
    _, pull = cr.vjp(f, x)
    (gradient,) = pull(upstream)
    assert gradient.numpy() == pytest.approx(J.T @ upstream, rel=1e-12), "x̄ = Jᵀ ȳ; with the transpose: J · ∇f"


def test_row_41_losses() -> None:
    p, t = np.array([0.5, -1.5, 2.0, 0.25]), np.array([1.0, -1.0, -1.0, 1.0])
    assert cr.mse_loss(p, t, reduction="sum").item() == pytest.approx(((p - t) ** 2).sum())
    assert cr.hinge_loss(p, t, reduction="sum").item() == pytest.approx(np.maximum(0.0, 1.0 - t * p).sum())
    w = cr.tensor([[1.5, -2.0], [0.5, 3.0]], F64)
    regularised = cr.mse_loss(p, t, reduction="sum") + 0.1 * cr.l2_penalty(w)
    assert regularised.item() == pytest.approx(((p - t) ** 2).sum() + 0.1 * 15.5)
    q, y = np.array([0.9, 0.2, 0.7]), np.array([1.0, 0.0, 0.0])
    expected = -(y * np.log(q) + (1 - y) * np.log(1 - q))
    assert cr.binary_cross_entropy(q, y, reduction="none").numpy() == pytest.approx(expected, rel=1e-12)


def test_row_67_convolution_primer() -> None:
    r = np.random.default_rng(67)
    image, filters, bias = r.normal(size=(1, 3, 32, 32)), r.normal(size=(1, 3, 5, 5)), r.normal(size=1)
    out = cr.conv2d(image, filters, bias).numpy()
    assert out.shape == (1, 1, 28, 28)
    assert filters.size == 75
    for i, j in ((0, 0), (3, 17), (27, 27)):
        patch = image[0, :, i : i + 5, j : j + 5]
        assert out[0, 0, i, j] == pytest.approx(filters.ravel() @ patch.ravel() + bias[0], rel=1e-12)
    assert cr.gradcheck(
        lambda x, w: cr.square(cr.conv2d(x, w)), [r.normal(size=(1, 2, 6, 5)), r.normal(size=(2, 2, 3, 3))]
    )


def test_row_67_the_gradients_are_convolutions_too() -> None:
    """By the filters: of the image with g; by the image: of g, with a margin of 4, with the filters turned around."""
    r = np.random.default_rng(68)
    x, weight, g = r.normal(size=(1, 3, 32, 32)), r.normal(size=(6, 3, 5, 5)), r.normal(size=(1, 6, 28, 28))
    _, pull = cr.vjp(cr.conv2d, x, weight)
    by_x, by_weight = (d.numpy() for d in pull(g))
    turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    assert by_x == pytest.approx(cr.conv2d(g, turned, padding=4).numpy(), rel=1e-9, abs=1e-12)
    by_hand = cr.conv2d(x.transpose(1, 0, 2, 3), g.transpose(1, 0, 2, 3)).numpy().transpose(1, 0, 2, 3)
    assert by_weight == pytest.approx(by_hand, rel=1e-9, abs=1e-12)


def problem() -> tuple[np.ndarray, np.ndarray]:
    r = np.random.default_rng(71)
    X = r.normal(size=(48, 3))
    return X, (X @ [1.0, -2.0, 0.5] + 0.3)[:, None] + 0.1 * r.normal(size=(48, 1))


def trained(batch_size: int, epochs: int, reduction: str, lr: float, momentum: float = 0.0) -> np.ndarray:
    X, y = problem()
    model = cr.nn.Sequential(cr.nn.Linear(3, 1, dtype=F64, generator=cr.random.Generator(seed=1)))
    optimizer = cr.optim.SGD(model.parameters(), lr, momentum)
    loss = cr.nn.MSELoss(reduction=reduction)
    cr.fit(model, X, y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch_size, seed=2)
    return cr.nn.utils.parameters_to_vector(model.parameters()).numpy()


def test_row_71_full_stochastic_and_minibatch_descent() -> None:
    X, y = problem()
    with_ones = np.hstack([X, np.ones((48, 1))])
    best = np.linalg.lstsq(with_ones, y, rcond=None)[0][:, 0]
    full = trained(batch_size=48, epochs=400, reduction="mean", lr=0.1)
    assert full == pytest.approx(best, abs=1e-6)
    assert trained(48, 400, "sum", 0.1 / 48) == pytest.approx(full, abs=1e-9), "a sum is a mean with another rate"
    for batch_size in (1, 8):
        error = np.abs(trained(batch_size, 100, "mean", 0.005) - best).max()
        assert 1e-6 < error < 0.05, "noisy, but near"


def test_row_72_heavy_ball_equals_the_velocity_form() -> None:
    X, y = problem()
    rate, gamma = 0.05, 0.9

    def gradient(w: np.ndarray) -> np.ndarray:
        return cr.grad(lambda v: cr.mse_loss(cr.matmul(X, v), y))(cr.tensor(w)).numpy()

    w = before = np.array([[0.5], [-0.25], [1.0]])
    v, u = np.zeros_like(w), w.copy()
    parameter = cr.nn.Parameter(w)
    optimizer = cr.optim.SGD([parameter], lr=rate, momentum=gamma)
    for _ in range(60):
        w, before = w - rate * gradient(w) + gamma * (w - before), w
        v = gamma * v - rate * gradient(u)
        u = u + v
        optimizer.zero_grad()
        cr.mse_loss(cr.matmul(X, parameter), y).backward()
        optimizer.step()
        assert u == pytest.approx(w, rel=1e-10)
        assert parameter.numpy() == pytest.approx(w, rel=1e-10), "v <- γ v + g, w <- w - η v"


def test_row_75_centre_scale_pca_whiten() -> None:
    r = np.random.default_rng(75)
    X = r.normal(size=(500, 3)) @ np.array([[3.0, 1.0, 0.0], [0.0, 0.5, 2.0], [0.0, 0.0, 0.1]]) + [5.0, -2.0, 100.0]
    standard = cr.nn.Standardize(3, dtype=F64).fit(X)
    assert standard(X).numpy() == pytest.approx((X - X.mean(0)) / X.std(0), rel=1e-9, abs=1e-9)
    projected = cr.nn.PCA(3, dtype=F64).fit(X)(X).numpy()
    covariance = projected.T @ projected / len(X)
    variances = np.linalg.eigvalsh(np.cov(X, rowvar=False, bias=True))[::-1]
    assert covariance == pytest.approx(np.diag(variances), abs=1e-9 * variances[0])
    white = cr.nn.Whiten(3, dtype=F64).fit(X)(X).numpy()
    assert white.T @ white / len(X) == pytest.approx(np.eye(3), abs=1e-8)


def test_row_75_unscaled_columns_are_slow() -> None:
    found = experiments.scaling()
    assert found.raw[0] == found.standardised[0] == pytest.approx(np.log(2.0))
    assert found.standardised[-1] < 0.25 * found.raw[-1]


def test_row_78_the_recipe() -> None:
    """Fix the architecture; minibatch, forward, backward, update; until it no longer gets better."""
    r = np.random.default_rng(78)
    X = r.normal(size=(200, 2)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    first = cr.nn.Linear(2, 16, generator=cr.random.Generator(seed=1))
    model = cr.nn.Sequential(first, cr.nn.Tanh(), cr.nn.Linear(16, 2, generator=cr.random.Generator(seed=2)))
    optimizer = cr.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)

    def converged(history: cr.History) -> bool:
        return history.epochs > 5 and abs(history.loss[-1] - history.loss[-5]) < 1e-3

    history = cr.fit(
        model, X, y, loss=cr.nn.CrossEntropyLoss(), optimizer=optimizer, epochs=500, callbacks=[converged], seed=3
    )
    assert 5 < history.epochs < 500
    assert (model.predict(X).argmax(1) == y).mean() > 0.97


def test_erratum_4_a_minimum_is_found_by_minus_the_gradient() -> None:
    q = leaf([0.5, -1.5])
    cr.sum(cr.square(q)).backward()
    assert q.grad.tolist() == [1.0, -3.0], "∂Σq²/∂q_i is 2 q_i, not 2 q_i²"

    def after(sign: float) -> float:
        w = np.array([0.5, -1.5])
        for _ in range(20):
            w = w + sign * 0.1 * cr.grad(lambda v: cr.sum(cr.square(v)))(w).numpy()
        return float((w**2).sum())

    assert after(-1.0) < 1e-3 < 2.5 < after(+1.0), "with + it climbs"
