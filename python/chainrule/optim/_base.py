"""Base of the optimizers: parameter groups with their options and states, the step, `state_dict`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import _core
from .._ir.elementwise import Update
from .._ir.records import Advance
from .._ir.table import Entry, add_instruction
from .._tensor import Tensor
from .._util.arrays import aligned_full, constant
from .._util.dtypes import Array
from .._util.mode import grad_mode
from ..autodiff._sweeps import check_overwrite
from ._checks import as_list, check_names, check_params, check_switches, signature
from ._options import Number, Option, options_of

__all__ = ["Group", "Optimizer"]


class Group:
    """A parameter group: parameters that share their options, read and set by name: `group["lr"] = 0.1`.

    `params` are the tensors. Compiled steps use the new value from their next call on.

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
        self._hyperparameters = np.zeros(sum(option.size for option in self._kind._options.values()))
        self.initial: dict[str, float] = {}  # options before a schedule changed them
        self._states: tuple[tuple[Array, ...], ...] = tuple(() for _ in params)
        self._step_states: list[npt.NDArray[np.float64] | None] = [None for _ in params]
        self._names: tuple[str, ...] = ()
        self._set(self._checked(options))

    def __getitem__(self, name: str) -> Any:
        if name == "params":
            return self.params
        return self._kind._option(name).read(self._hyperparameters)

    def __setitem__(self, name: str, value: Any) -> None:
        self._kind._forbid_in_compiled(name)
        self._set(self._checked({name: value}))

    def keys(self) -> Iterator[str]:
        """The names of the options."""
        return iter(self._kind._options)

    def _checked(self, options: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Return a copy of the hyperparameters with these options changed; nothing changes on an error."""
        values: npt.NDArray[np.float64] = self._hyperparameters.copy()
        for name, value in options.items():
            self._kind._option(name).write(values, value, self._kind.__name__)
        self._kind._check({name: option.read(values) for name, option in self._kind._options.items()})
        return values

    def _set(self, values: npt.NDArray[np.float64]) -> None:
        """Set the hyperparameters. A change of the required states creates or drops arrays; compiled steps retrace."""
        self._hyperparameters[...] = values
        options = dict(self)
        self._update, self._maximize = self._kind._kernel(options), bool(options.get("maximize"))
        start = self._kind._step_state(options)
        if any((state is None) != (not start) for state in self._step_states):
            self._step_states = [np.array(start, np.float64) if start else None for _ in self.params]
        names = tuple(self._kind._state_names(options))
        if names != self._names:
            initial = self._kind._initial_state_value(options)
            previous = [dict(zip(self._names, states, strict=True)) for states in self._states]
            self._states = tuple(
                tuple(
                    known[name] if name in known else aligned_full(p.shape, p.dtype, constant(initial, p.dtype))
                    for name in names
                )
                for known, p in zip(previous, self.params, strict=True)
            )
            self._names = names

    def _load(self, other: Group) -> None:
        """Copy the options and states of a group of the same parameters.

        Arrays are overwritten where the states match: compiled steps hold them and are then not retraced.
        """
        self._hyperparameters[...], self._update = other._hyperparameters, other._update
        self._maximize = other._maximize
        if any((own is None) != (new is None) for own, new in zip(self._step_states, other._step_states, strict=True)):
            self._step_states = other._step_states
        if self._names != other._names:
            self._names, self._states = other._names, other._states
        for own, values in zip((*self._states, self._step_states), (*other._states, other._step_states), strict=True):
            for array, value in zip(own, values, strict=True):
                if array is not None:
                    array[...] = value


class Optimizer:
    """Base of the optimizers: a subclass declares its options, its states and its update kernel.

    Attributes: `params`, all parameters; `param_groups`, a list of `Group`, one unless several were given; every
    option, for all groups at once (reading it while the groups differ raises ValueError).

    >>> import chainrule as cr
    >>> isinstance(cr.optim.Adam([cr.nn.Parameter([1.0])]), cr.optim.Optimizer)
    True
    """

    # The updates that it calls, and the flops of each per element, without weight decay and optional states.
    _updates: ClassVar[tuple[tuple[str, int], ...]] = ()
    _join_products: ClassVar[tuple[str, ...]] = ()  # those of them that are fused into matrix products
    _advances: ClassVar[bool] = False  # whether the update advances its step states by a rule of its own
    _options: ClassVar[dict[str, Option[Any]]]
    _before: ClassVar[Mapping[str, Any]] = {}  # what options were that states of earlier versions do not have
    _start: ClassVar[tuple[float, ...]] = ()  # numbers that advance with every step: their values before the first
    _all_states: ClassVar[tuple[str, ...]] = ()  # in the order of the kernel

    lr = Number()

    def __init_subclass__(cls) -> None:
        cls._options = options_of(cls)
        for name, flops in vars(cls).get("_updates", ()):
            add_instruction(name, Entry(Update, flops, joins_product=name in cls._join_products))
            if cls._advances:
                add_instruction(f"advance {name}", Entry(Advance))

    @classmethod
    def _kernel(cls, options: Mapping[str, Any]) -> str:
        """The name of the update for these options, one of `_updates`."""
        return cls._updates[0][0]

    @classmethod
    def _state_names(cls, options: Mapping[str, Any]) -> Sequence[str]:
        """The subset of `_all_states` that these options require."""
        return cls._all_states

    @classmethod
    def _step_state(cls, options: Mapping[str, Any]) -> tuple[float, ...]:
        """The step state before the first step, for these options; empty: none."""
        return cls._start

    @classmethod
    def _initial_state_value(cls, options: Mapping[str, Any]) -> float:
        """The initial value of the states."""
        return 0.0

    @classmethod
    def _check(cls, options: Mapping[str, Any]) -> None:
        """Raise ValueError for incompatible options."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        options: Mapping[str, Any],
        switches: Mapping[str, Any] | None = None,
    ) -> None:
        name = type(self).__name__
        check_switches(name, switches or {})
        grad_mode.executor.forbid(
            f"{name}: created inside a compiled function, where its state would be lost; create it outside"
        )
        if isinstance(params, Tensor):
            raise TypeError(
                f"{name}: expected an iterable of parameters, got one tensor {signature(params)}; write [parameter]"
            )
        found = as_list(name, params)
        plain = not any(isinstance(item, Mapping) for item in found)
        groups: list[Any] = [{"params": found}] if plain else found
        for i, group in enumerate(groups):
            if not isinstance(group, Mapping) or "params" not in group:
                raise TypeError(f"{name}: group {i} is not a dict with 'params'")
        given = [as_list(name, group["params"]) for group in groups]
        check_params(name, given)
        self._check_parameters([parameter for part in given for parameter in part])
        self.params = [parameter for part in given for parameter in part]
        self.defaults = dict(options)
        self.param_groups = [
            Group(self, part, {**options, **{key: group[key] for key in group if key != "params"}})
            for part, group in zip(given, groups, strict=True)
        ]

    def _check_parameters(self, params: Sequence[Tensor]) -> None:
        """Raise ValueError for parameters that the formula is not for."""

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add a group of parameters, for example of a layer that was frozen so far.

        Arguments: `group`, a dict with `params` and the options that differ from those the optimizer was given.
        Errors: as the constructor's; RuntimeError in a compiled function.

        >>> import chainrule as cr
        >>> layer = cr.nn.Linear(2, 1)
        >>> optimizer = cr.optim.SGD([layer.weight], lr=0.5)
        >>> optimizer.add_param_group({"params": layer.bias, "lr": 0.1})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.5, 0.1]
        """
        name = type(self).__name__
        self._forbid_in_compiled("a group of parameters")
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f"{name}: add_param_group: expected a dict with 'params', got {group!r}")
        own = as_list(name, group["params"])
        check_params(name, [*(each.params for each in self.param_groups), own])
        self._check_parameters(own)
        options = {**self.defaults, **{key: group[key] for key in group if key != "params"}}
        self.param_groups = [*self.param_groups, Group(self, own, options)]
        self.params = [*self.params, *own]

    @classmethod
    def _option(cls, name: str) -> Option[Any]:
        if name not in cls._options:
            raise KeyError(f"{cls.__name__}: unknown option {name!r}, expected one of {', '.join(cls._options)}")
        return cls._options[name]

    @classmethod
    def _forbid_in_compiled(cls, name: str) -> None:
        grad_mode.executor.forbid(
            f"{cls.__name__}: {name} is changed inside a compiled function; change it outside, compiled programs read "
            "the new value"
        )

    def _change(self, options: Sequence[Mapping[str, Any]]) -> None:
        """Change options, group by group; nothing changes on an error."""
        self._forbid_in_compiled(", ".join(options[0]))
        changed = [group._checked(o) for group, o in zip(self.param_groups, options, strict=True)]
        for group, values in zip(self.param_groups, changed, strict=True):
            group._set(values)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that requires a gradient and has one, by the optimizer's formula.

        Arguments: `closure`, a function that computes the gradients and returns the loss, called first, if given.
        Returns: the closure's result, or None. With `maximize` the steps are those of the negative gradient. A frozen
        parameter, one with requires_grad=False, and its states stay as they are, whatever its `grad`. An error or an
        interrupt between two parameters leaves each with the state of its own number of steps.

        Errors: ValueError when a gradient's shape or dtype is not its parameter's; RuntimeError inside `cr.grad` and
        other transformations that differentiate by a parameter or a gradient; then no parameter has changed.

        >>> import chainrule as cr
        >>> weight = cr.nn.Parameter([3.0])
        >>> weight.grad = cr.tensor([4.0])
        >>> cr.optim.SGD([weight], lr=0.25).step()
        >>> weight.numpy()
        array([2.], dtype=float32)
        """
        loss = None if closure is None else closure()
        ready = [self._ready(group) for group in self.param_groups]
        with _core.writing([parameter._data for parameter in self.params]):
            self._update_all(ready)
        return loss

    def _update_all(self, ready: Sequence[list[tuple[int, Tensor]]]) -> None:
        executor = grad_mode.executor
        apart = type(self)._update_one is not Optimizer._update_one
        for group, gradients in zip(self.param_groups, ready, strict=True):
            executor.guard(group, "_states")
            executor.guard(group, "_update")
            executor.guard(group, "_maximize")
            step_states: list[Array] = []
            name, params, states, clocks = group._update, group.params, group._states, group._step_states
            numbers, maximize, run = group._hyperparameters, group._maximize, executor.update
            try:
                for i, gradient in gradients:
                    clock = clocks[i]
                    gradient = -gradient.detach() if maximize else gradient
                    if apart:
                        self._update_one(group, i, gradient)
                    else:
                        run(name, params[i], gradient, states[i], numbers, clock)
                    if clock is not None:
                        step_states.append(clock)
            finally:
                if step_states:
                    update = group._update if self._advances else ""
                    executor.advance(step_states, group._hyperparameters, len(step_states[0]), update)

    def _update_one(self, group: Group, i: int, gradient: Tensor) -> None:
        """Update a parameter of a group and its states."""
        grad_mode.executor.update(
            group._update, group.params[i], gradient, group._states[i], group._hyperparameters, group._step_states[i]
        )

    def _ready(self, group: Group) -> list[tuple[int, Tensor]]:
        """The indices and gradients of the parameters that are not frozen and have a gradient."""
        found = []
        get_grad = grad_mode.executor.get_grad
        in_transformation = bool(grad_mode.replaced or grad_mode.differentiated)
        for i, parameter in enumerate(group.params):
            if not parameter._requires_grad:
                grad_mode.executor.guard(parameter, "_requires_grad")
                continue
            gradient = get_grad(parameter)
            if gradient is None:
                continue
            if in_transformation:
                check_overwrite(f"{type(self).__name__}.step", parameter, gradient)
            values, own = gradient._data, parameter._data  # properties of tensors took a tenth of a small step
            if values.shape != own.shape or values.dtype != own.dtype:
                raise ValueError(
                    f"{type(self).__name__}: parameter {self._index_of(parameter)} is {signature(parameter)}, its "
                    f"gradient {signature(gradient)}"
                )
            for state in group._states[i]:
                if state is not None and state.dtype != own.dtype:
                    raise ValueError(
                        f"{type(self).__name__}: parameter {self._index_of(parameter)} is {signature(parameter)} now, "
                        "its state has another dtype; make the optimizer after model.to(dtype)"
                    )
            found.append((i, gradient))
        return found

    def _index_of(self, parameter: Tensor) -> int:
        return next(i for i, p in enumerate(self.params) if p is parameter)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients of all parameters to None, or those that exist to 0 (`set_to_none=False`)."""
        for parameter in self.params:
            gradient = None if set_to_none else parameter.grad
            parameter.grad = None if gradient is None else Tensor._wrap(np.zeros(parameter.shape, parameter.dtype))

    def state_dict(self) -> dict[str, Any]:
        """Return copies of everything that the next steps depend on besides the parameters.

        Returns: `groups`, the options of each group; under the name of each state a list of ndarrays, one for each
        parameter (None where its options need no such state); `clock`, the step counts of optimizers that have them.

        >>> import chainrule as cr
        >>> cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5, momentum=0.9).state_dict()["velocity"]
        [array([0.], dtype=float32)]
        """
        state: dict[str, Any] = {"groups": [dict(group) for group in self.param_groups]}
        for name in self._all_states:
            state[name] = [None if array is None else array.copy() for array in _states(self.param_groups, name)]
        clock = _clock(self.param_groups)
        if self._start or clock:
            state["clock"] = [array.copy() for array in clock]
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; nothing changes on an error.

        Arguments: `state`, from an optimizer of parameters of the same shapes and dtypes, in the same groups.
        Errors: ValueError naming the missing or different entry.

        >>> import chainrule as cr
        >>> a = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5, momentum=0.9)
        >>> b = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.1)
        >>> b.load_state_dict(a.state_dict())
        >>> b.lr, b.momentum
        (0.5, 0.9)
        """
        check_names("", ("groups", *self._all_states), state)
        groups = [{**self._before, **options} for options in state["groups"]]
        if len(groups) != len(self.param_groups):
            raise ValueError(f"load_state_dict: {len(groups)} groups, expected {len(self.param_groups)}")
        for i, options in enumerate(groups):
            check_names(f"group {i}: ", tuple(self._options), options)
        loaded = [Group(self, own.params, options) for own, options in zip(self.param_groups, groups, strict=True)]
        for name in self._all_states:
            _fill(name, _states(loaded, name), list(state[name]))
        clock = _clock(loaded)
        if clock:
            check_names("", ("clock",), state)
            _fill("clock", clock, list(state["clock"]))
        self._forbid_in_compiled("its state")
        for own, group in zip(self.param_groups, loaded, strict=True):
            own._load(group)


def _states(groups: Sequence[Group], name: str) -> list[Array | None]:
    """The arrays of one state, one per parameter."""
    return [dict(zip(g._names, states, strict=True)).get(name) for g in groups for states in g._states]


def _fill(name: str, arrays: Sequence[Array | None], values: Sequence[Any]) -> None:
    """Copy values into arrays of the same shapes and dtypes; ValueError for others."""
    if len(values) != len(arrays):
        raise ValueError(f"load_state_dict: {name} has {len(values)} entries for {len(arrays)} parameters")
    for i, (array, value) in enumerate(zip(arrays, values, strict=True)):
        if signature(value) != signature(array):
            raise ValueError(f"load_state_dict: {name} {i} is {signature(value)}, expected {signature(array)}")
        if array is not None:
            array[...] = value


def _clock(groups: Sequence[Group]) -> list[Array]:
    """The step states of all parameters."""
    return [array for group in groups for array in group._step_states if array is not None]
