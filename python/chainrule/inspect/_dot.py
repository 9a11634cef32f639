"""A drawing in Graphviz's DOT language."""

from __future__ import annotations

from html import escape

from ._picture import Box, Picture, outputs_of

__all__ = ["to_dot"]

_SHAPES = {"op": "ellipse", "leaf": "box", "constant": "box", "layer": "box"}
_COLORS = {"op": "#ffffff", "leaf": "#ddf4ff", "constant": "#f6f8fa", "layer": "#fff8c5"}


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _beside(value: str, gradient: str | None) -> str:
    """The value above the gradient, in their colours."""
    rows = [f'<font color="#1a7f37">{escape(value)}</font>'] if value else []
    rows += [f'<font color="#cf222e">{escape(gradient)}</font>'] if gradient is not None else []
    return f"<{'<br/>'.join(rows)}>" if rows else '""'


def _node(i: int, box: Box) -> str:
    lines = [f"{box.title}: {box.lines[0]}" if box.title else box.lines[0], *box.lines[1:]]
    label, color = _quoted("\n".join(lines)), _COLORS[box.kind]
    tip = _quoted(box.tip)
    return f'  n{i} [label={label}, shape={_SHAPES[box.kind]}, style=filled, fillcolor="{color}", tooltip={tip}];'


def to_dot(picture: Picture) -> str:
    """Write a drawing; a box without readers gets an edge to a point, labelled with its value."""
    lines = ["digraph {", "  rankdir=LR;", '  node [fontname="monospace"];', '  edge [fontname="monospace"];']
    lines += [_node(i, box) for i, box in enumerate(picture.boxes)]
    for box_number, box in enumerate(picture.boxes):
        for line in box.inputs:
            source = picture.boxes[line.source]
            gradient = source.gradient if line.gradient is None else line.gradient
            lines.append(f"  n{line.source} -> n{box_number} [label={_beside(source.value, gradient)}];")
    for i, (box, readers) in enumerate(zip(picture.boxes, outputs_of(picture.boxes), strict=True)):
        if not readers and (box.value or box.gradient is not None):
            lines.append(
                f"  end{i} [shape=point, width=0.05];\n  n{i} -> end{i} [label={_beside(box.value, box.gradient)}];"
            )
    return "\n".join([*lines, "}\n"])
