"""The drop-ins' predictions: plain arrays of the fitted width take a short way, with the results of scikit-learn's."""

import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.exceptions import NotFittedError

import chainrule as cr
from chainrule.sklearn import MLPClassifier, MLPRegressor, _base

Array = np.ndarray[Any, np.dtype[Any]]
ROWS = np.random.default_rng(5).normal(size=(30, 3))
SCORES = ROWS @ np.random.default_rng(6).normal(size=(3, 4))
TARGETS: dict[str, Any] = {
    "binary": np.where(SCORES[:, 0] > 0, "yes", "no"),
    "objects": np.array(["left", "right"], object)[(SCORES[:, 0] > 0).astype(int)],
    "one class": np.full(30, "only"),
    "multiclass": np.array([7, 3, 5, 1])[SCORES.argmax(1)],
    "multilabel": (SCORES > 0).astype(int),
    "multioutput": np.stack([SCORES.argmax(1), SCORES.argmin(1) % 3], axis=1),
    "number": SCORES[:, 0],
    "numbers": SCORES,
}
LAYOUTS: dict[str, Callable[[Array], Any]] = {
    "plain": lambda X: X,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[:, ::-1].copy()[:, ::-1],
    "fortran": np.asfortranarray,
    "half": lambda X: X.astype(np.float16),
    "single": lambda X: X.astype(np.float32),
    "big-endian": lambda X: X.astype(">f8"),
    "unpickled": lambda X: pickle.loads(pickle.dumps(X)),
    "integers": lambda X: (4 * X).astype(np.int32),
    "list": lambda X: X.tolist(),
    "large": lambda X: X * 1e200,  # the sum of their squares is inf
}


def fitted(kind: str, dtype: Any) -> Any:
    net = MLPRegressor if "number" in kind else MLPClassifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = net(hidden_layer_sizes=6, activation="tanh", max_iter=40, learning_rate_init=0.02, random_state=2)
        return made.fit(ROWS.astype(dtype), TARGETS[kind])


def results(net: Any, X: Any) -> list[Array]:
    found = [net.predict(X)]
    if hasattr(net, "predict_proba"):
        proba = net.predict_proba(X)
        found += proba if isinstance(proba, list) else [proba]
    return found


def equal(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and repr(a.tolist()) == repr(b.tolist())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", TARGETS)
def test_the_short_way_has_the_results_of_the_checked_one(
    kind: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = fitted(kind, dtype)
    found = {name: [results(net, make(ROWS[:n])) for n in (1, 2, 30)] for name, make in LAYOUTS.items()}
    monkeypatch.setattr(_base, "_finite", lambda X: False)
    for name, make in LAYOUTS.items():
        for n, parts in zip((1, 2, 30), found[name], strict=True):
            expected = results(net, make(ROWS[:n]))
            assert len(parts) == len(expected)
            assert all(map(equal, parts, expected)), name
    assert len(np.unique(found["plain"][2][0])) > 1 or kind == "one class"


@pytest.mark.parametrize("kind", TARGETS)
def test_a_row_is_predicted_as_among_others(kind: str) -> None:
    net = fitted(kind, np.float64)
    together = results(net, ROWS)
    for i in range(len(ROWS)):
        assert all(
            equal(one, all_[i : i + 1]) for one, all_ in zip(results(net, ROWS[i : i + 1]), together, strict=True)
        )


def test_a_prediction_is_the_callers_own() -> None:
    net = fitted("binary", np.float64)
    first = net.predict(ROWS[:1])
    first[0] = "??"
    assert net.classes_.tolist() == ["no", "yes"]
    assert net.predict(ROWS[:1])[0] in ("no", "yes")


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.array([[1.0, np.nan, 2.0]]), "contains NaN"),
        (np.array([[1.0, np.inf, 2.0]]), "contains infinity"),
        (ROWS[:1, :2], "X has 2 features, but MLPClassifier is expecting 3 features"),
        (ROWS[0], "Expected 2D array, got 1D array"),
        (ROWS[:0], r"Found array with 0 sample\(s\)"),
        (ROWS[None], "dim 3"),
    ],
    ids=["nan", "inf", "width", "1-D", "no rows", "3-D"],
)
def test_errors_are_those_of_scikit_learn(X: Array, words: str) -> None:
    net = fitted("binary", np.float64)
    net.predict(ROWS[:1])
    with pytest.raises(ValueError, match=words):
        net.predict(X)


def test_names_of_features_are_checked() -> None:
    frame = pandas.DataFrame(ROWS, columns=list("abc"))
    net = MLPClassifier(5, max_iter=300, tol=0.1, random_state=0).fit(frame, TARGETS["binary"])
    net.predict(frame[:1])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        net.predict(ROWS[:1])
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame[["b", "a", "c"]])
    plain = MLPClassifier(5, max_iter=300, tol=0.1, random_state=0).fit(ROWS, TARGETS["binary"])
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        plain.predict(frame[:1])


def test_weights_that_were_replaced_are_used() -> None:
    net = fitted("number", np.float64)
    before = net.predict(ROWS[:1])
    net.intercepts_ = [*net.intercepts_[:-1], net.intercepts_[-1] + 3.0]
    assert abs(net.predict(ROWS[:1]) - before - 3.0) < 1e-12
    net.coefs_[-1][:] = 0.0  # in place
    assert net.predict(ROWS[:1]) == net.intercepts_[-1]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_unpickled_table_is_trained_on_alike(solver: str) -> None:
    """Its dtype is another object than NumPy's own."""
    found = []
    for X in (ROWS, pickle.loads(pickle.dumps(ROWS))):
        net = MLPClassifier(8, "tanh", solver=solver, max_iter=300, tol=0.01, random_state=0).fit(
            X, TARGETS["multiclass"]
        )
        again = pickle.loads(pickle.dumps(net))
        found += [net.predict_proba(X).tobytes(), again.predict_proba(X).tobytes()]
    assert len(set(found)) == 1


def test_a_layer_that_the_loss_does_not_use_keeps_its_weights() -> None:
    cut = MLPRegressor(
        "squared_error", 4, lambda x: cr.relu(x).detach(), solver="lbfgs", alpha=0.0, max_iter=50, random_state=0
    )
    start = MLPRegressor("squared_error", 4, "relu", solver="adam", max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cut.fit(ROWS, SCORES[:, 0])
        start.set_params(learning_rate_init=1e-30).fit(ROWS, SCORES[:, 0])
    assert cut.coefs_[0].tobytes() == start.coefs_[0].tobytes()
    assert cut.coefs_[1].tobytes() != start.coefs_[1].tobytes()


def test_an_unfitted_net_is_refused() -> None:
    with pytest.raises(NotFittedError):
        MLPRegressor().predict(ROWS[:1])
