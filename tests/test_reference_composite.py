"""The reference itself, beyond elementwise: against C, float64, finite differences and loops over single numbers."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import oracle
from reference import assert_same_bits, linear, linear_grad, matmul, normals, reduce, sgd_step
from reference import softmax_losses as losses

Array = npt.NDArray[Any]
Float = type[np.floating[Any]]
FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# ---- matrix product ----


@FLOATS
@pytest.mark.parametrize("shape", [(0, 3, 2), (1, 1, 1), (5, 0, 3), (7, 33, 5), (1, 200, 9), (16, 64, 17)])
def test_matmul_equals_c(shape: tuple[int, int, int], dtype: Float) -> None:
    m, k, n = shape
    a, b = normals((m, k), dtype, 1), normals((n, k), dtype, 2).T
    assert_same_bits(matmul(a, b), oracle.matmul(a, b))
    np.testing.assert_allclose(matmul(a, b), a.astype(np.float64) @ b, atol=1e-4 if dtype is np.float32 else 1e-12)


def test_matmul_broadcasts_and_linear_adds_the_bias_last() -> None:
    a, b = normals((2, 1, 4, 5), np.float32), normals((3, 5, 2), np.float32)
    c = matmul(a, b)
    assert c.shape == (2, 3, 4, 2)
    for i, j in itertools.product(range(2), range(3)):
        assert_same_bits(c[i, j], oracle.matmul(a[i, 0], b[j]))
    assert_same_bits(matmul(a[0, 0, 0], b[0]), c[0, 0, 0])
    assert_same_bits(matmul(a, b[0, :, 1]), matmul(a, b[0])[..., 1])
    bias = normals((2,), np.float32)
    assert_same_bits(linear(a, b[0], bias), matmul(a, b[0]) + bias)
    g = normals((2, 1, 4, 2), np.float32, 3)
    dx, dw, db = linear_grad(a, b[0], g)
    assert_same_bits(dx, matmul(g, b[0].T))
    assert_same_bits(dw, oracle.matmul(a.reshape(8, 5).T, g.reshape(8, 2)))
    assert_same_bits(db, reduce.chain_sum(g.reshape(8, 2).T))


# ---- sums and other reductions ----


def plain_lane_sum(values: Array) -> Any:
    """The rule of docs/arithmetic.md, one scalar at a time."""
    total = None
    for start in range(0, len(values), 4096):
        lanes = [values.dtype.type(0)] * 16
        for i, value in enumerate(values[start : start + 4096]):
            lanes[i % 16] = lanes[i % 16] + value
        for half in (8, 4, 2, 1):
            for i in range(half):
                lanes[i] = lanes[i] + lanes[i + half]
        total = lanes[0] if total is None else total + lanes[0]
    return values.dtype.type(0) if total is None else total


def plain_chain_sum(values: Array) -> Any:
    total = values.dtype.type(0)
    for value in values:
        total = total + value
    return total


@FLOATS
def test_lane_sum_is_the_written_rule(dtype: Float) -> None:
    x = normals((12_300,), dtype) * 100
    for n in [*range(36), 100, 4095, 4096, 4097, 4113, 8192, 8193, 12_300]:
        assert_same_bits(reduce.lane_sum(x[:n]), plain_lane_sum(x[:n]), f"n = {n}")
    assert_same_bits(reduce.sum(np.asarray(-0.0, dtype)), np.asarray(0.0, dtype))
    assert_same_bits(reduce.sum(np.full((2, 3), -0.0, dtype), 0), np.zeros(3, dtype))
    assert_same_bits(reduce.sum(np.full((2, 3), -0.0, dtype)), np.asarray(0.0, dtype))


@FLOATS
@pytest.mark.parametrize("axes", [None, (), (0,), (1,), (-1,), (0, 1), (2, 0), (-2, -1), (0, 1, 2)])
def test_reductions_over_any_axes(axes: tuple[int, ...] | None, dtype: Float) -> None:
    x = normals((3, 5, 40), dtype) * 10
    reduced = sorted(a % 3 for a in ((0, 1, 2) if axes is None else axes))
    row_length = int(np.prod([x.shape[a] for a in reduced], dtype=int))
    plain = plain_lane_sum if 2 in reduced else plain_chain_sum
    rows = list(np.transpose(x, sorted(range(3), key=lambda a: (a in reduced, a))).reshape(-1, row_length))
    for keepdims in (False, True):
        shape = np.sum(x, axes, keepdims=keepdims).shape
        total = np.asarray([plain(r) for r in rows], dtype).reshape(shape)
        assert_same_bits(reduce.sum(x, axes, keepdims), total)
        assert_same_bits(reduce.mean(x, axes, keepdims), np.asarray(total / dtype(len(rows[0]))))
        assert_same_bits(reduce.max(x, axes, keepdims), np.asarray(x.max(axes, keepdims=keepdims)))
        assert_same_bits(reduce.min(x, axes, keepdims), np.asarray(x.min(axes, keepdims=keepdims)))
        first = np.asarray([r.argmax() for r in rows]).reshape(shape)
        assert_same_bits(reduce.argmax(x, axes, keepdims), first)


@FLOATS
def test_extremes_of_zeros_nan_and_nothing(dtype: Float) -> None:
    nan = np.nan
    rows = np.asarray([[-0.0, 0.0, -0.0], [-0.0, -0.0, -0.0], [1, nan, nan], [-np.inf] * 3, [-1, -0.0, -2]], dtype)
    assert_same_bits(reduce.max(rows, 1), np.asarray([0.0, -0.0, nan, -np.inf, -0.0], dtype))
    assert_same_bits(reduce.min(rows, 1), np.asarray([-0.0, -0.0, nan, -np.inf, -2], dtype))
    assert_same_bits(reduce.min(-rows, 1), np.asarray([-0.0, 0.0, nan, np.inf, 0.0], dtype))
    assert_same_bits(reduce.argmax(rows, 1), np.asarray([0, 0, 1, 0, 1]))
    assert reduce.max(rows[:, :, None][:, :, :0], 1).shape == (5, 0)
    assert_same_bits(reduce.sum(rows[:, :0], 1), np.zeros(5, dtype))
    assert np.isnan(reduce.mean(rows[:, :0], 1)).all()
    for op in (reduce.max, reduce.min, reduce.argmax):
        with pytest.raises(ValueError, match="no elements"):
            op(rows[:, :0], 1)


# ---- softmax and losses ----


def slope(f: Callable[[Array], Array], x: Array, g: Array) -> Array:
    """The gradient of sum(g * f(x)) by x, by central differences in float64."""
    result = np.empty_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-6
        result[index] = (g * (f(x + step) - f(x - step))).sum() / 2e-6
    return result


def assert_gradient(got: Array, f: Callable[[Array], Array], x: Array, g: Array) -> None:
    np.testing.assert_allclose(got, slope(f, x, g), rtol=1e-7, atol=1e-8)


@FLOATS
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_and_log_softmax(axis: int, dtype: Float) -> None:
    x = normals((5, 37, 4), dtype, 1) * 5
    wide = np.exp(x.astype(np.float64))
    expected = wide / wide.sum(axis, keepdims=True)
    tolerance = 1e-5 if dtype is np.float32 else 1e-13
    y, z = losses.softmax(x, axis), losses.log_softmax(x, axis)
    assert y.dtype == z.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=tolerance)
    np.testing.assert_allclose(z, np.log(expected), rtol=tolerance, atol=tolerance)
    one = [slice(None) if a == axis % 3 else 1 for a in range(3)]
    assert_same_bits(y[tuple(one)], losses.softmax(x[tuple(one)]))
    assert_same_bits(z[tuple(one)], losses.log_softmax(x[tuple(one)]))
    if dtype is np.float64:
        g = normals(x.shape)
        small, g = x[:2, :3, :2], g[:2, :3, :2]
        got = losses.softmax_grad(losses.softmax(small, axis), g, axis)
        assert_gradient(got, lambda v: losses.softmax(v, axis), small, g)
        got = losses.log_softmax_grad(losses.log_softmax(small, axis), g, axis)
        assert_gradient(got, lambda v: losses.log_softmax(v, axis), small, g)


def test_softmax_by_single_operations() -> None:
    """Three classes in float32, every rounding written out."""
    x, f = np.asarray([[0.25, 2.5, -1.0]], np.float32), np.float32
    e = [f(np.exp(np.float64(v))) for v in (-2.25, 0.0, -3.5)]
    s = f(e[0] + e[2]) + e[1]  # lanes 0, 1, 2: folding 2 adds lane 2 to 0, folding 1 adds lane 1
    assert_same_bits(losses.softmax(x), np.asarray([[v / s for v in e]], f))
    log_s = f(np.log1p(np.float64(f(e[0] + e[2]))))  # without the largest
    assert_same_bits(losses.log_softmax(x), np.asarray([[f(-2.25) - log_s, -log_s, f(-3.5) - log_s]], f))
    assert_same_bits(losses.cross_entropy(x, np.asarray([2]), "none"), np.asarray([log_s + f(3.5)], f))
    gradient = losses.cross_entropy_grad(x, np.asarray([1]), np.asarray([0.3], f), "none")
    assert_same_bits(gradient, np.asarray([[e[0] / s * f(0.3), -(e[0] + e[2]) / s * f(0.3), e[2] / s * f(0.3)]], f))


def test_softmax_of_extreme_rows() -> None:
    inf, nan = np.inf, np.nan
    rows = np.asarray([[1e38, -1e38, 1e38], [-inf, 0, 0], [inf, 0, 1], [-inf] * 3, [nan, 1, 2]], np.float32)
    expected = np.asarray([[0.5, 0, 0.5], [0, 0.5, 0.5], [1, 0, 0], [1 / 3] * 3, [nan] * 3], np.float32)
    assert_same_bits(losses.softmax(rows), expected)
    assert losses.softmax(rows[:, :0]).shape == (5, 0)


REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def reduced(loss: Array, reduction: losses.Reduction) -> Array:
    if reduction == "none":
        return loss
    return reduce.mean(loss) if reduction == "mean" else reduce.sum(loss)


@REDUCTIONS
def test_cross_entropy(reduction: losses.Reduction) -> None:
    x, labels = normals((6, 5), seed=2) * 3, np.asarray([4, 0, 2, 2, 1, 3])
    each = -losses.log_softmax(x)[np.arange(6), labels]
    np.testing.assert_allclose(losses.cross_entropy(x, labels, reduction), reduced(each, reduction), rtol=1e-14)
    g = normals((6,)) if reduction == "none" else np.asarray(0.7)
    got = losses.cross_entropy_grad(x, labels, g, reduction)
    assert_gradient(got, lambda v: losses.cross_entropy(v, labels, reduction), x, g)
    single = losses.cross_entropy_grad(x.astype(np.float32), labels, g.astype(np.float32), reduction)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, got, rtol=1e-4, atol=1e-6)


@REDUCTIONS
@pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy_with_logits"])
def test_losses_per_element(name: str, reduction: losses.Reduction) -> None:
    loss, gradient = getattr(losses, name), getattr(losses, f"{name}_grad")
    x, t = normals((4, 5), seed=2) * 3, np.random.default_rng(3).random((4, 5))
    sigmoid = 1 / (1 + np.exp(-x))
    each = (x - t) ** 2 if name == "mse_loss" else -t * np.log(sigmoid) - (1 - t) * np.log(1 - sigmoid)
    np.testing.assert_allclose(loss(x, t, reduction), reduced(each, reduction), rtol=1e-12)
    g = normals((4, 5)) if reduction == "none" else np.asarray(0.7)
    by_x, by_t = gradient(x, t, g, reduction)
    assert_gradient(by_x, lambda v: loss(v, t, reduction), x, g)
    assert_gradient(by_t, lambda v: loss(x, v, reduction), t, g)
    single = loss(x.astype(np.float32), t.astype(np.float32), reduction)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, loss(x, t, reduction), rtol=1e-5)


# ---- stochastic gradient descent ----


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("decay", [0.0, 0.01])
@FLOATS
def test_sgd_step(momentum: float, nesterov: bool, decay: float, dtype: Float) -> None:
    p, v = normals((50,), dtype, 1), np.zeros(50, dtype)
    q, u = p.astype(np.float64), np.zeros(50)
    for step in range(5):
        g = normals((50,), dtype, step)
        p, v_new = sgd_step(p, g, v, 0.1, momentum, decay, nesterov)
        assert v_new is not None
        v = v_new
        d = g + decay * q
        u = momentum * u + d
        q = q - 0.1 * (d + momentum * u if nesterov else u if momentum else d)
    np.testing.assert_allclose(p, q, rtol=0, atol=1e-6 if dtype is np.float32 else 1e-14)
    assert p.dtype == dtype
    assert v.any() == bool(momentum)


def test_sgd_step_takes_no_momentum_without_a_buffer() -> None:
    p, g = normals((2, 3), np.float32)
    new, v = sgd_step(p, g, None, 0.1)
    assert v is None
    assert_same_bits(new, oracle.fma(np.float32(-0.1), g, p))
    with pytest.raises(ValueError, match=r"^sgd_step: momentum is 0\.9, expected a velocity v"):
        sgd_step(p, g, None, 0.1, momentum=0.9)
    with pytest.raises(ValueError, match="nesterov"):
        sgd_step(p, g, None, 0.1, nesterov=True)
