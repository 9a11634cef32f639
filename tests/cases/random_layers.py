"""Layers of random nets: each draws its parameters and returns a function of rows, (batch, width) to (batch, width).

A new kind of layer is one function with `@layer`; an elementwise op is included by its row of the reference.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr
from reference import REFERENCE
from reference.bits import Array

WIDTHS = (1, 2, 3, 5, 7, 8, 10, 13, 15, 16, 17, 24, 31, 33, 48, 64, 65, 70)
TABLE_ROWS = 6  # of embeddings; words count from the end, too


class Batch(NamedTuple):
    """The arguments of one step."""

    x: cr.Tensor  # (rows, features)
    target: cr.Tensor  # (rows, outputs), between 0 and 1
    labels: cr.Tensor  # (rows,), from 0 to outputs - 1
    rows: cr.Tensor  # (rows,), numbers of rows in either half, some counted from the end
    words: cr.Tensor  # (rows,), from -TABLE_ROWS to TABLE_ROWS - 1

    def part(self, rows: slice) -> "Batch":
        return Batch(*[field[rows] for field in self])


Function = Callable[[cr.Tensor], cr.Tensor]
Layer = Callable[[cr.Tensor, Batch], cr.Tensor]

# Elementary functions inside of their domains, so that values stay finite.
ACTIVATIONS: dict[str, Function] = {
    "none": lambda x: x,
    "relu": cr.relu,
    "leaky_relu": lambda x: cr.leaky_relu(x, 0.125),
    "default_leaky_relu": cr.leaky_relu,
    "tanh": cr.tanh,
    "sigmoid": cr.sigmoid,
    "softplus": cr.softplus,
    "exp": lambda x: cr.exp(cr.minimum(x, 1.5)),
    "expm1": lambda x: cr.expm1(cr.tanh(x)),
    "log": lambda x: cr.log(cr.abs(x) + 0.5),
    "log1p": lambda x: cr.log1p(cr.square(x)),
    "sqrt": lambda x: cr.sqrt(x * x + 0.25),
    "sin": cr.sin,
    "cos": lambda x: cr.cos(3.0 * x),
    "gate": lambda x: x * cr.sigmoid(x),
    "branches": lambda x: cr.where(x > 0, x, cr.expm1(cr.minimum(x, 0.0))),
    "bounds": lambda x: cr.maximum(cr.minimum(x, 1.0), -1.0),
    "rational": lambda x: x / (1.0 + abs(x)),
    "bump": lambda x: (1.0 + x**2) ** -2,
    "softmax": cr.softmax,
    "log_softmax": lambda x: cr.log_softmax(x) * 0.25,
    "elu": lambda x: cr.elu(x, 0.75),
    "selu": cr.selu,
    "silu": cr.silu,
    "mish": cr.mish,
    "swish": lambda x: cr.swish(x, 1.5),
    "erf": cr.erf,
    "ndtr": cr.ndtr,
    "gelu": cr.gelu,
    "gelu_tanh": lambda x: cr.gelu(x, "tanh"),
    "softsign": cr.softsign,
    "logsigmoid": cr.logsigmoid,
    "clip": lambda x: cr.clip(x, -0.5, 1.25),
    "hardtanh": lambda x: cr.hardtanh(x, -0.75, 1.5),
    "hardsigmoid": cr.hardsigmoid,
    "sign": lambda x: cr.sign(x) * x,
    "heaviside": lambda x: cr.heaviside(x) + x,
    "pairs": lambda x: cr.atan2(x, 1.5 + x * x) + cr.xlogy(x, cr.square(x) + 0.5) * 0.25,
    "powers": lambda x: (cr.abs(x) + 0.5) ** (0.25 * cr.tanh(x)) + cr.logaddexp(x, -x) * 0.25,
    "steps": lambda x: cr.floor_divide(x, 0.5) * 0.25 + cr.remainder(x, 1.5) + cr.fmod(x, 0.75),
    "masks": lambda x: cr.where((x > -1.0) & ~(x > 1.0) | ((x > 3.0) ^ (x < -3.0)), x, 0.5 * x),
    "integers": lambda x: (8.0 * x + cr.astype(cr.clip(x, -3.0, 3.0), np.int64) ** 2) * 0.125,
}
NAMED_OTHERWISE = ("neg", "abs", "square", "power")  # in other layers


def _inside(function: Function, low: float, high: float) -> Function:
    """A function of arguments in an interval."""
    return lambda x: function(cr.sigmoid(x) * (high - low) + low)


# Those without an entry above, by their rows of the reference.
ACTIVATIONS |= {
    name: _inside(getattr(cr, name), *row.domain[0])
    for name, row in REFERENCE.items()
    if row.n_inputs == 1 and row.domain[0] is not None and name not in {*ACTIVATIONS, *NAMED_OTHERWISE}
}


@dataclass
class Draw:
    """The decisions of one net, in order, and the parameters created so far."""

    rng: np.random.Generator
    dtype: type[np.floating[Any]]
    widths: tuple[int, ...]
    turn: int  # the number of the net
    activations: int = 0  # created so far
    parameters: list[cr.nn.Parameter] = field(default_factory=list)
    generator: cr.random.Generator = field(default_factory=lambda: cr.random.Generator(seed=5))  # of masks

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def below(self, n: int) -> int:
        return int(self.rng.integers(n))

    def width(self) -> int:
        return self.widths[self.below(len(self.widths))] if self.chance(0.7) else 1 + self.below(max(self.widths))

    def activation(self) -> Function:
        """One by the net's number, so that each has its turn whatever else there is; then random ones."""
        names = list(ACTIVATIONS)
        self.activations += 1
        own = self.turn % len(names) if self.activations == 1 else None
        return ACTIVATIONS[names[self.below(8 if self.chance(0.4) else len(names)) if own is None else own]]

    def constant(self, *shape: int, scale: float = 1.0) -> Array:
        """Normal numbers with zeros of both signs among them."""
        values = np.asarray(self.rng.standard_normal(shape) * scale, self.dtype)
        if values.size > 4 and self.chance(0.3):
            values.reshape(-1)[self.below(3) :: 7] = -0.0
            values.reshape(-1)[self.below(3) :: 11] = 0.0
        return values

    def parameter(self, *shape: int) -> cr.nn.Parameter:
        scale = 1.0 / np.sqrt(max(shape[0], 1)) if len(shape) > 1 else 0.5
        self.parameters.append(cr.nn.Parameter(self.constant(*shape, scale=scale)))
        return self.parameters[-1]

    def linear(self, n: int, m: int) -> Function:
        weight = self.parameter(n, m)
        kind = self.below(4)
        if kind == 0:
            return lambda x: cr.linear(x, weight)
        bias = self.parameter(m)
        if kind == 1:
            return lambda x: x @ weight + bias
        return lambda x: cr.linear(x, weight, bias)


