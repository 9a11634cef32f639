"""What all optimizers share: groups of parameters with their options and states, the step, saving and loading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .._ir.elementwise import Update
from .._ir.table import Entry, add_instruction
from .._tensor import Tensor
from .._util.arrays import aligned_full, constant
from .._util.dtypes import Array
from .._util.mode import grad_mode
from ._options import Number, Option, options_of

__all__ = ["Group", "Optimizer"]


class Group:
    """Parameters of an optimizer that share their options, which are read and set by name: `group["lr"] = 0.1`.

    `params` are the tensors. Compiled steps follow a change.

    >>> import chainrule as cr
    >>> layer = cr.nn.Linear(2, 1)
    >>> optimizer = cr.optim.SGD([{"params": layer.weight}, {"params": layer.bias, "lr": 0.1}], lr=0.5)
    >>> optimizer.param_groups[1]["lr"] = 0.2
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.5, 0.2]
    """

    def __init__(self, optimizer: Optimizer, params: list[Tensor], options: Mapping[str, Any]) -> None:
        self._kind, self.params = type(optimizer), params
        self._update = ""  # the name of its kernel
        self._numbers = np.zeros(sum(option.size for option in self._kind._options.values()))
        self.initial_lr: float | None = None  # before a schedule changed it
        self._states: tuple[tuple[Array, ...], ...] = tuple(() for _ in params)
        self._clocks = [_clock(self._kind._clock) for _ in params]
        self._names: tuple[str, ...] = ()
        self._take(self._checked(options))

    def __getitem__(self, name: str) -> Any:
        if name == "params":
            return self.params
        return self._kind._option(name).read(self._numbers)

    def __setitem__(self, name: str, value: Any) -> None:
        self._kind._outside(name)
        self._take(self._checked({name: value}))

    def keys(self) -> Iterator[str]:
        """The names of the options."""
        return iter(self._kind._options)

    def _checked(self, options: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """The memory of the options with these changed; nothing changes on an error."""
        numbers: npt.NDArray[np.float64] = self._numbers.copy()
        for name, value in options.items():
            self._kind._option(name).write(numbers, value, self._kind.__name__)
        self._kind._check({name: option.read(numbers) for name, option in self._kind._options.items()})
        return numbers

    def _take(self, numbers: npt.NDArray[np.float64]) -> None:
        """Make these the options. States that they ask for begin, others end; compiled steps are traced anew then."""
        self._numbers[...] = numbers
        options = dict(self)
        self._update = self._kind._kernel(options)
        names = tuple(self._kind._state_names(options))
        if names != self._names:
            start = self._kind._start(options)
            had = [dict(zip(self._names, states, strict=True)) for states in self._states]
            self._states = tuple(
                tuple(
                    have[name] if name in have else aligned_full(p.shape, p.dtype, constant(start, p.dtype))
                    for name in names
                )
                for have, p in zip(had, self.params, strict=True)
            )
            self._names = names

    def _load(self, other: Group) -> None:
        """Take over the options and states of a group of the same parameters, in this group's memory where it fits."""
        self._numbers[...], self._update = other._numbers, other._update
        if self._names != other._names:
            self._names, self._states = other._names, other._states
        for own, values in zip((*self._states, self._clocks), (*other._states, other._clocks), strict=True):
            for array, value in zip(own, values, strict=True):
                if array is not None:
                    array[...] = value


