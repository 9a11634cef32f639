"""The metrics of `fit`: names of `cr.metrics` and functions, applied to the outputs of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import metrics as measures
from .. import ops
from .._tensor import Tensor, tensor
from ..nn._loss_module import LOSSES, PenalizedLoss, takes
from ..nn._output import Output
from ._dataset import Dataset, Loss, holds_labels

__all__ = ["Metric", "of_classes", "resolve_metrics"]

Values = npt.NDArray[Any]
Metric = Callable[[Values, Values], float]  # (target, prediction)

# What the names mean, and the other names that libraries give them.
_OF_CLASSES: dict[str, Callable[..., float]] = {
    "accuracy": measures.accuracy,
    "balanced_accuracy": measures.balanced_accuracy,
    "log_loss": measures.log_loss,
    "auc": measures.auc,
}
_OF_NUMBERS: dict[str, Callable[..., float]] = {
    "r2": measures.r2,
    "mae": measures.mae,
    "mse": measures.mse,
    "rmse": measures.rmse,
}
_ALIASES = {
    "acc": "accuracy",
    "roc_auc": "auc",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "root_mean_squared_error": "rmse",
}
_NAMED = {**_OF_CLASSES, **_OF_NUMBERS}

# How the outputs become what a metric compares, by the name of the loss function: links to probabilities or rates.
_LINKS: dict[str, Callable[[Any], Any]] = {
    "cross_entropy": lambda scores: ops.softmax(scores, axis=1),
    "nll_loss": ops.exp,
    "binary_cross_entropy_with_logits": ops.sigmoid,
    "binary_cross_entropy": lambda probabilities: probabilities,
}


def resolve_metrics(
    metrics: str | Metric | Iterable[str | Metric] | None, loss: Loss, output: Output | None, held_out: Dataset | None
) -> dict[str, Metric]:
    """Return the metrics by name; the default is accuracy if the targets are labels.

    A metric that cannot be computed for these targets is an error here, before the first step.
    """
    if metrics is None:
        labels = held_out is not None and holds_labels(held_out.y, loss)
        return {"accuracy": _Named("accuracy", loss, output)} if labels else {}
    chosen = [metrics] if isinstance(metrics, str) or callable(metrics) else list(metrics)
    if chosen and held_out is None:
        raise ValueError("fit: metrics require validation data; pass validation=")
    found: dict[str, Metric] = {}
    for metric in chosen:
        name = metric if isinstance(metric, str) else _name_of(metric)
        known = _known(metric)
        if known is None and isinstance(metric, str):
            raise ValueError(f"fit: unknown metric {metric!r}, expected {', '.join(_NAMED)}, or functions")
        if known is None and not callable(metric):
            raise TypeError(f"fit: metrics must be names or functions (target, prediction), got {metric!r}")
        if name in found:
            raise ValueError(f"fit: there are two metrics {name!r}; give the functions different names")
        found[name] = metric if known is None else _Named(known, loss, output)  # type: ignore[assignment]
        if known is not None and held_out is not None:
            found[name].check(held_out)  # type: ignore[attr-defined]
    return found


def of_classes(loss: Loss, output: Output | None) -> bool:
    """Whether a loss takes classes, and not numbers, as far as is known."""
    if output is not None and output.kind in ("binary", "multiclass"):
        return True
    return takes(loss) in ("labels", "labels or probabilities") or _function_of(loss) in _LINKS


def _known(metric: Any) -> str | None:
    """The name of a metric of this package."""
    if isinstance(metric, str):
        lower = metric.lower()
        return _ALIASES.get(lower, lower) if _ALIASES.get(lower, lower) in _NAMED else None
    return next((name for name, function in _NAMED.items() if metric is function), None)


def _name_of(metric: Any) -> str:
    return str(getattr(metric, "__name__", type(metric).__name__))


class _Named:
    """A metric of `cr.metrics` of the outputs that belong to a loss: labels, probabilities or numbers."""

    def __init__(self, name: str, loss: Loss, output: Output | None) -> None:
        self.name, self.function = name, _function_of(loss)
        if output is not None and self.function is None:
            loss, self.function = output.loss(), _function_of(output.loss())
        self.log_rates = self.function == "poisson_nll_loss" and bool(getattr(loss, "log_input", True))

    def check(self, rows: Dataset) -> None:
        """Raise ValueError unless the metric is one of these targets."""
        where = f"fit: the metric {self.name!r}"
        if not isinstance(rows.y, Tensor):
            raise ValueError(f"{where} is one of one array of targets; pass a function of several")
        target = rows.y.numpy()
        classes = rows.y.dtype.kind == "i" or self.function in _LINKS
        if self.name in _OF_NUMBERS:
            if classes:
                raise ValueError(f"{where} is one of numbers, but the loss takes classes")
            return
        if not classes:
            raise ValueError(f"{where} is one of classes, but the loss takes numbers")
        several = target.ndim == 2 and target.shape[1] > 1
        if several and not (self.name == "accuracy" and self.function != "cross_entropy"):
            raise ValueError(f"{where} takes one label for each row, the targets have shape {target.shape}")
        if rows.y.dtype.kind != "i" and not bool(((target == 0) | (target == 1)).all()):
            raise ValueError(f"{where} takes labels, the targets are probabilities")
        if self.name == "log_loss" and self.function not in _LINKS:
            raise ValueError(f"{where} takes probabilities, which this loss does not define; pass a function")
        if self.name == "auc" and len(np.unique(target)) < 2:
            raise ValueError(f"{where}: the validation rows have one class only")

    def __call__(self, target: Values, prediction: Values) -> float:
        if self.name in _OF_NUMBERS:
            return _NAMED[self.name](target, ops.exp(prediction).numpy() if self.log_rates else prediction)
        one = prediction.ndim < 2 or prediction.shape[1] == 1
        if self.name in ("accuracy", "balanced_accuracy"):
            return _NAMED[self.name](target, self._labels(target, prediction))
        labels = np.arange(2 if one else prediction.shape[1])
        scores = prediction.astype(np.float64)
        if self.name == "log_loss" or scores.shape[1:] not in ((), (1,), (2,)):
            link = _LINKS.get(self.function or "")
            scores = scores if link is None else np.asarray(link(tensor(scores)))
        elif not one:  # of two classes: their difference, which a saturated probability would not tell apart
            scores = ops.sub(scores[:, 1], scores[:, 0]).numpy()
        return _NAMED[self.name](target.astype(np.int64), scores, labels=labels)

    def _labels(self, target: Values, prediction: Values) -> Values:
        if self.function in ("binary_cross_entropy_with_logits", "binary_cross_entropy"):
            half = 0.0 if self.function == "binary_cross_entropy_with_logits" else 0.5
            return (prediction > half).astype(target.dtype)
        if prediction.ndim != 2 or prediction.shape[:1] != target.shape:
            raise ValueError(
                f"{self.name}: scores {prediction.shape} and labels {target.shape}, expected (n, classes) and (n,)"
            )
        return np.asarray(np.argmax(prediction, axis=1))


def _function_of(loss: Any) -> str | None:
    """The name of the loss function of a loss module or function of this package; None for another."""
    while isinstance(loss, PenalizedLoss):
        loss = loss.loss
    kind = next((kind for kind in LOSSES if isinstance(loss, kind) or loss is kind.function), None)
    return None if kind is None else kind.function.__name__
