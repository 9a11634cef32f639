"""Losses of classes: scores (n, classes) against labels (n,), or against probabilities of the classes."""

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
from ._loss_parts import class_weight, labels_of, matched, reduced
from ._op import LINEAR, OPS, SYMMETRIC, Attrs, Op, Plan, Spec, apply, register
from ._operands import one, pair
from ._reduce import sum
from ._shape import broadcast_to, reshape
from ._softmax import log_softmax, softmax


# Cross entropy per row. The labels are an int64 tensor argument without gradient, checked by the public function.
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
    return sub(softmax(logits), _at_labels(1, logits, labels))


def _at_labels(number: Any, scores: Tensor, labels: Tensor) -> Tensor:
    """A number at the label of each row, 0 elsewhere: (n, classes)."""
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
    label_smoothing: float = 0.0,
    sample_weight: Any = None,
) -> Tensor:
    """Cross entropy of softmax scores, -log(softmax(logits)[label]) per row, computed without overflow.

    Arguments: `logits` (n, classes), scores before softmax; `target`, labels (n,), integers from 0 to classes - 1, or
    probabilities q (n, classes) of the logits' dtype, for -sum(q * log(softmax(logits))); `reduction`, "mean" (over
    rows), "sum" or "none"; `weight`, one number for each class, by which its part of the sum is multiplied;
    `label_smoothing` s, from 0 to 1, takes (1 - s) * q + s / classes for q; `sample_weight`, one number for each row.
    With weights the mean is divided by the sum of the rows' weights: that of its label (1 for probabilities) times its
    sample weight; it is 0 when that sum is 0.
    Returns: a 0-d tensor, or (n,) for "none"; the mean of no rows is NaN.
    Errors: ValueError for shapes, a label out of range (naming its row), the options; TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.cross_entropy([[0.0, 0.0]], [1]).item()
    0.6931471824645996
    >>> cr.cross_entropy([[0.0, 0.0]], [[0.5, 0.5]]).item()
    0.6931471824645996
    """
    name, scores = "cross_entropy", one(logits)
    label_smoothing = check_number(f"{name}: label_smoothing", label_smoothing, maximum=1)
    labels = None
    if _is_probabilities(target):
        scores, target = matched(name, scores, target)
        if scores.ndim != 2:
            raise ValueError(f"{name}: expected scores and probabilities (n, classes), got {scores.shape}")
    else:
        labels = labels_of(name, scores, target)
    classes = None if weight is None else class_weight(name, scores, weight)
    share = None if classes is None or labels is None else apply(OPS["take"], (classes, labels))
    if labels is not None and not label_smoothing:
        rows = apply(_CROSS_ENTROPY, (scores, labels))
        return reduced(name, rows if share is None else mul(rows, share), reduction, sample_weight, share)
    q = _smoothed(scores, target if labels is None else labels, label_smoothing)
    rows = neg(sum(mul(log_softmax(scores), q if classes is None else mul(q, classes)), -1))
    return reduced(name, rows, reduction, sample_weight, share)


def _is_probabilities(target: Any) -> bool:
    """Numbers that are no integers, with an axis of classes; labels of a wrong dtype are told by `labels_of`."""
    given = target if hasattr(target, "dtype") else np.asarray(target)
    return given.dtype.kind == "f" and given.ndim > 1


def _smoothed(scores: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """(1 - s) * q + s / classes, for labels with (1 - s) at the label."""
    if not smoothing:
        return target
    s = pair(scores, smoothing)[1]
    kept = sub(1, s)
    share = mul(target, kept) if target.ndim > 1 else _at_labels(kept, scores, target)
    return add(share, div(s, scores.shape[1]))


def nll_loss(
    log_probabilities: Any, target: Any, reduction: str = "mean", *, weight: Any = None, sample_weight: Any = None
) -> Tensor:
    """Negative log likelihood of labels, -log_probabilities[label] per row, then the reduction.

    Arguments: `log_probabilities` (n, classes), as `cr.log_softmax` gives them; `target`, labels (n,), integers from 0
    to classes - 1; the rest, returns and errors as `cr.cross_entropy`.

    >>> import chainrule as cr
    >>> cr.nll_loss(cr.log_softmax([[0.0, 0.0]]), [1]).item()
    0.6931471824645996
    """
    name, scores = "nll_loss", one(log_probabilities)
    labels = labels_of(name, scores, target)
    rows, share = neg(gather(scores, labels)), None
    if weight is not None:
        share = apply(OPS["take"], (class_weight(name, scores, weight), labels))
        rows = mul(rows, share)
    return reduced(name, rows, reduction, sample_weight, share)


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
    """Hinge loss of classes: per row the sum of max(0, margin - x[label] + x[j])**p over j != label, / classes.

    The gradient at the margin is 0.

    Arguments: `scores` x (n, classes); `target`, labels (n,), integers from 0 to classes - 1; `p`, 1 or 2; `margin`;
    `weight`, one number for each class, by which the loss of its rows is multiplied (the mean is still over n);
    `reduction` and `sample_weight`, returns and errors as `cr.cross_entropy`.
    Source: Crammer and Singer, On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines, 2001.

    >>> import chainrule as cr
    >>> cr.multi_margin_loss([[1.0, 1.5, 3.0, -3.0]], [0]).item()
    1.125
    """
    name, x = "multi_margin_loss", one(scores)
    if p not in (1, 2):
        raise ValueError(f"{name}: p must be 1 or 2, got {p!r}")
    labels = labels_of(name, x, target)
    excess = relu(add(x, _column(sub(margin, gather(x, labels)))))
    others = where(equal(_at_labels(1, x, labels), 0), excess if p == 1 else square(excess), 0)
    rows = div(sum(others, -1), x.shape[1])
    if weight is not None:
        rows = mul(rows, apply(OPS["take"], (class_weight(name, x, weight), labels)))
    return reduced(name, rows, reduction, sample_weight)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