class Optimizer:
    """Base of the optimizers: a subclass names its options, its states and the kernel that makes a step.

    Attributes: `params`, all parameters; `param_groups`, a list of `Group`, one unless several were given; every
    option, of all groups (reading one in which they differ is a ValueError).

    >>> import chainrule as cr
    >>> isinstance(cr.optim.Adam([cr.nn.Parameter([1.0])]), cr.optim.Optimizer)
    True
    """

    # The updates that it calls, and the flops of each per element, without weight decay and optional states.
    _updates: ClassVar[tuple[tuple[str, int], ...]] = ()
    _joins_product: ClassVar[bool] = False  # whether they are fused into matrix products
    _options: ClassVar[dict[str, Option[Any]]]
    _clock: ClassVar[int] = 0  # numbers that change from step to step; 0: none
    _all_states: ClassVar[tuple[str, ...]] = ()  # in the order of the kernel

    lr = Number()

    def __init_subclass__(cls) -> None:
        cls._options = options_of(cls)
        for name, flops in vars(cls).get("_updates", ()):
            add_instruction(name, Entry(Update, flops, joins_product=cls._joins_product))

    @classmethod
    def _kernel(cls, options: Mapping[str, Any]) -> str:
        """The name of the update for these options, one of `_updates`."""
        return cls._updates[0][0]

    @classmethod
    def _state_names(cls, options: Mapping[str, Any]) -> Sequence[str]:
        """The states that these options ask for, of `_all_states`."""
        return cls._all_states

    @classmethod
    def _start(cls, options: Mapping[str, Any]) -> float:
        """The number that states begin with."""
        return 0.0

    @classmethod
    def _check(cls, options: Mapping[str, Any]) -> None:
        """Raise ValueError for options that do not go together."""

    def __init__(self, params: Iterable[Tensor] | Iterable[Mapping[str, Any]], options: Mapping[str, Any]) -> None:
        name = type(self).__name__
        grad_mode.executor.forbid(
            f"{name}: made inside a compiled function, where its state would not last; make it outside"
        )
        found = list(params)
        plain = not any(isinstance(item, Mapping) for item in found)
        groups: list[Any] = [{"params": found}] if plain else found
        for i, group in enumerate(groups):
            if not isinstance(group, Mapping) or "params" not in group:
                raise TypeError(f"{name}: group {i} is no dict with 'params'")
        given = [_as_list(group["params"]) for group in groups]
        self.params = _check_params(name, [p for part in given for p in part])
        self.param_groups = [
            Group(self, part, {**options, **{key: group[key] for key in group if key != "params"}})
            for part, group in zip(given, groups, strict=True)
        ]

    @classmethod
    def _option(cls, name: str) -> Option[Any]:
        if name not in cls._options:
            raise KeyError(f"{cls.__name__}: no option is called {name!r}, only {', '.join(cls._options)}")
        return cls._options[name]

    @classmethod
    def _outside(cls, name: str) -> None:
        grad_mode.executor.forbid(
            f"{cls.__name__}: {name} is changed inside a compiled function; change it outside, the program follows"
        )

    def _change(self, options: Sequence[Mapping[str, Any]]) -> None:
        """Change options, group by group; nothing changes on an error."""
        self._outside(", ".join(options[0]))
        numbers = [group._checked(o) for group, o in zip(self.param_groups, options, strict=True)]
        for group, changed in zip(self.param_groups, numbers, strict=True):
            group._take(changed)

    def step(self) -> None:
        """Change every parameter that has a gradient, by the optimizer's formula.

        Errors: ValueError when a gradient's shape or dtype is not its parameter's; then no parameter has changed.

        >>> import chainrule as cr
        >>> weight = cr.nn.Parameter([3.0])
        >>> weight.grad = cr.tensor([4.0])
        >>> cr.optim.SGD([weight], lr=0.25).step()
        >>> weight.numpy()
        array([2.], dtype=float32)
        """
        ready = [self._ready(group) for group in self.param_groups]
        executor = grad_mode.executor
        for group, gradients in zip(self.param_groups, ready, strict=True):
            executor.guard(group, "_states")
            clocks = []
            for i, gradient in gradients:
                parameter, states, clock = group.params[i], group._states[i], group._clocks[i]
                executor.update(group._update, parameter, gradient, states, group._numbers, clock)
                if clock is not None:
                    clocks.append(clock)
            if clocks:
                executor.advance(clocks, group._numbers, self._clock)

    def _ready(self, group: Group) -> list[tuple[int, Tensor]]:
        """The places and gradients of the parameters that have one."""
        found = []
        get_grad = grad_mode.executor.get_grad
        for i, parameter in enumerate(group.params):
            gradient = get_grad(parameter)
            if gradient is None:
                continue
            if gradient.shape != parameter.shape or gradient.dtype != parameter.dtype:
                raise ValueError(
                    f"{type(self).__name__}: parameter {self._place(parameter)} is {_signature(parameter)}, its "
                    f"gradient {_signature(gradient)}"
                )
            found.append((i, gradient))
        return found

    def _place(self, parameter: Tensor) -> int:
        return next(i for i, p in enumerate(self.params) if p is parameter)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.params:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next steps depend on besides the parameters, as copies.

        Returns: `groups`, the options of each group; under the name of each state a list of ndarrays, one for each
        parameter (None where its options ask for none); `clock`, for optimizers that count their steps.

        >>> import chainrule as cr
        >>> cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5, momentum=0.9).state_dict()["velocity"]
        [array([0.], dtype=float32)]
        """
        state: dict[str, Any] = {"groups": [dict(group) for group in self.param_groups]}
        for name in self._all_states:
            state[name] = [None if array is None else array.copy() for array in _states(self.param_groups, name)]
        if self._clock:
            state["clock"] = [
                clock.copy() for group in self.param_groups for clock in group._clocks if clock is not None
            ]
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; nothing changes when there is an error.

        Arguments: `state`, from an optimizer of parameters of the same shapes and dtypes, in the same groups.
        Errors: ValueError naming what is missing or differs.

        >>> import chainrule as cr
        >>> a = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5, momentum=0.9)
        >>> b = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.1)
        >>> b.load_state_dict(a.state_dict())
        >>> b.lr, b.momentum
        (0.5, 0.9)
        """
        wanted = ("groups", *self._all_states, *(["clock"] if self._clock else []))
        _check_names("", wanted, state)
        groups = list(state["groups"])
        if len(groups) != len(self.param_groups):
            raise ValueError(f"load_state_dict: {len(groups)} groups, expected {len(self.param_groups)}")
        for i, options in enumerate(groups):
            _check_names(f"group {i}: ", tuple(self._options), options)
        loaded = [Group(self, own.params, options) for own, options in zip(self.param_groups, groups, strict=True)]
        for name in self._all_states:
            _fill(name, _states(loaded, name), list(state[name]))
        if self._clock:
            _fill("clock", [clock for group in loaded for clock in group._clocks], list(state["clock"]))
        self._outside("its state")
        for own, group in zip(self.param_groups, loaded, strict=True):
            own._load(group)


