"""Eigenvectors in closed form, and the layers based on them."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core, nn
from chainrule.ops._linalg import symmetric_eigen
from support.variants import every_setting
from test_fp_modes import MODES, nondefault_fp_mode


def symmetric(n: int, seed: int = 0) -> np.ndarray:
    a = np.random.default_rng(seed).normal(size=(n, n))
    return (a + a.T) / 2


def of_rank(n: int, rank: int) -> np.ndarray:
    a = np.random.default_rng(n).normal(size=(n, rank))
    return a @ a.T


def graded(n: int) -> np.ndarray:
    """Elements from 1 down to 1e-150."""
    scale = 10.0 ** -np.linspace(0, 75, n)
    return symmetric(n) * np.outer(scale, scale)


MATRICES = {
    "one": np.array([[-3.0]]),
    "two": np.array([[1.0, 3.0], [3.0, -2.0]]),
    "random-7": symmetric(7),
    "random-100": symmetric(100),
    "covariance": of_rank(40, 60),
    "rank-3-of-60": of_rank(60, 3),
    "diagonal": np.diag([3.0, -7.0, 1e-200, 5.0]),
    "identity": np.eye(6),
    "zeros": np.zeros((4, 4)),
    "graded": graded(20),
    "tiny": 1e-300 * symmetric(8),
    "subnormal": np.full((3, 3), 5e-324),
    "huge": 1e305 * symmetric(8),
    "wilkinson": np.diag(np.abs(np.arange(-10.0, 11))) + np.diag(np.ones(20), 1) + np.diag(np.ones(20), -1),
}


@pytest.mark.parametrize("a", MATRICES.values(), ids=MATRICES.keys())
def test_eigen_is_as_exact_as_lapack(a: np.ndarray) -> None:
    values, vectors = (t.numpy() for t in symmetric_eigen(cr.tensor(a)))
    n, size = len(a), np.abs(a).max() or 1.0
    scaled, found = a / size, values / size
    np.testing.assert_allclose(found, np.linalg.eigvalsh(scaled)[::-1], atol=4e-15 * n, rtol=0)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(n), atol=4e-15 * n)
    np.testing.assert_allclose(vectors @ scaled, found[:, None] * vectors, atol=4e-15 * n)
    assert (np.diff(values) <= 0).all()
    largest = np.abs(vectors).argmax(axis=1)
    assert (vectors[np.arange(n), largest] > 0).all()


@pytest.mark.alone
def test_eigen_of_100_takes_milliseconds() -> None:
    a = cr.tensor(symmetric(100))

    def once() -> float:
        begun = time.thread_time()
        symmetric_eigen(a)
        return time.thread_time() - begun

    assert min(once() for _ in range(5)) < 0.02


def test_eigen_rejects() -> None:
    a, values = symmetric(3), np.empty(3)
    with pytest.raises(ValueError, match=r"symmetric_eigen: expected a \(n, n\) and values \(n,\), got a \(3, 2\)"):
        _core.symmetric_eigen(a[:, :2].copy(), values)
    with pytest.raises(ValueError, match=r"values \(2,\)"):
        _core.symmetric_eigen(a, values[:2])
    with pytest.raises(TypeError, match="expected float64"):
        _core.symmetric_eigen(a.astype(np.float32), values)
    with pytest.raises(ValueError, match="C-contiguous"):
        _core.symmetric_eigen(np.asfortranarray(a), values)
    with pytest.raises(ValueError, match="overlaps"):
        _core.symmetric_eigen(a, a[0])
    with pytest.raises(ValueError, match="symmetric_eigen: a is not finite everywhere"):
        _core.symmetric_eigen(np.where(np.eye(3) > 0, np.inf, a), values)


def data(rows: int = 400, seed: int = 5) -> np.ndarray:
    """Correlated columns of different scale."""
    mix = np.array([[3.0, 1.0, 0.5, 0.0], [0.0, 2.0, -1.0, 0.25], [0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.0, 0.125]])
    return cr.random.Generator(seed=seed).normal((rows, 4), mean=2.0, dtype=np.float64) @ mix + [100, 0, -7, 3]


def test_row_75_pca_is_the_eigenvectors_of_the_covariance() -> None:
    X = data()
    layer = nn.PCA(4, dtype=np.float64).fit(X)
    values, vectors = np.linalg.eigh(np.cov(X.T, bias=True))
    np.testing.assert_allclose(layer.variance.numpy(), values[::-1], rtol=1e-10)
    signs = np.sign(np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0))
    np.testing.assert_allclose(layer.weight.numpy(), (vectors * signs)[:, ::-1], atol=1e-11)
    Z = layer(X).numpy()
    np.testing.assert_allclose(np.cov(Z.T, bias=True), np.diag(values[::-1]), atol=1e-10)
    np.testing.assert_allclose(Z @ layer.weight.numpy().T + layer.mean.numpy(), X, rtol=1e-12)
    few = nn.PCA(4, 2).fit(X)
    assert few.out_features == 2
    assert few(X).numpy().tobytes() == Z[:, :2].astype(np.float32).tobytes()


@pytest.mark.parametrize("components", [None, 3])
def test_row_75_whitening_makes_the_covariance_the_identity(components: int | None) -> None:
    X = data()
    layer = nn.Whiten(4, components, dtype=np.float64).fit(X)
    Z = layer(X).numpy()
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(np.cov(Z.T, bias=True), np.eye(components or 4), atol=1e-10)
    single = nn.Whiten(4, components).fit(X)(X).numpy().astype(np.float64)
    np.testing.assert_allclose(np.cov(single.T, bias=True), np.eye(components or 4), atol=1e-5)
    padded = nn.Whiten(4, components, eps=0.5, dtype=np.float64).fit(X)
    variance = padded.variance.numpy()
    np.testing.assert_allclose(np.cov(padded(X).numpy().T, bias=True), np.diag(variance / (variance + 0.5)), atol=1e-10)


def test_dependent_columns_cannot_be_whitened() -> None:
    X = data()
    X[:, 3] = X[:, 0] - 2 * X[:, 1]
    layer = nn.Whiten(4)
    with pytest.raises(
        ValueError, match=r"Whiten: the columns span only 3 of 4 directions; take components=3 or an eps"
    ):
        layer.fit(X)
    assert not layer.fitted
    np.testing.assert_allclose(np.cov(nn.Whiten(4, 3).fit(X)(X).numpy().T, bias=True), np.eye(3), atol=1e-5)
    assert np.isfinite(nn.Whiten(4, eps=1e-3).fit(X)(X).numpy()).all()
    with pytest.raises(ValueError, match="span only 0 of 4 directions"):
        nn.Whiten(4).fit(np.ones((5, 4)))
    assert (nn.PCA(4).fit(np.ones((5, 4))).variance.numpy() == 0).all()


@pytest.mark.parametrize(
    ("make", "X", "message"),
    [
        (lambda: nn.PCA(3, 4), None, "PCA: components must be at most the 3 features, got 4"),
        (lambda: nn.PCA(3, 0), None, "PCA: components must be an integer of at least 1, got 0"),
        (lambda: nn.Whiten(3, eps=-1.0), None, "Whiten: eps must be a finite number of at least 0, got -1.0"),
        (lambda: nn.PCA(2), [[1, 2]], "PCA: X must have at least 2 rows, got 1"),
        (lambda: nn.PCA(2), [[1e200, 1], [2, 3]], "PCA: the values are too large; put a Standardize before it"),
    ],
)
def test_projections_reject(make: object, X: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make() if X is None else make().fit(X)  # type: ignore[operator]


def pipeline() -> nn.Sequential:
    return nn.Sequential(
        nn.Standardize(4), nn.PCA(4, 3), nn.Whiten(3), nn.Linear(3, 2, generator=cr.random.Generator(1))
    )


def test_in_a_model(tmp_path: Path) -> None:
    X, model = data(), pipeline()
    nn.fit_preprocessing(model, X)
    np.testing.assert_allclose(np.cov(model[:3](X).numpy().T, bias=True), np.eye(3), atol=1e-5)
    expected = model.predict(X)
    assert cr.compile(lambda x: model(x))(X).numpy().tobytes() == expected.tobytes()
    assert cr.Predictor(model)(X).tobytes() == expected.tobytes()
    cr.save(model, tmp_path / "m")
    assert cr.load(tmp_path / "m").predict(X).tobytes() == expected.tobytes()
    x = cr.tensor(X[:5], requires_grad=True)
    cr.sum(nn.PCA(4, 3, dtype=np.float64).fit(X)(x)).backward()
    assert x.grad is not None
    weight = nn.PCA(4, 3).fit(X).weight.numpy()
    np.testing.assert_allclose(x.grad.numpy(), np.tile(weight.sum(axis=1), (5, 1)), rtol=1e-12)


def fitted_bits() -> bytes:
    model = pipeline()
    nn.fit_preprocessing(model, data(60))
    return b"".join(value.tobytes() for value in model.state_dict().values()) + model.predict(data(5)).tobytes()


def test_fitting_has_the_same_bits_everywhere() -> None:
    expected = fitted_bits()
    for setting in every_setting():
        assert fitted_bits() == expected, setting


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets the MXCSR of x86-64")
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
def test_fitting_ignores_the_caller_s_mode(mode: int) -> None:
    X, Y = data(60), data(5)  # NumPy's products follow the mode

    def bits() -> bytes:
        model = pipeline()
        nn.fit_preprocessing(model, X)
        return b"".join(value.tobytes() for value in model.state_dict().values()) + model.predict(Y).tobytes()

    expected = bits()
    with nondefault_fp_mode(mode):
        found = bits()
    assert found == expected
