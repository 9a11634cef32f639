"""Feature maps: their documented products and bases, differentiable, compiled, saved."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

X = cr.random.Generator(seed=2).normal((9, 3), mean=0.5, dtype=np.float64)


def monomials(x: np.ndarray, degree: int, interaction_only: bool, include_bias: bool) -> np.ndarray:
    choose = itertools.combinations if interaction_only else itertools.combinations_with_replacement
    columns = range(x.shape[-1])
    chosen = [places for d in range(1, degree + 1) for places in choose(columns, d)]
    found = [np.prod([x[..., i] for i in places], axis=0) for places in chosen]
    return np.stack([np.ones(x.shape[:-1]), *found] if include_bias else found, axis=-1)


@pytest.mark.parametrize("include_bias", [False, True])
@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
@pytest.mark.parametrize("features", [1, 2, 3])
def test_polynomials(features: int, degree: int, interaction_only: bool, include_bias: bool) -> None:
    layer = nn.PolynomialFeatures(degree, features, interaction_only, include_bias)
    x = X[:, :features]
    found = layer(x).numpy()
    expected = monomials(x, degree, interaction_only, include_bias)
    assert found.shape == expected.shape == (9, layer.out_features)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert layer(x.astype(np.float32)).dtype == np.float32
    assert layer(x.reshape(3, 3, features)).numpy().tobytes() == found.tobytes()


def test_row_59_powers_of_one_input() -> None:
    x = np.float32([[1.25], [-0.5]])
    assert nn.PolynomialFeatures(4)(x).numpy().tolist() == [
        [1, 1.25, 1.5625, 1.953125, 2.44140625], [1, -0.5, 0.25, -0.125, 0.0625],
    ]  # fmt: skip


def test_row_54_psi_makes_xor_linear() -> None:
    psi = nn.PolynomialFeatures(2, 2, interaction_only=True, include_bias=False)
    rows = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    assert psi(rows).numpy().tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 1]]
    layer = cr.linear_regression(psi(rows), [0.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(layer(psi(rows)).numpy()[:, 0], [0, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(layer.weight.numpy()[:, 0], [1, 1, -2], atol=1e-6)


def test_row_66_radial_basis_functions() -> None:
    centers = X[[0, 4]] + 0.25
    layer = nn.RBFFeatures(centers, gamma=0.7)
    expected = np.exp(-0.7 * ((X[:, None, :] - centers) ** 2).sum(axis=-1))
    np.testing.assert_allclose(layer(X).numpy(), expected, rtol=1e-14)
    single = layer(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.numpy(), expected, rtol=1e-5)
    assert layer(X.reshape(3, 3, 3)).shape == (3, 3, 2)
    assert not list(layer.parameters())


LAYERS = {
    "polynomial": lambda: nn.PolynomialFeatures(3, 3),
    "interactions": lambda: nn.PolynomialFeatures(3, 3, interaction_only=True, include_bias=False),
    "rbf": lambda: nn.RBFFeatures(X[:4] * 1.5, gamma=0.3),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
def test_gradients_compiling_and_files(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    layer = make()
    weights = cr.random.Generator(seed=5).normal(layer(X).shape, dtype=np.float64)
    cr.gradcheck(lambda x: cr.mul(layer(x), weights), [X], order=2)
    model = nn.Sequential(layer, nn.Linear(layer.out_features, 2, generator=cr.random.Generator(seed=1)))
    expected = model.predict(X)
    assert cr.compile(lambda x: model(x))(X.astype(np.float32)).numpy().tobytes() == expected.tobytes()
    assert cr.Predictor(model)(X).tobytes() == expected.tobytes()
    cr.save(model, tmp_path / "m")
    copy = cr.load(tmp_path / "m")
    assert copy.predict(X).tobytes() == expected.tobytes()
    assert repr(copy) == repr(model)
    prepared = nn.Sequential(make(), nn.Standardize(layer.out_features), nn.Linear(layer.out_features, 1))
    nn.fit_preprocessing(prepared, X)
    assert prepared.predict(X).shape == (9, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.PolynomialFeatures(2, 0), "PolynomialFeatures: features must be an integer of at least 1, got 0"),
        (lambda: nn.PolynomialFeatures(0, 2), "PolynomialFeatures: degree must be an integer of at least 1, got 0"),
        (lambda: nn.PolynomialFeatures(65, 2), "has more than 1048576 products, or the degree is above 64"),
        (lambda: nn.PolynomialFeatures(8, 30), "degree 8 of 30 features has more than 1048576 products"),
        (lambda: nn.PolynomialFeatures(1, 10**12), "has more than"),
        (
            lambda: nn.PolynomialFeatures(2, 3)(X[:, :2]),
            r"PolynomialFeatures: x must have shape \(..., 3\) for features=3, got",
        ),
        (lambda: nn.RBFFeatures([1.0, 2.0]), r"RBFFeatures: centers must be finite, of shape .*, got \(2,\)"),
        (lambda: nn.RBFFeatures([[np.inf]]), "centers must be finite"),
        (lambda: nn.RBFFeatures([[1.0]], gamma=0.0), "gamma must be a finite number above 0, got 0.0"),
        (lambda: nn.RBFFeatures(X)(X[:, :2]), r"RBFFeatures: x must have shape \(..., 3\), got \(9, 2\)"),
    ],
)
def test_rejected(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_the_number_of_products_is_that_of_combinatorics() -> None:
    def choose(n: int, k: int) -> int:
        return prod(range(n - k + 1, n + 1)) // prod(range(1, k + 1))

    assert nn.PolynomialFeatures(6, 7).out_features == choose(13, 6)
    assert nn.PolynomialFeatures(9, 7, interaction_only=True).out_features == 2**7
