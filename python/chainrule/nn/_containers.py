"""Containers: modules that consist of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.exports import own_names
from ._module import Buffer, Module, Parameter

if TYPE_CHECKING:
    from typing_extensions import Self


class _Container(Module):
    """A module that consists of the modules that it is given, by name; a model file has them beside its config."""

    @classmethod
    def _names(cls, config: Mapping[str, Any], count: int) -> list[str]:
        """The names of this number of modules inside a container of this configuration."""
        return [str(i) for i in range(count)]

    @classmethod
    def _made_of(cls, config: Mapping[str, Any], modules: list[Module]) -> Self:
        """The container of these modules."""
        raise NotImplementedError

    def _put(self, name: str, module: Module) -> None:
        """Replace the module of this name."""
        raise NotImplementedError


class _Layers(_Container):
    """Modules in a list."""

    def __init__(self, *layers: Module) -> None:
        self._layers: list[Module] = []
        self.extend(layers)

    def _checked(self, layer: Any, at: int) -> Module:
        if not isinstance(layer, Module):
            raise TypeError(f"{type(self).__name__}: layer {at} is not a Module but {type(layer).__name__}")
        return layer

    def append(self, layer: Module) -> Self:
        """Add a layer at the end; return self.

        Arguments: `layer`, a Module.
        Errors: TypeError for anything else.

        >>> import chainrule as cr
        >>> len(cr.nn.Sequential().append(cr.nn.ReLU()))
        1
        """
        self._layers.append(self._checked(layer, len(self._layers)))
        return self

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a layer at the end, if `name` is its number there: the names of layers are "0", "1", ..."""
        if name != str(len(self)):
            raise ValueError(f"add_module: layers of a {type(self).__name__} are named by numbers; write append(layer)")
        self.append(self._checked(module, len(self)))

    def extend(self, layers: Iterable[Module]) -> Self:
        """Add layers at the end; return self."""
        for layer in layers:
            self.append(layer)
        return self

    def insert(self, index: int, layer: Module) -> Self:
        """Add a layer before the one at this index; return self."""
        self._layers.insert(index, self._checked(layer, index))
        return self

    @classmethod
    def _of(cls, layers: list[Module]) -> Self:
        return cls(*layers)

    @classmethod
    def _made_of(cls, config: Mapping[str, Any], modules: list[Module]) -> Self:
        return cls._of(modules)

    def _put(self, name: str, module: Module) -> None:
        self._layers[int(name)] = module

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
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Module:
        return self._of(self._layers[index]) if isinstance(index, slice) else self._layers[index]

    def __setitem__(self, index: int, layer: Module) -> None:
        self._layers[index] = self._checked(layer, index)

    def __delitem__(self, index: int | slice) -> None:
        del self._layers[index]


class Sequential(_Layers):
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

    def forward(self, x: Tensor) -> Tensor:
        for layer in self._layers:
            x = layer(x)
        return x


class Residual(_Layers):
    """Layers around which the input is added to the output, y = x + layers(x); their names are "0", "1", ...

    Arguments: the layers, in order. Input: x of a shape that the layers keep. Output: the same shape.
    Errors: TypeError for anything that is not a Module; in a call ValueError for layers that change the shape.
    Source: He et al., Deep residual learning for image recognition, CVPR 2016.

    >>> import chainrule as cr
    >>> cr.nn.Residual(cr.nn.ReLU())(cr.tensor([-1.0, 2.0])).tolist()
    [-1.0, 4.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        before = np.shape(x)
        y = x
        for layer in self._layers:
            y = layer(y)
        if y.shape != before:
            raise ValueError(f"Residual: the layers change the shape from {before} to {y.shape}")
        return ops.add(x, y)


class ModuleList(_Layers):
    """A list of modules for a `forward` of one's own; their names are "0", "1", ...

    A plain list of modules as an attribute works as well.

    Arguments: `modules`, an iterable of modules. It has a list's indices, slices, `append`, `extend`, `insert`, `del`.
    Errors: TypeError for anything that is not a Module; calling it is an error.

    >>> import chainrule as cr
    >>> layers = cr.nn.ModuleList([cr.nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), [name for name, _ in layers[1:].named_parameters()]
    (3, ['0.weight', '0.bias', '1.weight', '1.bias'])
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__(*modules)

    @classmethod
    def _of(cls, layers: list[Module]) -> Self:
        return cls(layers)

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        raise NotImplementedError("ModuleList: a list of modules cannot be called; call the modules in it")


class ModuleDict(_Container):
    """Modules by name for a `forward` of one's own.

    A plain dict of modules as an attribute works as well.

    Arguments: `modules`, a dict of modules, or pairs of name and module. It has a dict's indices, `in`, `keys`,
    `values`, `items`, `update`, `pop` and `del`.
    Errors: TypeError for anything that is not a Module and for names that are not strings without dots; calling it is
    an error.

    >>> import chainrule as cr
    >>> heads = cr.nn.ModuleDict({"left": cr.nn.Linear(2, 1), "right": cr.nn.ReLU()})
    >>> list(heads), [name for name, _ in heads.named_parameters()]
    (['left', 'right'], ['left.weight', 'left.bias'])
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        self._by_name: dict[str, Module] = {}
        self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, in place of those of the same names."""
        for name, module in modules.items() if isinstance(modules, Mapping) else modules:
            self[name] = module

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a module of this name."""
        self[name] = module  # type: ignore[assignment]

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._by_name.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._by_name.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Pairs of name and module."""
        return self._by_name.items()

    def pop(self, name: str) -> Module:
        """Take out and return the module of this name."""
        return self._by_name.pop(name)

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        raise NotImplementedError("ModuleDict: a dict of modules cannot be called; call the modules in it")

    def config(self) -> dict[str, Any]:
        return {"names": list(self._by_name)}

    @classmethod
    def _names(cls, config: Mapping[str, Any], count: int) -> list[str]:
        names = config.get("names")
        if not isinstance(names, list) or len(names) != count or len({*map(str, names)}) != count:
            raise ValueError(f"ModuleDict: expected {count} different names, got {names!r:.100}")
        return [str(name) for name in names]

    @classmethod
    def _made_of(cls, config: Mapping[str, Any], modules: list[Module]) -> Self:
        return cls(zip(cls._names(config, len(modules)), modules, strict=True))

    def _put(self, name: str, module: Module) -> None:
        self[name] = module

    def _members(self) -> Iterator[tuple[str, Module | Parameter | Buffer]]:
        yield from self._by_name.items()

    def __repr__(self) -> str:
        lines = [f"  {name}: " + repr(module).replace("\n", "\n  ") for name, module in self._by_name.items()]
        return "\n".join(["ModuleDict(", *lines, ")"]) if lines else "ModuleDict()"

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Module:
        return self._by_name[name]

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise TypeError(f"ModuleDict: names must be strings without dots, got {name!r}")
        if not isinstance(module, Module):
            raise TypeError(f"ModuleDict: {name} is not a Module but {type(module).__name__}")
        self._by_name[name] = module

    def __delitem__(self, name: str) -> None:
        del self._by_name[name]


if not TYPE_CHECKING:
    __all__ = own_names(globals())
