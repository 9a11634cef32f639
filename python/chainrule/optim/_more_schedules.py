"""Schedules in closed form: milestones, polynomials, restarts, one cycle; and any schedule by the step."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from .._util.checks import check_integer, check_number
from ._base import Optimizer
from ._schedules import LRScheduler, at_least, cos_pi, over, plus, power, times
from ._step_schedule import Setting, StepSchedule

__all__ = ["ConstantLR", "CosineAnnealingWarmRestarts", "MultiStepLR", "OneCycleLR", "PerStep", "PolynomialLR"]


class MultiStepLR(LRScheduler):
    """Step decay at milestones, lr = base * gamma^(number of milestones up to the epoch).

    Arguments: `optimizer`; `milestones`, epochs in any order, one that is repeated counts again; `gamma`, at least 0.
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError for an option out of range.

    >>> import chainrule as cr
    >>> schedule = cr.optim.MultiStepLR(cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5), milestones=[2, 3], gamma=0.5)
    >>> [schedule.rate(0.5, epoch, 0) for epoch in range(5)]
    [0.5, 0.5, 0.25, 0.125, 0.125]
    """

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(check_integer("MultiStepLR: milestones", at, 0) for at in milestones)
        self.gamma = at_least(self, 0, gamma=gamma)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs."""
        return times(base, power(self.gamma, bisect_right(self.milestones, epoch)))


class ConstantLR(LRScheduler):
    """A smaller rate at the beginning: lr = base * factor for the first epochs, then base.

    Arguments: `optimizer`; `factor`, at least 0; `total_iters`, epochs, at least 1.
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError for an option out of range.

    >>> import chainrule as cr
    >>> schedule = cr.optim.ConstantLR(cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5), factor=0.25, total_iters=2)
    >>> [schedule.rate(0.5, epoch, 0) for epoch in range(4)]
    [0.125, 0.125, 0.5, 0.5]
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5) -> None:
        self.factor = at_least(self, 0, factor=factor)
        self.total_iters = at_least(self, 1, total_iters=total_iters)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs."""
        return times(base, self.factor) if epoch < self.total_iters else base


