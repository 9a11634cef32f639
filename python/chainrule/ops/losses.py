"""Softmax and losses. A loss whose prediction and target shapes differ is an error, never a broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._layout import axes_of, product
from ._table import CODES, LINEAR, SYMMETRIC, Attrs, Op, Plan, Spec, apply, one, pair, register
from .activations import exp, sigmoid
from .elementwise import _float_dtype, _map_plan, mul, neg, square, sub
from .index import place
from .reduce import mean, sum
from .shape import reshape, transpose

if TYPE_CHECKING:
    from ..tensor import Tensor

_INT64 = np.dtype(np.int64)


def _rows_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """Along the last axis."""
    dtype = _float_dtype(name, specs)
    shape = specs[0].shape
    ints = [product(shape[:-1]), shape[-1]]
    return Plan(Spec(shape, dtype), [(name, CODES[dtype], [len(specs)], list(range(len(specs))), ints, [])])


# softmax_grad(y, g) = y * (g - s), s = sum(y * g): linear in g, and its transpose is itself.
def _softmax_second(gg: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    y, g = x
    return sub(mul(gg, sub(g, sum(mul(y, g), -1, True))), mul(g, sum(mul(y, gg), -1, True)))


def _softmax_second_forward(t: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    y, g = x
    return sub(mul(t, sub(g, sum(mul(y, g), -1, True))), mul(y, sum(mul(t, g), -1, True)))


# log_softmax_grad(y, g) = g - exp(y) * s, s = sum(g).
def _log_softmax_by_y(gg: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    y, g = x
    return neg(mul(mul(exp(y), sum(g, -1, True)), gg))


def _log_softmax_by_g(gg: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    return sub(gg, sum(mul(exp(x[0]), gg), -1, True))


_SOFTMAX_GRAD: Op = register(
    Op(
        "softmax_grad",
        _rows_plan,
        (_softmax_second, lambda gg, d, x, a: apply(_SOFTMAX_GRAD, (x[0], gg))),
        (_softmax_second_forward, LINEAR),
    )
)
_LOG_SOFTMAX_GRAD: Op = register(
    Op("log_softmax_grad", _rows_plan, (_log_softmax_by_y, _log_softmax_by_g), (SYMMETRIC, LINEAR))
)
_SOFTMAX = register(Op("softmax", _rows_plan, (lambda g, y, x, a: apply(_SOFTMAX_GRAD, (y, g)),), (SYMMETRIC,)))
_LOG_SOFTMAX = register(
    Op(
        "log_softmax",
        _rows_plan,
        (lambda g, y, x, a: apply(_LOG_SOFTMAX_GRAD, (y, g)),),
        (lambda t, y, x, a: _log_softmax_by_g(t, y, (y,), a),),
    )
)


def _along(op: Op, x: Any, axis: int) -> Tensor:
    source = one(x)
    if source.ndim == 0:
        raise ValueError(f"{op.name}: x has no axes: it is 0-d")
    (at,) = axes_of(op.name, axis, source.ndim)
    if at == source.ndim - 1:
        return apply(op, (source,))
    order = [i for i in range(source.ndim) if i != at] + [at]
    return transpose(apply(op, (transpose(source, order),)), [order.index(i) for i in range(source.ndim)])


def softmax(x: Any, axis: int = -1) -> Tensor:
    """Softmax along an axis, e**(x - max) / sum of e**(x - max).

    Arguments: `x`, a float tensor; `axis`. Returns: a tensor of its shape. Errors: ValueError for the axis.

    >>> import chainrule as cr
    >>> cr.softmax([[0.0, 0.0]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """
    return _along(_SOFTMAX, x, axis)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """Logarithm of softmax along an axis, (x - max) - log(sum of e**(x - max)).

    >>> import chainrule as cr
    >>> cr.log_softmax([[0.0, 0.0]]).numpy()
    array([[-0.6931472, -0.6931472]], dtype=float32)
    """
    return _along(_LOG_SOFTMAX, x, axis)


# Cross entropy per row. The labels are an int64 tensor argument without gradient, checked by the public function.
def _cross_entropy_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    x = specs[0]
    return Plan(Spec(x.shape[:1], x.dtype), [(name, x.code, [2], [0, 1], list(x.shape), [])])


def _cross_entropy_grad_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    x = specs[0]
    return Plan(x, [(name, x.code, [3], [0, 1, 2], list(x.shape), [])])


def _column(g: Tensor) -> Tensor:
    return reshape(g, (g.shape[0], 1))


def _second_by_x(gg: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    logits, _, g = x
    return apply(_SOFTMAX_GRAD, (softmax(logits), mul(gg, _column(g))))


def _second_by_g(gg: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    logits, labels, _ = x
    return sum(mul(gg, _probability_error(logits, labels)), -1)


def _probability_error(logits: Tensor, labels: Tensor) -> Tensor:
    from ..tensor import Tensor as TensorClass

    ones = TensorClass._wrap(np.ones(labels.shape, logits.dtype))
    return sub(softmax(logits), place(ones, labels, logits.shape[1]))


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
_BCE = register(
    Op(
        "bce_with_logits",
        _map_plan,
        (lambda g, y, x, a: mul(g, sub(sigmoid(x[0]), x[1])), lambda g, y, x, a: neg(mul(g, x[0]))),
    )
)


def _reduction(name: str, values: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return mean(values)
    if reduction == "sum":
        return sum(values)
    if reduction == "none":
        return values
    raise ValueError(f"{name}: reduction must be mean, sum or none, got {reduction!r}")


def _same_kind(name: str, prediction: Tensor, target: Tensor) -> None:
    _float_dtype(name, [prediction, target])
    if prediction.shape == target.shape:
        return
    advice = "give both one shape"
    if prediction.shape == (*target.shape, 1):
        advice = "use target.reshape(-1, 1) or prediction.reshape(-1)"
    elif target.shape == (*prediction.shape, 1):
        advice = "use prediction.reshape(-1, 1) or target.reshape(-1)"
    raise ValueError(f"{name}: prediction has shape {prediction.shape}, target {target.shape}; {advice}")


def _labels(logits: Tensor, labels: Any) -> Tensor:
    from ..tensor import Tensor as TensorClass
    from ..tensor import grad_mode

    given = labels._data if isinstance(labels, TensorClass) else np.asarray(labels)
    if given.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: labels must be integers (class numbers), got {given.dtype}")
    if logits.ndim != 2 or given.shape != logits.shape[:1]:
        raise ValueError(
            f"cross_entropy: expected logits (n, classes) and labels (n,), got {logits.shape} and {given.shape}"
        )
    classes = logits.shape[1]

    def out_of_range(at: int, label: int) -> Exception:
        return ValueError(f"cross_entropy: label {label} at row {at} is out of range for {classes} classes")

    if isinstance(labels, TensorClass) and grad_mode.trace is not None:
        return grad_mode.trace.check("check_index", labels, [given.size, 0, classes], out_of_range)
    wrong = (given < 0) | (given >= classes)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise out_of_range(at, int(given[at]))
    return labels if isinstance(labels, TensorClass) else TensorClass._wrap(np.array(given, dtype=_INT64, order="C"))


def cross_entropy(logits: Any, labels: Any, reduction: str = "mean") -> Tensor:
    """Cross entropy of softmax scores, -log(softmax(logits)[label]) per row, computed without overflow.

    Arguments: `logits` (n, classes), scores before softmax; `labels` (n,), integers from 0 to classes - 1; `reduction`,
    "mean", "sum" or "none".
    Returns: a 0-d tensor, or (n,) for "none".
    Errors: ValueError for shapes, a label out of range (naming its row), the reduction; TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.cross_entropy([[0.0, 0.0]], [1]).item()
    0.6931471824645996
    """
    scores = one(logits)
    _float_dtype("cross_entropy", [scores])
    per_row = apply(_CROSS_ENTROPY, (scores, _labels(scores, labels)))
    return _reduction("cross_entropy", per_row, reduction)


def mse_loss(prediction: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Squared error, (prediction - target)**2, then the reduction over all elements.

    Arguments: tensors of one shape and dtype; `reduction`, "mean", "sum" or "none".
    Errors: ValueError when the shapes differ (saying how to fix it), TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.mse_loss([1.0, 2.0], [1.0, 4.0]).item()
    2.0
    """
    p, t = pair(prediction, target)
    _same_kind("mse_loss", p, t)
    return _reduction("mse_loss", square(sub(p, t)), reduction)


def binary_cross_entropy_with_logits(logits: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Binary cross entropy of scores before the sigmoid, (1 - target) * x + log(1 + e**-x), then the reduction.

    Arguments: tensors of one shape and dtype, target between 0 and 1; `reduction`, "mean", "sum" or "none".
    Errors: ValueError when the shapes differ, TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.binary_cross_entropy_with_logits([0.0], [1.0]).item()
    0.6931471824645996
    """
    x, t = pair(logits, target)
    _same_kind("binary_cross_entropy_with_logits", x, t)
    return _reduction("binary_cross_entropy_with_logits", apply(_BCE, (x, t)), reduction)


__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "log_softmax", "mse_loss", "softmax"]
