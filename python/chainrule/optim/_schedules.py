"""Schedules: the learning rate as a function of the epoch, in closed form from the initial rate."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops
from .._util.checks import check_integer, check_number
from ._base import Optimizer
from ._lbfgs import LBFGS

__all__ = ["CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "SequentialLR", "StepLR"]

_PI = 0x3243F6A8885A308D313198A2E03707344  # floor(pi * 2**128)


class LRScheduler:
    """Base of schedules: `step()` after every epoch sets the learning rates of an optimizer's groups.

    A subclass defines `rate(base, epoch, group)`, the rate of a group after `epoch` epochs. `cr.fit`
    takes one as `schedule=`. Attributes: `optimizer`; `last_epoch`, the epochs so far; `base_lrs`, the initial
    rates of the groups, before any schedule changed them.

    Errors: TypeError when `optimizer` is not from `cr.optim`.

    >>> import chainrule as cr
    >>> class Halving(cr.optim.LRScheduler):
    ...     def rate(self, base, epoch, group):
    ...         return base / 2**epoch
    >>> optimizer = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5)
    >>> schedule = Halving(optimizer)
    >>> schedule.step()
    >>> optimizer.lr
    0.25
    """

    def __init__(self, optimizer: Optimizer) -> None:
        check_optimizer(type(self).__name__, optimizer)
        self.optimizer, self.last_epoch = optimizer, 0
        self.base_lrs = [group.initial.setdefault("lr", float(group["lr"])) for group in optimizer.param_groups]
        self._set_rates()

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs; `base` is its initial rate."""
        raise NotImplementedError(f"{type(self).__name__}: a subclass must define rate")

    def _values(self, epoch: int, group: int) -> dict[str, Any]:
        """The options of a group after `epoch` epochs."""
        return {"lr": self.rate(self.base_lrs[group], epoch, group)}

    def _set_rates(self) -> None:
        self.optimizer._change([self._values(self.last_epoch, i) for i in range(len(self.base_lrs))])

    def step(self) -> None:
        """Set the rates of the next epoch."""
        self.last_epoch += 1
        try:
            self._set_rates()
        except BaseException:
            self.last_epoch -= 1
            raise

    def __call__(self, history: object) -> None:
        """Step; `cr.fit` calls this after every epoch."""
        self.step()

    def get_last_lr(self) -> list[float]:
        """Return the rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs so far and the initial rates; functions are not included."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict` and set the rates; nothing changes on an error.

        Errors: ValueError naming the missing or different entry.
        """
        check_names(state, ("last_epoch", "base_lrs"))
        if len(state["base_lrs"]) != len(self.base_lrs):
            raise ValueError(f"load_state_dict: {len(state['base_lrs'])} rates for {len(self.base_lrs)} groups")
        before = self.last_epoch, self.base_lrs
        self.last_epoch, self.base_lrs = int(state["last_epoch"]), [float(rate) for rate in state["base_lrs"]]
        try:
            self._set_rates()
        except BaseException:
            self.last_epoch, self.base_lrs = before
            raise
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group.initial["lr"] = base


def check_optimizer(name: str, optimizer: object, further: str = "") -> None:
    """Raise TypeError for what has no options that a schedule sets."""
    if isinstance(optimizer, LBFGS):
        raise TypeError(f"{name}: LBFGS takes no schedule; set its lr between steps, with a line search leave it at 1")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: expected an optimizer of cr.optim{further}, got {type(optimizer).__name__}")


