"""Losses of pairs and triplets of vectors, of scores for several labels, and focal losses.

They follow the rules of _losses.py; docs/losses.md lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_number
from .._util.exports import own_names
from ._activations import relu
from ._arithmetic import add, div, equal, minimum, mul, neg, sub, where
from ._class_losses import _at_labels, _in_shape
from ._distances import _length, pairwise_distance
from ._index import gather
from ._loss_parts import class_rows, class_weight, counted, labelled, matched, reduced, rows_counted
from ._losses import _signs, binary_cross_entropy_with_logits
from ._math import exp, log, sigmoid, softplus
from ._op import OPS, apply
from ._operands import one, pair
from ._power import power
from ._reduce import mean, sum
from ._softmax import log_softmax, softmax


def soft_margin_loss(prediction: Any, target: Any, reduction: str = "mean", *, sample_weight: Any = None) -> Tensor:
    """Logistic loss of two classes, log(1 + e**(-target * prediction)), then the reduction.

    Arguments: `prediction`, scores; `target`, -1 or 1 for each; the rest and returns as `cr.mse_loss`.
    Errors: as `cr.hinge_loss`. Large scores do not overflow.

    >>> import chainrule as cr
    >>> cr.soft_margin_loss([0.0, -100.0], [1.0, 1.0], reduction="none").numpy()
    array([  0.6931472, 100.       ], dtype=float32)
    """
    p, t = _signs("soft_margin_loss", prediction, target, sample_weight)
    return reduced("soft_margin_loss", softplus(neg(mul(t, p))), reduction, sample_weight)


def hinge_embedding_loss(
    prediction: Any, target: Any, reduction: str = "mean", *, margin: float = 1.0, sample_weight: Any = None
) -> Tensor:
    """Loss of distances of similar and dissimilar pairs: x where the target is 1, max(0, margin - x) where it is -1.

    Arguments: `prediction` x, distances; `target`, -1 or 1 for each; `margin`; the rest and returns as `cr.mse_loss`.
    Errors: as `cr.hinge_loss`.

    >>> import chainrule as cr
    >>> cr.hinge_embedding_loss([0.25, 0.25], [1.0, -1.0], reduction="none").numpy()
    array([0.25, 0.75], dtype=float32)
    """
    name = "hinge_embedding_loss"
    x, t = _signs(name, prediction, target, sample_weight)
    far = relu(sub(check_number(f"{name}: margin", margin), x))
    return reduced(name, where(equal(t, 1), x, far), reduction, sample_weight)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, reduction: str = "mean", *, margin: float = 0.0, sample_weight: Any = None
) -> Tensor:
    """Loss of the order of two scores, max(0, -target * (input1 - input2) + margin).

    Arguments: `input1`, `input2` and `target`, of one shape; target is 1 where input1 is to be larger, else -1;
    `margin`; the rest and returns as `cr.mse_loss`. Errors: as `cr.hinge_loss`.

    >>> import chainrule as cr
    >>> cr.margin_ranking_loss([1.0, 1.0], [0.5, 0.5], [1.0, -1.0], reduction="none").numpy()
    array([0. , 0.5], dtype=float32)
    """
    name = "margin_ranking_loss"
    a, b = matched(name, input1, input2, sample_weight)
    a, t = _signs(name, a, target, sample_weight)
    gap = sub(check_number(f"{name}: margin", margin), mul(t, sub(a, b)))
    return reduced(name, relu(gap), reduction, sample_weight)


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, reduction: str = "mean", *, margin: float = 0.0, sample_weight: Any = None
) -> Tensor:
    """Loss of the angle of two vectors: 1 - cos where the target is 1, max(0, cos - margin) where it is -1.

    cos = sum(input1 * input2) / sqrt((sum(input1**2) + 1e-12) * (sum(input2**2) + 1e-12)), without overflow.

    Arguments: `input1`, `input2`, vectors (n, features) with targets (n,), or one pair (features,) with one target;
    `margin`, from -1 to 1; the rest and returns as `cr.mse_loss`. Errors: as `cr.hinge_loss`.

    >>> import chainrule as cr
    >>> cr.cosine_embedding_loss([[3.0, 4.0], [3.0, 4.0]], [[4.0, 3.0]] * 2, [1.0, -1.0], reduction="none").numpy()
    array([0.03999996, 0.96000004], dtype=float32)
    """
    name = "cosine_embedding_loss"
    a, b = matched(name, input1, input2, sample_weight)
    if a.ndim not in (1, 2):
        raise ValueError(f"{name}: expected vectors (n, features) or (features,), got {a.shape}")
    if not -1 <= float(margin) <= 1:
        raise ValueError(f"{name}: margin must be from -1 to 1, got {margin}")
    at = a.ndim - 1
    a, b = (div(x, _length(x, 2.0, at, plus=1e-12)) for x in (a, b))
    cos, t = _signs(name, sum(mul(a, b), at), target, sample_weight)
    return reduced(name, where(equal(t, 1), sub(1, cos), relu(sub(cos, float(margin)))), reduction, sample_weight)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    reduction: str = "mean",
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    sample_weight: Any = None,
) -> Tensor:
    """Loss of triplets, max(0, d(anchor, positive) - d(anchor, negative) + margin), d of `cr.pairwise_distance`.

    Arguments: `anchor`, `positive` and `negative`, vectors (..., features) of one shape; `margin`; `p` and `eps`, of
    the distance; `swap`, take d(positive, negative) where it is the smaller one; the rest and returns as `cr.mse_loss`.
    Errors: as `cr.mse_loss` and `cr.pairwise_distance`. Source: Balntas et al., Learning shallow convolutional feature
    descriptors with triplet losses, BMVC 2016.

    >>> import chainrule as cr
    >>> cr.triplet_margin_loss([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 4.5]], eps=0.0).item()
    1.5
    """
    name = "triplet_margin_loss"
    a, positive = matched(name, anchor, positive, sample_weight)
    a, negative = matched(name, a, negative, sample_weight)
    near, far = pairwise_distance(a, positive, p, eps), pairwise_distance(a, negative, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p, eps))
    gap = add(sub(near, far), check_number(f"{name}: margin", margin))
    return reduced(name, relu(gap), reduction, sample_weight)


def multilabel_soft_margin_loss(
    prediction: Any, target: Any, reduction: str = "mean", *, weight: Any = None, sample_weight: Any = None
) -> Tensor:
    """Binary cross entropy of the scores of several labels, mean over the labels of a row, then the reduction.

    Arguments: `prediction`, scores (..., labels); `target`, from 0 to 1, of its shape; `weight`, one factor per label;
    the rest and errors as `cr.mse_loss`. Returns: a 0-d tensor, or the shape without the last axis for "none".

    >>> import chainrule as cr
    >>> cr.multilabel_soft_margin_loss([[0.0, 0.0]], [[1.0, 0.0]], weight=[1.0, 3.0], reduction="none").numpy()
    array([1.3862944], dtype=float32)
    """
    name = "multilabel_soft_margin_loss"
    x, t = matched(name, prediction, target, sample_weight)
    if x.ndim == 0:
        raise ValueError(f"{name}: expected scores (..., labels), got {x.shape}")
    losses = binary_cross_entropy_with_logits(x, t, "none")
    if weight is not None:
        factors = class_weight(name, x, weight)
        losses = mul(counted(losses, factors), factors)
    return reduced(name, mean(losses, -1), reduction, sample_weight)


def _focus(share: Tensor, gamma: float) -> Tensor:
    """share**gamma, where share is from 0 to 1."""
    if gamma == int(gamma):
        return power(share, int(gamma))
    none = equal(share, 0)
    return where(none, 0, exp(mul(gamma, log(where(none, 1, share)))))


def sigmoid_focal_loss(
    prediction: Any,
    target: Any,
    reduction: str = "mean",
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    sample_weight: Any = None,
) -> Tensor:
    """Focal loss of two classes, a * (1 - p)**gamma * BCE, where p is the probability of the right class.

    p = target * s + (1 - target) * (1 - s) with s = sigmoid(prediction), BCE the binary cross entropy, a = target *
    alpha + (1 - target) * (1 - alpha). Errors of confident scores are as accurate as others.

    Arguments: `prediction`, scores; `target`, from 0 to 1; `alpha`, from 0 to 1, or negative for a = 1; `gamma`, at
    least 0; the rest, returns and errors as `cr.mse_loss`. torchvision's reduction is "none" by default.
    Source: Lin et al., Focal loss for dense object detection, ICCV 2017.

    >>> import chainrule as cr
    >>> cr.sigmoid_focal_loss([0.0], [1.0]).item()
    0.043321698904037476
    """
    name = "sigmoid_focal_loss"
    x, t = matched(name, prediction, target, sample_weight)
    gamma = check_number(f"{name}: gamma", gamma)
    if alpha > 1:
        raise ValueError(f"{name}: alpha must be at most 1, got {alpha}")
    wrong = add(mul(sigmoid(x), sub(1, t)), mul(sigmoid(neg(x)), t))
    focus = _focus(wrong, gamma)
    losses = mul(counted(binary_cross_entropy_with_logits(x, t, "none"), focus), focus)
    if alpha >= 0:
        losses = mul(losses, add(mul(t, alpha), mul(sub(1, t), sub(1, pair(x, alpha)[1]))))
    return reduced(name, losses, reduction, sample_weight)


def focal_loss(
    logits: Any,
    target: Any,
    reduction: str = "mean",
    *,
    gamma: float = 2.0,
    weight: Any = None,
    ignore_index: int | None = None,
    sample_weight: Any = None,
) -> Tensor:
    """Focal loss of classes, -w[label] * (1 - p)**gamma * log(p) per row, p = softmax(logits)[label].

    1 - p is the sum of the other probabilities, accurate also where p is near 1.

    Arguments: `logits` (n, classes) or (n, classes, ...) and labels as `cr.cross_entropy`; `gamma`, at least 0;
    `weight` w, one factor per class (the mean is still over rows); `ignore_index`, the rest, returns and errors as
    `cr.cross_entropy`. Source: Lin et al., Focal loss for dense object detection, ICCV 2017.

    >>> import chainrule as cr
    >>> cr.focal_loss([[0.0, 0.0]], [1]).item()
    0.1732867956161499
    """
    name, scores = "focal_loss", one(logits)
    gamma = check_number(f"{name}: gamma", gamma)
    scores, target, sample_weight, shape = class_rows(name, scores, target, sample_weight, ignore_index)
    scores, labels = labelled(name, scores, target, sample_weight)
    row_weight = None
    if weight is not None:
        row_weight = apply(OPS["take"], (class_weight(name, scores, weight), labels))
        scores = rows_counted(scores, weight, row_weight)
    others = where(equal(_at_labels(1, scores, labels), 1), 0, softmax(scores))
    focus = _focus(sum(others, -1), gamma)
    rows = mul(neg(counted(gather(log_softmax(scores), labels), focus)), focus)
    if row_weight is not None:
        rows = mul(rows, row_weight)
    return _in_shape(shape, reduced(name, rows, reduction, sample_weight))


if not TYPE_CHECKING:
    __all__ = own_names(globals())
