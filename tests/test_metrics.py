"""Metrics: scikit-learn's values on random and awkward data, exact results, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as peer

import chainrule as cr
from chainrule import metrics

NUMBERS: dict[str, Callable[..., Any]] = {
    "mse": peer.mean_squared_error,
    "mae": peer.mean_absolute_error,
    "r2": peer.r2_score,
    "rmse": peer.root_mean_squared_error,
}


def draw(seed: int, *shape: int) -> np.ndarray:
    return cr.random.Generator(seed).normal(shape, dtype=np.float64)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("shape", [(2,), (33,), (5000,), (40, 1), (50, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_metrics_of_numbers(name: str, shape: tuple[int, ...], dtype: Any) -> None:
    t = (3 * draw(1, *shape) + 1000).astype(dtype)
    p = (t + 0.5 * draw(2, *shape)).astype(dtype)
    expected = NUMBERS[name](t.astype(np.float64), p.astype(np.float64))
    np.testing.assert_allclose(getattr(metrics, name)(t, p), expected, rtol=1e-9)
    if t.ndim == 1:
        assert getattr(metrics, name)(t, p[:, None]) == getattr(metrics, name)(t, p)


def test_r2_of_constant_targets_and_single_rows() -> None:
    assert metrics.r2([2.0, 2.0], [2.0, 2.0]) == 1.0 == peer.r2_score([2, 2], [2, 2])
    assert metrics.r2([2.0, 2.0], [2.0, 3.0]) == 0.0 == peer.r2_score([2, 2], [2, 3])
    assert np.isnan(metrics.r2([2.0], [2.0]))
    assert np.isnan(metrics.r2([2.0, 2.0], [2.0, np.nan]))
    assert metrics.r2([3, 1, 2], [1, 1, 2]) == -1.0, "not symmetric"
    assert metrics.r2([1, 1, 2], [3, 1, 2]) != -1.0


NAMES = [["b", "a", "c"], [5, -1, 2**40], [1.0, 2.0, 3.0]]


@pytest.mark.parametrize("names", NAMES, ids=str)
def test_metrics_of_labels(names: list[Any]) -> None:
    t = np.array(names)[np.floor(3 * cr.random.Generator(3).uniform((300,)) ** 2).astype(int)]
    p = np.where(cr.random.Generator(4).uniform((300,)) < 0.6, t, t[::-1])
    assert metrics.accuracy(t, p) == peer.accuracy_score(t, p)
    np.testing.assert_allclose(metrics.balanced_accuracy(t, p), peer.balanced_accuracy_score(t, p), rtol=1e-14)
    np.testing.assert_array_equal(metrics.confusion_matrix(t, p), peer.confusion_matrix(t, p))
    order = [names[1], names[0], names[2]]
    np.testing.assert_array_equal(
        metrics.confusion_matrix(t, p, labels=order), peer.confusion_matrix(t, p, labels=order)
    )
    assert metrics.accuracy(t.astype(object), p[:, None]) == metrics.accuracy(t, p)


def test_confusion_matrices_have_classes_that_do_not_occur() -> None:
    found = metrics.confusion_matrix(["a", "c"], ["c", "c"], labels=["a", "b", "c"])
    assert found.tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="confusion_matrix: row 1 has the class c, which is not among the labels"):
        metrics.confusion_matrix(["a", "c"], ["a", "a"], labels=["a", "b"])


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_metrics_of_probabilities(classes: int, dtype: Any) -> None:
    t = np.arange(210) % classes
    scores = 2 * draw(5, 210, classes)
    scores[np.arange(210), t] += 1
    p = np.round(cr.softmax(cr.tensor(scores), axis=1).numpy(), 2)  # many are equal, some 0
    p64 = p / p.sum(1, keepdims=True)
    p = p64.astype(dtype)
    np.testing.assert_allclose(metrics.log_loss(t, p), peer.log_loss(t, p), rtol=1e-5 if dtype == np.float32 else 1e-12)
    np.testing.assert_allclose(
        metrics.auc(t, p64), peer.roc_auc_score(t, p64[:, 1] if classes == 2 else p64, multi_class="ovr"), rtol=1e-12
    )
    names = np.array(list("gfedcba"[:classes]))
    order = np.argsort(names)
    assert metrics.auc(names[t], p64[:, order]) == pytest.approx(metrics.auc(t, p64), rel=1e-14)
    assert metrics.log_loss(names[t], p64, labels=names) == metrics.log_loss(t, p64)


def test_binary_scores_in_any_shape() -> None:
    t, s = np.array([0, 1, 1, 0, 1]), np.array([-1.0, 0.5, -1.0, -3.0, 4.0])
    assert metrics.auc(t, s) == metrics.auc(t, s[:, None]) == peer.roc_auc_score(t, s) == 5.5 / 6
    assert metrics.auc(np.where(t, "yes", "no"), s) == 5.5 / 6
    p = np.array([0.25, 0.5, 1.0, 0.0, 0.75])
    np.testing.assert_allclose(metrics.log_loss(t, p), peer.log_loss(t, p), rtol=1e-13)
    assert metrics.log_loss([1, 1], [1.0, 0.5], labels=[0, 1]) == metrics.log_loss([1, 1], [1.0, 0.5])
    np.testing.assert_allclose(metrics.log_loss([0, 1], [1.0, 0.5]), peer.log_loss([0, 1], [1.0, 0.5]), rtol=1e-12)
    assert np.isnan(metrics.auc(t, np.where(t, np.nan, s)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.auc([1, 1], [0.1, 0.2]), "auc: the target has only one class"),
        (lambda: metrics.auc([0, 1, 2], [0.1, 0.2, 0.3]), "2 columns, the target has 3 classes"),
        (lambda: metrics.log_loss([0, 1], [1.5, 0.5]), "log_loss: probability must be numbers from 0 to 1"),
        (lambda: metrics.log_loss([0, 1], ["a", "b"]), "scores must be real numbers"),
        (lambda: metrics.accuracy([0, 1], [[0.1, 0.9], [0.8, 0.2]]), "pass the predicted labels"),
        (lambda: metrics.accuracy([0, 1], ["0", "1"]), "no label can be equal"),
        (lambda: metrics.accuracy([], []), "expected labels of the same shape"),
        (lambda: metrics.mse([1.0, 2.0], [1.0]), r"mse: target \(2,\) and prediction \(1,\), expected the same shape"),
        (lambda: metrics.mae([[1.0, 2.0]], [1.0, 2.0]), "expected the same shape"),
        (lambda: metrics.r2(["1"], [1.0]), "r2: target must be real numbers"),
    ],
)
def test_errors(call: Callable[[], float], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_large_counts_are_exact() -> None:
    t = np.arange(200_001) % 3 == 0
    s = np.arange(200_001) % 5
    np.testing.assert_allclose(metrics.auc(t, s), peer.roc_auc_score(t, s), rtol=1e-12)


def test_sums_are_ascending_chains_and_means_of_columns() -> None:
    """The written order: NumPy's own sums are pairwise."""
    t, p = draw(7, 1001), draw(8, 1001)
    errors = np.abs(t - p)
    assert metrics.mae(t, p) == np.cumsum(errors)[-1] / 1001
    assert metrics.mse(t, p) == np.cumsum(errors * errors)[-1] / 1001
    assert metrics.rmse(t, p) == np.sqrt(metrics.mse(t, p))
    deviations = t - np.cumsum(t)[-1] / 1001
    spread = np.cumsum(deviations * deviations)[-1]
    assert metrics.r2(t, p) == 1 - np.cumsum(errors * errors)[-1] / spread
