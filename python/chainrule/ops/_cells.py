"""The steps of recurrent nets in ops, forward, backward and with tangents: what `_recurrent.py` computes at once.

The roundings are those of cpp/kernels/recurrent.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._tensor import Tensor
from ._activations import relu
from ._arithmetic import add, mul, sub
from ._math import sigmoid, tanh
from ._matmul import _product, matmul
from ._op import OPS, Attrs, Tangents, apply
from ._shape import concatenate, reshape, stack

__all__ = ["CELLS", "Cell", "Run", "swept_back", "tangent_of"]

Values = tuple[Tensor, ...]  # of one step: h, c, and what the gradients need


class Cell(NamedTuple):
    """A kind of recurrent cell; x and p, the product of the state and the weight, have `gates` parts."""

    name: str
    gates: int
    planes: int  # of `units` columns that a run leaves
    step: Callable[..., Values]  # x, p, h, c or bias -> values
    back: Callable[..., tuple[Tensor, Tensor, Tensor | None]]  # -> gradients of x and p, and what goes past the product
    push: Callable[..., tuple[Tensor, Tensor]]  # tangents of x, p, h, c or bias -> those of h and c
    has_bias: bool = False
    has_cell: bool = False

    @property
    def two_gradients(self) -> bool:
        """Whether the product has another gradient than x."""
        return self.has_bias

    @property
    def carries(self) -> bool:
        """Whether the state reaches the next one past the product, too."""
        return self.has_bias


def _parts(t: Tensor, gates: int) -> list[Tensor]:
    n = t.shape[-1] // gates
    return [t[:, i * n : (i + 1) * n] for i in range(gates)]


def _slope(name: str, y: Tensor, g: Tensor) -> Tensor:
    return apply(OPS[f"{name}_grad"], (y, g))


def _plain(name: str, activation: Callable[[Tensor], Tensor]) -> Cell:
    def step(x: Tensor, p: Tensor, h: Tensor, more: None) -> Values:
        return (activation(add(x, p)),)

    def back(v: Values, h: Tensor, c: None, dh: Tensor, dc: Any) -> tuple[Tensor, Tensor, None]:
        d = _slope(name, v[0], dh)
        return d, d, None

    def push(v: Values, h: Tensor, c: None, tx: Tensor, tp: Tensor, th: Tensor, tc: Any) -> tuple[Tensor, Tensor]:
        t = _slope(name, v[0], add(tx, tp))
        return t, t

    return Cell(f"rnn_{name}", 1, 1, step, back, push)


def _gru_step(x: Tensor, p: Tensor, h: Tensor, bias: Tensor) -> Values:
    (x_r, x_z, x_n), (p_r, p_z, p_n) = _parts(x, 3), _parts(p, 3)
    r, z, inner = sigmoid(add(x_r, p_r)), sigmoid(add(x_z, p_z)), add(p_n, bias)
    n = tanh(add(x_n, mul(r, inner)))
    return add(n, mul(z, sub(h, n))), r, z, inner, n


def _gru_back(v: Values, h: Tensor, c: None, dh: Tensor, dc: None) -> tuple[Tensor, Tensor, Tensor]:
    _, r, z, inner, n = v
    dn = _slope("tanh", n, mul(dh, sub(1.0, z)))
    dr, dz = _slope("sigmoid", r, mul(dn, inner)), _slope("sigmoid", z, mul(dh, sub(h, n)))
    return concatenate([dr, dz, dn], 1), concatenate([dr, dz, mul(dn, r)], 1), mul(dh, z)


def _gru_push(v: Values, h: Tensor, c: None, tx: Tensor, tp: Tensor, th: Tensor, tb: Tensor) -> tuple[Tensor, Tensor]:
    _, r, z, inner, n = v
    (x_r, x_z, x_n), (p_r, p_z, p_n) = _parts(tx, 3), _parts(tp, 3)
    t_r, t_z = _slope("sigmoid", r, add(x_r, p_r)), _slope("sigmoid", z, add(x_z, p_z))
    t_n = _slope("tanh", n, add(x_n, add(mul(t_r, inner), mul(r, add(p_n, tb)))))
    t = add(t_n, add(mul(t_z, sub(h, n)), mul(z, sub(th, t_n))))
    return t, t


def _lstm_step(x: Tensor, p: Tensor, h: Tensor, c: Tensor) -> Values:
    i, f, g, o = _parts(add(x, p), 4)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = add(mul(f, c), mul(i, g))
    squashed = tanh(c)
    return mul(o, squashed), c, i, f, g, o, squashed


def _lstm_back(v: Values, h: Tensor, c: Tensor, dh: Tensor, dc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    _, _, i, f, g, o, squashed = v
    dc = add(dc, _slope("tanh", squashed, mul(dh, o)))
    parts = [_slope("sigmoid", i, mul(dc, g)), _slope("sigmoid", f, mul(dc, c)), _slope("tanh", g, mul(dc, i))]
    d = concatenate([*parts, _slope("sigmoid", o, mul(dh, squashed))], 1)
    return d, d, mul(dc, f)


def _lstm_push(
    v: Values, h: Tensor, c: Tensor, tx: Tensor, tp: Tensor, th: Tensor, tc: Tensor
) -> tuple[Tensor, Tensor]:
    _, _, i, f, g, o, squashed = v
    t_i, t_f, t_g, t_o = _parts(add(tx, tp), 4)
    t_i, t_f, t_o = _slope("sigmoid", i, t_i), _slope("sigmoid", f, t_f), _slope("sigmoid", o, t_o)
    tc = add(add(mul(t_f, c), mul(f, tc)), add(mul(t_i, g), mul(i, _slope("tanh", g, t_g))))
    return add(mul(t_o, squashed), mul(o, _slope("tanh", squashed, tc))), tc


CELLS = {
    cell.name: cell
    for cell in (
        _plain("tanh", tanh),
        _plain("relu", relu),
        Cell("gru", 3, 5, _gru_step, _gru_back, _gru_push, has_bias=True),
        Cell("lstm", 4, 7, _lstm_step, _lstm_back, _lstm_push, has_cell=True),
    )
}


class Run:
    """A run over time: its inputs, and where its steps are."""

    def __init__(self, cell: Cell, inputs: tuple[Tensor, ...], attrs: Attrs) -> None:
        self.cell, self.inputs = cell, inputs
        self.x, self.h, self.weight = inputs[:3]
        self.more = inputs[3] if cell.has_bias or cell.has_cell else None
        batch_first, self.reverse = attrs[:2]
        self.axis = int(batch_first)
        steps = range(self.x.shape[self.axis])
        self.order = [*reversed(steps)] if self.reverse else [*steps]

    @property
    def zeros_shape(self) -> tuple[int, ...]:
        """The shape of a state."""
        return self.h.shape

    def zeros(self) -> Tensor:
        """A state of 0."""
        return Tensor._wrap(np.zeros(self.h.shape, self.x.dtype))

    def at(self, t: Tensor, step: int) -> Tensor:
        """A step of an array over time."""
        return t[:, step] if self.axis else t[step]

    def stacked(self, steps: Sequence[Tensor]) -> Tensor:
        """An array over time from its steps in the order of the run."""
        return stack(steps[::-1] if self.reverse else steps, axis=self.axis)

    def before(self, y: Tensor) -> Tensor:
        """The state before each step, from all states."""
        rows, units = self.h.shape
        first = reshape(self.h, (rows, 1, units) if self.axis else (1, rows, units))
        steps = slice(1, None) if self.reverse else slice(None, -1)
        rest = y[:, steps] if self.axis else y[steps]
        return concatenate([rest, first] if self.reverse else [first, rest], self.axis)

    def steps(self) -> tuple[list[Values], list[Tensor], list[Any]]:
        """Of each step in order: its values, the state and the cell state before it."""
        values: list[Values] = []
        states, cells = [self.h], [self.more]
        for step in self.order:
            found = self.cell.step(self.at(self.x, step), matmul(states[-1], self.weight), states[-1], cells[-1])
            values.append(found)
            states.append(found[0])
            cells.append(found[1] if self.cell.has_cell else self.more)
        return values, states, cells


def swept_back(run: Run, g: Tensor, g_c: Tensor | None) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """The gradients of x and of the products, the states before the steps, and the gradients of the first states."""
    cell = run.cell
    values, states, cells = run.steps()
    product, direct = run.zeros(), run.zeros() if g_c is None else g_c
    by_x, by_p = [], []
    for n in reversed(range(len(values))):
        past = add(direct, product) if cell.carries else product
        dh = add(run.at(g, run.order[n]), past)
        dx, dp, through = cell.back(values[n], states[n], cells[n], dh, direct)
        direct = direct if through is None else through
        product = _product(dp, run.weight, False, True)
        by_x.append(dx)
        by_p.append(dp)
    x, p = run.stacked(by_x[::-1]), run.stacked(by_p[::-1])
    return x, p if cell.two_gradients else x, run.stacked(states[:-1]), [product, direct]


def tangent_of(run: Run, tangents: Tangents) -> tuple[Tensor, Tensor]:
    """The tangents of all states and of the last cell state."""
    given = [
        Tensor._wrap(np.zeros(x.shape, x.dtype)) if t is None else t for t, x in zip(tangents, run.inputs, strict=True)
    ]
    tx, th, tw, tc = given[0], given[1], given[2], given[3] if run.more is not None else None
    values, states, cells = run.steps()
    found = []
    for v, h, c, step in zip(values, states, cells, run.order, strict=False):
        tp = add(matmul(th, run.weight), matmul(h, tw))
        th, t_cell = run.cell.push(v, h, c, run.at(tx, step), tp, th, tc)
        tc = t_cell if run.cell.has_cell else tc
        found.append(th)
    return run.stacked(found), tc if tc is not None else th
