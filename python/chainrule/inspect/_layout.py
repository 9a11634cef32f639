"""A layered drawing, left to right, in plain Python (after Sugiyama, Tagawa and Toda, 1981).

1. Layers: by the longest path to an output, so that a node with one reader is next to its reader.
2. A line over several layers passes through one dummy vertex in each, shared by all lines from the same box.
3. Order inside a layer: depth first from the outputs, then sweeps that sort by the mean position of the neighbours; the
   order with the fewest crossings wins.
4. Heights: sweeps that move each vertex to the mean height of its neighbours, as near as the order and the gaps permit.

All of it is additions, divisions and sorting of floats, rounded at the end, so the layout is the same everywhere.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import fsum

__all__ = ["Item", "Layout", "arrange"]

_GAP = 14.0  # between boxes above each other
_ORDER_SWEEPS = 8
_HEIGHT_SWEEPS = 60
_FEWER_SWEEPS = 20  # for more than _MANY vertices
_MANY = 2000
_OUTER, _INNER = 1.0, 4.0  # weights of straight lines: from boxes without inputs, and from others


@dataclass
class Item:
    """A box to lay out: extents above and below its middle, and for each input its source and port height."""

    up: float
    down: float
    inputs: list[tuple[int, float]]


@dataclass
class Layout:
    """Positions of items: layer, and height of the middle. `ways`: by item, the heights of its lines in each layer."""

    layer: list[int]
    y: list[float]
    ways: list[dict[int, float]]
    height: float


@dataclass
class _Vertex:
    """An item, or a dummy vertex on the lines of the item `source`; `links`: (preceding vertex, height at this end)."""

    layer: int
    up: float
    down: float
    links: list[tuple[int, float]] = field(default_factory=list)
    source: int | None = None


def _layers(items: Sequence[Item]) -> list[int]:
    layer = [0] * len(items)
    for i, item in enumerate(items):
        layer[i] = max((layer[source] + 1 for source, _ in item.inputs), default=0)
    latest: dict[int, int] = {}
    for i in reversed(range(len(items))):
        layer[i] = latest.get(i, layer[i])
        for source, _ in items[i].inputs:
            latest[source] = min(latest.get(source, layer[i] - 1), layer[i] - 1)
    return layer


def _vertices(items: Sequence[Item], layer: Sequence[int]) -> tuple[list[_Vertex], list[dict[int, int]]]:
    """The items, followed by the dummy vertices of lines; for each item the dummy vertices of its lines by layer."""
    vertices = [_Vertex(at, item.up, item.down) for item, at in zip(items, layer, strict=True)]
    ways: list[dict[int, int]] = [{} for _ in items]
    for i, item in enumerate(items):
        for source, port in item.inputs:
            before = source
            for at in range(layer[source] + 1, layer[i]):
                if at not in ways[source]:
                    ways[source][at] = len(vertices)
                    vertices.append(_Vertex(at, 4.0, 4.0, [(before, 0.0)], source))
                before = ways[source][at]
            vertices[i].links.append((before, port))
    return vertices, ways


def _first_order(vertices: Sequence[_Vertex], count: int) -> list[list[int]]:
    """Depth first from the vertices without readers, inputs from top to bottom."""
    layers: list[list[int]] = [[] for _ in range(count)]
    seen = [False] * len(vertices)
    read = {before for vertex in vertices for before, _ in vertex.links}
    ends = [i for i in range(len(vertices)) if i not in read]
    pending = ends[::-1]
    while pending:
        i = pending.pop()
        if seen[i]:
            continue
        seen[i] = True
        layers[vertices[i].layer].append(i)
        pending.extend(before for before, _ in reversed(vertices[i].links))
    return layers


def _crossings(layers: Sequence[Sequence[int]], vertices: Sequence[_Vertex]) -> int:
    position = _positions(layers, len(vertices))
    total = 0
    for layer in layers:
        ends = [(position[i], port, position[before]) for i in layer for before, port in vertices[i].links]
        passed: list[int] = []
        for _, _, before in sorted(ends):
            total += len(passed) - bisect_right(passed, before)
            insort(passed, before)
    return total


def _positions(layers: Sequence[Sequence[int]], count: int) -> list[int]:
    position = [0] * count
    for layer in layers:
        for at, i in enumerate(layer):
            position[i] = at
    return position


def _order(vertices: Sequence[_Vertex], count: int) -> list[list[int]]:
    after: list[list[int]] = [[] for _ in vertices]
    for i, vertex in enumerate(vertices):
        for before, _ in vertex.links:
            after[before].append(i)
    layers = _first_order(vertices, count)
    best, fewest = [list(layer) for layer in layers], _crossings(layers, vertices)
    for sweep in range(_ORDER_SWEEPS):
        if fewest == 0:
            break
        position = _positions(layers, len(vertices))
        forward = sweep % 2 == 0
        for at in range(count) if forward else reversed(range(count)):
            mean = {}
            for i in layers[at]:
                near = [before for before, _ in vertices[i].links] if forward else after[i]
                mean[i] = sum(position[n] for n in near) / len(near) if near else float(position[i])
            layers[at].sort(key=mean.__getitem__)
            for rank, i in enumerate(layers[at]):
                position[i] = rank
        crossings = _crossings(layers, vertices)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    return best


def _isotonic_heights(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Isotonic regression by pooling adjacent violators: the heights nearest to those wanted (least squares) that keep
    the order and the gaps.
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    shift, shifts = 0.0, []
    for i, (want, weight) in enumerate(zip(wanted, weights, strict=True)):
        shift += gaps[i - 1] if i else 0.0
        shifts.append(shift)
        pools.append((want - shift, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (b, wb, nb), (a, wa, na) = pools.pop(), pools.pop()
            pools.append(((a * wa + b * wb) / (wa + wb), wa + wb, na + nb))
    means = [mean for mean, _, members in pools for _ in range(members)]
    return [mean + s for mean, s in zip(means, shifts, strict=True)]


def _attractions(vertices: Sequence[_Vertex]) -> list[list[tuple[int, float, float]]]:
    """For each vertex the terms of its weighted mean height: (vertex, offset from it, weight).

    A dummy vertex is attracted by both ends of its line, by the far end more, so the line is straight except at its
    beginning.
    """
    found: list[list[tuple[int, float, float]]] = [[] for _ in vertices]
    far: dict[int, tuple[int, float]] = {}
    for i, vertex in enumerate(vertices):
        for before, port in vertex.links:
            weight = _INNER if vertices[before].links else _OUTER
            found[i].append((before, -port, weight))
            found[before].append((i, port, weight))
            source = vertices[before].source
            if (
                source is not None
                and vertex.source is None
                and vertex.layer > vertices[far.get(source, (source,))[0]].layer
            ):
                far[source] = i, port
    for i, vertex in enumerate(vertices):
        if vertex.source is not None:
            end, port = far[vertex.source]
            found[i] = [(vertex.source, 0.0, _OUTER), (end, port, _INNER)]
    return found


def _heights(vertices: Sequence[_Vertex], layers: Sequence[Sequence[int]]) -> list[float]:
    links = _attractions(vertices)
    y = [0.0] * len(vertices)
    gaps = [[vertices[a].down + _GAP + vertices[b].up for a, b in pairwise(layer)] for layer in layers]
    for sweep in range(_HEIGHT_SWEEPS if len(vertices) <= _MANY else _FEWER_SWEEPS):
        for at in range(len(layers)) if sweep % 2 == 0 else reversed(range(len(layers))):
            layer = layers[at]
            wanted, weights = [], []
            for i in layer:
                near = [n for n in links[i] if sweep or vertices[n[0]].layer < at]
                weight = fsum(w for _, _, w in near)
                wanted.append(fsum((y[n] + offset) * w for n, offset, w in near) / weight if near else y[i])
                weights.append(weight or 1.0)
            for i, height in zip(layer, _isotonic_heights(wanted, weights, gaps[at]), strict=True):
                y[i] = height
    return y


def arrange(items: Sequence[Item]) -> Layout:
    """Lay out items; the inputs of each have smaller indices."""
    layer = _layers(items)
    vertices, ways = _vertices(items, layer)
    layers = _order(vertices, max(layer, default=-1) + 1)
    y = _heights(vertices, layers)
    top = min((h - vertex.up for h, vertex in zip(y, vertices, strict=True)), default=0.0)
    y = [h - top for h in y]
    bottom = max((h + vertex.down for h, vertex in zip(y, vertices, strict=True)), default=0.0)
    passed = [{at: y[i] for at, i in way.items()} for way in ways]
    return Layout(layer, y[: len(items)], passed, bottom)
