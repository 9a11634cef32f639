"""Optimizers after Adam: NAdam, RAdam, Adamax, Lion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.exports import own_names
from ._base import Optimizer
from ._options import Flag, Hyperparameters, Number, Option, Pair


class _MomentumDecay(Option[float]):
    """A finite number x of at least 0; before it lies 0.96^x, whose powers a step takes."""

    size = 2

    def kernel_names(self) -> list[str]:
        """The names of both hyperparameters."""
        return ["momentum_base", self.name]

    def parts(self, value: Any, what: str) -> list[Any]:
        """0.96^x and x."""
        number = self._checked(value, value, what)
        return [ops.exp(ops.mul(number, ops.log(np.float64(0.96)))).item(), number]

    def read(self, hyperparameters: Hyperparameters) -> float:
        """x."""
        return float(hyperparameters[self.offset + 1])


class NAdam(Optimizer):
    """NAdam: Adam with Nesterov momentum.

    d = g + weight_decay * p;  m = beta1 * m + (1 - beta1) * d;  v = beta2 * v + (1 - beta2) * d²;
    u(t) = beta1 * (1 - 0.96^(t * momentum_decay) / 2);  U(t) = u(1) * ... * u(t);
    p = p - lr * ((1 - u(t)) / (1 - U(t)) * d + u(t+1) / (1 - U(t+1)) * m) / (sqrt(v / (1 - beta2^t)) + eps),
    where t counts the steps of the parameter, from 1. docs/arithmetic.md specifies every rounding.

    Arguments: `params`, parameters or groups of them, as `cr.optim.SGD`; `lr`; `betas`, both in [0, 1); `eps`;
    `weight_decay`; `momentum_decay`; `decoupled_weight_decay`, p = p * (1 - lr * weight_decay) in place of d's;
    `maximize` and `switches`, as `cr.optim.SGD`. Defaults are PyTorch's. Options can be changed between steps.
    Errors: as `cr.optim.SGD`.
    Source: Dozat, Incorporating Nesterov momentum into Adam, ICLR 2016 workshop.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, -2.0])
    >>> optimizer = cr.optim.NAdam([weight], lr=0.25)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy().round(4)
    array([ 0.7359, -1.7359], dtype=float32)
    """

    _updates = (("nadam", 16),)
    _advances = True
    _all_states = ("exp_avg", "exp_avg_sq")
    _start = (0.0, 1.0, 1.0, 1.0, 1.0)  # steps, powers of the betas and of the base, the product of the momenta

    betas = Pair(below=1.0)
    momentum_decay = _MomentumDecay()
    eps = Number()
    weight_decay = Number()
    decoupled_weight_decay = Flag()
    maximize = Flag()

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        more = {"momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, {**options, **more}, switches)


class RAdam(Optimizer):
    """RAdam: Adam whose first steps, when the average of squares is of few gradients, do without it.

    d, m, v as `cr.optim.NAdam`;  n = 2 / (1 - beta2) - 1;  l = n - 2 t beta2^t / (1 - beta2^t);
    p = p - lr * m / (1 - beta1^t) * f, where f = 1 for l up to 5, and from there on
    f = sqrt((l - 4) (l - 2) n / ((n - 4) (n - 2) l)) * sqrt(1 - beta2^t) / (sqrt(v) + eps), and t counts the steps of
    the parameter, from 1. docs/arithmetic.md specifies every rounding.

    Arguments: `params`, parameters or groups of them, as `cr.optim.SGD`; `lr`; `betas`, both in [0, 1); `eps`;
    `weight_decay`; `decoupled_weight_decay`, `maximize` and `switches`, as `cr.optim.NAdam`. Defaults are PyTorch's.
    Options can be changed between steps.
    Errors: as `cr.optim.SGD`.
    Source: Liu et al., On the variance of the adaptive learning rate and beyond, ICLR 2020.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, -2.0])
    >>> optimizer = cr.optim.RAdam([weight], lr=0.25)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([ 0.5, -1. ], dtype=float32)
    """

    _updates = (("radam", 12),)
    _all_states = ("exp_avg", "exp_avg_sq")
    _start = (0.0, 1.0, 1.0)  # steps, beta1^steps, beta2^steps

    betas = Pair(below=1.0)
    eps = Number()
    weight_decay = Number()
    decoupled_weight_decay = Flag()
    maximize = Flag()

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, {**options, "decoupled_weight_decay": decoupled_weight_decay}, switches)


class Adamax(Optimizer):
    """Adamax: Adam that divides by a decaying maximum of the gradient's magnitude.

    d = g + weight_decay * p;  m = beta1 * m + (1 - beta1) * d;  u = max(beta2 * u, |d| + eps);
    p = p - lr / (1 - beta1^t) * m / u, where t counts the steps of the parameter, from 1. docs/arithmetic.md specifies
    every rounding.

    Arguments: `params`, parameters or groups of them, as `cr.optim.SGD`; `lr`; `betas`, both in [0, 1); `eps`;
    `weight_decay`; `maximize` and `switches`, as `cr.optim.SGD`. Defaults are PyTorch's. Options can be changed between
    steps.
    Errors: as `cr.optim.SGD`.
    Source: Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015, section 7.1.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, -2.0])
    >>> optimizer = cr.optim.Adamax([weight], lr=0.25)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([ 0.75, -1.75], dtype=float32)
    """

    _updates = (("adamax", 9),)
    _all_states = ("exp_avg", "exp_inf")
    _start = (0.0, 1.0)  # steps, beta1^steps

    betas = Pair(below=1.0)
    eps = Number()
    weight_decay = Number()
    maximize = Flag()

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options, switches)


class Lion(Optimizer):
    """Lion: steps by the sign of an average of the gradient; all steps are of size lr.

    p = p * (1 - lr * weight_decay);  c = beta1 * m + (1 - beta1) * g;  p = p - lr * sign(c);
    m = beta2 * m + (1 - beta2) * g, where m starts at 0. docs/arithmetic.md specifies every rounding.

    Arguments: `params`, parameters or groups of them, as `cr.optim.SGD`; `lr`, a third to a tenth of AdamW's; `betas`,
    both in [0, 1); `weight_decay`, three to ten times that of AdamW; `maximize` and `switches`, as `cr.optim.SGD`.
    Options can be changed between steps.
    Errors: as `cr.optim.SGD`.
    Source: Chen et al., Symbolic discovery of optimization algorithms, NeurIPS 2023.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, -2.0])
    >>> optimizer = cr.optim.Lion([weight], lr=0.25)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([ 0.75, -1.75], dtype=float32)
    """

    _updates = (("lion", 7),)
    _all_states = ("exp_avg",)

    betas = Pair(below=1.0)
    weight_decay = Number()
    maximize = Flag()

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        options = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options, switches)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
