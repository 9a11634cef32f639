"""The layered layout: layers, order, heights."""

import numpy as np

from chainrule.inspect._layout import (
    Item,
    _crossings,
    _first_order,
    _isotonic_heights,
    _layers,
    _order,
    _vertices,
    arrange,
)


def test_lines_lead_to_the_right_and_what_is_read_once_stands_beside() -> None:
    items = [
        Item(5, 5, []),
        Item(5, 5, []),
        Item(5, 5, [(0, 0)]),
        Item(5, 5, [(2, -3), (0, 3)]),
        Item(5, 5, [(3, 0), (1, 0)]),
    ]
    plan = arrange(items)
    assert plan.layer == [0, 2, 1, 2, 3]
    assert [sorted(ways) for ways in plan.ways] == [[1], [], [], [], []]
    assert plan.height == max(y + item.down for y, item in zip(plan.y, items, strict=True))


def test_crossings_are_avoided() -> None:
    # Two chains whose ends are read in the other order.
    items = [
        Item(5, 5, []),
        Item(5, 5, []),
        Item(5, 5, [(0, 0)]),
        Item(5, 5, [(1, 0)]),
        Item(5, 5, [(3, -4), (2, 4)]),
    ]
    plan = arrange(items)
    assert plan.y[3] < plan.y[2]
    assert plan.y[1] < plan.y[0]


def test_sweeps_take_crossings_out() -> None:
    draw = np.random.default_rng(0)
    fewer = 0
    for _ in range(20):
        items = [Item(5, 5, []) for _ in range(4)]
        for _ in range(16):
            items.append(Item(5, 5, [(int(draw.integers(len(items))), -4), (int(draw.integers(len(items))), 4)]))
        layer = _layers(items)
        vertices, _ = _vertices(items, layer)
        first = _first_order(vertices, max(layer) + 1)
        swept = _order(vertices, max(layer) + 1)
        assert [sorted(a) for a in first] == [sorted(b) for b in swept]
        before, after = _crossings(first, vertices), _crossings(swept, vertices)
        assert after <= before
        fewer += after < before
    assert fewer > 10


def test_heights_are_the_nearest_that_keep_the_gaps() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        n = int(draw.integers(2, 7))
        wanted, weights, gaps = draw.uniform(0, 20, n), draw.uniform(0.5, 3, n), draw.uniform(1, 6, n - 1)
        found = np.array(_isotonic_heights(list(wanted), list(weights), list(gaps)))
        assert (np.diff(found) >= gaps - 1e-9).all()
        cost = (weights * (found - wanted) ** 2).sum()
        for _ in range(200):
            other = found + draw.normal(0, 0.3, n)
            for i in range(1, n):
                other[i] = max(other[i], other[i - 1] + gaps[i - 1])
            assert (weights * (other - wanted) ** 2).sum() >= cost - 1e-9
