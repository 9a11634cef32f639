"""The contents of a drawing: boxes and lines with their texts. Their positions are computed by `_layout.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from .._tensor import Tensor
from .._util.text_table import cells
from ._derivatives import Step
from ._formulas import expression, symbol
from ._nodes import Layer, Node
from ._text import array_text, norm, number, shape_text

__all__ = ["Box", "Line", "Picture", "fits", "outputs_of", "picture"]

_MANY_NODES = 100  # above this, layers are drawn by default
_MAX_NODES = 3000  # of a drawing by op
_DIGITS = 4
_MAX_ELEMENTS, _MAX_WIDTH = 4, 24  # elements and characters written beside a line

# Computes the gradients by tensor number, and the steps.
Backward = Callable[[], tuple[dict[int, Tensor], list[Step]]]


@dataclass
class Box:
    """A box with texts: `lines` inside, `title` above, `value` and `gradient` (or None) to its right.

    `kind` is "op", "leaf", "constant" or "layer"; `tip` is the tooltip.
    """

    kind: str
    lines: list[str]
    title: str = ""
    value: str = ""
    gradient: str | None = None
    tip: str = ""
    inputs: list[Line] = field(default_factory=list)


@dataclass
class Line:
    """A line from box number `source`; `gradient`: its contribution, if the source's gradient is a sum of several."""

    source: int
    gradient: str | None = None


@dataclass
class Picture:
    """Boxes in topological order, inputs first."""

    boxes: list[Box]


def _has_layers(nodes: Sequence[Node]) -> bool:
    return any(node.layer is not None for node in nodes)


def fits(nodes: Sequence[Node]) -> bool:
    """Whether the default drawing is small enough."""
    return len(nodes) <= _MAX_NODES or _has_layers(nodes)


def picture(nodes: Sequence[Node], by: str | None, backward: Backward | None) -> Picture:
    """The drawing by nodes ("op") or layers ("module"); `backward` computes the gradients, if they are defined."""
    chosen = by or ("module" if _has_layers(nodes) and len(nodes) > _MANY_NODES else "op")
    if chosen == "op":
        if len(nodes) > _MAX_NODES:
            raise ValueError(f"draw: {len(nodes)} nodes are too many for a drawing, expected at most {_MAX_NODES}")
        return _by_op(nodes, backward)
    if chosen != "module":
        raise ValueError(f"draw: by must be 'op' or 'module', got {by!r}")
    if not _has_layers(nodes):
        raise ValueError(
            "draw: the layers of the nodes are not known; pass a function and the model, "
            "cr.graph(lambda: loss(model(x), y), model=model)"
        )
    return _by_layer(nodes)


def _values(values: npt.NDArray[Any]) -> tuple[str, bool]:
    """The text beside a line, and whether it has all values."""
    text = array_text(values, _DIGITS, _MAX_ELEMENTS) if 0 < values.size <= _MAX_ELEMENTS else ""
    whole = text != "" and cells(text) <= _MAX_WIDTH
    return text if whole else shape_text(values.shape), whole


def _gradient(values: npt.NDArray[Any]) -> str:
    text, whole = _values(values)
    return text if whole else f"norm {number(norm(values), _DIGITS)}"


def _by_op(nodes: Sequence[Node], backward: Backward | None) -> Picture:
    totals, steps = ({}, []) if backward is None else backward()
    parts = {(step.node.number, step.at): step.part for step in steps}
    uses: dict[int, int] = {}
    for node in nodes:
        for x in node.inputs:
            uses[x.number] = uses.get(x.number, 0) + 1
    index = {node.number: i for i, node in enumerate(nodes)}
    boxes = []
    for node in nodes:
        total = totals.get(node.number)
        box = Box(
            node.kind,
            [symbol(node) if node.kind == "op" else node.name],
            node.name if node.kind == "op" else "",
            _values(node.value)[0],
            None if total is None else _gradient(total.numpy()),
            _tip(node, None if total is None else total.numpy()),
        )
        for i, x in enumerate(node.inputs):
            if x.kind != "literal":
                part = parts.get((node.number, i)) if uses[x.number] > 1 else None
                box.inputs.append(Line(index[x.number], None if part is None else _gradient(part.numpy())))
        boxes.append(box)
    return Picture(boxes)


def _tip(node: Node, gradient: npt.NDArray[Any] | None) -> str:
    text = f"{node.name}: {node.kind}" if node.kind != "op" else f"{node.name} = {expression(node)}"
    text += f"\n{array_text(node.value)}"
    return text if gradient is None else f"{text}\ngradient {array_text(gradient)}"


def _by_layer(nodes: Sequence[Node]) -> Picture:
    """One box for the nodes of a layer, and for the parameters that only they read."""
    owner: dict[int, Layer | Node] = {n.number: n if n.layer is None else n.layer for n in nodes}
    readers: dict[int, list[Layer | Node]] = {}
    for node in nodes:
        for x in node.inputs:
            readers.setdefault(x.number, []).append(owner[node.number])
    for node in nodes:
        if node.kind == "leaf" and all(reader is readers[node.number][0] for reader in readers[node.number]):
            reader = readers[node.number][0]
            inside = isinstance(reader, Layer) and any(p is node.tensor for p in reader.module.parameters())
            owner[node.number] = reader if inside else node
    last = {owner[node.number]: node for node in nodes}
    index = {thing: i for i, thing in enumerate(sorted(last, key=lambda thing: last[thing].number))}
    boxes = [_layer_box(thing, last[thing]) for thing in index]
    for node in nodes:
        box = boxes[index[owner[node.number]]]
        for x in node.inputs:
            if x.kind == "literal" or owner[x.number] is owner[node.number]:
                continue
            source = index[owner[x.number]]
            if all(line.source != source for line in box.inputs):
                box.inputs.append(Line(source))
    return Picture(boxes)


def _layer_box(thing: Layer | Node, last: Node) -> Box:
    shape = shape_text(last.tensor.shape)
    if isinstance(thing, Node):
        return Box(
            thing.kind, [symbol(thing) if thing.kind == "op" else thing.name], value=shape, tip=expression(thing)
        )
    parameters = sum(p.size for p in thing.module.parameters())
    kind = type(thing.module).__name__
    lines = [f"{thing.path}: {kind}" if thing.path else kind]
    if parameters:
        lines.append(f"{parameters} parameter{'s' if parameters > 1 else ''}")
    return Box("layer", [*lines, f"→ {shape}"], tip=repr(thing.module))


def outputs_of(boxes: Sequence[Box]) -> list[list[tuple[int, int]]]:
    """For each box its readers as (box, input) pairs."""
    found: list[list[tuple[int, int]]] = [[] for _ in boxes]
    for i, box in enumerate(boxes):
        for at, line in enumerate(box.inputs):
            found[line.source].append((i, at))
    return found
