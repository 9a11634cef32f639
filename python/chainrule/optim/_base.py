"""Base of the optimizers: parameter groups with their options and states, the step, `state_dict`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import _core
from .._ir.elementwise import Update
from .._ir.table import Entry, add_instruction
from .._tensor import Tensor
from .._util.arrays import aligned_full, constant
from .._util.dtypes import Array
from .._util.mode import grad_mode
from ..autodiff._sweeps import check_overwrite
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
        self._step_states = [_new_step_state(self._kind._step_state_size) for _ in params]
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
        self._update = self._kind._kernel(options)
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
    _joins_product: ClassVar[bool] = False  # whether they are fused into matrix products
    _options: ClassVar[dict[str, Option[Any]]]
    _before: ClassVar[Mapping[str, Any]] = {}  # what options were that states of earlier versions do not have
    _step_state_size: ClassVar[int] = 0  # float64 values that advance with every step; 0: none
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
        """The subset of `_all_states` that these options require."""
        return cls._all_states

    @classmethod
    def _initial_state_value(cls, options: Mapping[str, Any]) -> float:
        """The initial value of the states."""
        return 0.0

    @classmethod
    def _check(cls, options: Mapping[str, Any]) -> None:
        """Raise ValueError for incompatible options."""

    def __init__(self, params: Iterable[Tensor] | Iterable[Mapping[str, Any]], options: Mapping[str, Any]) -> None:
        name = type(self).__name__
        grad_mode.executor.forbid(
            f"{name}: created inside a compiled function, where its state would be lost; create it outside"
        )
        if isinstance(params, Tensor):
            raise TypeError(
                f"{name}: expected an iterable of parameters, got one tensor {_signature(params)}; write [parameter]"
            )
        found = _as_list(name, params)
        plain = not any(isinstance(item, Mapping) for item in found)
        groups: list[Any] = [{"params": found}] if plain else found
        for i, group in enumerate(groups):
            if not isinstance(group, Mapping) or "params" not in group:
                raise TypeError(f"{name}: group {i} is not a dict with 'params'")
        given = [_as_list(name, group["params"]) for group in groups]
        _check_params(name, given)
        self.params = [parameter for part in given for parameter in part]
        self.param_groups = [
            Group(self, part, {**options, **{key: group[key] for key in group if key != "params"}})
            for part, group in zip(given, groups, strict=True)
        ]

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

    def step(self) -> None:
        """Update every parameter that requires a gradient and has one, by the optimizer's formula.

        A frozen parameter, one with requires_grad=False, and its states stay as they are, whatever its `grad`. An
        error or an interrupt between two parameters leaves each with the state of its own number of steps.

        Errors: ValueError when a gradient's shape or dtype is not its parameter's; RuntimeError inside `cr.grad` and
        other transformations that differentiate by a parameter or a gradient; then no parameter has changed.

        >>> import chainrule as cr
        >>> weight = cr.nn.Parameter([3.0])
        >>> weight.grad = cr.tensor([4.0])
        >>> cr.optim.SGD([weight], lr=0.25).step()
        >>> weight.numpy()
        array([2.], dtype=float32)
        """
        ready = [self._ready(group) for group in self.param_groups]
        with _core.writing([parameter._data for parameter in self.params]):
            self._update_all(ready)

    def _update_all(self, ready: Sequence[list[tuple[int, Tensor]]]) -> None:
        executor = grad_mode.executor
        for group, gradients in zip(self.param_groups, ready, strict=True):
            executor.guard(group, "_states")
            step_states: list[Array] = []
            try:
                for i, gradient in gradients:
                    parameter, states, step_state = group.params[i], group._states[i], group._step_states[i]
                    executor.update(group._update, parameter, gradient, states, group._hyperparameters, step_state)
                    if step_state is not None:
                        step_states.append(step_state)
            finally:
                if step_states:
                    executor.advance(step_states, group._hyperparameters, self._step_state_size)

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
                    f"{type(self).__name__}: parameter {self._index_of(parameter)} is {_signature(parameter)}, its "
                    f"gradient {_signature(gradient)}"
                )
            if any(state is not None and state.dtype != own.dtype for state in group._states[i]):
                raise ValueError(
                    f"{type(self).__name__}: parameter {self._index_of(parameter)} is {_signature(parameter)} now, its "
                    "state has another dtype; make the optimizer after model.to(dtype)"
                )
            found.append((i, gradient))
        return found

    def _index_of(self, parameter: Tensor) -> int:
        return next(i for i, p in enumerate(self.params) if p is parameter)

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for parameter in self.params:
            parameter.grad = None

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
        if self._step_state_size:
            state["clock"] = [
                array.copy() for group in self.param_groups for array in group._step_states if array is not None
            ]
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
        expected = ("groups", *self._all_states, *(["clock"] if self._step_state_size else []))
        _check_names("", expected, state)
        groups = [{**self._before, **options} for options in state["groups"]]
        if len(groups) != len(self.param_groups):
            raise ValueError(f"load_state_dict: {len(groups)} groups, expected {len(self.param_groups)}")
        for i, options in enumerate(groups):
            _check_names(f"group {i}: ", tuple(self._options), options)
        loaded = [Group(self, own.params, options) for own, options in zip(self.param_groups, groups, strict=True)]
        for name in self._all_states:
            _fill(name, _states(loaded, name), list(state[name]))
        if self._step_state_size:
            _fill("clock", [array for group in loaded for array in group._step_states], list(state["clock"]))
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
        if _signature(value) != _signature(array):
            raise ValueError(f"load_state_dict: {name} {i} is {_signature(value)}, expected {_signature(array)}")
        if array is not None:
            array[...] = value


def _new_step_state(size: int) -> npt.NDArray[np.float64] | None:
    """A new step state: the number of steps, then the running products of the betas, which start at 1."""
    if size == 0:
        return None
    step_state = np.ones(size)
    step_state[0] = 0
    return step_state


def _signature(array: Tensor | Array | None) -> str:
    return "None" if array is None else f"{array.dtype} {array.shape}"


def _as_list(name: str, params: Any) -> list[Any]:
    if isinstance(params, Tensor):
        return [params]
    if not isinstance(params, Iterable):
        raise TypeError(f"{name}: expected an iterable of parameters, got {type(params).__name__}{_advice(params)}")
    return list(params)


def _check_names(where: str, names: Sequence[str], state: Mapping[str, Any]) -> None:
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"load_state_dict: {where}missing {', '.join(missing)}")


def _check_params(name: str, groups: Sequence[Sequence[Any]]) -> None:
    """Raise unless all are different leaves that can be trained. Frozen ones are allowed if they are of a module."""
    seen: dict[int, str] = {}
    for number, group in enumerate(groups):
        for i, parameter in enumerate(group):
            where = f"parameter {len(seen)}" if len(groups) == 1 else f"parameter {i} of group {number}"
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name}: {where} is not a tensor but {type(parameter).__name__}{_advice(parameter)}")
            if not parameter.is_leaf:
                raise ValueError(
                    f"{name}: {where}, {_signature(parameter)}, was created by an op, and a step on it would train "
                    "nothing; pass the leaves that it is computed from, or detach() it and set requires_grad"
                )
            if not parameter.requires_grad and not parameter._learned:
                raise TypeError(f"{name}: {where} is not a tensor with requires_grad=True")
            if id(parameter) in seen:
                raise ValueError(f"{name}: the same parameter appears twice, as {seen[id(parameter)]} and as {where}")
            seen[id(parameter)] = where
    if not seen:
        raise ValueError(f"{name}: expected at least one parameter, got none")


def _advice(given: Any) -> str:
    """What to write in place of something that is not a tensor, for errors."""
    if hasattr(given, "parameters"):
        return "; pass model.parameters()"
    return "; pass parameters() instead of named_parameters()" if isinstance(given, tuple) else ""
