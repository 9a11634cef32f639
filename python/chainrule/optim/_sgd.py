"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.exports import own_names
from ._base import Optimizer
from ._options import Flag, Number


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, Nesterov momentum and weight decay.

    d = g + weight_decay * p;  v = momentum * v + d;  d = v, or d + momentum * v with nesterov;  p = p - lr * d,
    where v starts at 0. docs/arithmetic.md specifies every rounding. With a constant lr the momentum is the heavy ball
    p' = p - lr * g + momentum * (p - p_before).

    Arguments: `params`, an iterable of parameters (`model.parameters()`), or of dicts, one per group of parameters
    with its options, `{"params": [...], "lr": 0.1}`; `lr`, the step size; `momentum`, in [0, 1); `nesterov`, requires
    a momentum above 0; `weight_decay`, at least 0. Options can be changed as attributes, also between compiled steps,
    and for one group as `optimizer.param_groups[0]["lr"]`.
    Errors: TypeError for one tensor in place of an iterable, and for a parameter that is not a tensor with
    requires_grad=True (a `cr.nn.Parameter` may be frozen: steps pass over it until it requires a gradient again);
    ValueError for no parameters, a repeated one, one created by an op, or an option out of range.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, 2.0])
    >>> optimizer = cr.optim.SGD([weight], lr=0.5)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([0., 0.], dtype=float32)
    """

    _updates = (("sgd", 4),)
    _joins_product = True
    _all_states = ("velocity",)

    momentum = Number(below=1.0)
    weight_decay = Number()
    nesterov = Flag()

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        options = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(params, options)

    @classmethod
    def _state_names(cls, options: Mapping[str, Any]) -> Sequence[str]:
        return cls._all_states if options["momentum"] else ()

    @classmethod
    def _check(cls, options: Mapping[str, Any]) -> None:
        if options["nesterov"] and options["momentum"] == 0:
            raise ValueError("SGD: nesterov requires a momentum above 0")


if not TYPE_CHECKING:
    __all__ = own_names(globals())
