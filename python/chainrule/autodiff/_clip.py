"""Gradient clipping, between `backward()` and `step()`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import inf, isnan

from .. import ops
from .._tensor import Tensor
from .._util.array_protocol import has_graph
from .._util.mode import grad_mode
from ..ops._norms import scale_of, scaled_norm
from ._sweeps import no_grad

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale the gradients down so that their norm, as one vector, is at most `max_norm`.

    g = g * min(max_norm / (norm + 1e-6), 1), where norm is sqrt(sum(g²)), or sum(|g|) for `norm_type` 1, or max(|g|)
    for inf. Sums run over each parameter, then over the sums of the parameters; squares of large and small gradients
    neither overflow nor vanish.

    Arguments: `parameters`, those without a gradient are skipped; `max_norm`, at least 0; `norm_type`, 1, 2 or inf;
    `error_if_nonfinite`, whether a norm that is NaN or infinite is an error.
    Returns: the norm before clipping, a tensor of shape (); 0 without gradients.
    Errors: ValueError for other arguments; RuntimeError for a norm that is not finite with
    `error_if_nonfinite`, before any gradient changes.
    Source: Pascanu et al., On the difficulty of training recurrent neural networks, ICML 2013.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, 2.0])
    >>> weight.grad = cr.tensor([3.0, -4.0])
    >>> cr.optim.clip_grad_norm_([weight], max_norm=1.0).item()
    5.0
    >>> weight.grad.numpy().round(4)
    array([ 0.6, -0.8], dtype=float32)
    """
    _check_bound("clip_grad_norm_", "max_norm", max_norm)
    if norm_type not in (1, 2, inf):
        raise ValueError(f"clip_grad_norm_: norm_type must be 1, 2 or inf, got {norm_type}")
    found = _with_gradient(parameters)
    with _recording(found):
        if not found:
            return Tensor(0.0)
        gradients = [gradient for _, gradient in found]
        scale = scale_of(gradients)
        scaled = scaled_norm(gradients, scale, norm_type)
        norm = ops.div(scaled, scale)
        if error_if_nonfinite:
            norm = _require_finite(norm)
        # Of the scaled gradients, whose norm is a number where that of the gradients is too large for one.
        factor = ops.div(max_norm, ops.add(scaled, ops.mul(scale, 1e-6)))
        small = ops.greater_equal(ops.mul(factor, scale), 1.0)
        for parameter, gradient in found:
            parameter.grad = ops.where(small, gradient, ops.mul(ops.mul(gradient, scale), factor))
        return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit every element of the gradients to [-clip_value, clip_value]; NaN is unchanged.

    Arguments: `parameters`, those without a gradient are skipped; `clip_value`, at least 0.
    Errors: ValueError for a negative or NaN bound.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, 2.0])
    >>> weight.grad = cr.tensor([3.0, -0.25])
    >>> cr.optim.clip_grad_value_([weight], 0.5)
    >>> weight.grad.numpy()
    array([ 0.5 , -0.25], dtype=float32)
    """
    _check_bound("clip_grad_value_", "clip_value", clip_value)
    found = _with_gradient(parameters)
    with _recording(found):
        for parameter, gradient in found:
            parameter.grad = ops.minimum(ops.maximum(gradient, -clip_value), clip_value)


def _check_bound(name: str, argument: str, value: float) -> None:
    if isnan(value) or value < 0:
        raise ValueError(f"{name}: {argument} must be at least 0, got {value}")


def _with_gradient(parameters: Tensor | Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [(parameter, gradient) for parameter in given if (gradient := parameter.grad) is not None]


def _recording(found: Sequence[tuple[Tensor, Tensor]]) -> AbstractContextManager[None]:
    """Context in which gradients are clipped: those with a graph (`create_graph`) keep one."""
    return nullcontext() if any(has_graph(gradient) for _, gradient in found) else no_grad()


def _require_finite(norm: Tensor) -> Tensor:
    grad_mode.executor.check_finite(norm, lambda at, number: _not_finite())
    return norm


def _not_finite() -> RuntimeError:
    return RuntimeError(
        "clip_grad_norm_: the norm of the gradients is not finite; with error_if_nonfinite=False they are scaled by it"
    )
