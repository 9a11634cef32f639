"""Classification losses: scores (n, classes) against labels (n,) or class probabilities (n, classes)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._ir.instruction import Instr
from .._ir.records import CrossEntropy
from .._tensor import Tensor
from .._util.checks import check_number
from .._util.exports import own_names
from ._activations import relu
from ._arithmetic import add, div, equal, mul, neg, square, sub, where
from ._index import gather, scatter
from ._loss_parts import class_rows, class_weight, counted, labelled, matched, reduced, rows_counted
from ._op import LINEAR, OPS, SYMMETRIC, Attrs, Op, Plan, Spec, apply, register
from ._operands import one, pair
from ._reduce import sum
from ._shape import broadcast_to, reshape
from ._softmax import log_softmax, softmax


# Cross entropy per row. The labels are an int64 tensor without gradient, checked by the public function.
def _cross_entropy_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    x = specs[0]
    return Plan(Spec(x.shape[:1], x.dtype), [Instr(name, x.code, [2], [0, 1], CrossEntropy(*x.shape))])


def _cross_entropy_grad_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    x = specs[0]
    return Plan(x, [Instr(name, x.code, [3], [0, 1, 2], CrossEntropy(*x.shape))])


def _column(g: Tensor) -> Tensor:
    return reshape(g, (g.shape[0], 1))


def _second_by_x(gg: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    logits, _, g = x
    return apply(OPS["softmax_grad"], (softmax(logits), mul(gg, _column(g))))


def _second_by_g(gg: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    logits, labels, _ = x
    return sum(mul(gg, _probability_error(logits, labels)), -1)


def _probability_error(logits: Tensor, labels: Tensor) -> Tensor:
    """softmax(logits) - onehot(labels), accurate also where the label's probability is near 1."""
    return apply(_CROSS_ENTROPY_GRAD, (logits, labels, broadcast_to(pair(logits, 1)[1], labels.shape)))


def _at_labels(number: Any, scores: Tensor, labels: Tensor) -> Tensor:
    """One-hot rows (n, classes) times `number`: `number` at the label of each row, 0 elsewhere."""
    return scatter(broadcast_to(pair(scores, number)[1], labels.shape), labels, scores.shape[1])


_CROSS_ENTROPY_GRAD = register(
    Op("cross_entropy_grad", _cross_entropy_grad_plan, (_second_by_x, None, _second_by_g), (SYMMETRIC, None, LINEAR))
)
_CROSS_ENTROPY = register(
    Op(
        "cross_entropy",
        _cross_entropy_plan,
        (lambda g, y, x, a: apply(_CROSS_ENTROPY_GRAD, (x[0], x[1], g)),),
        (lambda t, y, x, a: sum(mul(t, _probability_error(x[0], x[1])), -1),),
    )
)


def cross_entropy(
    logits: Any,
    target: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    sample_weight: Any = None,
) -> Tensor:
    """Cross entropy of softmax scores, -log(softmax(logits)[label]) per row, computed without overflow.

    Arguments: `logits` (n, classes), scores before softmax, or (n, classes, ...), one row for each n and position of
    the last axes, or (classes,), one row; `target`, labels (n,) or (n, ...), integers from 0 to classes - 1, or
    probabilities q in the logits' shape and dtype, for -sum(q * log(softmax(logits))); `reduction`, "mean" (over
    rows), "sum" or "none"; `weight`, one factor per class for its terms of the sum; `ignore_index`, a label whose rows
    do not count, -100 in PyTorch; `label_smoothing` s, from 0 to 1, replaces q by (1 - s) * q + s / classes;
    `sample_weight`, one factor per n. With weights, the mean is the weighted sum divided by the sum of row weights,
    each the weight of the row's label (1 for probabilities) times its sample weight; it is 0 when that sum is 0.
    Returns: a 0-d tensor, or (n,) or (n, ...) for "none"; the mean of no rows is NaN.
    Errors: ValueError for shapes, options, or a label out of range (naming its row); TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.cross_entropy([[0.0, 0.0]], [1]).item()
    0.6931471824645996
    >>> cr.cross_entropy([[0.0, 0.0]], [[0.5, 0.5]]).item()
    0.6931471824645996
    """
    name, scores = "cross_entropy", one(logits)
    label_smoothing = check_number(f"{name}: label_smoothing", label_smoothing, maximum=1)
    labels = None
    scores, target, sample_weight, shape = class_rows(name, scores, target, sample_weight, ignore_index)
    if _is_probabilities(target):
        scores, target = matched(name, scores, target, sample_weight)
        if scores.ndim != 2:
            raise ValueError(f"{name}: expected scores and probabilities (n, classes), got {scores.shape}")
    else:
        scores, labels = labelled(name, scores, target, sample_weight)
    classes = None if weight is None else class_weight(name, scores, weight)
    row_weight = None if classes is None or labels is None else apply(OPS["take"], (classes, labels))
    if labels is not None and not label_smoothing:
        if row_weight is not None:
            scores = rows_counted(scores, weight, row_weight)
        rows = apply(_CROSS_ENTROPY, (scores, labels))
        rows = rows if row_weight is None else mul(rows, row_weight)
        return _in_shape(shape, reduced(name, rows, reduction, sample_weight, row_weight))
    q = _smoothed(scores, target if labels is None else labels, label_smoothing)
    q = q if classes is None else mul(q, classes)
    rows = neg(sum(mul(counted(log_softmax(scores), q), q), -1))
    return _in_shape(shape, reduced(name, rows, reduction, sample_weight, row_weight))


