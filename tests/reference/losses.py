"""The losses of docs/arithmetic.md that are made of other ops, and their gradients, one rounding after the other.

`LOSSES[name]`: the loss of each element (or row) and its gradients, where `a` is the gradient that arrives there.
`loss` and `loss_grad` add the reduction and the weights of rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import reduce
from .activations import relu, relu_grad
from .bits import Array
from .elementary import exp, log, log1p, sigmoid, softplus
from .number_losses import (
    gaussian,
    gaussian_grad,
    half_mse,
    half_mse_grad,
    huber,
    huber_grad,
    l1_grad,
    log_cosh,
    log_cosh_grad,
    pinball,
    pinball_grad,
    smooth_l1,
    smooth_l1_grad,
)
from .softmax_losses import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_grad,
    cross_entropy,
    cross_entropy_grad,
    log_softmax,
    log_softmax_grad,
)

Interval = tuple[float, float]
Options = Mapping[str, Any]

LABELS = np.asarray([2, 0, 3, 1, 3, 0])
CLASS_WEIGHT = np.asarray([0.3, 1.7, 0.9, 2.1])
ROWS = np.asarray([0.7, 2.3, 0.0, 1.1, 0.4, 3.0])
SIGNS = np.asarray([[1.0, -1.0, -1.0, 1.0], [-1.0, 1.0, 1.0, 1.0]] * 3)
COUNTS = np.asarray([[0.0, 2.0, 1.0, 1.0], [5.0, 3.0, 7.0, 0.0]] * 3)
COLUMNS = np.asarray([0.5, 3.0, 1.2, 0.8])
QUANTILES = [0.1, 0.9, 0.35, 0.5]
TARGETS = np.asarray([[0.25], [-1.125], [2.5], [0.75], [-2.375], [1.625]])
VARIANCES = np.asarray([[0.375, 1.75, 2.5, 0.875], [3.125, 0.25, 1.125, 0.625]] * 3)
ORDINARY, UNIT, LOGS, SCORES = (-3.0, 3.0), (0.02, 0.98), (-6.0, -0.1), (-9.0, 9.0)
NUMBERS, BITS = (ORDINARY, ORDINARY), (ORDINARY, UNIT)
LABELLED: Options = {"target": LABELS}
WEIGHTED: Options = {"target": LABELS, "weight": CLASS_WEIGHT}


@dataclass(frozen=True)
class Loss:
    """value(x, t, **options) per element or row; gradient(x, t, a, **options), by x and, where there is one, by t.

    cases: intervals of prediction and target, or of the prediction alone where the target is an option; and options.
    share(t, **options): the weights that the rows have in them already.
    kinks(**options): distances of the prediction from the target at which the derivative jumps.
    """

    value: Callable[..., Array]
    gradient: Callable[..., tuple[Array, ...]]
    cases: tuple[tuple[tuple[Interval, ...], Options], ...]
    share: Callable[..., Array | None] = lambda t, **options: None
    kinks: Callable[..., tuple[float, ...]] = lambda **options: ()


@np.errstate(all="ignore")
def loss(
    x: Array, target: Array, *, name: str, reduction: str = "mean", sample_weight: Array | None = None, **options: Any
) -> Array:
    """``sum(w * l) / sum(w)``, each element with its row's weight; the elements of a row count as one for batchmean."""
    row = LOSSES[name]
    x, target, options = _counted(x, target, sample_weight, options)
    values = row.value(x, target, **options)
    if sample_weight is not None:
        values = values * _by_row(sample_weight, values)
    if reduction == "none":
        return np.asarray(values)
    total = reduce.sum(values)
    return (
        total if reduction == "sum" else np.asarray(total / _divisor(row, x, target, reduction, sample_weight, options))
    )


@np.errstate(all="ignore")
def loss_grad(
    x: Array,
    target: Array,
    g: Array,
    *,
    name: str,
    reduction: str = "mean",
    sample_weight: Array | None = None,
    **options: Any,
) -> tuple[Array, ...]:
    """The gradient that arrives is divided as the loss was, then multiplied by the row's weight; 0 at a weight of 0."""
    row = LOSSES[name]
    x, target, options = _counted(x, target, sample_weight, options)
    shape = row.value(x, target, **options).shape
    if reduction in ("mean", "batchmean"):
        g = np.asarray(g / _divisor(row, x, target, reduction, sample_weight, options))
    a = np.broadcast_to(g, shape)
    if sample_weight is not None:
        a = a * _by_row(sample_weight, a)
    found = row.gradient(x, target, np.asarray(a), **options)
    if sample_weight is not None:
        found = tuple(np.where(_by_row(sample_weight, d) == 0, d.dtype.type(0), d) for d in found)
    return found