class StepLR(LRScheduler):
    """Step decay, lr = base * gamma^floor(epoch / step_size).

    Arguments: `optimizer`; `step_size`, epochs, at least 1; `gamma`, at least 0.
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError for an option out of range.

    >>> import chainrule as cr
    >>> schedule = cr.optim.StepLR(cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5), step_size=2, gamma=0.5)
    >>> [schedule.rate(0.5, epoch, 0) for epoch in range(5)]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = at_least(self, 1, step_size=step_size), at_least(self, 0, gamma=gamma)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs."""
        return times(base, power(self.gamma, epoch // int(self.step_size)))


class ExponentialLR(LRScheduler):
    """Exponential decay, lr = base * gamma^epoch.

    Arguments: `optimizer`; `gamma`, at least 0.
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError for an option out of range.

    >>> import chainrule as cr
    >>> schedule = cr.optim.ExponentialLR(cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5), gamma=0.5)
    >>> [schedule.rate(0.5, epoch, 0) for epoch in range(3)]
    [0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = at_least(self, 0, gamma=gamma)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs."""
        return times(base, power(self.gamma, epoch))


class CosineAnnealingLR(LRScheduler):
    """Cosine annealing, lr = eta_min + (base - eta_min) * (1 + cos(pi * epoch / T_max)) / 2; periodic after T_max.

    Arguments: `optimizer`; `T_max`, epochs from the base to `eta_min`, at least 1; `eta_min`, at least 0.
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError for an option out of range.
    Source: Loshchilov and Hutter, SGDR, ICLR 2017, without restarts.

    >>> import chainrule as cr
    >>> schedule = cr.optim.CosineAnnealingLR(cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5), T_max=3)
    >>> [schedule.rate(0.5, epoch, 0) for epoch in range(4)]
    [0.5, 0.375, 0.125, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = at_least(self, 1, T_max=T_max), at_least(self, 0, eta_min=eta_min)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs."""
        share = times(0.5, plus(1.0, cos_pi(epoch, int(self.T_max))))
        return plus(self.eta_min, times(plus(base, -self.eta_min), share))


class LinearLR(LRScheduler):
    """Linear change, for example a warm-up: lr = base * (start + (end - start) * min(epoch, total) / total).

    Arguments: `optimizer`; `start_factor` and `end_factor`, at least 0; `total_iters`, epochs, at least 1.
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError for an option out of range.

    >>> import chainrule as cr
    >>> schedule = cr.optim.LinearLR(cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5), start_factor=0.25, total_iters=3)
    >>> [schedule.rate(0.5, epoch, 0) for epoch in range(5)]
    [0.125, 0.25, 0.375, 0.5, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor = at_least(self, 0, start_factor=start_factor)
        self.end_factor = at_least(self, 0, end_factor=end_factor)
        self.total_iters = at_least(self, 1, total_iters=total_iters)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs."""
        change = times(plus(self.end_factor, -self.start_factor), min(epoch, self.total_iters))
        return times(base, plus(self.start_factor, over(change, self.total_iters)))


class LambdaLR(LRScheduler):
    """A custom schedule, lr = base * f(epoch).

    Arguments: `optimizer`; `lr_lambda`, a function of the epoch, or one for each group.
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError unless there is one function per group.

    >>> import chainrule as cr
    >>> schedule = cr.optim.LambdaLR(cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5), lambda epoch: 1 / (1 + epoch))
    >>> [schedule.rate(0.5, epoch, 0) for epoch in range(2)]
    [0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        groups = len(getattr(optimizer, "param_groups", [None]))
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"LambdaLR: {len(self.lr_lambdas)} functions for {groups} groups")
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs."""
        return times(base, float(self.lr_lambdas[group](epoch)))


class SequentialLR(LRScheduler):
    """Several schedules in sequence; each counts its epochs from the milestone at which it starts.

    Arguments: `optimizer`; `schedulers`, of this optimizer; `milestones`, ascending, the epochs at which the second,
    third, ... start.
    Errors: TypeError for a schedule that is not a function of the epoch; ValueError for a schedule of another
    optimizer, or milestones that are not ascending or of another number.

    >>> import chainrule as cr
    >>> optimizer = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5)
    >>> warm_up = cr.optim.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = cr.optim.ExponentialLR(optimizer, gamma=0.5)
    >>> schedule = cr.optim.SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> [schedule.rate(0.5, epoch, 0) for epoch in range(5)]
    [0.25, 0.375, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        self.schedulers, self.milestones = list(schedulers), [int(m) for m in milestones]
        for i, schedule in enumerate(self.schedulers):
            if not isinstance(schedule, LRScheduler):
                raise TypeError(
                    f"SequentialLR: schedule {i} is a {type(schedule).__name__}, not a function of the epoch"
                )
            if schedule.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: schedule {i} was created for a different optimizer")
        ascending = all(a < b for a, b in zip([0, *self.milestones], self.milestones, strict=False))
        if len(self.milestones) != len(self.schedulers) - 1 or not ascending:
            raise ValueError(
                f"SequentialLR: {len(self.schedulers)} schedules require {len(self.schedulers) - 1} ascending "
                f"milestones above 0, got {list(milestones)}"
            )
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs."""
        at = bisect_right(self.milestones, epoch)
        return self.schedulers[at].rate(base, epoch - (self.milestones[at - 1] if at else 0), group)


# float64 arithmetic with default rounding and denormals, whatever modes the calling thread has set.


def times(a: float, b: float) -> float:
    """a * b."""
    return float(ops.mul(np.float64(a), np.float64(b)).item())


def plus(a: float, b: float) -> float:
    """a + b."""
    return float(ops.add(np.float64(a), np.float64(b)).item())


def over(a: float, b: float) -> float:
    """a / b."""
    return float(ops.div(np.float64(a), np.float64(b)).item())


def power(a: float, n: int) -> float:
    """a**n by repeated squaring."""
    return float(ops.power(np.float64(a), n).item())


def cos_pi(n: int, d: int) -> float:
    """cos(pi * n / d) by its Taylor series in fixed-point arithmetic (multiples of 2^-128), rounded once."""
    n = abs(n) % (2 * d)
    n = min(n, 2 * d - n)
    below = 2 * n > d  # cos(pi - x) = -cos(x)
    x = _PI * (d - n if below else n) // d
    square = x * x >> 128
    total, term, k = 0, 1 << 128, 0
    while term:
        total += -term if k % 4 else term
        k += 2
        term = (term * square >> 128) // (k * (k - 1))
    return (-total if below else total) / (1 << 128)


def at_least(schedule: object, least: int, **option: Any) -> Any:
    """Check an option and return it; a minimum of 1 means a count, which must be an integer."""
    ((name, number),) = option.items()
    what = f"{type(schedule).__name__}: {name}"
    if least == 1:
        check_integer(what, number)
    check_number(what, number, least)
    return number


def check_names(state: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise ValueError for names missing in a state."""
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"load_state_dict: missing {', '.join(missing)}")
