"""A drawing as SVG: no scripts, no embedded fonts, the same text everywhere.

Every layer is a column with room for the gradients of inputs to the left of its boxes, and for values and gradients to
their right. Therefore no text overlaps a line or another text, and lines cross only between columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from math import sqrt

from .._util.text_table import cells
from ._layout import Item, Layout, arrange
from ._picture import Box, Picture

__all__ = ["to_svg"]

_INSIDE, _BESIDE = 13.0, 11.0  # font sizes
_CELL = 0.61  # width of a character, of the font size
_ROUND = 17.0  # radius of an op's shape
_PORT = 19.0  # between two inputs
_LINE = 17.0  # between two lines inside a box
_PAD = 6.0
_MARGIN = 16.0
_CHANNEL = (36.0, 150.0)  # between two columns

_STYLE = """text{font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:11px}
.in{font-size:13px;text-anchor:middle;fill:#1f2328}
.title{text-anchor:middle;fill:#6e7781}
.value{fill:#1a7f37}
.gradient{fill:#cf222e}
.op{fill:#ffffff;stroke:#57606a;stroke-width:1.4}
.leaf{fill:#ddf4ff;stroke:#54aeff;stroke-width:1.4}
.constant{fill:#f6f8fa;stroke:#afb8c1;stroke-width:1.4}
.layer{fill:#fff8c5;stroke:#d4a72c;stroke-width:1.4}
.line{fill:none;stroke:#57606a;stroke-width:1.2}
.tip{fill:#57606a}"""


def _width(text: str, size: float) -> float:
    return cells(text) * _CELL * size


@dataclass
class _Drawn:
    """A box with its sizes: half of the shape's width and height, and the room needed to its left and right."""

    box: Box
    half: float
    tall: float
    left: float
    right: float

    @property
    def ports(self) -> list[float]:
        """The heights of the input ports relative to the middle."""
        n = len(self.box.inputs)
        return [(i - (n - 1) / 2) * _PORT for i in range(n)]

    @property
    def item(self) -> Item:
        beside = _BESIDE + 5 if self.box.value or self.box.gradient is not None else 0.0
        title = self.tall + _BESIDE + 5 if self.box.title else self.tall
        return Item(
            max(title, beside),
            max(self.tall, beside),
            [(line.source, p) for line, p in zip(self.box.inputs, self.ports, strict=True)],
        )


def _measure(box: Box) -> _Drawn:
    inside = max(_width(line, _INSIDE) for line in box.lines) / 2
    tall = len(box.lines) * _LINE / 2 + 5
    ports = (len(box.inputs) - 1) / 2 * _PORT + 8
    tall = max(tall, ports)
    tall = max(tall, _ROUND) if box.kind == "op" else tall
    half = max(inside + 8, tall if box.kind == "op" else 14.0)
    title = _width(box.title, _BESIDE) / 2
    left = max((_width(line.gradient or "", _BESIDE) + 2 * _PAD for line in box.inputs if line.gradient), default=0.0)
    beside = max(_width(box.value, _BESIDE), _width(box.gradient or "", _BESIDE))
    right = beside + 2 * _PAD if beside else 0.0
    return _Drawn(box, half, tall, max(left + 14, title - half), max(right, 14.0, title - half))


def _text(x: float, y: float, kind: str, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    return escape("".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text))


def _box(drawn: _Drawn, x: float, y: float) -> list[str]:
    box, half, tall = drawn.box, drawn.half, drawn.tall
    corner = min(half, tall) if box.kind == "op" else 5.0
    parts = [f"<g><title>{_escaped(box.tip)}</title>"] if box.tip else ["<g>"]
    parts.append(
        f'<rect class="{box.kind}" x="{x - half:.1f}" y="{y - tall:.1f}" width="{2 * half:.1f}" '
        f'height="{2 * tall:.1f}" rx="{corner:.1f}"/>'
    )
    first = y - (len(box.lines) - 1) / 2 * _LINE + _INSIDE * 0.35
    parts += [_text(x, first + i * _LINE, "in", line) for i, line in enumerate(box.lines)]
    if box.title:
        parts.append(_text(x, y - tall - 5, "title", box.title))
    parts.append("</g>")
    if box.value:
        parts.append(_text(x + half + _PAD, y - 5, "value", box.value))
    if box.gradient is not None:
        parts.append(_text(x + half + _PAD, y + _BESIDE + 2, "gradient", box.gradient))
    return parts


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    middle = (x + to_x) / 2
    return f"C{middle:.1f},{y:.1f} {middle:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}"


class _Columns:
    """The begin, the end, and the middle of the boxes of each column."""

    def __init__(self, drawn: list[_Drawn], plan: Layout) -> None:
        count = max(plan.layer) + 1
        left, right = [0.0] * count, [0.0] * count
        rise = [0.0] * count  # the largest change of height of a line before a column
        for d, at in zip(drawn, plan.layer, strict=True):
            left[at], right[at] = max(left[at], d.left + d.half), max(right[at], d.half + d.right)
        for d, at, y in zip(drawn, plan.layer, plan.y, strict=True):
            for line, port in zip(d.box.inputs, d.ports, strict=True):
                start = plan.ways[line.source].get(at - 1, plan.y[line.source])
                rise[at] = max(rise[at], abs(y + port - start))
        self.begin, self.middle, self.end = [], [], []
        x = _MARGIN
        for at in range(count):
            x += min(max(rise[at] * 0.4, _CHANNEL[0]), _CHANNEL[1]) if at else 0.0
            self.begin.append(x)
            self.middle.append(x + left[at])
            x += left[at] + right[at]
            self.end.append(x)


def _lines(drawn: list[_Drawn], plan: Layout, columns: _Columns, dy: float) -> list[str]:
    """The lines: from a box to the end of its column, through its dummy vertices, to the boxes that read it."""
    parts = []
    for i, d in enumerate(drawn):
        at, y = plan.layer[i], plan.y[i] + dy
        way = f"M{columns.middle[at] + d.half:.1f},{y:.1f} H{columns.end[at]:.1f}"
        x, high = columns.end[at], y
        for passed in sorted(plan.ways[i]):
            to = plan.ways[i][passed] + dy
            way += f" {_curve(x, high, columns.begin[passed], to)} H{columns.end[passed]:.1f}"
            x, high = columns.end[passed], to
        parts.append(f'<path class="line" d="{way}"/>')
    for i, d in enumerate(drawn):
        at = plan.layer[i]
        for line, port in zip(d.box.inputs, d.ports, strict=True):
            start = plan.ways[line.source].get(at - 1, plan.y[line.source]) + dy
            y = plan.y[i] + port + dy
            x = columns.middle[at] - _edge(d, port) - 1
            way = f"M{columns.end[at - 1]:.1f},{start:.1f} {_curve(columns.end[at - 1], start, columns.begin[at], y)}"
            parts.append(f'<path class="line" d="{way} H{x - 5:.1f}"/>')
            parts.append(f'<path class="tip" d="M{x:.1f},{y:.1f} l-8,-3.5 v7 z"/>')
            if line.gradient is not None:
                parts.append(_text(columns.begin[at] + _PAD, y + _BESIDE + 1, "gradient", line.gradient))
    return parts


def _edge(d: _Drawn, port: float) -> float:
    """The extent of the shape to the left at a height: ops have round ends."""
    if d.box.kind != "op":
        return d.half
    radius = min(d.half, d.tall)
    straight = d.tall - radius  # of a box that is taller than wide
    inside = max(abs(port) - straight, 0.0)
    return d.half - radius + sqrt(radius * radius - inside * inside)


def to_svg(picture: Picture) -> str:
    """Write a drawing."""
    drawn = [_measure(box) for box in picture.boxes]
    plan = arrange([d.item for d in drawn])
    columns = _Columns(drawn, plan)
    width, height = columns.end[-1] + _MARGIN, plan.height + 2 * _MARGIN
    parts = _lines(drawn, plan, columns, _MARGIN)
    for d, at, y in zip(drawn, plan.layer, plan.y, strict=True):
        parts += _box(d, columns.middle[at], y + _MARGIN)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">\n<style>{_STYLE}</style>\n'
        '<rect width="100%" height="100%" fill="#ffffff"/>'
    )
    return "\n".join([head, *parts, "</svg>\n"])
