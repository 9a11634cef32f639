"""What is drawn: boxes and lines with their texts. Where they are drawn is `layout.py`'s business."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from .._tensor import Tensor
from .._util.text_table import cells
from ._derivatives import Step
from ._formulas import expression, gate
from ._nodes import Layer, Node
from ._text import array_text, norm, number, shape_text

__all__ = ["Box", "Line", "Picture", "fits", "outputs_of", "picture"]

_MANY = 100  # nodes, from where on layers are drawn
_MOST = 3000  # nodes of a picture
_DIGITS = 4
_FEW, _WIDE = 4, 24  # elements and characters that are written beside a line

# Gradients by tensor number, and the steps that made them.
Backward = Callable[[], tuple[dict[int, Tensor], list[Step]]]


@dataclass
class Box:
    """A thing with texts: `lines` stand inside, `title` above, `value` and `gradient` (or None) to its right.

    `kind` is "op", "leaf", "constant" or "layer"; `tip` is shown to those who point at it.
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
    """From box number `source`; `gradient` is what comes back along it, if that is not all that the source gets."""

    source: int
    gradient: str | None = None


@dataclass
class Picture:
    """Boxes, inputs before what is made from them."""

    boxes: list[Box]


def _has_layers(nodes: Sequence[Node]) -> bool:
    return any(node.layer is not None for node in nodes)


def fits(nodes: Sequence[Node]) -> bool:
    """Whether the picture that is drawn when nobody says how is not too large."""
    return len(nodes) <= _MOST or _has_layers(nodes)


def picture(nodes: Sequence[Node], by: str | None, backward: Backward | None) -> Picture:
    """The picture by nodes ("op") or layers ("module"); `backward` computes the gradients, where there are any."""
    chosen = by or ("module" if _has_layers(nodes) and len(nodes) > _MANY else "op")
    if chosen == "op":
        if len(nodes) > _MOST:
            raise ValueError(f"draw: {len(nodes)} nodes are too many for a picture, expected at most {_MOST}")
        return _by_op(nodes, backward)
    if chosen != "module":
        raise ValueError(f"draw: by must be 'op' or 'module', got {by!r}")
    if not _has_layers(nodes):
        raise ValueError(
            "draw: it is not known which layer made which node; pass a function and the model, "
            "cr.graph(lambda: loss(model(x), y), model=model)"
        )
    return _by_layer(nodes)


def _values(values: npt.NDArray[Any]) -> tuple[str, bool]:
    """Text beside a line, and whether it is all of them."""
    text = array_text(values, _DIGITS, _FEW) if 0 < values.size <= _FEW else ""
    whole = text != "" and cells(text) <= _WIDE
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
    place = {node.number: i for i, node in enumerate(nodes)}
    boxes = []
    for node in nodes:
        total = totals.get(node.number)
        box = Box(
            node.kind,
            [gate(node) if node.kind == "op" else node.name],
            node.name if node.kind == "op" else "",
            _values(node.value)[0],
            None if total is None else _gradient(total.numpy()),
            _tip(node, None if total is None else total.numpy()),
        )
        for i, x in enumerate(node.inputs):
            if x.kind != "literal":
                part = parts.get((node.number, i)) if uses[x.number] > 1 else None
                box.inputs.append(Line(place[x.number], None if part is None else _gradient(part.numpy())))
        boxes.append(box)
    return Picture(boxes)


def _tip(node: Node, gradient: npt.NDArray[Any] | None) -> str:
    text = f"{node.name}: {node.kind}" if node.kind != "op" else f"{node.name} = {expression(node)}"
    text += f"\n{array_text(node.value)}"
    return text if gradient is None else f"{text}\ngradient {array_text(gradient)}"


def _by_layer(nodes: Sequence[Node]) -> Picture:
    """A layer's nodes are one box, with the parameters that only they read."""
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
    place = {thing: i for i, thing in enumerate(sorted(last, key=lambda thing: last[thing].number))}
    boxes = [_layer_box(thing, last[thing]) for thing in place]
    for node in nodes:
        box = boxes[place[owner[node.number]]]
        for x in node.inputs:
            if x.kind == "literal" or owner[x.number] is owner[node.number]:
                continue
            source = place[owner[x.number]]
            if all(line.source != source for line in box.inputs):
                box.inputs.append(Line(source))
    return Picture(boxes)


def _layer_box(thing: Layer | Node, last: Node) -> Box:
    shape = shape_text(last.tensor.shape)
    if isinstance(thing, Node):
        return Box(thing.kind, [gate(thing) if thing.kind == "op" else thing.name], value=shape, tip=expression(thing))
    parameters = sum(p.size for p in thing.module.parameters())
    kind = type(thing.module).__name__
    lines = [f"{thing.path}: {kind}" if thing.path else kind]
    if parameters:
        lines.append(f"{parameters} parameter{'s' if parameters > 1 else ''}")
    return Box("layer", [*lines, f"→ {shape}"], tip=repr(thing.module))


def outputs_of(boxes: Sequence[Box]) -> list[list[tuple[int, int]]]:
    """For each box the (box, input) pairs that it leads to."""
    found: list[list[tuple[int, int]]] = [[] for _ in boxes]
    for i, box in enumerate(boxes):
        for at, line in enumerate(box.inputs):
            found[line.source].append((i, at))
    return found
