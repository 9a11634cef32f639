"""The table of elementwise ops: one row per op of the public package. Tests iterate over it.

A new op is one row here: its value, its gradient kernel if it has one, and ordinary arguments for it. Rows are
total: they also say what happens to NaN, infinities, zeros of both signs and subnormals.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from . import activations, elementary, elementwise, units
from .bits import Array

Interval = tuple[float, float]
ORDINARY: Interval = (-3.0, 3.0)


@dataclass(frozen=True)
class Row:
    """What one elementwise op is.

    value:      ``value(*inputs, **attributes)`` in the dtype of its inputs (bool for comparisons)
    gradient:   the kernel `<op>_grad`, ``gradient(kept, g, **attributes)``; None = made of other ops
    kept:       "x" or "y": what the gradient takes
    domain:     per input an interval of finite values with finite results, for random tests; None = a bool input
    attributes: sets of keyword arguments worth testing
    """

    value: Callable[..., Array]
    gradient: Callable[..., Array] | None = None
    kept: Literal["x", "y"] | None = None
    domain: tuple[Interval | None, ...] = (ORDINARY,)
    attributes: tuple[Mapping[str, float], ...] = ({},)

    @property
    def n_inputs(self) -> int:
        """Number of array arguments of `value`."""
        return len(self.domain)


def numbers(name: str, *values: float) -> tuple[Mapping[str, float], ...]:
    """Sets of one attribute."""
    return tuple({name: value} for value in values)


PAIR = (ORDINARY, ORDINARY)
SLOPES = numbers("negative_slope", 0.01, 0.0, 0.3, -0.5)
BOUNDS = ((-1.0, 1.0), (0.0, 6.0), (-0.25, 2.5))
EXPONENTS = numbers("exponent", 2, 3, 1, 0, -1, -2, 5, 7, 12, 0.5)

REFERENCE: dict[str, Row] = {
    "add": Row(elementwise.add, domain=PAIR),
    "sub": Row(elementwise.sub, domain=PAIR),
    "mul": Row(elementwise.mul, domain=PAIR),
    "div": Row(elementwise.div, domain=(ORDINARY, (0.25, 4.0))),
    "maximum": Row(elementwise.maximum, domain=PAIR),
    "minimum": Row(elementwise.minimum, domain=PAIR),
    "equal": Row(elementwise.equal, domain=PAIR),
    "not_equal": Row(elementwise.not_equal, domain=PAIR),
    "less": Row(elementwise.less, domain=PAIR),
    "less_equal": Row(elementwise.less_equal, domain=PAIR),
    "greater": Row(elementwise.greater, domain=PAIR),
    "greater_equal": Row(elementwise.greater_equal, domain=PAIR),
    "where": Row(elementwise.where, domain=(None, ORDINARY, ORDINARY)),
    "neg": Row(elementwise.neg),
    "abs": Row(elementwise.abs),
    "square": Row(elementwise.square),
    "power": Row(elementwise.power, domain=((0.25, 4.0),), attributes=EXPONENTS),
    "sqrt": Row(elementwise.sqrt, activations.sqrt_grad, "y", ((0.01, 100.0),)),
    "exp": Row(elementary.exp, activations.exp_grad, "y", ((-20.0, 20.0),)),
    "expm1": Row(elementary.expm1, activations.expm1_grad, "y", ((-20.0, 20.0),)),
    "log": Row(elementary.log, activations.log_grad, "x", ((0.01, 100.0),)),
    "log1p": Row(elementary.log1p, activations.log1p_grad, "x", ((-0.9, 20.0),)),
    "tanh": Row(elementary.tanh, activations.tanh_grad, "y", ((-10.0, 10.0),)),
    "sigmoid": Row(elementary.sigmoid, activations.sigmoid_grad, "y", ((-20.0, 20.0),)),
    "softplus": Row(elementary.softplus, activations.softplus_grad, "x", ((-20.0, 20.0),)),
    "erf": Row(elementary.erf, activations.erf_grad, "x", ((-4.0, 4.0),)),
    "ndtr": Row(elementary.ndtr, activations.ndtr_grad, "x", ((-10.0, 5.0),)),
    "relu": Row(activations.relu, activations.relu_grad, "y"),
    "leaky_relu": Row(activations.leaky_relu, activations.leaky_relu_grad, "x", attributes=SLOPES),
    "prelu": Row(units.prelu, domain=PAIR),
    "sign": Row(units.sign),
    "heaviside": Row(units.heaviside, attributes=numbers("value", 0.5, 0.0, 1.0)),
    "clip": Row(units.clip, units.clip_grad, "x", attributes=tuple({"min": a, "max": b} for a, b in BOUNDS)),
    "hardtanh": Row(
        units.hardtanh, units.hardtanh_grad, "y", attributes=tuple({"min_val": a, "max_val": b} for a, b in BOUNDS)
    ),
    "hardsigmoid": Row(
        units.hardsigmoid, units.hardsigmoid_grad, "y", ((-2.5, 3.5),), numbers("slope", 1 / 6, 1.0, -0.125)
    ),
    "softsign": Row(units.softsign, units.softsign_grad, "x"),
    "logsigmoid": Row(units.logsigmoid, units.logsigmoid_grad, "x", ((-20.0, 20.0),)),
    "elu": Row(units.elu, units.elu_grad, "x", ((-10.0, 4.0),), numbers("alpha", 1.0, 0.3, -2.0)),
    "selu": Row(units.selu, units.selu_grad, "x", ((-10.0, 4.0),)),
    "silu": Row(units.silu, units.silu_grad, "x", ((-5.0, 5.0),), numbers("beta", 1.0, 1.7, -0.6)),
    "gelu": Row(units.gelu, units.gelu_grad, "x", ((-10.0, 6.0),)),
    "gelu_tanh": Row(units.gelu_tanh, units.gelu_tanh_grad, "x", ((-2.0, 3.0),)),
}

GRADIENTS: dict[str, Row] = {f"{name}_grad": row for name, row in REFERENCE.items() if row.gradient is not None}
