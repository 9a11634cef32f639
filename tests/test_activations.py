"""Activation functions: conventions at kinks, ties and infinity, second derivatives, accuracy, and their layers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest

import chainrule as cr
from cases.kernel_rows import label
from chainrule import nn
from reference import activations, assert_same_bits
from reference.bits import Array

FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)
INF, NAN = np.inf, np.nan
Float = type[np.floating[Any]]
Activation = Callable[[cr.Tensor], cr.Tensor]


def slope(function: Activation, x: Array, orders: int = 1) -> Array:
    """The derivative of an elementwise function."""
    for _ in range(orders):
        function = _slope(function)
    return function(cr.tensor(x)).numpy()


def _slope(function: Activation) -> Activation:
    return cr.grad(lambda x: cr.sum(function(x)))


ERF_SLOPE, DENSITY = 2 / np.sqrt(np.pi), 1 / np.sqrt(2 * np.pi)
# Value and slope at these arguments: -inf, -0, +0, inf, NaN.
AT_SPECIALS: dict[str, tuple[Activation, list[float], list[float]]] = {
    "sign": (cr.sign, [-1, 0, 0, 1, NAN], [0, 0, 0, 0, NAN]),
    "heaviside": (cr.heaviside, [0, 0.5, 0.5, 1, NAN], [0, 0, 0, 0, NAN]),
    "heaviside 0": (lambda x: cr.heaviside(x, 0.0), [0, 0, 0, 1, NAN], [0, 0, 0, 0, NAN]),
    "heaviside 1": (lambda x: cr.heaviside(x, 1), [0, 1, 1, 1, NAN], [0, 0, 0, 0, NAN]),
    "clip": (lambda x: cr.clip(x, 0, 1), [0, 0, 0, 1, NAN], [0, 1, 1, 0, NAN]),
    "clip from below": (lambda x: cr.clip(x, min=-1), [-1, -0.0, 0, INF, NAN], [0, 1, 1, 1, NAN]),
    "clip from above": (lambda x: cr.clip(x, max=0), [-INF, -0.0, 0, 0, NAN], [1, 1, 1, 0, NAN]),
    "clip to nothing": (lambda x: cr.clip(x, 2, 1), [1, 1, 1, 1, NAN], [0, 0, 0, 0, NAN]),
    "hardtanh": (cr.hardtanh, [-1, -0.0, 0, 1, NAN], [0, 1, 1, 0, NAN]),
    "relu6": (lambda x: cr.hardtanh(x, 0, 6), [0, 0, 0, 6, NAN], [0, 0, 0, 0, NAN]),
    "hardsigmoid": (lambda x: cr.hardsigmoid(x, 0.25), [0, 0.5, 0.5, 1, NAN], [0, 0.25, 0.25, 0, NAN]),
    "softsign": (cr.softsign, [-1, -0.0, 0, 1, NAN], [0, 1, 1, 0, NAN]),
    "logsigmoid": (cr.logsigmoid, [-INF, -np.log(2), -np.log(2), -0.0, NAN], [1, 0.5, 0.5, 0, NAN]),
    "elu": (lambda x: cr.elu(x, 0.5), [-0.5, -0.0, 0, INF, NAN], [0, 0.5, 0.5, 1, NAN]),
    "selu": (
        cr.selu,
        [-activations.SELU_DOWN, -0.0, 0, INF, NAN],
        [0, activations.SELU_DOWN, activations.SELU_DOWN, activations.SELU_UP, NAN],
    ),
    "silu": (cr.silu, [-0.0, -0.0, 0, INF, NAN], [-0.0, 0.5, 0.5, 1, NAN]),
    "silu turned": (lambda x: cr.silu(x, -1), [-INF, -0.0, 0, 0, NAN], [1, 0.5, 0.5, -0.0, NAN]),
    "erf": (cr.erf, [-1, -0.0, 0, 1, NAN], [0, ERF_SLOPE, ERF_SLOPE, 0, NAN]),
    "ndtr": (cr.ndtr, [0, 0.5, 0.5, 1, NAN], [0, DENSITY, DENSITY, 0, NAN]),
    "gelu": (cr.gelu, [-0.0, -0.0, 0, INF, NAN], [0, 0.5, 0.5, 1, NAN]),
    "gelu tanh": (lambda x: cr.gelu(x, "tanh"), [-0.0, -0.0, 0, INF, NAN], [-0.0, 0.5, 0.5, 1, NAN]),
    "prelu": (lambda x: cr.prelu(x, 0.25), [-INF, -0.0, 0, INF, NAN], [0.25, 0.25, 0.25, 1, NAN]),
}


@each_dtype
@pytest.mark.parametrize("name", AT_SPECIALS)
def test_values_and_slopes_at_special_arguments(name: str, dtype: Float) -> None:
    function, values, slopes = AT_SPECIALS[name]
    x = np.asarray([-INF, -0.0, 0.0, INF, NAN], dtype)
    assert_same_bits(function(cr.tensor(x)).numpy(), np.asarray(values, dtype), "value")
    assert_same_bits(slope(function, x), np.asarray(slopes, dtype), "slope")
    second = slope(function, x, 2)
    assert (second[[0, 3]] == 0).all(), "second derivative at infinity"
    assert np.isfinite(second[[1, 2]]).all(), "second derivative at 0"


@each_dtype
def test_bounds_are_kinks(dtype: Float) -> None:
    x = np.asarray([-2, -0.5, 1, 3], dtype)
    x = np.concatenate([np.nextafter(x, -INF), x, np.nextafter(x, INF)])
    for low, high in ((-0.5, 1.0), (-2.0, 3.0)):
        inside, closed = (low < x) & (x < high), (low <= x) & (x <= high)
        assert_same_bits(slope(lambda t, a=low, b=high: cr.hardtanh(t, a, b), x), inside.astype(dtype))
        assert_same_bits(slope(lambda t, a=low, b=high: cr.clip(t, a, b), x), closed.astype(dtype))
        assert_same_bits(cr.hardtanh(x, low, high).numpy(), np.clip(x, dtype(low), dtype(high)))
    linear = np.asarray([-0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75], dtype)
    assert cr.hardsigmoid(linear, 1.0).numpy().tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert slope(lambda t: cr.hardsigmoid(t, 1.0), linear).tolist() == [0, 0, 1, 1, 1, 0, 0]


SMOOTH: dict[str, Activation] = {
    "softsign": cr.softsign,
    "logsigmoid": cr.logsigmoid,
    "elu": lambda x: cr.elu(x, 0.6),
    "selu": cr.selu,
    "silu": cr.silu,
    "silu 1.5": lambda x: cr.silu(x, 1.5),
    "erf": cr.erf,
    "ndtr": cr.ndtr,
    "sin": cr.sin,
    "cos": cr.cos,
    "gelu": cr.gelu,
    "gelu tanh": lambda x: cr.gelu(x, "tanh"),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_second_and_third_derivatives(name: str) -> None:
    function, h = SMOOTH[name], 1e-5
    x = np.random.default_rng(41).uniform(-4, 4, 300)
    for orders in (2, 3):
        expected = (slope(function, x + h, orders - 1) - slope(function, x - h, orders - 1)) / (2 * h)
        np.testing.assert_allclose(slope(function, x, orders), expected, rtol=1e-7, atol=1e-9)


def _mp_ndtr(x: Any) -> Any:
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def _mp_sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _mp_gate(x: Any) -> Any:
    """That of gelu by tanh."""
    return _mp_sigmoid(2 * mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))


@dataclass(frozen=True)
class Accuracy:
    """Errors of value and slope in ULP on an interval. Slopes that cross 0 use the ULP of their gate."""

    function: Activation
    exact: Callable[[Any], Any]
    interval: tuple[float, float]
    bounds: tuple[float, float]
    gate: Callable[[Any], Any] = lambda x: 0


ACCURACY: dict[str, Accuracy] = {
    "erf": Accuracy(cr.erf, mpmath.erf, (-9, 9), (1, 3)),
    "ndtr": Accuracy(cr.ndtr, _mp_ndtr, (-12.9, 9), (1, 3)),
    "sin": Accuracy(cr.sin, mpmath.sin, (-1e4, 1e4), (1, 1.6)),
    "cos": Accuracy(cr.cos, mpmath.cos, (-1e4, 1e4), (1, 1.6)),
    "gelu": Accuracy(cr.gelu, lambda x: x * _mp_ndtr(x), (-12.9, 9), (1.6, 4), _mp_ndtr),
    "silu": Accuracy(cr.silu, lambda x: x * _mp_sigmoid(x), (-87, 30), (1.6, 3), _mp_sigmoid),
    "gelu near 0": Accuracy(cr.gelu, lambda x: x * _mp_ndtr(x), (-2, 2), (1.6, 4), _mp_ndtr),
    "silu near 0": Accuracy(cr.silu, lambda x: x * _mp_sigmoid(x), (-3, 3), (1.6, 3), _mp_sigmoid),
    "gelu tanh": Accuracy(lambda x: cr.gelu(x, "tanh"), lambda x: x * _mp_gate(x), (-1, 8), (3, 5), _mp_gate),
    "elu": Accuracy(cr.elu, lambda x: x if x > 0 else mpmath.expm1(x), (-30, 3), (1, 1)),
    "logsigmoid": Accuracy(cr.logsigmoid, lambda x: mpmath.log(_mp_sigmoid(x)), (-30, 30), (1, 1)),
    "softsign": Accuracy(cr.softsign, lambda x: x / (1 + abs(x)), (-99, 99), (1.6, 3.1)),
}


@each_dtype
@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy(name: str, dtype: Float) -> None:
    row = ACCURACY[name]
    x = np.random.default_rng(45).uniform(*row.interval, 250).astype(dtype)
    value, first = row.function(cr.tensor(x)).numpy(), slope(row.function, x)
    with mpmath.workprec(200):
        for i, at in enumerate(map(mpmath.mpf, x.tolist())):
            exact, tangent = row.exact(at), mpmath.diff(row.exact, at)
            assert abs(float(value[i]) - exact) <= row.bounds[0] * _ulp(exact, dtype), f"{name}({x[i]})"
            largest = max(abs(tangent), abs(row.gate(at)))
            assert abs(float(first[i]) - tangent) <= row.bounds[1] * _ulp(largest, dtype), f"slope of {name} at {x[i]}"


def _ulp(value: Any, dtype: Float) -> Any:
    limits = np.finfo(dtype)
    return mpmath.ldexp(1, int(max(mpmath.mag(value) - 1, limits.minexp)) - limits.nmant)


def test_a_slope_for_each_feature_or_channel() -> None:
    rng = np.random.default_rng(42)
    for shape, count in (
        ((5, 3), 3),
        ((7,), 7),
        ((2, 3, 4, 5), 3),
        ((4, 6, 2), 6),
        ((5, 3), 1),
        ((), 1),
        ((2, 3, 4), 1),
    ):
        x = np.asarray(rng.standard_normal(shape), np.float32)
        layer = nn.PReLU(count)
        layer.weight.copy_(np.asarray(rng.uniform(0.1, 0.9, count), np.float32))
        weights = layer.weight.numpy().reshape((count, *[1] * (len(shape) - 2)) if count > 1 else ())
        y = layer(cr.tensor(x, requires_grad=True))
        assert_same_bits(y.numpy(), np.where(x > 0, x, weights * x))
        cr.sum(y).backward()
        below = np.minimum(x, 0).astype(np.float64)
        axes = tuple(a for a in range(x.ndim) if count == 1 or a != min(1, x.ndim - 1))
        assert layer.weight.grad is not None
        np.testing.assert_allclose(layer.weight.grad.numpy(), np.reshape(below.sum(axes), count), rtol=1e-5)


def test_slopes_are_trained() -> None:
    x = np.random.default_rng(43).standard_normal((64, 3)).astype(np.float32)
    wanted = np.where(x > 0, x, np.float32([0.1, -0.5, 0.8]) * x)
    layer = nn.PReLU(3)
    optimizer = cr.optim.SGD(layer.parameters(), lr=1.0)
    for _ in range(60):
        optimizer.zero_grad()
        cr.mse_loss(layer(x), cr.tensor(wanted)).backward()
        optimizer.step()
    np.testing.assert_allclose(layer.weight.numpy(), [0.1, -0.5, 0.8], atol=1e-4)


def test_maxout_is_the_larger_of_two_linear_functions() -> None:
    layer = nn.Maxout(4, 3, pieces=2, generator=cr.random.Generator(seed=3))
    layer.bias.copy_(np.arange(6, dtype=np.float32) / 8)
    x = cr.random.Generator(seed=4).normal((5, 4))
    weight, bias = layer.weight.numpy(), layer.bias.numpy()
    first, second = (cr.linear(x, weight[:, p::2].copy(), bias[p::2].copy()) for p in (0, 1))
    assert_same_bits(layer(x).numpy(), cr.maximum(first, second).numpy())
    assert not np.array_equal(first.numpy() > second.numpy(), np.ones((5, 3)))
    assert nn.Maxout(4, 3, 5, bias=False)(x).shape == (5, 3)


def test_maxout_ties_go_to_the_first() -> None:
    x = cr.tensor([[1.0, 1.0, 0.5], [-0.0, 0.0, -1.0], [2.0, NAN, NAN]], requires_grad=True)
    y = cr.maxout(x, 3)
    assert_same_bits(y.numpy(), np.float32([[1], [0], [NAN]]))
    cr.sum(y * cr.tensor([[2.0], [3.0], [4.0]])).backward()
    assert x.grad is not None
    assert_same_bits(x.grad.numpy(), np.float32([[2, 0, 0], [3, 0, 0], [0, 4, 0]]))


REFUSED: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: cr.clip([1.0]), ValueError, "clip: expected min, max or both, got neither"),
    (lambda: cr.clip([1.0], "0"), TypeError, "clip: min must be a number or a tensor, got str"),
    (lambda: cr.hardtanh([1.0], 1, 1), ValueError, "hardtanh: expected min_val < max_val, got 1 and 1"),
    (lambda: cr.hardtanh([1.0], NAN, 1), ValueError, "hardtanh: expected min_val < max_val, got nan and 1"),
    (lambda: cr.silu([1.0], cr.tensor(1.0)), TypeError, "silu: beta must be a number, got Tensor"),
    (lambda: cr.elu([1.0], True), TypeError, "elu: alpha must be a number, got bool"),
    (lambda: cr.gelu([1.0], "exact"), ValueError, "gelu: approximate must be 'none' or 'tanh', got 'exact'"),
    (lambda: cr.maxout(np.ones((2, 5)), 2), ValueError, r"maxout: axis -1 of shape \(2, 5\) has 5 elements.*pieces 2"),
    (lambda: cr.maxout(np.ones((2, 4)), 0), ValueError, "maxout: .*got pieces 0"),
    (lambda: cr.maxout(np.ones((2, 4)), 2, (0, 1)), TypeError, r"maxout: axis must be an integer, got \(0, 1\)"),
    (lambda: cr.maxout(np.ones((2, 4)), 2, 2), ValueError, "maxout: axis 2 is out of range for 2 dimensions"),
    (lambda: cr.prelu(np.ones((2, 3)), np.ones(2)), ValueError, r"prelu: shapes \(2, 3\) and \(2,\) do not broadcast"),
    (lambda: nn.PReLU(0), ValueError, "PReLU: num_parameters must be an integer of at least 1, got 0"),
    (lambda: nn.PReLU(2, dtype=np.int64), TypeError, "PReLU: dtype must be float32 or float64, got int64"),
    (lambda: nn.PReLU(2)(np.ones((4, 3), np.float32)), ValueError, r"prelu: weight must .*\(3,\), got \(2,\)"),
    (lambda: nn.Maxout(3, 0), ValueError, "Maxout: out_features must be an integer of at least 1, got 0"),
    (lambda: nn.Maxout(3, 2, 1.5), ValueError, "Maxout: pieces must be an integer of at least 1, got 1.5"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_rejected(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_layers_are_their_ops() -> None:
    x = cr.tensor(np.random.default_rng(44).standard_normal((6, 5)).astype(np.float32) * 3)
    pairs: list[tuple[nn.Module, cr.Tensor]] = [
        (nn.ELU(0.7), cr.elu(x, 0.7)),
        (nn.SELU(), cr.selu(x)),
        (nn.SiLU(1.5), cr.swish(x, 1.5)),
        (nn.GELU(), cr.gelu(x)),
        (nn.GELU("tanh"), cr.gelu(x, "tanh")),
        (nn.Hardtanh(-0.5, 2), cr.hardtanh(x, -0.5, 2)),
        (nn.Hardsigmoid(1.0), cr.hardsigmoid(x, 1.0)),
        (nn.Softsign(), cr.softsign(x)),
        (nn.LogSigmoid(), cr.logsigmoid(x)),
        (nn.Sign(), cr.sign(x)),
        (nn.Heaviside(1.0), cr.heaviside(x, 1.0)),
    ]
    for layer, expected in pairs:
        assert_same_bits(layer(x).numpy(), expected.numpy(), repr(layer))
