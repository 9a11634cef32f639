"""StepSchedule: an option of an optimizer, or the rate of dropout, as a function of the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import factorial, pi
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import ops
from .._util.checks import check_integer, check_number
from .._util.mode import grad_mode
from ..ops._dropout import rates_of
from ._base import Group, Optimizer
from ._options import Number
from ._schedules import check_names, check_optimizer

__all__ = ["StepSchedule"]

Array = npt.NDArray[np.float64]
_AHEAD = 1024  # steps whose factors are computed at once

Setting = tuple[Array, int, Array]  # cells, the first of them that changes, and a row of values for each step


class StepSchedule:
    """Set an option before every step: value = base * curve(t), with t = step / total_steps from 0 to 1.

    | curve | value |
    |---|---|
    | "constant" | 1 |
    | "linear" | 1 - t |
    | "cosine" | (1 + cos(pi t)) / 2 |
    | "flat_cos" | 1 to t = 1/2, then (1 + cos(pi (2 t - 1))) / 2 |
    | "coslog4" | (1 - cos(2 pi log2(1 + 15 t))) / 2, four cycles, each twice as long as the one before |

    With `warmup` w the factor is t / w below w, and curve((t - w) / (1 - w)) from there on. `cr.fit` takes one or
    several as `schedule=`, also beside those of the epoch, and runs the steps of an epoch in one call as without a
    schedule. Other loops call `step()` after every optimizer step.

    Arguments: `target`, an optimizer, or a model or layer whose `Dropout` layers are meant; `option`, of each parameter
    group, "lr", "weight_decay" or another number, or "p" of dropout; the base is the option's value before any
    schedule, of dropout the layer's `p`; `curve`, a name of the table or a function of t that returns a number of at
    least 0; `total_steps`, at least 1 (default: the steps of the `cr.fit` that takes the schedule), after which t stays
    1; `warmup`, the share of steps that warm up, from 0 to below 1.
    Attributes: `last_step`, the number of steps so far; `base_values`, of the groups or layers.
    Errors: TypeError for another target or curve; ValueError for an option or an argument out of range.
    Source: coslog4 and flat_cos: Holzmueller, Grinsztajn and Steinwart, Better by default, NeurIPS 2024.

    >>> import chainrule as cr
    >>> optimizer = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5)
    >>> schedule = cr.optim.StepSchedule(optimizer, "lr", "linear", total_steps=4)
    >>> rates = [optimizer.lr]
    >>> for _ in range(4):
    ...     schedule.step()
    ...     rates.append(optimizer.lr)
    >>> rates
    [0.5, 0.375, 0.25, 0.125, 0.0]
    """

    def __init__(
        self,
        target: Any,
        option: str = "lr",
        curve: str | Callable[[float], float] = "cosine",
        *,
        total_steps: int | None = None,
        warmup: float = 0.0,
    ) -> None:
        _forbid("a schedule is created")
        if not callable(curve) and curve not in _CURVES:
            raise ValueError(
                f"StepSchedule: curve must be a function or one of {', '.join(map(repr, _CURVES))}, got {curve!r}"
            )
        if total_steps is not None:
            check_integer("StepSchedule: total_steps", total_steps, 1)
        if not 0 <= check_number("StepSchedule: warmup", warmup) < 1:
            raise ValueError(f"StepSchedule: warmup must be from 0 to below 1, got {warmup}")
        self.target, self.option, self.curve, self.warmup = target, option, curve, float(warmup)
        self.optimizer = target if isinstance(target, Optimizer) else None
        self.total_steps, self.last_step = total_steps, 0
        self._derived = total_steps is None  # from the epochs of a fit
        self._known: tuple[int, Array] = (0, np.empty(0))  # the factors of some steps, from the first of them on
        self._owners = _owners(target, option)
        self._move(0)

    @property
    def base_values(self) -> list[float]:
        """The values that the curve multiplies."""
        return [owner.base for owner in self._owners]

    def step(self) -> None:
        """Set the values of the next step."""
        _forbid("step() is called")
        if self.total_steps is None:
            raise ValueError("StepSchedule: total_steps is not known; pass total_steps=")
        self._move(self.last_step + 1)

    def get_last_value(self) -> list[float]:
        """Return the value of each group or layer."""
        return [owner.value for owner in self._owners]

    def state_dict(self) -> dict[str, Any]:
        """Return the steps so far, their total and the base values; a function is not included."""
        return {"last_step": self.last_step, "total_steps": self.total_steps, "base_values": self.base_values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict` and set the values; ValueError for a missing or different entry."""
        check_names(state, ("last_step", "total_steps", "base_values"))
        bases = [float(base) for base in state["base_values"]]
        if len(bases) != len(self._owners):
            raise ValueError(f"load_state_dict: {len(bases)} base values for {len(self._owners)} groups or layers")
        _forbid("its state is loaded")
        for owner, base in zip(self._owners, bases, strict=True):
            owner.base = base
        self.total_steps = None if state["total_steps"] is None else int(state["total_steps"])
        self._known = (0, np.empty(0))
        self._move(int(state["last_step"]))

    def _end_at(self, step: int) -> None:
        """Take the last step of a training as the total, unless it was given."""
        if self._derived and step > (self.total_steps or step):
            raise ValueError(
                f"fit: schedule ends at step {self.total_steps}, where an earlier fit ended, this one at step {step}; "
                "pass total_steps= to StepSchedule, or a new schedule"
            )
        if self.total_steps is None:
            self.total_steps, self._known = step, (0, np.empty(0))

    def _move(self, step: int) -> None:
        """Set the values of a step, counted from 0."""
        for cells, offset, values in self._settings(step, 1):
            cells[offset : offset + values.shape[1]] = values[0]
        self.last_step = step

    def _settings(self, first: int, count: int) -> list[Setting]:
        """The values of steps first, first + 1, ... in the form of `Plan.run_rows`."""
        begin, known = self._known
        if not begin <= first <= first + count <= begin + len(known):
            ahead = count if callable(self.curve) else max(count, _AHEAD)
            begin, known = self._known = first, self._factors(np.arange(first, first + ahead, dtype=np.int64))
        factors = known[first - begin : first - begin + count]
        return [owner.setting(factors) for owner in self._owners]

    def _factors(self, steps: npt.NDArray[np.int64]) -> Array:
        total = 1 if self.total_steps is None else self.total_steps
        t = ops.div(np.minimum(steps, total).astype(np.float64), np.float64(total)).numpy()
        factors = np.empty_like(t)
        rising = t < self.warmup
        factors[rising] = ops.div(t[rising], np.float64(self.warmup)).numpy() if rising.any() else 0.0
        rest = np.float64(ops.sub(np.float64(1), np.float64(self.warmup)).item())
        falling = ops.div(ops.sub(t[~rising], np.float64(self.warmup)), rest).numpy()
        factors[~rising] = self._curve(falling)
        return factors

    def _curve(self, t: Array) -> Array:
        if not callable(self.curve):
            return _CURVES[self.curve](t)
        found = [float(self.curve(at)) for at in t.tolist()]
        wrong = next((i for i, factor in enumerate(found) if not 0 <= factor < np.inf), None)
        if wrong is not None:
            raise ValueError(
                f"StepSchedule: curve({t[wrong]}) must be a finite number of at least 0, got {found[wrong]}"
            )
        return np.array(found, np.float64)


