"""Linear regression in closed form: against the textbook formula, NumPy and gradient descent."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import chainrule as cr
from support.variants import every_setting
from test_fp_modes import MODES, nondefault_fp_mode


def table(rows: int = 50) -> tuple[np.ndarray, np.ndarray]:
    generator = cr.random.Generator(seed=7)
    X = generator.normal((rows, 3), mean=4.0, dtype=np.float64) * [1, 100, 1e-3] + [0, 5e3, 0]
    noise = generator.normal((rows, 2), std=0.5, dtype=np.float64)
    return X, X @ [[2.0, -1.0], [0.03, 0.01], [500.0, 0.25]] + [7.0, -3.0] + noise


def test_row_69_simple_regression_is_the_formula() -> None:
    """beta1 = sum((x - mean x)(y - mean y)) / sum((x - mean x)**2), beta0 = mean y - beta1 mean x."""
    x, y = np.array([1.0, 2.0, 4.0, 7.0, 7.5]), np.array([2.25, 1.0, 5.5, 6.0, 9.75])
    beta1 = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    line = cr.linear_regression(x[:, None], y, dtype=np.float64)
    np.testing.assert_allclose(line.weight.item(), beta1, rtol=1e-14)
    assert line.bias is not None
    np.testing.assert_allclose(line.bias.item(), y.mean() - beta1 * x.mean(), rtol=1e-13)


@pytest.mark.parametrize("bias", [True, False])
def test_row_69_normal_equations_are_least_squares(bias: bool) -> None:
    X, y = table()
    layer = cr.linear_regression(X, y, bias=bias, dtype=np.float64)
    design = np.column_stack([X, np.ones(len(X))]) if bias else X
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(layer.weight.numpy(), expected[:3], rtol=1e-9)
    assert (layer.bias is not None) == bias
    if layer.bias is not None:
        np.testing.assert_allclose(layer.bias.numpy(), expected[3], rtol=1e-9)
    residual = y - layer(X).numpy()
    np.testing.assert_allclose(design.T @ residual, 0, atol=1e-8 * np.abs(design).sum())
    single = cr.linear_regression(X, y, bias=bias)
    assert single.weight.numpy().tobytes() == layer.weight.numpy().astype(np.float32).tobytes()


def test_ridge() -> None:
    X, y = table()
    for l2 in (0.5, 300.0):
        centred, target = X - X.mean(axis=0), y - y.mean(axis=0)
        expected = np.linalg.solve(centred.T @ centred + l2 * np.eye(3), centred.T @ target)
        layer = cr.linear_regression(X, y, l2=l2, dtype=np.float64)
        np.testing.assert_allclose(layer.weight.numpy(), expected, rtol=1e-9)
        np.testing.assert_allclose(layer(X).numpy().mean(axis=0), y.mean(axis=0), rtol=1e-12)


def test_dependent_columns_need_a_penalty() -> None:
    X, y = table()
    for extra in (X[:, :1] * 2 - 1, np.full((50, 1), 3.0), np.zeros((50, 1))):
        wide = np.column_stack([X, extra])
        with pytest.raises(ValueError, match="the columns of X are linearly dependent; remove some, or set l2 above 0"):
            cr.linear_regression(wide, y)
        layer = cr.linear_regression(wide, y, l2=1e-3, dtype=np.float64)
        np.testing.assert_allclose(
            layer(wide).numpy(), cr.linear_regression(X, y)(X.astype(np.float32)).numpy(), rtol=0.01
        )
    assert cr.linear_regression(np.full((50, 1), 3.0), y, bias=False).weight.shape == (1, 2)
    with pytest.raises(ValueError, match="linearly dependent"):
        cr.linear_regression(X[:3], y[:3])


def test_row_69_gradient_descent_converges_to_it() -> None:
    generator = cr.random.Generator(seed=8)
    X = generator.normal((64, 3), dtype=np.float64)
    y = X @ [[1.5], [-2.0], [0.5]] + 0.75 + generator.normal((64, 1), std=0.3, dtype=np.float64)
    exact = cr.linear_regression(X, y, dtype=np.float64)
    model = cr.nn.Linear(3, 1, dtype=np.float64, generator=generator)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
    cr.fit(model, X, y, loss=cr.nn.MSELoss(), optimizer=optimizer, epochs=500, batch_size=64, progress=False)
    np.testing.assert_allclose(model.weight.numpy(), exact.weight.numpy(), rtol=1e-10)
    assert model.bias is not None
    assert exact.bias is not None
    np.testing.assert_allclose(model.bias.numpy(), exact.bias.numpy(), rtol=1e-10)


@pytest.mark.parametrize(
    ("X", "y", "l2", "message"),
    [
        ([[1.0], [2.0]], [1.0], 0.0, r"X and y must have the same number of rows, above 0, got \(2, 1\) and \(1, 1\)"),
        ([1.0, 2.0], [1.0, 2.0], 0.0, r"X must have an axis of rows and one of columns, got \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0), 0.0, ".* rows, above 0"),
        ([[1.0], [np.nan]], [1.0, 2.0], 0.0, r"X\[1, 0\] is nan"),
        ([[1.0], [2.0]], [1.0, np.inf], 0.0, r"y\[1, 0\] is inf"),
        ([[1.0], [2.0]], [1.0, 2.0], -1.0, "l2 must be a finite number of at least 0, got -1.0"),
        ([[1e200], [-1e200]], [1.0, 2.0], 0.0, "the values are too large"),
    ],
)
def test_rejected(X: object, y: object, l2: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"linear_regression: {message}"):
        cr.linear_regression(X, y, l2=l2)  # type: ignore[arg-type]


def bits(X: np.ndarray, y: np.ndarray) -> bytes:
    layer = cr.linear_regression(X, y, l2=0.1, dtype=np.float64)
    return b"".join(value.tobytes() for value in layer.state_dict().values())


def test_the_same_bits_on_every_level_and_thread() -> None:
    X, y = table()
    expected = bits(X, y)
    for setting in every_setting():
        assert bits(X, y) == expected, setting


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets the MXCSR of x86-64")
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
def test_the_caller_s_mode_changes_nothing(mode: int) -> None:
    X, y = table()
    expected = bits(X, y)
    with nondefault_fp_mode(mode):
        found = bits(X, y)
    assert found == expected
