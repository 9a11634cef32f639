"""Scores on held-out rows, beside those of the baseline: the largest class, the mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import metrics, ops
from .._tensor import tensor

__all__ = ["baseline_of", "class_scores", "number_scores", "shown_scores"]

Array = npt.NDArray[Any]


def baseline_of(task: str, y: Array, classes: Sequence[str]) -> Any:
    """What is known without features: the share of each class, or the mean of the targets."""
    if task == "regression":
        return float(ops.mean(tensor(y.astype(np.float64))).item())
    counts = np.array([np.count_nonzero(y == name) for name in classes], dtype=np.float64)
    return ops.div(tensor(counts), np.float64(len(y))).numpy().tolist()


def class_scores(y: Array, probability: Array, classes: Sequence[str], shares: Sequence[float]) -> dict[str, Any]:
    """Scores of class probabilities, and those of the shares of the classes among the training rows.

    Rows of a class that the model does not know are mistakes; log loss and AUC leave them out.
    """
    code = {name: i for i, name in enumerate(classes)}
    labels = np.array([code.get(name, -1) for name in y.tolist()], dtype=np.int64)
    known, found = labels >= 0, np.argmax(probability, axis=1)
    largest = np.full(len(y), int(np.argmax(shares)))
    constant = np.tile(np.asarray(shares, dtype=np.float64), (len(y), 1))
    order = range(len(classes))
    scores: dict[str, Any] = {"rows": len(y)}
    for name, predicted, p in (("model", found, probability), ("baseline", largest, constant)):
        several = len(np.unique(labels[known])) > 1
        scores[name] = {
            "accuracy": metrics.accuracy(labels, predicted),
            "balanced_accuracy": metrics.balanced_accuracy(labels[known], predicted[known]) if known.any() else None,
            "log_loss": metrics.log_loss(labels[known], p[known], labels=order) if known.any() else None,
            "auc": metrics.auc(labels[known], p[known], labels=order) if several else None,
        }
    scores["baseline"]["class"] = classes[int(np.argmax(shares))]
    scores["classes"] = list(classes)
    scores["confusion"] = metrics.confusion_matrix(labels[known], found[known], labels=order).tolist()
    if not known.all():
        scores["unknown"] = sorted(set(y[~known].tolist()))
    return scores


def number_scores(y: Array, prediction: Array, mean: float) -> dict[str, Any]:
    """Scores of predicted numbers, and those of the mean of the training rows."""
    scores: dict[str, Any] = {"rows": len(y)}
    for name, predicted in (("model", prediction), ("baseline", np.full(len(y), mean))):
        r2 = metrics.r2(y, predicted)
        scores[name] = {"rmse": metrics.rmse(y, predicted), "mae": metrics.mae(y, predicted), "r2": _number(r2)}
    scores["baseline"]["mean"] = mean
    return scores


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log loss",
    "auc": "AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R2",
}


def shown_scores(scores: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The rows of the table of scores: name, of the model, of the baseline."""
    model, baseline = scores["model"], scores["baseline"]
    return [(_NAMES[key], _shown(key, model[key]), _shown(key, baseline[key])) for key in _NAMES if key in model]


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if key.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if key in ("log_loss", "auc", "r2") else f"{value:.4g}"
