"""Optimizers, in PyTorch's words and formulas; the arithmetic is one kernel call per parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core
from ._errors import CompileError
from .tensor import Tensor, grad_mode

__all__ = ["SGD"]


class SGD:
    """Stochastic gradient descent with momentum, Nesterov momentum and weight decay.

    d = g + weight_decay * p;  v = momentum * v + d;  d = v, or d + momentum * v with nesterov;  p = p - lr * d,
    where v begins at 0. The exact roundings are in docs/arithmetic.md.

    Arguments: `params`, an iterable of parameters (`model.parameters()`); `lr`, the step size, changeable as an
    attribute; `momentum`, from 0 up to but not 1; `nesterov`, needs a momentum; `weight_decay`, at least 0.
    Errors: TypeError when a parameter is not a tensor that requires a gradient; ValueError for an empty or repeated
    parameter or a number out of range.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, 2.0])
    >>> optimizer = cr.optim.SGD([weight], lr=0.5)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([0., 0.], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        if grad_mode.trace is not None:
            raise CompileError("SGD: made inside a compiled function, where its state would not last; make it outside")
        self.params = _check_params(params)
        # lr, momentum, weight_decay, nesterov: compiled programs read this memory at every run.
        self._hyper = np.zeros(4)
        self.lr = lr
        self._hyper[1] = _check_number("momentum", momentum)
        if self.momentum >= 1:
            raise ValueError(f"SGD: momentum must be below 1, got {momentum}")
        self._hyper[2] = _check_number("weight_decay", weight_decay)
        self._hyper[3] = bool(nesterov)
        if self.nesterov and self.momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        self._velocity: tuple[npt.NDArray[Any] | None, ...] = tuple(
            np.zeros_like(p._data) if self.momentum else None for p in self.params
        )

    @property
    def lr(self) -> float:
        """The step size; assign to change it, for example between epochs. Compiled steps follow."""
        return float(self._hyper[0])

    @lr.setter
    def lr(self, value: float) -> None:
        if grad_mode.trace is not None:
            raise CompileError("SGD: lr is changed inside a compiled function; change it outside, the program follows")
        self._hyper[0] = _check_number("lr", value)

    @property
    def momentum(self) -> float:
        """The momentum, as given."""
        return float(self._hyper[1])

    @property
    def weight_decay(self) -> float:
        """The weight decay, as given."""
        return float(self._hyper[2])

    @property
    def nesterov(self) -> bool:
        """Whether Nesterov momentum is used, as given."""
        return bool(self._hyper[3])

    def step(self) -> None:
        """Change every parameter that has a gradient, by the formula above.

        Errors: ValueError when a gradient's shape or dtype is not its parameter's; then no parameter has changed.

        >>> import chainrule as cr
        >>> weight = cr.nn.Parameter([3.0])
        >>> weight.grad = cr.tensor([4.0])
        >>> cr.optim.SGD([weight], lr=0.25).step()
        >>> weight.numpy()
        array([2.], dtype=float32)
        """
        ready = []
        for i, parameter in enumerate(self.params):
            gradient = parameter.grad
            if gradient is None:
                continue
            if gradient.shape != parameter.shape or gradient.dtype != parameter.dtype:
                raise ValueError(f"SGD: parameter {i} is {_signature(parameter)}, its gradient {_signature(gradient)}")
            ready.append((parameter, gradient, self._velocity[i]))
        trace = grad_mode.trace
        if trace is not None:
            trace.guard(self, "_velocity")
        for parameter, gradient, velocity in ready:
            if trace is None:
                lr, momentum, decay, nesterov = self._hyper.tolist()
                _core.sgd_step(parameter._data, gradient._data, velocity, lr, momentum, decay, nesterov != 0)
            else:
                state = [] if velocity is None else [velocity]
                trace.in_place("sgd", [parameter, *state], [gradient, self._hyper], [parameter.size])
                trace.consumed.add(parameter._number)
            parameter._bump()

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.params:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return the options and copies of the velocities, one ndarray per parameter (None without momentum).

        >>> import chainrule as cr
        >>> cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5, momentum=0.9).state_dict()["velocity"]
        [array([0.], dtype=float32)]
        """
        return {
            "lr": self.lr,
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.weight_decay,
            "velocity": [None if v is None else v.copy() for v in self._velocity],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; nothing changes when there is an error.

        Arguments: `state`, from an optimizer of parameters of the same shapes and dtypes.
        Errors: ValueError naming what is missing or differs.

        >>> import chainrule as cr
        >>> a = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5, momentum=0.9)
        >>> b = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.1)
        >>> b.load_state_dict(a.state_dict())
        >>> b.lr, b.momentum
        (0.5, 0.9)
        """
        names = ("lr", "momentum", "nesterov", "weight_decay", "velocity")
        missing = [name for name in names if name not in state]
        if missing:
            raise ValueError(f"load_state_dict: missing {', '.join(missing)}")
        loaded = SGD(self.params, *(state[name] for name in names[:-1]))
        velocity = list(state["velocity"])
        if len(velocity) != len(loaded._velocity):
            raise ValueError(f"load_state_dict: {len(velocity)} velocities for {len(self.params)} parameters")
        for i, (value, expected) in enumerate(zip(velocity, loaded._velocity, strict=True)):
            if _signature(value) != _signature(expected):
                raise ValueError(
                    f"load_state_dict: velocity {i} is {_signature(value)}, expected {_signature(expected)}"
                )
        kept = [v is None for v in velocity] == [v is None for v in self._velocity]
        self._hyper[...] = loaded._hyper
        if not kept:
            self._velocity = loaded._velocity
        for own, value in zip(self._velocity, velocity, strict=True):
            if own is not None:
                own[...] = value


def _signature(array: Tensor | npt.NDArray[Any] | None) -> str:
    return "None" if array is None else f"{array.dtype} {array.shape}"


def _check_params(params: Iterable[Tensor]) -> list[Tensor]:
    found = list(params)
    if not found:
        raise ValueError("SGD: there are no parameters")
    for i, parameter in enumerate(found):
        if not isinstance(parameter, Tensor) or not parameter.requires_grad:
            raise TypeError(f"SGD: parameter {i} is not a tensor that requires a gradient")
    if len({id(parameter) for parameter in found}) != len(found):
        raise ValueError("SGD: a parameter is given twice")
    return found


def _check_number(name: str, value: float) -> float:
    number = float(value)
    if not (np.isfinite(number) and number >= 0):
        raise ValueError(f"SGD: {name} must be a finite number of at least 0, got {value}")
    return number
