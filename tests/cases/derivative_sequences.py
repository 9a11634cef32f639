"""Random calls of recurrences and attention, for tests/test_derivatives.py."""

from functools import partial

import numpy as np

import chainrule as cr
from cases.derivative_draws import GAP, Call, Generator, Rng, draw, pick_one, some_shape
from reference.bits import Array


def recurrence(name: str, rng: Rng) -> Call:
    """Few steps, rows and units; the states of relu away from 0."""
    steps, rows, units = (int(rng.integers(1, n)) for n in (4, 3, 3))
    order = {"batch_first": bool(rng.integers(2)), "reverse": bool(rng.integers(2))}
    kind, _, part = name.partition("_")
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[kind]
    x = draw(rng, (rows, steps, gates * units) if order["batch_first"] else (steps, rows, gates * units))
    arrays = [x, draw(rng, (rows, units)), draw(rng, (units, gates * units))]
    if kind == "rnn":
        nonlinearity = part or pick_one(rng, ("tanh", "relu"))
        call = partial(cr.rnn, nonlinearity=nonlinearity, **order)
        while nonlinearity == "relu" and _sums_near_0(arrays, order):
            arrays = [draw(rng, a.shape) for a in arrays]
        return call, arrays
    if kind == "gru":
        return partial(cr.gru, **order), [*arrays, draw(rng, (units,))]
    which = int(part == "cell" if part else rng.integers(2))
    return lambda x, h, w, c: cr.lstm(x, h, c, w, **order)[which], [*arrays, draw(rng, (rows, units))]


def attended(rng: Rng) -> Call:
    """Some queries, keys and values, with masks and factors, some of which forbid everything."""
    leading, (n, m, d, e) = some_shape(rng, 0, 2), (int(rng.integers(1, 4)) for _ in range(4))
    arrays = [draw(rng, (*leading, n, d)), draw(rng, (*leading, m, d)), draw(rng, (*leading, m, e))]
    way = int(rng.integers(4))
    if way == 0:
        return cr.scaled_dot_product_attention, [*arrays, draw(rng, (n, m))]
    if way == 1:
        mask = rng.random((n, m)) < 0.6
        return lambda q, k, v: cr.scaled_dot_product_attention(q, k, v, mask), arrays
    return partial(cr.scaled_dot_product_attention, is_causal=way == 2, scale=pick_one(rng, (None, 0.5))), arrays


def self_attended(rng: Rng) -> Call:
    """Packed projections, with a mask of bools, the mask as an argument, or dropout."""
    batch, steps, heads, depth = (int(rng.integers(1, 3)) for _ in range(4))
    x, way = draw(rng, (batch, steps, 3 * heads * depth)), int(rng.integers(5))
    if way == 0:
        return lambda x, mask: cr.self_attention(x, heads, mask), [x, draw(rng, (heads, steps, steps))]
    if way == 1:
        mask = rng.random((batch, 1, steps, steps)) < 0.6
        return lambda x: cr.self_attention(x, heads, mask), [x]
    if way == 2:
        seed = int(rng.integers(1000))
        return lambda x: cr.self_attention(x, heads, dropout_p=0.4, generator=cr.random.Generator(seed)), [x]
    return partial(cr.self_attention, num_heads=heads, is_causal=way == 3), [x]


def _sums_near_0(arrays: list[Array], order: dict[str, bool]) -> bool:
    """Whether a sum before a relu is near its kink."""
    x, h, weight = arrays
    x = x.swapaxes(0, 1) if order["batch_first"] else x
    sums = []
    for x_t in x[::-1] if order["reverse"] else x:
        sums.append(x_t + h @ weight)
        h = np.maximum(sums[-1], 0)
    return bool(np.abs(sums).min() < 10 * GAP)


CASES: dict[str, Generator] = {
    **{name: partial(recurrence, name) for name in ("rnn", "rnn_tanh", "rnn_relu", "gru", "lstm", "lstm_cell")},
    "scaled_dot_product_attention": attended,
    **dict.fromkeys(("self_attention", "attention"), self_attended),
}
