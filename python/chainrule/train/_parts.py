"""The parts of a checkpoint of `fit` that are not objects of the user: data and options, callbacks, generators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..nn import Module
from ..random import Generator, default_generator

__all__ = ["CallbackStates", "Generators", "Parameters", "has_state"]


def has_state(part: object) -> bool:
    """Whether an object has the methods `state_dict` and `load_state_dict`."""
    return hasattr(part, "state_dict") and hasattr(part, "load_state_dict")


class Generators:
    """The random generators that the modules hold, and the default one, as one part of a checkpoint.

    >>> import chainrule as cr
    >>> from chainrule.train._parts import Generators
    >>> model = cr.nn.Dropout(0.5, generator=cr.random.Generator(seed=7, stream=3))
    >>> Generators([model]).state_dict()["states"][0]
    {'seed': 7, 'stream': 3}
    """

    def __init__(self, modules: Iterable[Module]) -> None:
        found = [generator for module in modules for generator in _held(vars(module).values())]
        self._all = list({id(generator): generator for generator in (*found, default_generator())}.values())

    def state_dict(self) -> dict[str, Any]:
        """Return the seed and the stream of each generator."""
        return {"states": [generator.state_dict() for generator in self._all]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; ValueError for another number of generators, before any changes."""
        states = state["states"]
        if len(states) != len(self._all):
            raise ValueError(f"load_state_dict: {len(states)} generators, expected {len(self._all)}")
        for generator, own in zip(self._all, states, strict=True):
            generator.load_state_dict(own)


class CallbackStates:
    """The states of the callbacks that have one."""

    def __init__(self, callbacks: Iterable[Any]) -> None:
        self._callbacks = [callback for callback in callbacks if has_state(callback)]

    def state_dict(self) -> dict[str, Any]:
        """Return the class name and the state of each callback."""
        return {"callbacks": [{"class": type(c).__name__, "state": c.state_dict()} for c in self._callbacks]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; ValueError for callbacks of other classes."""
        saved, own = [item["class"] for item in state["callbacks"]], [type(c).__name__ for c in self._callbacks]
        if saved != own:
            raise ValueError(f"load_state_dict: states of the callbacks {_listed(saved)}, expected {_listed(own)}")
        for callback, item in zip(self._callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(item["state"])


class Parameters:
    """Parameters of the optimizer that the model does not have."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = tensors

    def state_dict(self) -> dict[str, Any]:
        """Return copies of their values."""
        return {"values": [tensor.numpy().copy() for tensor in self._tensors]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; ValueError for other shapes or dtypes, before any changes."""
        saved = [(value.shape, value.dtype) for value in state["values"]]
        own = [(tensor.shape, np.dtype(tensor.dtype)) for tensor in self._tensors]
        if saved != own:
            raise ValueError(f"load_state_dict: parameters {_listed(saved)}, expected {_listed(own)}")
        for tensor, value in zip(self._tensors, state["values"], strict=True):
            tensor.copy_(value)


def _listed(items: Sequence[object]) -> str:
    return ", ".join(map(str, items)) or "none"


def _held(values: Iterable[Any]) -> Iterator[Generator]:
    for value in values:
        if isinstance(value, Generator):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _held(value)
        elif isinstance(value, dict):
            yield from _held(value.values())