def _in_shape(shape: tuple[int, ...], losses: Tensor) -> Tensor:
    """Losses of rows in the shape of the labels; a reduced loss as it is."""
    return losses if losses.ndim == 0 or losses.shape == shape else reshape(losses, shape)


def _is_probabilities(target: Any) -> bool:
    """Whether the target is floating-point with an axis of classes; `labels_of` rejects labels of a wrong dtype."""
    given = target if hasattr(target, "dtype") else np.asarray(target)
    return given.dtype.kind == "f" and given.ndim > 1


def _smoothed(scores: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """(1 - s) * q + s / classes, where labels stand for one-hot q."""
    if not smoothing:
        return target
    s = pair(scores, smoothing)[1]
    rest = sub(1, s)
    scaled = mul(target, rest) if target.ndim > 1 else _at_labels(rest, scores, target)
    return add(scaled, div(s, scores.shape[1]))


def nll_loss(
    log_probabilities: Any,
    target: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    sample_weight: Any = None,
) -> Tensor:
    """Negative log likelihood of labels, -log_probabilities[label] per row, then the reduction.

    Arguments: `log_probabilities` (n, classes) or (n, classes, ...), as returned by `cr.log_softmax`; `target`, labels
    (n,) or (n, ...), integers from 0 to classes - 1; the rest, returns and errors as `cr.cross_entropy`.

    >>> import chainrule as cr
    >>> cr.nll_loss(cr.log_softmax([[0.0, 0.0]]), [1]).item()
    0.6931471824645996
    """
    name, scores = "nll_loss", one(log_probabilities)
    scores, target, sample_weight, shape = class_rows(name, scores, target, sample_weight, ignore_index)
    scores, labels = labelled(name, scores, target, sample_weight)
    row_weight = None
    if weight is not None:
        row_weight = apply(OPS["take"], (class_weight(name, scores, weight), labels))
        scores = rows_counted(scores, weight, row_weight)
    rows = neg(gather(scores, labels))
    if row_weight is not None:
        rows = mul(rows, row_weight)
    return _in_shape(shape, reduced(name, rows, reduction, sample_weight, row_weight))


def multi_margin_loss(
    scores: Any,
    target: Any,
    reduction: str = "mean",
    *,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    sample_weight: Any = None,
) -> Tensor:
    """Multi-class hinge loss: per row the sum of max(0, margin - x[label] + x[j])**p over j != label, / classes.

    The gradient at the margin is 0.

    Arguments: `scores` x (n, classes); `target`, labels (n,), integers from 0 to classes - 1; `p`, 1 or 2; `margin`;
    `weight`, one factor per class for the losses of its rows (the mean is still over n);
    `reduction` and `sample_weight`, returns and errors as `cr.cross_entropy`.
    Source: Crammer and Singer, On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines, 2001.

    >>> import chainrule as cr
    >>> cr.multi_margin_loss([[1.0, 1.5, 3.0, -3.0]], [0]).item()
    1.125
    """
    name, x = "multi_margin_loss", one(scores)
    if p not in (1, 2):
        raise ValueError(f"{name}: p must be 1 or 2, got {p!r}")
    x, labels = labelled(name, x, target, sample_weight)
    row_weight = None
    if weight is not None:
        row_weight = apply(OPS["take"], (class_weight(name, x, weight), labels))
        x = rows_counted(x, weight, row_weight)
    own = gather(x, labels)
    gap = add(x, _column(sub(margin, own)))
    # Scores that are infinite and equal to the label's differ from it by 0.
    known = where(equal(gap, gap), 1, where(equal(x, _column(own)), 0, 1))
    excess = relu(where(equal(known, 0), margin, gap))
    others = where(equal(_at_labels(1, x, labels), 0), excess if p == 1 else square(excess), 0)
    rows = div(sum(others, -1), x.shape[1])
    if row_weight is not None:
        rows = mul(rows, row_weight)
    return reduced(name, rows, reduction, sample_weight)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
