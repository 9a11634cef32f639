"""Containers of parameters, for a `forward` of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_integer
from .._util.exports import own_names
from ._module import Buffer, Module, Parameter, Stored

if TYPE_CHECKING:
    from typing_extensions import Self


class _Parameters(Module):
    """Parameters by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Parameter] = {}

    def _put(self, name: str, value: Any) -> None:
        """Set a parameter: the object itself, or one of these values."""
        self._by_name[name] = value if isinstance(value, Parameter) else Parameter(_values(value))

    def _members(self) -> Iterator[tuple[str, Module | Parameter | Buffer]]:
        yield from self._by_name.items()

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__}: parameters cannot be called; use them in a forward")

    def __len__(self) -> int:
        return len(self._by_name)


def _values(value: Any) -> Any:
    if isinstance(value, Tensor) and not value.is_leaf:
        raise ValueError("Parameter: the values were computed by an op; write x.detach()")
    return value.numpy() if isinstance(value, Tensor) else value


class ParameterList(_Parameters):
    """A list of parameters; their names are "0", "1", ...

    A plain list of parameters as an attribute works as well.

    Arguments: `values`, an iterable of parameters; other tensors and arrays become parameters of their values. It has a
    list's indices, slices, `append`, `extend`.
    Errors: calling it is an error.

    >>> import chainrule as cr
    >>> weights = cr.nn.ParameterList([cr.zeros(2, 3), cr.ones(3)])
    >>> len(weights), [name for name, _ in weights.named_parameters()]
    (2, ['0', '1'])
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__()
        self.extend(values)

    def append(self, value: Any) -> Self:
        """Add a parameter at the end; return self."""
        self._put(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add parameters at the end; return self."""
        for value in values:
            self.append(value)
        return self

    def config(self) -> dict[str, Any]:
        return {"count": len(self)}

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Module:
        count = check_integer("ParameterList: count", config.get("count"), 0)
        return cls(stored(str(i), None) for i in range(count))

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._by_name.values())

    def __getitem__(self, index: Any) -> Any:
        found = list(self)[index]
        return type(self)(found) if isinstance(index, slice) else found

    def __setitem__(self, index: int, value: Any) -> None:
        self._put(str(range(len(self))[index]), value)


class ParameterDict(_Parameters):
    """Parameters by name.

    A plain dict of parameters as an attribute works as well.

    Arguments: `parameters`, a dict of parameters, or pairs of name and parameter; other tensors and arrays become
    parameters of their values. It has a dict's indices, `in`, `keys`, `values`, `items`, `update`, `pop` and `del`.
    Errors: TypeError for names that are not strings without dots; calling it is an error.

    >>> import chainrule as cr
    >>> weights = cr.nn.ParameterDict({"left": cr.zeros(2), "right": cr.ones(3)})
    >>> [name for name, _ in weights.named_parameters()], weights["right"].shape
    (['left', 'right'], (3,))
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__()
        self.update(parameters)

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add parameters, in place of those of the same names."""
        for name, value in parameters.items() if isinstance(parameters, Mapping) else parameters:
            self[name] = value

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._by_name.keys()

    def values(self) -> Iterable[Parameter]:
        """The parameters."""
        return self._by_name.values()

    def items(self) -> Iterable[tuple[str, Parameter]]:
        """Pairs of name and parameter."""
        return self._by_name.items()

    def pop(self, name: str) -> Parameter:
        """Take out and return the parameter of this name."""
        return self._by_name.pop(name)

    def config(self) -> dict[str, Any]:
        return {"names": list(self._by_name)}

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Module:
        names = config.get("names")
        if not isinstance(names, list):
            raise ValueError(f"ParameterDict: expected names, got {names!r:.100}")
        return cls([(name, stored(name, None)) for name in names])

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Parameter:
        return self._by_name[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise TypeError(f"ParameterDict: names must be strings without dots, got {name!r}")
        self._put(name, value)

    def __delitem__(self, name: str) -> None:
        del self._by_name[name]


if not TYPE_CHECKING:
    __all__ = own_names(globals())
