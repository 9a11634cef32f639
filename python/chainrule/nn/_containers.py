"""Containers: modules that consist of modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .._tensor import Tensor
from .._util.exports import own_names
from ._module import Buffer, Module, Parameter


class Sequential(Module):
    """Layers applied one after the other; their names are "0", "1", ...

    Arguments: the layers, in order.
    Errors: TypeError for anything that is not a Module.

    >>> import chainrule as cr
    >>> model = cr.nn.Sequential(cr.nn.Linear(64, 32, init="he"), cr.nn.ReLU(), cr.nn.Linear(32, 10))
    >>> len(model), model[1]
    (3, ReLU())
    >>> model(cr.tensor([[0.5] * 64])).shape
    (1, 10)
    """

    def __init__(self, *layers: Module) -> None:
        self._layers: list[Module] = []
        for layer in layers:
            self.append(layer)

    def append(self, layer: Module) -> Sequential:
        """Add a layer at the end; return self.

        Arguments: `layer`, a Module.
        Errors: TypeError for anything else.

        >>> import chainrule as cr
        >>> len(cr.nn.Sequential().append(cr.nn.ReLU()))
        1
        """
        if not isinstance(layer, Module):
            raise TypeError(f"Sequential: layer {len(self._layers)} is not a Module but {type(layer).__name__}")
        self._layers.append(layer)
        return self

    def forward(self, x: Tensor) -> Tensor:
        for layer in self._layers:
            x = layer(x)
        return x

    def _members(self) -> Iterator[tuple[str, Module | Parameter | Buffer]]:
        return ((str(i), layer) for i, layer in enumerate(self._layers))

    def _input_dtype(self) -> np.dtype[Any] | None:
        """The input dtype of the first layer that requires one."""
        required = (layer._input_dtype() for layer in self._layers)
        return next((dtype for dtype in required if dtype is not None), None)

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers)

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(*self._layers[index])
        return self._layers[index]


if not TYPE_CHECKING:
    __all__ = own_names(globals())