Kind = Callable[[Draw, int], tuple[Layer, int]]
LAYERS: dict[str, Kind] = {}


def layer(kind: Kind) -> Kind:
    LAYERS[kind.__name__] = kind
    return kind


@layer
def dense(d: Draw, n: int) -> tuple[Layer, int]:
    m, act = d.width(), d.activation()
    linear = d.linear(n, m)
    return lambda h, b: act(linear(h)), m


@layer
def trained_slopes(d: Draw, n: int) -> tuple[Layer, int]:
    m = d.width()
    linear, slopes = d.linear(n, m), d.parameter(m if d.chance(0.7) else 1)
    return lambda h, b: cr.prelu(linear(h), slopes), m


@layer
def masked(d: Draw, n: int) -> tuple[Layer, int]:
    p, noise = ((0.2, cr.randn_like), (0.5, cr.rand_like), (0.9, cr.randn_like))[d.below(3)]
    linear, drawn = d.linear(n, n), d.generator
    return lambda h, b: linear(cr.dropout(h, p, generator=drawn) + 0.1 * noise(h, generator=drawn)), n


@layer
def pieces(d: Draw, n: int) -> tuple[Layer, int]:
    m, count = 1 + d.below(20), 2 + d.below(3)
    linear = d.linear(n, m * count)
    return lambda h, b: cr.maxout(linear(h), count), m


