"""nn.init: bounds, moments and structure of what is drawn, and the same draws from the same generator."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.nn import init
from reference import assert_same_bits

DENSE, IMAGES = (60, 90), (30, 20, 3, 2)  # fan in and out: 60 and 90; 120 and 180


def fresh(shape: tuple[int, ...], dtype: Any = np.float32) -> cr.Tensor:
    return cr.tensor(np.full(shape, 7.0), dtype=dtype)


BOUNDS: list[tuple[Callable[..., cr.Tensor], dict[str, Any], Callable[[int, int], float]]] = [
    (init.xavier_uniform_, {"gain": 2.0}, lambda i, o: 2 * math.sqrt(6 / (i + o))),
    (init.kaiming_uniform_, {}, lambda i, o: math.sqrt(6 / i)),
    (init.kaiming_uniform_, {"a": 0.5, "mode": "fan_out"}, lambda i, o: math.sqrt(6 / 1.25 / o)),
    (init.kaiming_uniform_, {"nonlinearity": "tanh"}, lambda i, o: 5 / 3 * math.sqrt(3 / i)),
]
WIDTHS: list[tuple[Callable[..., cr.Tensor], dict[str, Any], Callable[[int, int], float]]] = [
    (init.xavier_normal_, {}, lambda i, o: math.sqrt(2 / (i + o))),
    (init.kaiming_normal_, {"nonlinearity": "relu"}, lambda i, o: math.sqrt(2 / i)),
    (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "selu"}, lambda i, o: 0.75 / math.sqrt(o)),
]


@pytest.mark.parametrize(("shape", "fans"), [(DENSE, (60, 90)), (IMAGES, (120, 180))])
def test_fans_of_both_layouts(shape: tuple[int, ...], fans: tuple[int, int]) -> None:
    for function, options, bound in BOUNDS:
        found = function(fresh(shape), **options, generator=cr.random.Generator(1)).numpy()
        assert 0.98 * bound(*fans) < np.abs(found).max() <= np.float32(bound(*fans)), function.__name__
        assert abs(found.mean()) < 0.05 * bound(*fans)
    for function, options, width in WIDTHS:
        found = function(fresh(shape), **options, generator=cr.random.Generator(1)).numpy()
        assert abs(found.std() / width(*fans) - 1) < 0.05, function.__name__


def test_the_generator_decides() -> None:
    for function in (init.uniform_, init.normal_, init.orthogonal_, init.kaiming_uniform_, init.trunc_normal_):
        a, b = (function(fresh(DENSE), generator=cr.random.Generator(3)) for _ in range(2))
        assert_same_bits(a.numpy(), b.numpy(), function.__name__)
        cr.manual_seed(3)
        assert_same_bits(function(fresh(DENSE)).numpy(), a.numpy(), "the global seed")
        assert (function(fresh(DENSE)).numpy() != a.numpy()).any()


@pytest.mark.parametrize(
    ("low", "high"), [(-2.0, 2.0), (-0.5, 0.25), (0.0, 10.0), (1.0, 1.5), (3.0, 50.0), (-9.0, -4.0), (-30.0, 30.0)]
)
def test_truncated_normal(low: float, high: float) -> None:
    """Mean and variance in units of std, around a mean of 1.5."""
    from mpmath import mp

    found = init.trunc_normal_(
        fresh((20_000,), np.float64), 1.5, 0.5, 1.5 + low / 2, 1.5 + high / 2, cr.random.Generator(2)
    ).numpy()
    z = (found - 1.5) * 2
    assert z.min() >= low and z.max() <= high
    mass = mp.ncdf(high) - mp.ncdf(low)
    mean = float((mp.npdf(low) - mp.npdf(high)) / mass)
    square = float(1 + (low * mp.npdf(low) - high * mp.npdf(high)) / mass)
    width = math.sqrt(square - mean * mean)
    assert abs(z.mean() - mean) < 5 * width / math.sqrt(len(z))
    assert abs(z.std() / width - 1) < 0.04


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (6, 6), (4, 3, 2), (1, 1)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = init.orthogonal_(fresh(shape, np.float64), 2.0, cr.random.Generator(4)).numpy().reshape(shape[0], -1)
    product = w @ w.T if len(w) <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), rtol=0, atol=1e-13)


def test_constants_and_structures() -> None:
    layer = cr.nn.Linear(3, 2)
    assert init.zeros_(layer.weight) is layer.weight
    assert layer.weight.requires_grad
    assert init.ones_(layer.weight).tolist() == [[1, 1]] * 3
    assert init.eye_(layer.weight).tolist() == [[1, 0], [0, 1], [0, 0]]
    assert init.constant_(fresh((2,), np.float64), 0.1).tolist() == [0.1, 0.1]
    w = init.sparse_(fresh((4, 10)), 0.25, 0.5, cr.random.Generator(1)).numpy()
    assert (w == 0).sum(axis=1).tolist() == [3] * 4
    assert len({tuple(row == 0) for row in w}) > 1
    assert 0.2 < w[w != 0].std() < 1
    assert init.uniform_(fresh((0, 3))).shape == (0, 3)


def test_gains() -> None:
    expected = {"linear": 1, "conv2d": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    assert {name: init.calculate_gain(name) for name in expected} == expected
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert init.calculate_gain("leaky_relu", 2.0) == math.sqrt(0.4)


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: init.uniform_(fresh((2,)), 1.0, 0.0), ValueError, "uniform_: a 1.0 is above b 0.0"),
    (lambda: init.normal_(fresh((2,)), std=-1.0), ValueError, "normal_: std must be a finite number of at least 0"),
    (lambda: init.trunc_normal_(fresh((2,)), a=2.0, b=2.0), ValueError, "trunc_normal_: a 2.0 is not below b 2.0"),
    (lambda: init.kaiming_normal_(fresh((2,))), ValueError, r"at least 2 axes, got shape \(2,\)"),
    (lambda: init.kaiming_normal_(fresh((2, 2)), mode="in"), ValueError, "mode must be fan_in or fan_out, got 'in'"),
    (lambda: init.calculate_gain("swish"), ValueError, "calculate_gain: unknown nonlinearity 'swish'"),
    (lambda: init.eye_(fresh((2,))), ValueError, r"eye_: expected a matrix, got shape \(2,\)"),
    (lambda: init.sparse_(fresh((2, 2)), 1.5), ValueError, "sparse_: sparsity must be from 0 to 1, got 1.5"),
    (lambda: init.ones_(cr.tensor([1, 2])), TypeError, "expected a float32 or float64 tensor, got int64"),
    (lambda: init.ones_(np.ones(2)), TypeError, "expected a float32 or float64 tensor, got ndarray"),  # type: ignore[arg-type]
    (lambda: cr.compile(lambda: init.ones_(fresh((2,))))(), cr.CompileError, "initialised inside a compiled function"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED)
def test_refused(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
