"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .._tensor import Tensor
from .._util.exports import own_names
from ._base import Optimizer
from ._options import Flag, Number, Pair


class Adam(Optimizer):
    """Adam: steps from running averages of the gradient and of its square.

    d = g + weight_decay * p;  m = beta1 * m + (1 - beta1) * d;  v = beta2 * v + (1 - beta2) * d²;
    p = p - lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps),
    where m and v start at 0 and t counts the steps of the parameter, from 1; with amsgrad the square root is of the
    largest v so far. docs/arithmetic.md specifies every rounding.

    Arguments: `params`, parameters or groups of them, as `cr.optim.SGD`; `lr`; `betas`, both in [0, 1);
    `eps`; `weight_decay`; `amsgrad`; `eps_hat`, take `eps` as the epsilon hat of the paper, which Keras and
    scikit-learn add to sqrt(v) itself: lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps);
    `decoupled_weight_decay`, that of `cr.optim.AdamW`; `maximize` and `switches`, as `cr.optim.SGD`. Defaults are
    PyTorch's. Options can be changed between steps.
    Errors: as `cr.optim.SGD`.
    Source: Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015; amsgrad: Reddi et al., ICLR 2018.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, -2.0])
    >>> optimizer = cr.optim.Adam([weight], lr=0.25)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([ 0.75, -1.75], dtype=float32)
    """

    _updates = (("adam", 12), ("adamw", 12))
    _all_states = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    _start = (0.0, 1.0, 1.0)  # steps, beta1^steps, beta2^steps

    betas = Pair(below=1.0)
    eps = Number()
    weight_decay = Number()
    eps_hat = Flag()
    amsgrad = Flag()
    decoupled_weight_decay = Flag()
    maximize = Flag()
    _before: ClassVar[Mapping[str, Any]] = {"eps_hat": False, "decoupled_weight_decay": False, "maximize": False}

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        eps_hat: bool = False,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        flags = {"eps_hat": eps_hat, "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        super().__init__(params, {**options, **flags}, switches)

    @classmethod
    def _kernel(cls, options: Mapping[str, Any]) -> str:
        return Adam._updates[options["decoupled_weight_decay"]][0]

    @classmethod
    def _state_names(cls, options: Mapping[str, Any]) -> Sequence[str]:
        return cls._all_states if options["amsgrad"] else cls._all_states[:2]


class AdamW(Adam):
    """Adam with decoupled weight decay: p = p * (1 - lr * weight_decay) before Adam's step without weight decay.

    Arguments: as `cr.optim.Adam`; the default of `weight_decay` is 0.01.
    Errors: as `cr.optim.SGD`.
    Source: Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, -2.0])
    >>> optimizer = cr.optim.AdamW([weight], lr=0.25, weight_decay=0.5)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([ 0.625, -1.5  ], dtype=float32)
    """

    _before: ClassVar[Mapping[str, Any]] = {"eps_hat": False, "decoupled_weight_decay": True, "maximize": False}

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        eps_hat: bool = False,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        flags = {"eps_hat": eps_hat, "decoupled_weight_decay": True, "maximize": maximize}
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **flags, **switches)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