@layer
def residual(d: Draw, n: int) -> tuple[Layer, int]:
    linear, act, inside = d.linear(n, n), d.activation(), d.chance(0.5)
    return (lambda h, b: act(linear(h)) + h) if inside else (lambda h, b: act(h + linear(h))), n


@layer
def concatenated(d: Draw, n: int) -> tuple[Layer, int]:
    m, act = min(d.width(), 64), d.activation()
    linear = d.linear(n, m)
    return lambda h, b: cr.concatenate([act(linear(h)), h], 1), n + m


@layer
def two_heads(d: Draw, n: int) -> tuple[Layer, int]:
    k = 1 + d.below(n)
    left, right, act = d.linear(k, 5), d.linear(n, 3), d.activation()
    return lambda h, b: cr.concatenate([left(h[:, :k]), act(right(h))], -1), 8


@layer
def shared(d: Draw, n: int) -> tuple[Layer, int]:
    linear, act, times = d.linear(n, n), d.activation(), 2 + d.below(2)

    def apply(h: cr.Tensor, b: Batch) -> cr.Tensor:
        for _ in range(times):
            h = act(linear(h))
        return h

    return apply, n


@layer
def tied(d: Draw, n: int) -> tuple[Layer, int]:
    weight, act = d.parameter(n, d.width()), d.activation()
    return lambda h, b: act(h @ weight) @ weight.T, n


@layer
def weight_squared(d: Draw, n: int) -> tuple[Layer, int]:
    """Its gradient depends on the weight itself, which the update overwrites."""
    weight, act, turned = d.parameter(n, n), d.activation(), d.chance(0.5)
    return lambda h, b: act(h @ (weight @ (weight.T if turned else weight))), n


@layer
def from_the_left(d: Draw, n: int) -> tuple[Layer, int]:
    m, act = d.width(), d.activation()
    weight, column = d.parameter(m, n), d.parameter(m, 1)
    return lambda h, b: act(weight @ h.T + column).T, m


