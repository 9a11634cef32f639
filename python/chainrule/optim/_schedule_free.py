"""Schedule-free AdamW: an average of the weights in place of a decaying learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.dtypes import Array
from .._util.exports import own_names
from .._util.mode import grad_mode
from ..autodiff._sweeps import no_grad
from ._base import Group, Optimizer
from ._options import Flag, Number, Pair, Whole


class ScheduleFreeAdamW(Optimizer):
    """AdamW that averages its weights and needs no schedule of the learning rate.

    Gradients are taken at y, steps are made by z, and x, their average, is the result:
    v = beta2 * v + (1 - beta2) * g²;  d = g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * y;
    z = z - lr(t) * d;  x = (1 - c) * x + c * z;  y = beta1 * x + (1 - beta1) * z, where lr(t) = lr * min(1, t /
    warmup_steps), and c is the weight t^r * max(lr(1), ..., lr(t))^weight_lr_power over the sum of the weights so far.
    The parameters hold y while they are trained: `eval()` sets them to x, `train()` back to y, with the same bits if
    they have not changed in between; `cr.fit` calls both. docs/arithmetic.md specifies every rounding.

    Arguments: `params`, parameters or groups of them, as `cr.optim.SGD`; `lr`, constant; `betas`, both in [0, 1), the
    first above 0; `eps`; `weight_decay`; `warmup_steps`; `r` and `weight_lr_power`, whole numbers up to 16; `maximize`
    and `switches`, as `cr.optim.SGD`. Defaults are those of the authors. Options can be changed between steps.
    Attributes: `training`, whether the parameters hold y.
    Errors: as `cr.optim.SGD`; RuntimeError for a step between `eval()` and `train()`.
    Source: Defazio et al., The road less scheduled, NeurIPS 2024.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, -2.0])
    >>> optimizer = cr.optim.ScheduleFreeAdamW([weight], lr=0.25)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> optimizer.eval()
    >>> weight.numpy()
    array([ 0.75, -1.75], dtype=float32)
    """

    _updates = (("schedule_free_adamw", 14),)
    _advances = True
    _all_states = ("z", "exp_avg_sq", "y")  # y: while the parameters hold x
    _start = (0.0, 1.0, 1.0, 0.0, 0.0)  # steps, powers of the betas, the sum of the weights, the largest rate

    betas = Pair(below=1.0)
    eps = Number()
    weight_decay = Number()
    warmup_steps = Whole()
    r = Whole(most=16)
    weight_lr_power = Whole(most=16)
    maximize = Flag()
    training = Flag()

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        *,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "warmup_steps": warmup_steps}
        more = {"r": r, "weight_lr_power": weight_lr_power, "maximize": maximize, "training": True}
        super().__init__(params, {**options, **more}, switches)

    @classmethod
    def _check(cls, options: Mapping[str, Any]) -> None:
        if options["betas"][0] == 0:
            raise ValueError("ScheduleFreeAdamW: the first of betas must be above 0, got 0")

    def _update_all(self, ready: Any) -> None:
        for group in self.param_groups:
            if not group["training"]:
                raise RuntimeError(
                    "ScheduleFreeAdamW: the parameters hold the average after eval(); call train() before a step"
                )
        super()._update_all(ready)

    def _update_one(self, group: Group, i: int, gradient: Tensor) -> None:
        states, numbers = group._states[i][:2], group._hyperparameters
        grad_mode.executor.update(group._update, group.params[i], gradient, states, numbers, group._step_states[i])

    def eval(self) -> None:
        """Set the parameters to the average x, which is evaluated and used."""
        self._forbid_in_compiled("the parameters' average")
        for group, parameter, z, y in self._stepped(training=True):
            y[...] = parameter.numpy()
            parameter.copy_(_between(y, z, _weight_of_average(group)))
        self._set_training(False)

    def train(self, mode: bool = True) -> None:
        """Set the parameters to y, where gradients are taken; `train(False)` is `eval()`."""
        if not mode:
            self.eval()
            return
        self._forbid_in_compiled("the parameters' average")
        for group, parameter, z, y in self._stepped(training=False):
            average = _between(y, z, _weight_of_average(group))
            kept = average.tobytes() == parameter.numpy().tobytes()  # else other values have been loaded
            parameter.copy_(
                y if kept else _between(parameter.numpy(), z, ops.sub(np.float64(1), np.float64(group["betas"][0])))
            )
        self._set_training(True)

    def _stepped(self, training: bool) -> Iterator[tuple[Group, Tensor, Array, Array]]:
        """The parameters that have made a step, of groups in this mode, with z and y."""
        for group in self.param_groups:
            for parameter, states, step_state in zip(group.params, group._states, group._step_states, strict=True):
                if group["training"] == training and step_state is not None and step_state[0] > 0:
                    yield group, parameter, states[0], states[2]

    def _set_training(self, training: bool) -> None:
        self._change([{"training": training} for _ in self.param_groups])


def _weight_of_average(group: Group) -> Any:
    """Of z, in x as a mean of y and z."""
    one = np.float64(1)
    return ops.sub(one, ops.div(one, np.float64(group["betas"][0])))


def _between(a: Array, b: Array, weight: Any) -> Array:
    """a + weight * (b - a)."""
    with no_grad():
        found: Array = ops.add(a, ops.mul(ops.sub(b, a), ops.astype(weight, a.dtype))).numpy()
    return found


if not TYPE_CHECKING:
    __all__ = own_names(globals())
