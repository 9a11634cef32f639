"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .._tensor import Tensor
from .._util.exports import own_names
from ._base import Optimizer
from ._options import Flag, Number


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, Nesterov momentum and weight decay.

    d = g + weight_decay * p;  v = momentum * v + (1 - dampening) * d, in the first step v = d;
    d = v, or d + momentum * v with nesterov;  p = p - lr * d. docs/arithmetic.md specifies every rounding. With a
    constant lr the momentum is the heavy ball p' = p - lr * g + momentum * (p - p_before).

    Arguments: `params`, an iterable of parameters (`model.parameters()`), or of dicts, one per group of parameters
    with its options, `{"params": [...], "lr": 0.1}`; `lr`, the step size; `momentum`, in [0, 1); `dampening`, at most
    1; `weight_decay`, at least 0; `nesterov`, requires a momentum above 0 and no dampening; `maximize`, steps up the
    gradient, g = -g; `switches`, PyTorch's `foreach`, `fused`, `capturable` change nothing here. Options can be
    changed as attributes, also between compiled steps, and for one group as `optimizer.param_groups[0]["lr"]`; a
    dampening that is set later begins a new velocity.
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

    _updates = (("sgd", 4), ("sgd_dampened", 5))
    _join_products = ("sgd",)
    _all_states = ("velocity",)

    momentum = Number(below=1.0)
    weight_decay = Number()
    nesterov = Flag()
    dampening = Number(most=1.0)
    maximize = Flag()
    _before: ClassVar[Mapping[str, Any]] = {"dampening": 0.0, "maximize": False}

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, {**options, "dampening": dampening, "maximize": maximize}, switches)

    @classmethod
    def _kernel(cls, options: Mapping[str, Any]) -> str:
        return cls._updates[bool(options["momentum"] and options["dampening"])][0]

    @classmethod
    def _step_state(cls, options: Mapping[str, Any]) -> tuple[float, ...]:
        return (0.0,) if options["momentum"] and options["dampening"] else ()  # steps

    @classmethod
    def _state_names(cls, options: Mapping[str, Any]) -> Sequence[str]:
        return cls._all_states if options["momentum"] else ()

    @classmethod
    def _check(cls, options: Mapping[str, Any]) -> None:
        if options["nesterov"] and options["momentum"] == 0:
            raise ValueError("SGD: nesterov requires a momentum above 0")
        if options["nesterov"] and options["dampening"] != 0:
            raise ValueError(f"SGD: nesterov requires a dampening of 0, got {options['dampening']}")


if not TYPE_CHECKING:
    __all__ = own_names(globals())
