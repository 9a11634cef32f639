"""RMSprop, Adagrad and Adadelta."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .._tensor import Tensor
from .._util.exports import own_names
from ._base import Optimizer
from ._options import Flag, Number


class RMSprop(Optimizer):
    """RMSprop: steps by the gradient divided by the root of the running average of its square.

    d = g + weight_decay * p;  s = alpha * s + (1 - alpha) * d²;  y = d / (sqrt(s) + eps);  p = p - lr * y,
    or with momentum  v = momentum * v + y;  p = p - lr * v.  With centered the root is of max(s - a², 0), where
    a = alpha * a + (1 - alpha) * d. States start at 0. docs/arithmetic.md specifies every rounding.

    Arguments: `params`, parameters or groups of them, as `cr.optim.SGD`; `lr`; `alpha`, at most 1; `eps`;
    `weight_decay`; `momentum`; `centered`; `maximize` and `switches`, as `cr.optim.SGD`. Defaults are PyTorch's.
    Options can be changed between steps.
    Errors: as `cr.optim.SGD`.
    Source: Hinton, lecture 6 of Neural networks for machine learning; centered: Graves, arXiv 1308.0850.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, -2.0])
    >>> optimizer = cr.optim.RMSprop([weight], lr=0.5, alpha=0.75)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([ 0., -1.], dtype=float32)
    """

    _updates = (("rmsprop", 9), ("rmsprop_centered", 15))
    _all_states = ("square_avg", "grad_avg", "momentum_buffer")

    alpha = Number(most=1.0)
    eps = Number()
    weight_decay = Number()
    momentum = Number()
    centered = Flag()
    maximize = Flag()
    _before: ClassVar[Mapping[str, Any]] = {"maximize": False}

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        more = {"momentum": momentum, "centered": centered, "maximize": maximize}
        super().__init__(params, {**options, **more}, switches)

    @classmethod
    def _kernel(cls, options: Mapping[str, Any]) -> str:
        return "rmsprop_centered" if options["centered"] else "rmsprop"

    @classmethod
    def _state_names(cls, options: Mapping[str, Any]) -> Sequence[str]:
        used = (True, options["centered"], options["momentum"] > 0)
        return [name for name, is_used in zip(cls._all_states, used, strict=True) if is_used]


class Adagrad(Optimizer):
    """Adagrad: steps by the gradient divided by the root of the sum of its squares.

    d = g + weight_decay * p;  s = s + d²;  p = p - lr / (1 + (t - 1) * lr_decay) * d / (sqrt(s) + eps),
    where s starts at `initial_accumulator_value` and t counts the steps of the parameter, from 1. docs/arithmetic.md
    specifies every rounding.

    Arguments: `params`, parameters or groups of them, as `cr.optim.SGD`; `lr`; `lr_decay`; `weight_decay`;
    `initial_accumulator_value`; `eps`; `maximize` and `switches`, as `cr.optim.SGD`. Defaults are PyTorch's. Options
    can be changed between steps.
    Errors: as `cr.optim.SGD`.
    Source: Duchi, Hazan and Singer, Adaptive subgradient methods, JMLR 12 (2011).

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, -2.0])
    >>> optimizer = cr.optim.Adagrad([weight], lr=0.25)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([ 0.75, -1.75], dtype=float32)
    """

    _updates = (("adagrad", 7),)
    _all_states = ("sum",)
    _start = (0.0,)  # steps

    lr_decay = Number()
    weight_decay = Number()
    eps = Number()
    initial_accumulator_value = Number()
    maximize = Flag()
    _before: ClassVar[Mapping[str, Any]] = {"maximize": False}

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        options = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps}
        more = {"initial_accumulator_value": initial_accumulator_value, "maximize": maximize}
        super().__init__(params, {**options, **more}, switches)

    @classmethod
    def _initial_state_value(cls, options: Mapping[str, Any]) -> float:
        return float(options["initial_accumulator_value"])


class Adadelta(Optimizer):
    """Adadelta: steps by the gradient times the ratio of the roots of the averages of squared steps and gradients.

    d = g + weight_decay * p;  s = rho * s + (1 - rho) * d²;  y = sqrt(u + eps) / sqrt(s + eps) * d;
    u = rho * u + (1 - rho) * y²;  p = p - lr * y, where s and u start at 0. docs/arithmetic.md specifies every
    rounding.

    Arguments: `params`, parameters or groups of them, as `cr.optim.SGD`; `lr`; `rho`, at most 1; `eps`; `weight_decay`;
    `maximize` and `switches`, as `cr.optim.SGD`. Defaults are PyTorch's. Options can be changed between steps.
    Errors: as `cr.optim.SGD`.
    Source: Zeiler, ADADELTA: an adaptive learning rate method, arXiv 1212.5701.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, -2.0])
    >>> optimizer = cr.optim.Adadelta([weight], lr=0.5, rho=0.75, eps=1.0)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy().round(4)
    array([ 0.2929, -1.1056], dtype=float32)
    """

    _updates = (("adadelta", 12),)
    _all_states = ("square_avg", "acc_delta")

    rho = Number(most=1.0)
    eps = Number()
    weight_decay = Number()
    maximize = Flag()

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        options = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options, switches)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
