"""The drop-ins step by step beside scikit-learn: the same start, order of rows and parameters give the same curves.

What differs is rounding; docs/sklearn.md says what else does.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sklearn.neural_network as peer
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from chainrule.sklearn import MLPClassifier, MLPRegressor

Array = np.ndarray[Any, np.dtype[Any]]
Options = dict[str, Any]
ROWS, FEATURES = 70, 6
TOLERANCE = {np.float32: 3e-4, np.float64: 1e-9}

SOLVERS: dict[str, Options] = {
    "adam": {"solver": "adam", "learning_rate_init": 0.02},
    "adam, large epsilon": {"solver": "adam", "epsilon": 0.05, "beta_1": 0.7, "learning_rate_init": 0.05},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.0},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05, "alpha": 0.1},
    "momentum": {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False, "momentum": 0.7},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1, "power_t": 0.1},
    "adaptive": {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 0.02, "n_iter_no_change": 1,
    },
    "lbfgs": {"solver": "lbfgs", "max_iter": 15},
    "lbfgs, alpha": {"solver": "lbfgs", "max_iter": 15, "alpha": 0.1},
}  # fmt: skip
KINDS: dict[str, tuple[str, Options]] = {
    "binary": ("classifier", {"activation": "tanh"}),
    "multiclass": ("classifier", {"activation": "tanh", "hidden_layer_sizes": (9, 5)}),
    "multilabel": ("classifier", {"activation": "logistic"}),
    "one number": ("regressor", {"activation": "relu"}),
    "two numbers": ("regressor", {"activation": "identity"}),
    "counts": ("regressor", {"activation": "tanh", "loss": "poisson"}),
}


def rows(kind: str, dtype: type) -> tuple[Array, Any]:
    source = np.random.default_rng(4)
    X = source.normal(size=(ROWS, FEATURES))
    scores = X @ source.normal(size=(FEATURES, 3)) + source.normal(size=(ROWS, 3)) / 2
    targets: dict[str, Any] = {
        "binary": np.where(scores[:, 0] > 0, "yes", "no"),
        "multiclass": np.array(["a", "b", "c"])[scores.argmax(1)],
        "multilabel": (scores > 0).astype(int),
        "one number": scores[:, 0],
        "two numbers": scores[:, :2],
        "counts": np.floor(np.exp(scores[:, 0] / 3)),
    }
    y = targets[kind]
    return X.astype(dtype), y.astype(dtype) if y.dtype.kind == "f" else y


def pair(kind: str, options: Options, dtype: type) -> Iterator[Any]:
    """Ours and theirs, trained from the same weights; fitted once before so that there is something to replace."""
    of, own = KINDS[kind]
    given = {"hidden_layer_sizes": 8, "batch_size": 16, "shuffle": False, "random_state": 1, **own, **options}
    X, y = rows(kind, dtype)
    source = np.random.default_rng(7)
    weight = given.pop("weight", None)
    start: list[list[Array]] = []
    for module in (None, peer):
        ours = MLPClassifier if of == "classifier" else MLPRegressor
        make = ours if module is None else getattr(module, ours.__name__)
        est = make(**{**given, "max_iter": 1}, warm_start=True).fit(X, y)
        if not start:
            start = [
                [source.normal(scale=0.4, size=w.shape).astype(dtype) for w in weights]
                for weights in (est.coefs_, est.intercepts_)
            ]
        est.coefs_, est.intercepts_ = ([w.copy() for w in weights] for weights in start)
        est.t_ = est._no_improvement_count = 0
        est.loss_curve_, est.best_loss_ = [], np.inf
        est.set_params(max_iter=given.get("max_iter", 8))
        yield est.fit(X, y) if weight is None else est.fit(X, y, sample_weight=weight)


def assert_alike(kind: str, options: Options, dtype: type) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own, other = pair(kind, options, dtype)
    tolerance = TOLERANCE[dtype] * (1e3 if own.solver == "lbfgs" and dtype is np.float64 else 1)
    assert own.n_iter_ == other.n_iter_
    if own.solver != "lbfgs":
        np.testing.assert_allclose(own.loss_curve_, other.loss_curve_, rtol=tolerance)
        assert len(own.loss_curve_) > 1
        assert own.loss_curve_[-1] < own.loss_curve_[0]
    np.testing.assert_allclose(own.loss_, other.loss_, rtol=tolerance)
    for mine, theirs in zip(own.coefs_ + own.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert mine.dtype == dtype
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)
    X, _ = rows(kind, dtype)
    predict = "predict_proba" if isinstance(own, MLPClassifier) else "predict"
    found, expected = getattr(own, predict)(X), getattr(other, predict)(X)
    np.testing.assert_allclose(found, expected, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_curves_and_weights_in_float64(solver: str, kind: str) -> None:
    assert_alike(kind, SOLVERS[solver], np.float64)


# Not lbfgs: scikit-learn computes it in float64 for X in float32, we in float32.
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", [name for name in SOLVERS if "lbfgs" not in name])
def test_curves_and_weights_in_float32(solver: str, kind: str) -> None:
    assert_alike(kind, SOLVERS[solver], np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "nesterov", "lbfgs, alpha"])
def test_weights_of_rows(solver: str, kind: str) -> None:
    weight = np.random.default_rng(9).uniform(0.2, 3.0, ROWS)
    assert_alike(kind, {**SOLVERS[solver], "weight": weight}, np.float64)


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("breast_cancer", {"alpha": 1e-4}),
        ("breast_cancer", {"alpha": 10.0}),
        ("digits", {"alpha": 1.0}),
        ("diabetes", {"alpha": 100.0, "activation": "tanh"}),
    ],
)
def test_lbfgs_converges_in_the_same_iterations(data: str, options: Options) -> None:
    """Whole fits. Those of relu nets that take some hundred iterations go apart from rounding."""
    X, y = getattr(datasets, f"load_{data}")(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    kind = "MLPRegressor" if data == "diabetes" else "MLPClassifier"
    y = (y - y.mean()) / y.std() if data == "diabetes" else y
    start: list[list[Array]] = []
    found = []
    for make in ({"MLPRegressor": MLPRegressor, "MLPClassifier": MLPClassifier}[kind], getattr(peer, kind)):
        est = make(**options, solver="lbfgs", max_iter=1, warm_start=True, random_state=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            est.fit(X, y)
        start = start or [[w.copy() for w in est.coefs_], [b.copy() for b in est.intercepts_]]
        est.coefs_, est.intercepts_ = ([w.copy() for w in weights] for weights in start)
        found.append(est.set_params(max_iter=1000).fit(X, y))
    own, other = found
    assert own.n_iter_ == other.n_iter_ > 10
    np.testing.assert_allclose(own.loss_, other.loss_, rtol=1e-9)
    np.testing.assert_allclose(own.predict(X), other.predict(X), rtol=1e-5)