class _Owner(Protocol):
    """What has the option: a parameter group or a layer."""

    of: Any
    base: float

    @property
    def value(self) -> float:
        """The present value."""

    def setting(self, factors: Array) -> Setting:
        """Its cells and their values for some steps."""


class _OfGroup:
    """An option of a parameter group."""

    def __init__(self, group: Group, option: str) -> None:
        self.of, self._option = group, option
        self.base = group.initial.setdefault(option, float(group[option]))

    @property
    def value(self) -> float:
        return float(self.of[self._option])

    def setting(self, factors: Array) -> Setting:
        group, kind = self.of, self.of._kind
        values: Array = ops.mul(factors, np.float64(self.base)).numpy()
        for extreme in {values.min().item(), values.max().item()} if len(values) else ():
            group._checked({self._option: extreme})
            options = {**dict(group), self._option: extreme}
            if kind._kernel(options) != group._update or tuple(kind._state_names(options)) != group._names:
                raise ValueError(
                    f"StepSchedule: {kind.__name__} with {self._option}={extreme} needs other states than with "
                    f"{group[self._option]}; use factors above 0"
                )
        return group._hyperparameters, kind._option(self._option).offset, values.reshape(-1, 1)


class _OfDropout:
    """The rate of a dropout layer."""

    def __init__(self, layer: Any) -> None:
        self.of = layer

    @property
    def base(self) -> float:
        return float(self.of.p)

    @base.setter
    def base(self, value: float) -> None:
        if value != self.of.p:
            raise ValueError(f"load_state_dict: the schedule is of p={value}, the layer has p={self.of.p}")

    @property
    def value(self) -> float:
        return float(self.of._rate_cells()[0])

    def setting(self, factors: Array) -> Setting:
        p = ops.mul(factors, np.float64(self.base)).numpy()
        if len(p) and p.max() > 1:
            raise ValueError(f"StepSchedule: p of dropout must be at most 1, got {p.max()}")
        return self.of._rate_cells(), 0, np.ascontiguousarray(rates_of(p))