def _counted(
    x: Array, target: Array, sample_weight: Array | None, options: dict[str, Any]
) -> tuple[Array, Array, dict[str, Any]]:
    """Rows of weight 0 are 1 in both, and in variances; a label is 0."""
    if sample_weight is None:
        return x, target, options
    without = _by_row(sample_weight, x) == 0
    one = x.dtype.type(1)
    if np.ndim(options.get("var", 0)):
        options = {**options, "var": np.where(without, one, options["var"])}
    if target.ndim < x.ndim:
        return np.where(without, one, x), np.where(without[:, 0], 0, target), options
    return np.where(without, one, x), np.where(without, target.dtype.type(1), target), options


def _by_row(sample_weight: Array, values: Array) -> Array:
    return np.asarray(sample_weight, values.dtype).reshape(-1, *(1,) * (values.ndim - 1))


def _divisor(
    row: Loss, x: Array, target: Array, reduction: str, sample_weight: Array | None, options: dict[str, Any]
) -> Array:
    values = row.value(x, target, **options)
    elements = int(np.prod(values.shape[1:], dtype=np.int64)) if reduction == "mean" else 1
    weight = row.share(target, **options)
    if weight is not None:
        weight = weight.astype(x.dtype)
    if sample_weight is not None:
        own = np.asarray(sample_weight, x.dtype)
        weight = own if weight is None else own * weight
    if weight is None:
        return x.dtype.type(values.size if reduction == "mean" else len(values))
    total = reduce.sum(weight) * x.dtype.type(elements)
    return np.where(total == 0, x.dtype.type(1), total)


# Two classes, counts and distributions.


def _hinge(p: Array, t: Array, margin: float = 1.0) -> Array:
    return relu(p.dtype.type(margin) - t.astype(p.dtype) * p)


def _hinge_grad(p: Array, t: Array, a: Array, margin: float = 1.0) -> tuple[Array, ...]:
    return (-relu_grad(_hinge(p, t, margin), a) * t.astype(p.dtype),)


def _perceptron(p: Array, t: Array) -> Array:
    return relu(-(t.astype(p.dtype) * p))


def _perceptron_grad(p: Array, t: Array, a: Array) -> tuple[Array, ...]:
    return (-relu_grad(_perceptron(p, t), a) * t.astype(p.dtype),)


def _logs(p: Array) -> tuple[Array, Array]:
    floor = p.dtype.type(-100)
    return np.maximum(log(p), floor), np.maximum(log1p(-p), floor)


def _bce(p: Array, t: Array) -> Array:
    log_p, log_q = _logs(p)
    return (t - p.dtype.type(1)) * log_q - t * log_p


def _bce_grad(p: Array, t: Array, a: Array) -> tuple[Array, ...]:
    log_p, log_q = _logs(p)
    return a * (p - t) / np.maximum(p * (p.dtype.type(1) - p), p.dtype.type(1e-12)), a * (log_q - log_p)


def _logits(x: Array, t: Array, pos_weight: Array | None = None) -> Array:
    if pos_weight is None:
        return binary_cross_entropy_with_logits(x, t, "none")
    one, weight = x.dtype.type(1), np.asarray(pos_weight, x.dtype)
    return (one - t) * softplus(x) + (weight * t) * softplus(-x)


def _logits_grad(x: Array, t: Array, a: Array, pos_weight: Array | None = None) -> tuple[Array, ...]:
    if pos_weight is None:
        return binary_cross_entropy_with_logits_grad(x, t, a, "none")
    one, weight = x.dtype.type(1), np.asarray(pos_weight, x.dtype)
    by_x = -(a * (weight * t) * sigmoid(-x)) + a * (one - t) * sigmoid(x)
    return by_x, a * softplus(-x) * weight + -(a * softplus(x))


