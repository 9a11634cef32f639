"""Losses of numbers that ask for more than the mean: quantiles, a smooth absolute error, a Gaussian's likelihood.

They follow the rules of _losses.py; docs/losses.md lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from .._util.checks import check_number
from .._util.exports import own_names
from ._activations import relu
from ._arithmetic import _float_dtype, add, div, less, mul, neg, square, sub, where
from ._checks import raise_where
from ._loss_parts import matched, reduced, rows_counted, weights
from ._math import log, tanh
from ._op import SYMMETRIC, Attrs, Op, Plan, Spec, apply, register
from ._operands import own, pair
from ._shape import reshape
from ._strides import map_code


def quantile_loss(
    prediction: Any,
    target: Any,
    reduction: str = "mean",
    *,
    quantile: float | Sequence[float] = 0.5,
    sample_weight: Any = None,
) -> Tensor:
    """Pinball loss, quantile * e above the prediction and (quantile - 1) * e below it; e = target - prediction.

    The constant that minimises it is the quantile of the targets. Its gradient where they are equal is 0.

    Arguments: `quantile`, above 0 and below 1, for which prediction and target have one shape; or several such numbers,
    one for each column of the prediction (..., quantiles), for the target (...) or (..., 1); the rest as `cr.mse_loss`,
    where the mean is also over the quantiles.
    Returns: a 0-d tensor, or the prediction's shape for "none".
    Errors: as `cr.mse_loss`, ValueError for a quantile that is not between 0 and 1. Source: Koenker and Bassett,
    Regression Quantiles, 1978; `mean_pinball_loss` of scikit-learn and the objective `quantile` of LightGBM, whose
    `alpha` it is.

    >>> import chainrule as cr
    >>> cr.quantile_loss([1.0, 2.0], [3.0, 1.0], reduction="none", quantile=0.75).numpy()
    array([1.5 , 0.25], dtype=float32)
    >>> cr.quantile_loss([[1.0, 2.0, 4.0]], [3.0], reduction="none", quantile=[0.25, 0.5, 0.75]).numpy()
    array([[0.5 , 0.5 , 0.25]], dtype=float32)
    """
    name = "quantile_loss"
    if np.ndim(quantile) == 0:
        p, t = matched(name, prediction, target, sample_weight)
        above: Any = _between(name, quantile)
        below: Any = _rest(above)
    else:
        given = [_between(name, q) for q in quantile]  # type: ignore[union-attr]
        p, t = _for_quantiles(name, prediction, target, len(given), sample_weight)
        above, below = weights(given, p), weights([_rest(q) for q in given], p)
    e = sub(t, p)
    return reduced(name, add(mul(relu(e), above), mul(relu(neg(e)), below)), reduction, sample_weight)


def _between(name: str, quantile: Any) -> float:
    """A quantile as a float; ValueError unless it is between 0 and 1."""
    q = float(quantile)
    if not 0 < q < 1:
        raise ValueError(f"{name}: quantile must be above 0 and below 1, got {quantile}")
    return q


def _rest(q: float) -> float:
    """1 - q, rounded to nearest by integers whatever mode of rounding the caller has set."""
    n, d = q.as_integer_ratio()
    return (d - n) / d


def _for_quantiles(name: str, prediction: Any, target: Any, number: int, sample_weight: Any) -> tuple[Tensor, Tensor]:
    """Prediction (..., quantiles) and target (..., 1) of it, checked; rows of weight 0 are 1 in both."""
    p = own(prediction)
    if p.ndim == 0 or p.shape[-1] != number or number == 0:
        raise ValueError(f"{name}: prediction has shape {p.shape}, expected (..., {number}) for {number} quantiles")
    p, t = pair(p, target)
    if t.shape == p.shape[:-1]:
        t = reshape(t, (*t.shape, 1))
    if t.shape != (*p.shape[:-1], 1):
        rows = p.shape[:-1]
        raise ValueError(
            f"{name}: prediction has shape {p.shape}, target {t.shape}; the target of {number} quantiles has the shape "
            f"{rows} or {(*rows, 1)}"
        )
    # The first column has the target's shape, so that the checks of one prediction apply.
    first, t = matched(name, p[..., :1], t, sample_weight)
    return p if sample_weight is None else rows_counted(p, sample_weight, weights(sample_weight, first)), t


# From here on cosh is e**|d| / 2 to the last bit of its logarithm, in both dtypes.
_FAR = 20.0


def _log_cosh_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """log1p(e*e / ((e + e) + 2)) + (|d| - c), c = min(|d|, far), e = expm1(c); arguments d and the scalars far, 2."""
    d = specs[0]
    steps = [("abs", [0]), ("minimum", [4, 1]), ("sub", [4, 5]), ("expm1", [5]), ("mul", [7, 7]), ("add", [7, 7])]
    steps += [("add", [9, 2]), ("div", [8, 10]), ("log1p", [11]), ("add", [12, 6])]
    outs = [*range(4, 4 + len(steps) - 1), 3]
    every = [*(s.shape for s in specs), *[d.shape] * len(steps)]
    code = [
        map_code(step, d.code, d.shape, out, ins, [every[i] for i in ins], [])
        for out, (step, ins) in zip(outs, steps, strict=True)
    ]
    return Plan(d, code, [d] * (len(steps) - 1))


# The slope by its own function: that of the parts is rounded at 1, and wrong near 0.
_LOG_COSH = register(Op("log_cosh_loss", _log_cosh_plan, (lambda g, y, x, a: mul(g, tanh(x[0])),), (SYMMETRIC,)))


def log_cosh_loss(prediction: Any, target: Any, reduction: str = "mean", *, sample_weight: Any = None) -> Tensor:
    """Logarithm of cosh of the error, about d**2 / 2 near 0 and |d| - log(2) far away, then the reduction.

    d = prediction - target. Small losses are as accurate as large ones, and none overflows. The gradient is tanh(d).

    Arguments, returns and errors as `cr.mse_loss`.

    >>> import chainrule as cr
    >>> cr.log_cosh_loss([0.5, 100.0], [0.0, 0.0], reduction="none").numpy()
    array([ 0.12011451, 99.306854  ], dtype=float32)
    """
    p, t = matched("log_cosh_loss", prediction, target, sample_weight)
    d = sub(p, t)
    values = apply(_LOG_COSH, (d, pair(d, _FAR)[1], pair(d, 2)[1]))
    return reduced("log_cosh_loss", values, reduction, sample_weight)


_HALF_LOG_2_PI = 0.9189385332046727


def gaussian_nll_loss(
    prediction: Any,
    target: Any,
    var: Any,
    reduction: str = "mean",
    *,
    full: bool = False,
    eps: float = 1e-6,
    sample_weight: Any = None,
) -> Tensor:
    """Negative log likelihood of a Gaussian, (log(v) + (prediction - target)**2 / v) / 2, v = max(var, eps).

    As in PyTorch, the gradient by `var` is that by v, also where `eps` replaces it.

    Arguments: `prediction`, the means; `target`; `var`, the variances, at least 0: in the prediction's shape, one for
    each row of its last axis, (...) or (..., 1), or a number; `full`, add the constant log(2 * pi) / 2; `eps`, at
    least 0; the rest and returns as `cr.mse_loss`.
    Errors: as `cr.mse_loss`, ValueError for a variance that is negative. A net that is trained by `cr.fit` has the
    mean and the logarithm of the variance as columns, and the loss is
    `lambda p, t: cr.gaussian_nll_loss(p[:, :1], t, cr.exp(p[:, 1:]))`.

    >>> import chainrule as cr
    >>> cr.gaussian_nll_loss([1.0, 2.0], [1.0, 4.0], [1.0, 4.0], reduction="none").numpy()
    array([0.       , 1.1931472], dtype=float32)
    """
    name = "gaussian_nll_loss"
    p, t = matched(name, prediction, target, sample_weight)
    p, given = pair(p, var)
    _float_dtype(name, [p, given])
    if given.ndim and given.shape == p.shape[:-1]:
        given = reshape(given, (*given.shape, 1))
    if given.shape not in ((), p.shape) and (p.ndim == 0 or given.shape != (*p.shape[:-1], 1)):
        rows = f", {(*p.shape[:-1], 1)}" if p.ndim else ""
        raise ValueError(f"{name}: var has shape {given.shape}, expected {p.shape}{rows} or a number")
    if sample_weight is not None and given.ndim:
        given = rows_counted(given, sample_weight, weights(sample_weight, p))

    def negative(index: tuple[int, ...]) -> Exception:
        place = f" at {index}" if index else ""
        return ValueError(f"{name}: the variance{place} is negative; give cr.exp or cr.softplus of a net's output")

    raise_where(less(given, 0), negative)
    small = less(given, check_number(f"{name}: eps", eps))
    v = add(given, where(small, sub(eps, given), 0).detach())
    losses = mul(add(log(v), div(square(sub(p, t)), v)), 0.5)
    return reduced(name, add(losses, _HALF_LOG_2_PI) if full else losses, reduction, sample_weight)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