def _owners(target: Any, option: str) -> Sequence[_Owner]:
    if isinstance(target, Optimizer):
        if not isinstance(target._options.get(option), Number):
            numbers = [name for name, kind in target._options.items() if isinstance(kind, Number)]
            raise ValueError(
                f"StepSchedule: option must be one of {', '.join(numbers)} of {type(target).__name__}, got {option!r}"
            )
        return [_OfGroup(group, option) for group in target.param_groups]
    if not hasattr(target, "modules"):
        check_optimizer("StepSchedule", target, " or a model")
    if option != "p":
        raise ValueError(f"StepSchedule: option of a model must be 'p', the rate of its dropout, got {option!r}")
    layers = list({id(layer): layer for layer in target.modules() if hasattr(layer, "_rate_cells")}.values())
    if not layers:
        raise ValueError("StepSchedule: the model has no Dropout layer")
    return [_OfDropout(layer) for layer in layers]


def _forbid(what: str) -> None:
    grad_mode.executor.forbid(
        f"StepSchedule: {what} inside a compiled function; do it outside, compiled programs read the new value"
    )


def _half_turn(x: Array) -> Array:
    """(1 + cos(pi x)) / 2 = cos(pi x / 2)^2, by the Taylor series of the sine or cosine of at most a quarter turn."""
    a = np.abs(ops.sub(x, ops.mul(2.0, np.rint(ops.mul(0.5, x).numpy()))).numpy())  # exact; from 0 to 1
    near = a <= 0.5
    angle = ops.mul(pi / 2, np.where(near, a, ops.sub(1.0, a).numpy()))
    square = ops.square(angle)
    cosine: Any = np.zeros(len(x))
    series = cosine
    for k in range(18, 0, -2):
        cosine = ops.mul(square, ops.sub(1 / factorial(k), cosine))
        series = ops.mul(square, ops.sub(1 / factorial(k + 1), series))
    cosine, sine = ops.sub(1.0, cosine).numpy(), ops.sub(angle, ops.mul(angle, series)).numpy()
    return ops.square(np.where(near, cosine, sine)).numpy()


def _flat_cos(t: Array) -> Array:
    return _half_turn(ops.sub(ops.mul(2.0, np.maximum(t, 0.5)), 1.0).numpy())


def _coslog4(t: Array) -> Array:
    turns = ops.div(ops.log(ops.add(1.0, ops.mul(15.0, t))), ops.log(np.float64(2)))
    return ops.sub(1.0, _half_turn(ops.mul(2.0, turns).numpy())).numpy()


_CURVES: dict[str, Callable[[Array], Array]] = {
    "constant": np.ones_like,
    "linear": lambda t: ops.sub(1.0, t).numpy(),
    "cosine": _half_turn,
    "flat_cos": _flat_cos,
    "coslog4": _coslog4,
}
