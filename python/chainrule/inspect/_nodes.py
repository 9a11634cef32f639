"""The computational graph of a tensor: its nodes in topological order, with names, and the layers they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.errors import CompileError
from .._util.mode import grad_mode
from ..nn import Module
from ..nn._record_calls import Call
from ._text import number

__all__ = ["Layer", "Node", "check_outputs", "collect", "layers_of_calls", "layers_of_parameters", "named"]

_PREFIX = {"leaf": "x", "constant": "c", "op": "ξ"}


@dataclass(frozen=True, eq=False)
class Layer:
    """A call of a module: its path inside the model ("" for the model itself), and the module."""

    path: str
    module: Module


@dataclass(eq=False)
class Node:
    """A tensor of a graph.

    `kind` is "op", "leaf" (it has a gradient), "constant", or "literal": a scalar constant without a name, which is
    shown where it is used and is not among the graph's nodes.
    """

    name: str
    kind: str
    tensor: Tensor
    inputs: tuple[Node, ...] = ()
    layer: Layer | None = None

    @property
    def number(self) -> int:
        """The tensor's number; those of inputs are smaller."""
        return self.tensor._number

    @property
    def op(self) -> str:
        """Name of the op that computed it, "" for others."""
        return "" if self.tensor._op is None else self.tensor._op.name

    @property
    def value(self) -> npt.NDArray[Any]:
        """The values, read-only."""
        return self.tensor.numpy()


def check_outputs(outputs: Sequence[Any]) -> None:
    """Raise for anything that has no graph."""
    for i, y in enumerate(outputs):
        what = "the output" if len(outputs) == 1 else f"output {i}"
        if not isinstance(y, Tensor):
            raise TypeError(f"graph: {what} is {type(y).__name__}; expected a tensor computed by ops")
        if not (grad_mode.executor.has_values and isinstance(y._data, np.ndarray)):
            raise CompileError(
                f"graph: {what} {y.shape} was created inside a compiled function, where tensors have no values; "
                "call the function without cr.compile to see its graph"
            )
        if y._op is None:
            raise ValueError(
                f"graph: {what} {y.shape} has no graph: no op computed it from tensors that require a gradient "
                "(or gradients were disabled)"
            )


def collect(outputs: Sequence[Tensor], names: Mapping[int, str]) -> list[Node]:
    """The nodes that the outputs depend on, in topological order, inputs first; `names` by tensor number."""
    ancestors: dict[int, Tensor] = {}
    pending = list(outputs)
    while pending:
        t = pending.pop()
        if t._number not in ancestors:
            ancestors[t._number] = t
            pending.extend(t._inputs)
    taken = set(names.values())
    counts = {"leaf": 0, "constant": 0, "op": 1}
    nodes: dict[int, Node] = {}
    for key in sorted(ancestors):
        t = ancestors[key]
        kind = "op" if t._op is not None else "leaf" if t._requires_grad else "constant"
        given = names.get(key)
        if given is None and kind == "constant" and t.ndim == 0:
            nodes[key] = Node(number(t.numpy()), "literal", t)
            continue
        while given is None:
            given = f"{_PREFIX[kind]}{counts[kind]}"
            counts[kind] += 1
            given = None if given in taken else given
        nodes[key] = Node(given, kind, t, tuple(nodes[x._number] for x in t._inputs))
    return [node for node in nodes.values() if node.kind != "literal"]


def named(names: Mapping[str, Any] | None, modules: Iterable[Module]) -> dict[int, str]:
    """Names by tensor number: the caller's, and those of the parameters of the modules."""
    found: dict[int, str] = {}
    for name, t in ({} if names is None else names).items():
        if not isinstance(name, str) or not name.isprintable() or not name:
            raise TypeError(f"graph: names must be printable strings, got {name!r}")
        if not isinstance(t, Tensor):
            raise TypeError(
                f"graph: names[{name!r}] is {type(t).__name__}, expected a tensor; create it with cr.tensor"
            )
        if t._number in found:
            raise ValueError(f"graph: {found[t._number]!r} and {name!r} are names of one tensor")
        found[t._number] = name
    taken = set(found.values())
    for module in modules:
        for name, parameter in module.named_parameters():
            if parameter._number in found:
                continue
            free, count = name, 2
            while free in taken:
                free, count = f"{name}_{count}", count + 1
            taken.add(free)
            found[parameter._number] = free
    return found


def layers_of_calls(nodes: Sequence[Node], calls: Sequence[Call], model: Module | None) -> None:
    """Set the layer of nodes computed by an innermost call, in which no other module was called."""
    paths: dict[int, str] = {}
    for root in ([] if model is None else [model]) + [call.module for call in calls if call.outermost]:
        for path, module in root.named_modules():
            paths.setdefault(id(module), path)
    inner = sorted((call for call in calls if call.innermost), key=lambda call: call.first)
    layers = [Layer(paths.get(id(call.module), ""), call.module) for call in inner]
    at = 0
    for node in nodes:
        while at < len(inner) and inner[at].end <= node.number:
            at += 1
        if at < len(inner) and inner[at].first <= node.number and node.kind == "op":
            node.layer = layers[at]


def layers_of_parameters(nodes: Sequence[Node], model: Module) -> None:
    """Set the layer of nodes without recorded calls: of those that read data and the parameters of one module.

    An addition after a matrix product belongs to the same layer if it is the only reader of the product; a reshape may
    be between them.
    """
    owners: dict[int, tuple[str, Module]] = {}
    for path, module in model.named_modules():
        for _, member in module._members():
            if not isinstance(member, Module):
                owners.setdefault(member._number, (path, module))
    readers: dict[int, int] = {}
    for node in nodes:
        for x in node.inputs:
            readers[x.number] = readers.get(x.number, 0) + 1
    for node in nodes:
        own = {owners[x.number] for x in node.inputs if x.number in owners}
        data = [x for x in node.inputs if x.number not in owners and x.kind != "literal"]
        if len(own) != 1 or not data:
            continue
        path, module = own.pop()
        before = data[0]
        bridge = before if before.op == "reshape" and readers[before.number] == 1 else None
        start = before if bridge is None else bridge.inputs[0]
        joined = start.layer is not None and start.layer.module is module and readers[start.number] == 1
        node.layer = start.layer if joined else Layer(path, module)
        if joined and bridge is not None:
            bridge.layer = node.layer
