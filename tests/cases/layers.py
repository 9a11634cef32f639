"""Layers from the examples in their docstrings: the constructor arguments and inputs of tests over all layers.

A new layer is included by its example, which constructs and calls it.
"""

import doctest
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

from chainrule import nn

WITHOUT_CALL = ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict")
# All layers but containers for a `forward` of one's own.
CALLABLE = {name: kind for name, kind in nn.LAYERS.items() if name not in WITHOUT_CALL}


@dataclass(frozen=True)
class Example:
    """A layer and the inputs of its first call."""

    layer: nn.Module
    inputs: tuple[Any, ...]


@cache
def example(kind: type[nn.Module]) -> Example:
    """The first layer of this class that its example calls."""
    calls: list[Example] = []
    call = nn.Module.__call__

    def recorded(self: nn.Module, *inputs: Any, **options: Any) -> Any:
        if type(self) is kind and not options:
            calls.append(Example(self, inputs))
        return call(self, *inputs, **options)

    names: dict[str, Any] = {}
    with patch.object(nn.Module, "__call__", recorded):
        for line in doctest.DocTestParser().get_examples(kind.__doc__ or ""):
            exec(line.source, names)
    assert calls, f"{kind.__name__}: the example in its docstring calls no layer of this class"
    return calls[0]


def tensors_of(results: Any) -> list[Any]:
    """The tensors in a result, which may be a tuple of tuples."""
    return [t for part in results for t in tensors_of(part)] if isinstance(results, tuple) else [results]