def _poisson(x: Array, t: Array, log_input: bool = True, full: bool = False, eps: float = 1e-8) -> Array:
    t = t.astype(x.dtype)
    each = exp(x) - t * x if log_input else x - t * log(x + x.dtype.type(eps))
    if full:
        many = np.where(t > 1, t, x.dtype.type(1))
        stirling = (many * log(many) - many) + x.dtype.type(0.5) * log(x.dtype.type(2 * np.pi) * many)
        each = each + np.where(t > 1, stirling, x.dtype.type(0))
    return np.asarray(each)


def _poisson_grad(
    x: Array, t: Array, a: Array, log_input: bool = True, full: bool = False, eps: float = 1e-8
) -> tuple[Array, ...]:
    t = t.astype(x.dtype)
    if log_input:
        return (-a) * t + a * exp(x), (-a) * x
    rate = x + x.dtype.type(eps)
    return a + (-a) * t / rate, (-a) * log(rate)


def _kl(x: Array, t: Array, log_target: bool = False) -> Array:
    if log_target:
        return exp(t) * (t - x)
    return t * log(np.where(t == 0, x.dtype.type(1), t)) - t * x


def _kl_grad(x: Array, t: Array, a: Array, log_target: bool = False) -> tuple[Array, ...]:
    if log_target:
        e = exp(t)
        return -(a * e), a * e + a * (t - x) * e
    safe = np.where(t == 0, x.dtype.type(1), t)
    return (-a) * t, ((-a) * x + a * log(safe)) + np.where(t == 0, x.dtype.type(0), a * t / safe)


# Classes.


def _label_weight(labels: Array, weight: Array | None = None, **options: Any) -> Array | None:
    return None if weight is None or labels.ndim > 1 else weight[labels]


def _onehot(number: Any, x: Array, labels: Array) -> Array:
    return np.where(labels[:, None] == np.arange(x.shape[1]), x.dtype.type(number), x.dtype.type(0))


def _distribution(x: Array, target: Array, weight: Array | None, smoothing: float) -> Array:
    """What the logarithms of the probabilities are multiplied by."""
    q = target
    if smoothing:
        s = x.dtype.type(smoothing)
        kept = x.dtype.type(1) - s
        q = (_onehot(kept, x, target) if target.ndim == 1 else target * kept) + s / x.dtype.type(x.shape[1])
    return q if weight is None else q * weight.astype(x.dtype)


def _ce(x: Array, target: Array, weight: Array | None = None, label_smoothing: float = 0.0) -> Array:
    if target.ndim == 1 and not label_smoothing:
        rows = cross_entropy(x, target, "none")
        return rows if weight is None else rows * weight[target].astype(x.dtype)
    return -reduce.lane_sum(log_softmax(x) * _distribution(x, target, weight, label_smoothing))


def _ce_grad(
    x: Array, target: Array, a: Array, weight: Array | None = None, label_smoothing: float = 0.0
) -> tuple[Array, ...]:
    if target.ndim == 1 and not label_smoothing:
        return (cross_entropy_grad(x, target, a if weight is None else a * weight[target].astype(x.dtype), "none"),)
    y, arrived = log_softmax(x), (-a)[:, None]
    by_x = log_softmax_grad(y, np.asarray(arrived * _distribution(x, target, weight, label_smoothing)))
    by_q = arrived * y if weight is None else arrived * y * weight.astype(x.dtype)
    return by_x, by_q * (x.dtype.type(1) - x.dtype.type(label_smoothing)) if label_smoothing else by_q


def _nll(x: Array, labels: Array, weight: Array | None = None) -> Array:
    rows = -np.take_along_axis(x, labels[:, None], 1)[:, 0]
    return rows if weight is None else rows * weight[labels].astype(x.dtype)


def _nll_grad(x: Array, labels: Array, a: Array, weight: Array | None = None) -> tuple[Array, ...]:
    a = a if weight is None else a * weight[labels].astype(x.dtype)
    return (np.where(_onehot(1, x, labels) == 1, -a[:, None], x.dtype.type(0)),)


def _excess(x: Array, labels: Array, margin: float) -> Array:
    column = x.dtype.type(margin) - np.take_along_axis(x, labels[:, None], 1)
    return relu(x + column)