class PolynomialLR(LRScheduler):
    """Polynomial decay, lr = base * (1 - min(epoch, total) / total)^power.

    Arguments: `optimizer`; `total_iters`, epochs, at least 1; `power`, at least 0.
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError for an option out of range.

    >>> import chainrule as cr
    >>> schedule = cr.optim.PolynomialLR(cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5), total_iters=4, power=2)
    >>> [schedule.rate(0.5, epoch, 0) for epoch in range(5)]
    [0.5, 0.28125, 0.125, 0.03125, 0.0]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        self.total_iters = at_least(self, 1, total_iters=total_iters)
        self.power = at_least(self, 0, power=power)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs."""
        rest = over(self.total_iters - min(epoch, self.total_iters), self.total_iters)
        if self.power == int(self.power):
            return times(base, power(rest, int(self.power)))
        return times(base, ops.exp(ops.mul(float(self.power), ops.log(np.float64(rest)))).item())


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosine annealing that begins again: eta_min + (base - eta_min) * (1 + cos(pi * t / T)) / 2.

    t counts the epochs of a cycle of T epochs; the first is of `T_0`, each other one `T_mult` times as long as the one
    before.

    Arguments: `optimizer`; `T_0` and `T_mult`, at least 1; `eta_min`, at least 0.
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError for an option out of range.
    Source: Loshchilov and Hutter, SGDR, ICLR 2017.

    >>> import chainrule as cr
    >>> optimizer = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5)
    >>> schedule = cr.optim.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
    >>> [round(schedule.rate(0.5, epoch, 0), 4) for epoch in range(7)]
    [0.5, 0.25, 0.5, 0.4268, 0.25, 0.0732, 0.5]
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        self.T_0, self.T_mult = at_least(self, 1, T_0=T_0), at_least(self, 1, T_mult=T_mult)
        self.eta_min = at_least(self, 0, eta_min=eta_min)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` epochs."""
        at, length = epoch, int(self.T_0)
        if self.T_mult == 1:
            at %= length
        while at >= length:
            at, length = at - length, length * int(self.T_mult)
        share = times(0.5, plus(1.0, cos_pi(at, length)))
        return plus(self.eta_min, times(plus(base, -self.eta_min), share))


class OneCycleLR(LRScheduler):
    """One cycle of the rate, up from max_lr / div_factor to max_lr and down to that start / final_div_factor.

    The way up takes pct_start * total_steps - 1 steps, with `three_phase` the way back to the start as long, then the
    rate falls to its end. With `cycle_momentum` the momentum, or the first of the betas, goes from max_momentum down to
    base_momentum and up again. It is stepped after every batch: in a loop by `step()`, in `cr.fit` as
    `cr.optim.PerStep(schedule)`.

    Arguments: `optimizer`; `max_lr`, a number or one per group; `total_steps`, or `epochs` and `steps_per_epoch`;
    `pct_start`, from 0 to 1; `anneal_strategy`, "cos" or "linear"; `cycle_momentum`, for optimizers with momentum or
    betas; `base_momentum` and `max_momentum`; `div_factor` and `final_div_factor`, above 0; `three_phase`. Defaults are
    PyTorch's.
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError for an option out of range, and for a step
    beyond the last.
    Source: Smith and Topin, Super-convergence, 2018.

    >>> import chainrule as cr
    >>> optimizer = cr.optim.SGD([cr.nn.Parameter([1.0])], momentum=0.9)
    >>> schedule = cr.optim.OneCycleLR(optimizer, max_lr=1.0, total_steps=11, div_factor=4.0, anneal_strategy="linear")
    >>> [round(schedule.rate(0.0, step, 0), 3) for step in range(0, 11, 2)]
    [0.25, 0.902, 0.779, 0.519, 0.26, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            total_steps = at_least(self, 1, epochs=epochs) * at_least(self, 1, steps_per_epoch=steps_per_epoch)
        self.total_steps = int(at_least(self, 1, total_steps=total_steps))
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        self.pct_start = check_number("OneCycleLR: pct_start", pct_start, maximum=1)
        self.div_factor = check_number("OneCycleLR: div_factor", div_factor, above=True)
        self.final_div_factor = check_number("OneCycleLR: final_div_factor", final_div_factor, above=True)
        self.anneal_strategy, self.three_phase = anneal_strategy, bool(three_phase)
        groups = len(getattr(optimizer, "param_groups", [None]))
        self.max_lrs = [float(max_lr)] * groups if np.ndim(max_lr) == 0 else [float(rate) for rate in max_lr]  # type: ignore[arg-type, union-attr]
        if len(self.max_lrs) != groups:
            raise ValueError(f"OneCycleLR: {len(self.max_lrs)} rates max_lr for {groups} groups")
        for rate in self.max_lrs:
            check_number("OneCycleLR: max_lr", rate)
        options = getattr(optimizer, "_options", {})
        self._momentum = next((name for name in ("betas", "momentum") if name in options), "") if cycle_momentum else ""
        if cycle_momentum and not self._momentum:
            raise ValueError(
                f"OneCycleLR: cycle_momentum=True, but {type(optimizer).__name__} has no momentum or betas"
            )
        if self._momentum == "momentum" and any(group["momentum"] == 0 for group in optimizer.param_groups):
            raise ValueError("OneCycleLR: cycle_momentum=True requires an optimizer with momentum above 0")
        self.base_momentum = check_number("OneCycleLR: base_momentum", base_momentum, maximum=1)
        self.max_momentum = check_number("OneCycleLR: max_momentum", max_momentum, maximum=1)
        super().__init__(optimizer)

    def _at(self, step: int, low: float, high: float, end: float, back: float) -> float:
        """From low to high and to end, with three phases back to `back` in between."""
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step {step}, of {self.total_steps} in all")
        up = plus(times(self.pct_start, self.total_steps), -1.0)
        phases = [(up, low, high), (float(self.total_steps - 1), high, end)]
        if self.three_phase:
            phases[1:] = [(plus(times(2.0, up), 0.0), high, back), (phases[1][0], back, end)]
        begin = 0.0
        for last, start, stop in phases:
            if step <= last or (last, start, stop) == phases[-1]:
                break
            begin = last
        share = over(plus(step, -begin), plus(last, -begin)) if last != begin else 1.0
        if self.anneal_strategy == "linear":
            return max(plus(times(plus(stop, -start), share), start), 0.0)  # below 0 after the last step
        return plus(stop, times(over(plus(start, -stop), 2.0), plus(cos_pi(*share.as_integer_ratio()), 1.0)))

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the rate of a group after `epoch` steps; the base does not count."""
        most = self.max_lrs[group]
        start = over(most, self.div_factor)
        return self._at(epoch, start, most, over(start, self.final_div_factor), start)

    def _values(self, epoch: int, group: int) -> dict[str, Any]:
        found = super()._values(epoch, group)
        if self._momentum:
            momentum = self._at(epoch, self.max_momentum, self.base_momentum, self.max_momentum, self.max_momentum)
            betas = self.optimizer.param_groups[group]["betas"] if self._momentum == "betas" else (0.0, 0.0)
            found[self._momentum] = (momentum, betas[1]) if self._momentum == "betas" else momentum
        return found


class PerStep(StepSchedule):
    """A schedule of the epoch, stepped before every step instead, in `cr.fit` without leaving the compiled epoch.

    Arguments: `schedule`, a `cr.optim.LRScheduler` that has not been stepped, whose epochs are then steps.
    Errors: TypeError for another schedule, among them `cr.optim.ReduceLROnPlateau`; ValueError for one that has
    been stepped.

    >>> import chainrule as cr
    >>> optimizer = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5)
    >>> schedule = cr.optim.PerStep(cr.optim.StepLR(optimizer, step_size=2, gamma=0.5))
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(optimizer.lr)
    ...     schedule.step()
    >>> rates
    [0.5, 0.5, 0.25, 0.25, 0.125]
    """

    def __init__(self, schedule: LRScheduler) -> None:
        if not isinstance(schedule, LRScheduler):
            raise TypeError(
                f"PerStep: expected a schedule that is a function of the epoch, got {type(schedule).__name__}"
            )
        if schedule.last_epoch:
            raise ValueError(f"PerStep: the schedule has made {schedule.last_epoch} steps; give a new one")
        self.schedule = schedule
        super().__init__(schedule.optimizer, "lr", "constant", total_steps=1)

    def _settings(self, first: int, count: int) -> list[Setting]:
        found: list[Setting] = []
        for i, group in enumerate(self.schedule.optimizer.param_groups):
            table = [self.schedule._values(step, i) for step in range(first, first + count)]
            for name in table[0] if table else ():
                rows = np.array([np.atleast_1d(values[name]) for values in table], np.float64)
                for extreme in {tuple(rows[rows[:, 0].argmin()]), tuple(rows[rows[:, 0].argmax()])}:
                    group._checked({name: extreme[0] if len(extreme) == 1 else extreme})
                found.append((group._hyperparameters, group._kind._option(name).offset, rows))
        return found

    def _move(self, step: int) -> None:
        super()._move(step)
        self.schedule.last_epoch = step
