"""Rows of the table of public functions: recurrences and attention."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import chainrule as cr
from reference import attention, recurrent
from reference.bits import Array

Shape = tuple[int, ...]
Make = Callable[..., Any]  # the constructor of a case


def cases(make: Make) -> dict[str, list[Any]]:
    """All cases, by public name."""
    found: dict[str, list[Any]] = {}
    for case in chain(_recurrences(make), _attentions(make)):
        found.setdefault(case.name, []).append(case)
    return found


# Recurrences: (steps, rows, units), rows first, reverse.
RECURRENCES = ((4, 3, 2, False, False), (3, 2, 2, True, True), (2, 1, 3, False, True), (1, 2, 1, True, False),
               (5, 19, 21, False, False), (3, 5, 16, True, False), (2, 0, 3, False, False))  # fmt: skip


def _recurrences(make: Make) -> Iterator[Any]:
    for steps, rows, units, batch_first, reverse in RECURRENCES:
        order = {"batch_first": batch_first, "reverse": reverse}
        note = "-".join(key for key, value in order.items() if value)

        def shapes(
            gates: int, *more: Shape, sizes: tuple[int, ...] = (steps, rows, units), first: bool = batch_first
        ) -> list[Shape]:
            steps, rows, units = sizes
            x = (rows, steps, gates * units) if first else (steps, rows, gates * units)
            return [x, (rows, units), (units, gates * units), *more]

        for kind in ("tanh", "relu"):
            function = partial(cr.rnn, nonlinearity=kind, **order)
            reference = partial(_states, kind=f"rnn_{kind}", **order)
            yield make("rnn", shapes(1), function, reference, note=f"{kind}{note}")
        yield make(
            "gru", shapes(3, (units,)), partial(cr.gru, **order), partial(_states, kind="gru", **order), note=note
        )
        for i in range(2):
            function = partial(_lstm, part=i, **order)
            reference = partial(_states, kind="lstm", part=i, **order)
            yield make("lstm", shapes(4, (rows, units)), function, reference, note=f"{'hc'[i]}{note}")


def _states(*inputs: Array, kind: str, part: int = 0, **order: bool) -> Array:
    found = recurrent.states(kind, *inputs, **order)[part]
    assert found is not None
    return found


def _lstm(x: Any, h: Any, weight: Any, c: Any, part: int, **order: bool) -> cr.Tensor:
    """The states or the last cell state; the arguments in the order of the reference."""
    return cr.lstm(x, h, c, weight, **order)[part]


ATTENTIONS = (((3, 4), (5, 4), (5, 2)), ((2, 3, 4), (2, 3, 4), (2, 3, 4)), ((2, 1, 3, 2), (4, 1, 2), (4, 1, 3)),
              ((2, 0, 3), (2, 4, 3), (2, 4, 2)), ((2, 33, 5), (2, 33, 5), (2, 33, 17)))  # fmt: skip
SELF_ATTENTIONS = (((2, 3, 12), 2), ((1, 4, 6), 1), ((2, 35, 24), 2), ((0, 3, 6), 2), ((1, 1, 3), 1))


def _attentions(make: Make) -> Iterator[Any]:
    name = "scaled_dot_product_attention"
    for shapes in ATTENTIONS:
        yield make(name, shapes, cr.scaled_dot_product_attention, attention.attention)
        function = partial(cr.scaled_dot_product_attention, is_causal=True, scale=0.375)
        yield make(name, shapes, function, partial(attention.attention, is_causal=True, scale=0.375), note="causal")
    yield make(
        name,
        [(2, 3, 4), (2, 5, 4), (2, 5, 2), (3, 5)],
        cr.scaled_dot_product_attention,
        attention.attention,
        note="mask",
    )
    for shape, heads in SELF_ATTENTIONS:
        for causal in (False, True):
            function = partial(cr.self_attention, num_heads=heads, is_causal=causal)
            reference = partial(attention.self_attention, heads=heads, is_causal=causal)
            yield make("self_attention", [shape], function, reference, note=f"{heads}{'causal' * causal}")