@layer
def groups(d: Draw, n: int) -> tuple[Layer, int]:
    parts = next(k for k in (4, 3, 2, 5, 1) if n % k == 0)
    m, act = 1 + d.below(9), d.activation()
    linear = d.linear(n // parts, m)
    return lambda h, b: act(linear(h.reshape(-1, parts, n // parts))).flatten(1), parts * m


@layer
def matrices(d: Draw, n: int) -> tuple[Layer, int]:
    parts = next(k for k in (3, 2, 1) if n % k == 0)

    def apply(h: cr.Tensor, b: Batch) -> cr.Tensor:
        blocks = h.reshape(h.shape[0], parts, n // parts)
        scores = cr.softmax(blocks @ blocks.transpose(0, 2, 1) * 0.5)
        return (scores @ blocks).reshape(h.shape)

    return apply, n


@layer
def slices(d: Draw, n: int) -> tuple[Layer, int]:
    if n < 4 or d.chance(0.3):
        return lambda h, b: h[:, ::-1] - h, n
    return lambda h, b: h[:, 1:-1] * h[:, -1:] + h[:, 2:] - h[:, :1], n - 2


@layer
def gathered(d: Draw, n: int) -> tuple[Layer, int]:
    factor = d.parameter(n)
    return lambda h, b: h + cr.take(h, b.rows) * factor, n


@layer
def columns_by_number(d: Draw, n: int) -> tuple[Layer, int]:
    index = d.rng.integers(-n, n, 1 + d.below(2 * n))
    return lambda h, b: cr.take(h.T, index).T, len(index)


@layer
def embedded(d: Draw, n: int) -> tuple[Layer, int]:
    table = d.parameter(TABLE_ROWS, n)
    return lambda h, b: h + cr.take(table, b.words), n


@layer
def rows_normalised(d: Draw, n: int) -> tuple[Layer, int]:
    scale, shift = d.parameter(n), d.parameter(n)

    def apply(h: cr.Tensor, b: Batch) -> cr.Tensor:
        centred = h - h.mean(-1, keepdims=True)
        return centred / cr.sqrt(cr.mean(cr.square(centred), -1, keepdims=True) + 0.01) * scale + shift

    return apply, n


@layer
def columns_normalised(d: Draw, n: int) -> tuple[Layer, int]:
    scale, shift = d.parameter(n), d.parameter(n)

    def apply(h: cr.Tensor, b: Batch) -> cr.Tensor:
        centred = h - h.mean(0)
        return scale * (centred / (cr.mean(centred * centred, 0) + 0.1) ** 0.5) + shift

    return apply, n


@layer
def gated(d: Draw, n: int) -> tuple[Layer, int]:
    m = d.width()
    value, gate = d.linear(n, m), d.linear(n, m)
    return lambda h, b: cr.tanh(value(h)) * cr.sigmoid(gate(h)), m


@layer
def along_columns(d: Draw, n: int) -> tuple[Layer, int]:
    return lambda h, b: cr.softmax(h, 0) * h + cr.log_softmax(h, 0) * 0.125, n


@layer
def extremes(d: Draw, n: int) -> tuple[Layer, int]:
    return lambda h, b: (h - h.max(1, keepdims=True)) * 0.5 + cr.min(h, 0) + h.max() * h.min(), n


@layer
def choices(d: Draw, n: int) -> tuple[Layer, int]:
    level, row = d.parameter(n), d.constant(n)

    def apply(h: cr.Tensor, b: Batch) -> cr.Tensor:
        upper = cr.where(h >= level, h, level * 0.5)
        lower = cr.where(cr.less_equal(h, row), cr.neg(h), h * 0.25)
        same = cr.where(cr.equal(h, h[:, :1]), h, 0.125)
        return cr.maximum(upper, lower) - cr.minimum(row, same) * cr.where(h != 0.0, row, 2.0)

    return apply, n


@layer
def arithmetic(d: Draw, n: int) -> tuple[Layer, int]:
    row, number, column = d.parameter(n), d.parameter(1), d.constant(n) + d.dtype(2)
    return lambda h, b: -(h * row - 0.5) / (cr.square(h) + 1.0) + number * h * 3.0 - (h - number) / column, n


@layer
def long_chain(d: Draw, n: int) -> tuple[Layer, int]:
    steps, row = 8 + d.below(30), d.parameter(n)

    def apply(h: cr.Tensor, b: Batch) -> cr.Tensor:
        start = h
        for i in range(steps):
            h = cr.tanh(h * 0.75 + row) if i % 5 == 4 else h * (1.0 - 0.03 * i) + start
        return h * 0.01

    return apply, n


@layer
def outer(d: Draw, n: int) -> tuple[Layer, int]:
    column = d.linear(n, 1)
    row = d.parameter(n)
    return lambda h, b: column(h) * row + h[:, :1], n


@layer
def stacked(d: Draw, n: int) -> tuple[Layer, int]:
    axis, act = d.below(3), d.activation()
    return lambda h, b: cr.stack([h, act(h), b.x[:, :1] + h], axis).sum(axis), n


@layer
def other_dtype(d: Draw, n: int) -> tuple[Layer, int]:
    other = np.float64 if d.dtype is np.float32 else np.float32
    return lambda h, b: cr.tanh(h.astype(other) * 3.0).astype(h.dtype) + h, n


@layer
def detached(d: Draw, n: int) -> tuple[Layer, int]:
    linear = d.linear(n, n)

    def apply(h: cr.Tensor, b: Batch) -> cr.Tensor:
        with cr.no_grad():
            mean = linear(h).mean(0)
        return linear(h) - mean + h.detach() * 0.5

    return apply, n


@layer
def constants(d: Draw, n: int) -> tuple[Layer, int]:
    equal, matrix = np.full(n, 0.75, d.dtype), d.constant(n, n, scale=0.3)
    return lambda h, b: h * equal + cr.tanh(h @ matrix) * cr.broadcast_to(equal[:1] * 2.0, (n,)), n


@layer
def from_the_argument(d: Draw, n: int) -> tuple[Layer, int]:
    act = d.activation()
    return lambda h, b: act(h + b.x.sum(1, keepdims=True) * 0.1) + b.x[:, -1:] * h, n


@layer
def slope_of_itself(d: Draw, n: int) -> tuple[Layer, int]:
    linear = d.linear(n, min(n, 9))
    return lambda h, b: h + cr.grad(lambda z: cr.sum(cr.tanh(linear(z))))(h), n
