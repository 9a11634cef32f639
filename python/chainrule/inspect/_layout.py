"""A layered drawing, left to right, in plain Python (after Sugiyama, Tagawa and Toda, 1981).

1. Layers: the longest way to an output decides, so that what is read once stands beside where it is read.
2. A line over several layers passes through one place in each, shared by all lines from the same box.
3. Order inside of a layer: depth first from the outputs, then sweeps that sort by the mean place of the neighbours; the
   order with the fewest crossings is kept.
4. Heights: sweeps that move everything to the mean height of its neighbours, as near as the order and the gaps permit.

All of it is additions, divisions and sorting of floats and rounded in the end, so it is the same everywhere.
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
_FEWER_SWEEPS = 20  # for more than _MANY places
_MANY = 2000
_OUTER, _INNER = 1.0, 4.0  # how much lines want to be straight: those from boxes without inputs, and others


@dataclass
class Item:
    """Something to be placed: extents above and below its middle, and for each input its source and height there."""

    up: float
    down: float
    inputs: list[tuple[int, float]]


@dataclass
class Layout:
    """Where items are: layer, and height of the middle. `ways` are the middles that lines of an item pass, by layer."""

    layer: list[int]
    y: list[float]
    ways: list[dict[int, float]]
    height: float


@dataclass
class _Place:
    """An item, or a place where lines of the item `source` pass: `links` are (place before, height at this end)."""

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


def _places(items: Sequence[Item], layer: Sequence[int]) -> tuple[list[_Place], list[dict[int, int]]]:
    """The items, and after them the places that lines pass; for each item those of its lines by layer."""
    places = [_Place(at, item.up, item.down) for item, at in zip(items, layer, strict=True)]
    ways: list[dict[int, int]] = [{} for _ in items]
    for i, item in enumerate(items):
        for source, port in item.inputs:
            before = source
            for at in range(layer[source] + 1, layer[i]):
                if at not in ways[source]:
                    ways[source][at] = len(places)
                    places.append(_Place(at, 4.0, 4.0, [(before, 0.0)], source))
                before = ways[source][at]
            places[i].links.append((before, port))
    return places, ways


def _first_order(places: Sequence[_Place], count: int) -> list[list[int]]:
    """Depth first from the last places, inputs from top to bottom."""
    layers: list[list[int]] = [[] for _ in range(count)]
    seen = [False] * len(places)
    read = {before for place in places for before, _ in place.links}
    ends = [i for i in range(len(places)) if i not in read]
    waiting = ends[::-1]
    while waiting:
        i = waiting.pop()
        if seen[i]:
            continue
        seen[i] = True
        layers[places[i].layer].append(i)
        waiting.extend(before for before, _ in reversed(places[i].links))
    return layers


def _crossings(layers: Sequence[Sequence[int]], places: Sequence[_Place]) -> int:
    position = _positions(layers, len(places))
    total = 0
    for layer in layers:
        ends = [(position[i], port, position[before]) for i in layer for before, port in places[i].links]
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


def _order(places: Sequence[_Place], count: int) -> list[list[int]]:
    after: list[list[int]] = [[] for _ in places]
    for i, place in enumerate(places):
        for before, _ in place.links:
            after[before].append(i)
    layers = _first_order(places, count)
    best, fewest = [list(layer) for layer in layers], _crossings(layers, places)
    for sweep in range(_ORDER_SWEEPS):
        if fewest == 0:
            break
        position = _positions(layers, len(places))
        forward = sweep % 2 == 0
        for at in range(count) if forward else reversed(range(count)):
            mean = {}
            for i in layers[at]:
                near = [before for before, _ in places[i].links] if forward else after[i]
                mean[i] = sum(position[n] for n in near) / len(near) if near else float(position[i])
            layers[at].sort(key=mean.__getitem__)
            for place_in_layer, i in enumerate(layers[at]):
                position[i] = place_in_layer
        crossings = _crossings(layers, places)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    return best


def _settle(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The heights nearest to those wanted (least squares) that keep the order and the gaps: pooled violators."""
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


def _attractions(places: Sequence[_Place]) -> list[list[tuple[int, float, float]]]:
    """For each place those whose heights it wants to have: (place, offset from it, weight).

    A line over several layers is drawn to its two ends, the far one more, so it is straight but for its beginning.
    """
    found: list[list[tuple[int, float, float]]] = [[] for _ in places]
    far: dict[int, tuple[int, float]] = {}
    for i, place in enumerate(places):
        for before, port in place.links:
            weight = _INNER if places[before].links else _OUTER
            found[i].append((before, -port, weight))
            found[before].append((i, port, weight))
            source = places[before].source
            if (
                source is not None
                and place.source is None
                and place.layer > places[far.get(source, (source,))[0]].layer
            ):
                far[source] = i, port
    for i, place in enumerate(places):
        if place.source is not None:
            end, port = far[place.source]
            found[i] = [(place.source, 0.0, _OUTER), (end, port, _INNER)]
    return found


def _heights(places: Sequence[_Place], layers: Sequence[Sequence[int]]) -> list[float]:
    links = _attractions(places)
    y = [0.0] * len(places)
    gaps = [[places[a].down + _GAP + places[b].up for a, b in pairwise(layer)] for layer in layers]
    for sweep in range(_HEIGHT_SWEEPS if len(places) <= _MANY else _FEWER_SWEEPS):
        for at in range(len(layers)) if sweep % 2 == 0 else reversed(range(len(layers))):
            layer = layers[at]
            wanted, weights = [], []
            for i in layer:
                near = [n for n in links[i] if sweep or places[n[0]].layer < at]
                weight = fsum(w for _, _, w in near)
                wanted.append(fsum((y[n] + offset) * w for n, offset, w in near) / weight if near else y[i])
                weights.append(weight or 1.0)
            for i, height in zip(layer, _settle(wanted, weights, gaps[at]), strict=True):
                y[i] = height
    return y


def arrange(items: Sequence[Item]) -> Layout:
    """Place items; the inputs of each have smaller numbers."""
    layer = _layers(items)
    places, ways = _places(items, layer)
    layers = _order(places, max(layer, default=-1) + 1)
    y = _heights(places, layers)
    top = min((h - place.up for h, place in zip(y, places, strict=True)), default=0.0)
    y = [h - top for h in y]
    bottom = max((h + place.down for h, place in zip(y, places, strict=True)), default=0.0)
    passed = [{at: y[i] for at, i in way.items()} for way in ways]
    return Layout(layer, y[: len(items)], passed, bottom)
