"""Pictures of a training and its results, as PNG: curves, confusion matrix, calibration, residuals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import metrics
from ._models import TableModel
from ._report import Report

__all__ = ["draw_curves", "draw_results", "prepare_folder"]

Curve = Sequence[float]

_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9730d", "#9a9a9a"
_BINS = 10
_MAX_CLASSES = 30  # in a confusion matrix


def prepare_folder(folder: str) -> None:
    """Make the folder, and check that pictures can be drawn, before training."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ValueError("--plot requires matplotlib: pip install matplotlib") from None
    os.makedirs(folder, exist_ok=True)


def _figure(width: float = 5.6, height: float = 4.2) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, folder: str, name: str, report: Report) -> None:
    path = os.path.join(folder, name)
    figure.savefig(path, dpi=130)
    report.line(f"saved {path}")


def draw_curves(
    folder: str, training: Sequence[Curve], held_out: Sequence[Curve], what: str, unit: str, report: Report
) -> None:
    """Curves of losses, of training rows and of held-out ones, these with the best of each; `what` calls the latter.

    `unit`: what is counted, epochs or evaluations.
    """
    figure, axes = _figure()
    for curves, color, label in ((training, _BLUE, "training rows"), (held_out, _ORANGE, what)):
        thin = {"linewidth": 1, "alpha": 0.6} if len(curves) > 1 else {}
        for i, curve in enumerate(curves):
            axes.plot(range(1, len(curve) + 1), curve, color=color, label=None if i else label, **thin)
    for i, curve in enumerate(held_out):
        best = int(np.argmin(curve))
        axes.plot([best + 1], [curve[best]], "o", color=_ORANGE, markersize=4, label=None if i else "the best")
    axes.set(xlabel=unit, ylabel="loss", ylim=(0, None))
    axes.legend(frameon=False)
    _save(figure, folder, "curves.png", report)


def draw_results(folder: str, model: TableModel, frame: Any, y: npt.NDArray[Any], report: Report) -> None:
    """Of classes the confusion matrix and the calibration, of numbers the residuals."""
    if model.task == "regression":
        _residuals(folder, model.values(frame), y, report)
        return
    p = model.probabilities(frame)
    code = {name: i for i, name in enumerate(model.classes)}
    labels = np.array([code.get(name, -1) for name in y.tolist()], dtype=np.int64)
    known = labels >= 0
    if known.any():
        _confusion(folder, labels[known], np.argmax(p[known], axis=1), model.classes, report)
        _calibration(folder, labels[known], p[known], model.classes, report)


def _confusion(
    folder: str, labels: npt.NDArray[np.int64], found: npt.NDArray[Any], classes: tuple[str, ...], report: Report
) -> None:
    if len(classes) > _MAX_CLASSES:
        report.line(f"no picture of the confusion matrix: {len(classes)} classes, at most {_MAX_CLASSES}")
        return
    counts = metrics.confusion_matrix(labels, found, labels=range(len(classes)))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = max(4.2, 0.42 * len(classes) + 2.2)
    figure, axes = _figure(size, size * 0.9)
    axes.spines[["left", "bottom"]].set_visible(False)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [name if len(name) <= 16 else name[:15] + "…" for name in classes]
    axes.set_xticks(range(len(classes)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), names)
    axes.set(xlabel="predicted", ylabel="true")
    for i, row in enumerate(counts.tolist()):
        for j, count in enumerate(row):
            if count or len(classes) <= 10:
                color = "white" if shares[i, j] > 0.5 else "black" if count else _GREY
                axes.text(j, i, f"{count:,}", ha="center", va="center", color=color, fontsize=8)
    figure.colorbar(image, label="share of the true class", fraction=0.046)
    _save(figure, folder, "confusion.png", report)


def _calibration(
    folder: str, labels: npt.NDArray[np.int64], p: npt.NDArray[Any], classes: tuple[str, ...], report: Report
) -> None:
    """The share of rows of a class by its predicted probability: the second of two classes, else the predicted one."""
    two = len(classes) == 2
    stated = p[:, 1] if two else p.max(axis=1)
    true = labels == 1 if two else labels == np.argmax(p, axis=1)
    bins = np.minimum((stated * _BINS).astype(int), _BINS - 1)
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, label="perfect")
    used = [k for k in range(_BINS) if (bins == k).any()]
    means = [float(stated[bins == k].mean()) for k in used]
    shares = [float(true[bins == k].mean()) for k in used]
    sizes = [int((bins == k).sum()) for k in used]
    axes.plot(means, shares, color=_BLUE, linewidth=1, alpha=0.6)
    areas = [20 + 180 * n / max(sizes) for n in sizes]
    axes.scatter(means, shares, s=areas, color=_BLUE, clip_on=False, zorder=3, label="rows (size: number)")
    what = f"probability of {classes[1]!r}" if two else "probability of the predicted class"
    axes.set(
        xlabel=what, ylabel=f"share of rows that are {classes[1]!r}" if two else "share of rows predicted correctly"
    )
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, loc="upper left")
    _save(figure, folder, "calibration.png", report)


def _residuals(folder: str, predicted: npt.NDArray[Any], y: npt.NDArray[Any], report: Report) -> None:
    figure, axes = _figure()
    axes.axhline(0, color=_GREY, linewidth=1)
    alpha = 0.7 if len(y) < 500 else 0.3 if len(y) < 5000 else 0.08
    axes.scatter(predicted, y - predicted, s=12, alpha=alpha, color=_BLUE, linewidths=0, rasterized=True)
    axes.set(xlabel="predicted", ylabel="true minus predicted")
    _save(figure, folder, "residuals.png", report)
