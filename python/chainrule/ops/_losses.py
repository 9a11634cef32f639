"""Regression, binary and distribution losses: prediction and target have one shape and are never broadcast.

Most are composed of ops, so that autodiff derives their gradients and the compiler fuses them; docs/losses.md lists
them. `reduction` and `sample_weight` are the same for all: `reduced` in _loss_parts.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from math import inf, pi
from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_number
from .._util.exports import own_names
from ._activations import clip, relu
from ._arithmetic import (
    _map_plan,
    abs,
    add,
    div,
    equal,
    greater,
    less,
    maximum,
    mul,
    neg,
    not_equal,
    square,
    sub,
    where,
)
from ._checks import raise_where
from ._loss_parts import counted, matched, reduced, weights
from ._math import _logistic_slope, exp, log, log1p, softplus
from ._op import SYMMETRIC, Attrs, Op, Plan, Spec, apply, register
from ._operands import pair
from ._shape import broadcast_to
from ._strides import map_code


def mse_loss(
    prediction: Any, target: Any, reduction: str = "mean", *, half: bool = False, sample_weight: Any = None
) -> Tensor:
    """Squared error, (prediction - target)**2, then the reduction over all elements.

    Arguments: `prediction` and `target`, tensors of one shape and float dtype; `reduction`, "mean" (over all elements),
    "sum" or "none"; `half`, halve the loss, so that its gradient is prediction - target; `sample_weight`, one factor
    per row of the prediction: elements are multiplied by the weight of their row, and the mean is their sum divided by
    the sum of the weights of all elements (0 when that is 0).
    Returns: a 0-d tensor, or the prediction's shape for "none"; the mean of no elements is NaN.
    Errors: ValueError when the shapes differ (saying how to fix it), TypeError for dtypes. These arguments are
    common to the losses that refer to this one.

    >>> import chainrule as cr
    >>> cr.mse_loss([1.0, 2.0], [1.0, 4.0]).item()
    2.0
    >>> cr.mse_loss([1.0, 2.0], [1.0, 4.0], reduction="sum", half=True).item()
    2.0
    """
    p, t = matched("mse_loss", prediction, target, sample_weight)
    squares = square(sub(p, t))
    return reduced("mse_loss", mul(squares, 0.5) if half else squares, reduction, sample_weight)


def l1_loss(prediction: Any, target: Any, reduction: str = "mean", *, sample_weight: Any = None) -> Tensor:
    """Absolute error, |prediction - target|, then the reduction; its gradient where they are equal is 0.

    Arguments, returns and errors as `cr.mse_loss`.

    >>> import chainrule as cr
    >>> cr.l1_loss([1.0, 2.0], [1.0, 4.0]).item()
    1.0
    """
    p, t = matched("l1_loss", prediction, target, sample_weight)
    return reduced("l1_loss", abs(sub(p, t)), reduction, sample_weight)


def huber_loss(
    prediction: Any, target: Any, reduction: str = "mean", *, delta: float = 1.0, sample_weight: Any = None
) -> Tensor:
    """Squared error near 0 and absolute error beyond: d**2 / 2 where |d| <= delta, else delta * (|d| - delta / 2).

    d = prediction - target. The gradient is d, clipped to -delta and delta.

    Arguments: `delta`, above 0; the rest, returns and errors as `cr.mse_loss`. Source: Huber, Robust Estimation of a
    Location Parameter, 1964.

    >>> import chainrule as cr
    >>> cr.huber_loss([0.5, 3.0], [0.0, 0.0], reduction="none").numpy()
    array([0.125, 2.5  ], dtype=float32)
    """
    p, t = matched("huber_loss", prediction, target, sample_weight)
    bound = check_number("huber_loss: delta", delta, above=True)
    return reduced("huber_loss", _huber(sub(p, t), bound), reduction, sample_weight)


def _huber(d: Tensor, delta: float) -> Tensor:
    """c * (d - c/2) with c = d clipped to -delta and delta, which covers both branches and has the derivative c."""
    c = clip(d, -delta, delta)
    return mul(c, sub(d, mul(c, 0.5)))


def smooth_l1_loss(
    prediction: Any, target: Any, reduction: str = "mean", *, beta: float = 1.0, sample_weight: Any = None
) -> Tensor:
    """Absolute error, smooth at 0: huber_loss(delta=beta) / beta; beta = 0 is `cr.l1_loss`.

    Arguments: `beta`, at least 0; the rest, returns and errors as `cr.mse_loss`.

    >>> import chainrule as cr
    >>> cr.smooth_l1_loss([0.5, 3.0], [0.0, 0.0], reduction="none", beta=2.0).numpy()
    array([0.0625, 2.    ], dtype=float32)
    """
    p, t = matched("smooth_l1_loss", prediction, target, sample_weight)
    d = sub(p, t)
    width = check_number("smooth_l1_loss: beta", beta)
    return reduced("smooth_l1_loss", div(_huber(d, width), width) if width else abs(d), reduction, sample_weight)


# Two classes, encoded as -1 and 1.


def _signs(name: str, prediction: Any, target: Any, sample_weight: Any) -> tuple[Tensor, Tensor]:
    p, t = matched(name, prediction, target, sample_weight)

    def neither(index: tuple[int, ...]) -> Exception:
        return ValueError(f"{name}: the target at {index} is neither -1 nor 1; write 2 * target - 1 for 0 and 1")

    raise_where(not_equal(square(t), 1), neither)
    return p, t


def hinge_loss(
    prediction: Any, target: Any, reduction: str = "mean", *, margin: float = 1.0, sample_weight: Any = None
) -> Tensor:
    """Binary hinge loss, max(0, margin - target * prediction); its gradient at the margin is 0.

    Arguments: `prediction`, scores; `target`, -1 or 1 for each; `margin`; the rest and returns as `cr.mse_loss`.
    Errors: as `cr.mse_loss`, ValueError for a target that is neither -1 nor 1. Source: Cortes and Vapnik,
    Support-Vector Networks, 1995.

    >>> import chainrule as cr
    >>> cr.hinge_loss([0.5, -2.0, 3.0], [1.0, 1.0, -1.0], reduction="none").numpy()
    array([0.5, 3. , 4. ], dtype=float32)
    """
    p, t = _signs("hinge_loss", prediction, target, sample_weight)
    return reduced("hinge_loss", relu(sub(margin, mul(t, p))), reduction, sample_weight)


def perceptron_loss(prediction: Any, target: Any, reduction: str = "mean", *, sample_weight: Any = None) -> Tensor:
    """Perceptron loss, max(0, -target * prediction): gradient descent on it is the perceptron learning rule.

    Its gradient at a score of 0 is 0, so weights of 0 never change; initialise them differently.

    Arguments, returns and errors as `cr.hinge_loss`. Source: Rosenblatt, The Perceptron, 1958.

    >>> import chainrule as cr
    >>> cr.perceptron_loss([0.5, -2.0, 3.0], [1.0, 1.0, -1.0], reduction="none").numpy()
    array([0., 2., 3.], dtype=float32)
    """
    p, t = _signs("perceptron_loss", prediction, target, sample_weight)
    return reduced("perceptron_loss", relu(neg(mul(t, p))), reduction, sample_weight)


# Binary cross entropy.


def _bce_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """(t - 1) * max(log1p(-p), floor) - t * max(log(p), floor); arguments p, t and the scalars floor and 1."""
    p, shapes = specs[0], [s.shape for s in specs]
    steps = [("log", [0]), ("maximum", [5, 2]), ("neg", [0]), ("log1p", [7]), ("maximum", [8, 2])]
    steps += [("sub", [1, 3]), ("mul", [10, 9]), ("mul", [1, 6]), ("sub", [11, 12])]
    outs = [*range(5, 5 + len(steps) - 1), 4]
    every = [*shapes, *[p.shape] * len(steps)]
    code = [
        map_code(step, p.code, p.shape, out, ins, [every[i] for i in ins], [])
        for out, (step, ins) in zip(outs, steps, strict=True)
    ]
    return Plan(p, code, [p] * (len(steps) - 1))


def _bce_by_p(g: Tensor, y: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    p, t = x[:2]
    return div(mul(g, sub(p, t)), maximum(mul(p, sub(1, p)), 1e-12))


def _bce_by_t(g: Tensor, y: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    p = x[0]
    return mul(g, sub(maximum(log1p(neg(p)), -100), maximum(log(p), -100)))


_BCE_OF_PROBABILITIES = register(Op("binary_cross_entropy", _bce_plan, (_bce_by_p, _bce_by_t), (SYMMETRIC, SYMMETRIC)))
_BCE_ERROR = register(
    Op(
        "bce_error",
        _map_plan,
        (lambda g, y, x, a: mul(g, _logistic_slope(x[0])), lambda g, y, x, a: neg(g)),
    )
)
_BCE = register(
    Op(
        "bce_with_logits",
        _map_plan,
        (lambda g, y, x, a: mul(g, apply(_BCE_ERROR, x)), lambda g, y, x, a: neg(mul(g, x[0]))),
    )
)


def _element_weight(name: str, values: Tensor, weight: Any) -> Tensor:
    """The losses times factors of a shape that broadcasts to theirs; a factor of 0 also removes what is infinite."""
    if weight is None:
        return values
    factors = weights(weight, values)
    try:
        factors = broadcast_to(factors, values.shape)
    except ValueError:
        raise ValueError(
            f"{name}: weight has shape {factors.shape}, which does not broadcast to the prediction's, {values.shape}"
        ) from None
    return mul(counted(values, factors), factors)


def binary_cross_entropy(
    prediction: Any, target: Any, reduction: str = "mean", *, weight: Any = None, sample_weight: Any = None
) -> Tensor:
    """Binary cross entropy of probabilities, -(target * log(p) + (1 - target) * log(1 - p)), then the reduction.

    The logarithms are clamped to -100, so that the loss of a certain but wrong prediction is 100, not infinite; the
    gradient is (p - target) / max(p * (1 - p), 1e-12). `cr.binary_cross_entropy_with_logits` is accurate near 0 and 1.

    Arguments: `prediction`, probabilities; `target`, from 0 to 1; `weight`, factors of the losses in a shape that
    broadcasts to theirs, which do not divide the mean; the rest and returns as `cr.mse_loss`.
    Errors: as `cr.mse_loss`, ValueError for a prediction below 0 or above 1.

    >>> import chainrule as cr
    >>> cr.binary_cross_entropy([0.5, 0.0], [1.0, 1.0], reduction="none").numpy()
    array([  0.6931472, 100.       ], dtype=float32)
    """
    name = "binary_cross_entropy"
    p, t = matched(name, prediction, target, sample_weight)

    def outside(index: tuple[int, ...]) -> Exception:
        advice = "use binary_cross_entropy_with_logits for scores"
        return ValueError(f"{name}: the prediction at {index} is not a probability from 0 to 1; {advice}")

    raise_where(less(mul(p, sub(1, p)), 0), outside)
    floor, unit = pair(p, -100)[1], pair(p, 1)[1]
    losses = _element_weight(name, apply(_BCE_OF_PROBABILITIES, (p, t, floor, unit)), weight)
    return reduced(name, losses, reduction, sample_weight)


def binary_cross_entropy_with_logits(
    logits: Any,
    target: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    pos_weight: Any = None,
    sample_weight: Any = None,
) -> Tensor:
    """Binary cross entropy of scores before the sigmoid, (1 - target) * x + log(1 + e**-x), then the reduction.

    Small losses are as accurate as large ones, for both classes; an infinite score has the loss 0 or inf.

    Arguments: `logits`, scores; `target`, from 0 to 1; `weight`, as `cr.binary_cross_entropy`;
    `pos_weight`, the weight of target 1 relative to 0: a number, or an array that broadcasts with the scores,
    (1 - target) * log(1 + e**x) + pos_weight * target * log(1 + e**-x); the rest, returns and errors as `cr.mse_loss`.

    >>> import chainrule as cr
    >>> cr.binary_cross_entropy_with_logits([0.0], [1.0]).item()
    0.6931471824645996
    """
    name = "binary_cross_entropy_with_logits"
    x, t = matched(name, logits, target, sample_weight)
    if pos_weight is None:
        return reduced(name, _element_weight(name, apply(_BCE, (x, t)), weight), reduction, sample_weight)
    positive = weights(pos_weight, x)
    if not all(a in (1, b) for a, b in zip_longest(positive.shape[::-1], x.shape[::-1], fillvalue=1)):
        raise ValueError(f"{name}: pos_weight has shape {positive.shape}, which does not broadcast to {x.shape}")
    zero, one = sub(1, t), mul(positive, t)
    losses = add(mul(zero, softplus(counted(x, zero))), mul(one, softplus(neg(counted(x, one)))))
    losses = _element_weight(name, losses, weight)
    return reduced(name, losses, reduction, sample_weight)


# Counts and distributions.


def poisson_nll_loss(
    prediction: Any,
    target: Any,
    reduction: str = "mean",
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    sample_weight: Any = None,
) -> Tensor:
    """Negative log likelihood of counts, e**x - target * x for the logarithm x of the rate, then the reduction.

    Arguments: `prediction`, the logarithm of the rate, or with `log_input=False` the rate r, for the
    loss r - target * log(r + eps); `target`, counts; `full`, add Stirling's approximation of log(target!), which is
    target * log(target) - target + log(2 * pi * target) / 2 for targets above 1; the rest, returns and errors as
    `cr.mse_loss`.

    >>> import chainrule as cr
    >>> cr.poisson_nll_loss([0.0, 0.0], [0.0, 3.0], reduction="none").numpy()
    array([1., 1.], dtype=float32)
    """
    name = "poisson_nll_loss"
    x, t = matched(name, prediction, target, sample_weight)
    if log_input:
        # A count of 0 costs 0 at the rate 0; an infinite rate costs inf.
        loss = sub(exp(x), mul(t, counted(x, where(equal(x, inf), 0, t))))
    else:
        rate = add(x, check_number(f"{name}: eps", eps))
        loss = sub(x, mul(t, log(where(equal(where(equal(rate, 0), t, 1), 0), 1, rate))))
    if full:
        many = where(greater(t, 1), t, 1)
        stirling = add(sub(mul(many, log(many)), many), mul(0.5, log(mul(2 * pi, many))))
        loss = add(loss, where(greater(t, 1), stirling, 0))
    return reduced(name, loss, reduction, sample_weight)


def kl_div(
    prediction: Any,
    target: Any,
    reduction: str = "mean",
    *,
    log_target: bool = False,
    sample_weight: Any = None,
) -> Tensor:
    """Kullback-Leibler divergence from the prediction to the target, target * (log(target) - prediction).

    Arguments: `prediction`, logarithms of probabilities (`cr.log_softmax`); `target`, probabilities, or with
    `log_target` their logarithms (a probability of 0 contributes 0, also at a prediction of -inf); `reduction`,
    "batchmean" for the divergence itself (summed over a row, mean over rows), or "mean" over all elements, "sum",
    "none"; the rest, returns and errors as `cr.mse_loss`.

    >>> import chainrule as cr
    >>> cr.kl_div(cr.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean").item()
    0.6931471824645996
    """
    x, t = matched("kl_div", prediction, target, sample_weight)
    if log_target:
        q = exp(t)
        loss = mul(q, sub(counted(t, q), counted(x, q)))
    else:
        loss = sub(mul(t, log(where(equal(t, 0), 1, t))), mul(t, counted(x, t)))
    return reduced("kl_div", loss, reduction, sample_weight, batchmean=True)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