def _states(groups: Sequence[Group], name: str) -> list[Array | None]:
    """A state of all parameters."""
    return [dict(zip(g._names, states, strict=True)).get(name) for g in groups for states in g._states]


def _fill(name: str, arrays: Sequence[Array | None], values: Sequence[Any]) -> None:
    """Fill arrays with values of the same shapes and dtypes."""
    if len(values) != len(arrays):
        raise ValueError(f"load_state_dict: {name} has {len(values)} entries for {len(arrays)} parameters")
    for i, (array, value) in enumerate(zip(arrays, values, strict=True)):
        if _signature(value) != _signature(array):
            raise ValueError(f"load_state_dict: {name} {i} is {_signature(value)}, expected {_signature(array)}")
        if array is not None:
            array[...] = value


def _clock(size: int) -> npt.NDArray[np.float64] | None:
    """Steps so far, and the products of so many factors, which begin at 1."""
    if size == 0:
        return None
    clock = np.ones(size)
    clock[0] = 0
    return clock


def _signature(array: Tensor | Array | None) -> str:
    return "None" if array is None else f"{array.dtype} {array.shape}"


def _as_list(params: Any) -> list[Any]:
    return [params] if isinstance(params, Tensor) else list(params)


def _check_names(where: str, names: Sequence[str], state: Mapping[str, Any]) -> None:
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"load_state_dict: {where}missing {', '.join(missing)}")


def _check_params(name: str, found: list[Any]) -> list[Tensor]:
    if not found:
        raise ValueError(f"{name}: there are no parameters")
    for i, parameter in enumerate(found):
        if not isinstance(parameter, Tensor) or not parameter.requires_grad:
            raise TypeError(f"{name}: parameter {i} is not a tensor that requires a gradient")
    if len({id(parameter) for parameter in found}) != len(found):
        raise ValueError(f"{name}: a parameter is given twice")
    return found