def _margin(x: Array, labels: Array, p: int = 1, margin: float = 1.0, weight: Array | None = None) -> Array:
    e = _excess(x, labels, margin)
    others = np.where(_onehot(1, x, labels) == 0, e if p == 1 else e * e, x.dtype.type(0))
    rows = reduce.lane_sum(others) / x.dtype.type(x.shape[1])
    return rows if weight is None else rows * weight[labels].astype(x.dtype)


def _margin_grad(
    x: Array, labels: Array, a: Array, p: int = 1, margin: float = 1.0, weight: Array | None = None
) -> tuple[Array, ...]:
    a = a if weight is None else a * weight[labels].astype(x.dtype)
    e = _excess(x, labels, margin)
    by_e = np.where(_onehot(1, x, labels) == 0, (a / x.dtype.type(x.shape[1]))[:, None], x.dtype.type(0))
    by_z = relu_grad(e, by_e if p == 1 else by_e * (e + e))
    by_label = -reduce.lane_sum(by_z)
    return (by_z + np.where(_onehot(1, x, labels) == 1, by_label[:, None], x.dtype.type(0)),)


LOSSES: dict[str, Loss] = {
    "mse_loss": Loss(half_mse, half_mse_grad, ((NUMBERS, {}), (NUMBERS, {"half": True}))),
    "l1_loss": Loss(lambda p, t: np.abs(p - t), l1_grad, ((NUMBERS, {}),)),
    "huber_loss": Loss(huber, huber_grad, ((NUMBERS, {}), (NUMBERS, {"delta": 0.3}))),
    "smooth_l1_loss": Loss(smooth_l1, smooth_l1_grad, ((NUMBERS, {"beta": 0.7}), (NUMBERS, {"beta": 0.0}))),
    "quantile_loss": Loss(
        pinball,
        pinball_grad,
        (((ORDINARY,), {"quantile": QUANTILES, "target": TARGETS}), (NUMBERS, {"quantile": 0.3})),
    ),
    "log_cosh_loss": Loss(log_cosh, log_cosh_grad, ((NUMBERS, {}),)),
    "hinge_loss": Loss(
        _hinge, _hinge_grad, (((ORDINARY,), {"target": SIGNS}), ((ORDINARY,), {"target": SIGNS, "margin": 0.3}))
    ),
    "perceptron_loss": Loss(_perceptron, _perceptron_grad, (((ORDINARY,), {"target": SIGNS}),)),
    "binary_cross_entropy": Loss(_bce, _bce_grad, (((UNIT, UNIT), {}),)),
    "binary_cross_entropy_with_logits": Loss(
        _logits,
        _logits_grad,
        (
            (BITS, {}),
            (BITS, {"pos_weight": np.asarray(2.5)}),
            (BITS, {"pos_weight": COLUMNS}),
        ),
    ),
    "poisson_nll_loss": Loss(
        _poisson,
        _poisson_grad,
        (
            (BITS, {}),
            ((ORDINARY,), {"full": True, "target": COUNTS}),
            ((UNIT, UNIT), {"log_input": False}),
        ),
    ),
    "gaussian_nll_loss": Loss(
        gaussian,
        gaussian_grad,
        (
            (NUMBERS, {"var": 0.7, "full": True}),
            (NUMBERS, {"var": VARIANCES, "eps": 0.5}),
            (NUMBERS, {"var": VARIANCES[:, :1]}),
        ),
    ),
    "kl_div": Loss(_kl, _kl_grad, (((LOGS, UNIT), {}), ((LOGS, LOGS), {"log_target": True}))),
    "cross_entropy": Loss(
        _ce,
        _ce_grad,
        (
            ((SCORES,), LABELLED),
            ((SCORES,), WEIGHTED),
            ((SCORES,), {**LABELLED, "label_smoothing": 0.1}),
            ((SCORES,), {**WEIGHTED, "label_smoothing": 0.3}),
            ((ORDINARY, UNIT), {}),
            ((ORDINARY, UNIT), {"weight": CLASS_WEIGHT, "label_smoothing": 0.1}),
        ),
        _label_weight,
    ),
    "nll_loss": Loss(_nll, _nll_grad, (((LOGS,), LABELLED), ((LOGS,), WEIGHTED)), _label_weight),
    "multi_margin_loss": Loss(
        _margin, _margin_grad, (((SCORES,), LABELLED), ((SCORES,), {**WEIGHTED, "p": 2, "margin": 0.4}))
    ),
}
