"""Powers: x ** n by repeated squaring, other exponents and tensors of exponents by one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from .._util.dtypes import FLOAT32, FLOATS
from .._util.exports import own_names
from ._arithmetic import (
    _map_plan,
    abs,
    div,
    equal,
    greater_equal,
    less,
    mul,
    sub,
    where,
)
from ._cast import astype
from ._checks import raise_where
from ._elementary import exp2
from ._op import OPS, SYMMETRIC, Attrs, Op, Plan, Spec, apply, register
from ._operands import one, pair
from ._special import xlogy
from ._strides import map_code

_MOST_SQUARED = 64  # the largest exponent that is done by repeated squaring


def _steps_of_power(n: int) -> list[tuple[str, list[int]]]:
    """Repeated squaring of slot 0 from the lowest bit of n on; the results take the slots from 3 on."""
    steps: list[tuple[str, list[int]]] = []
    base, result = 0, -1
    while n:
        if n & 1:
            steps += [("mul", [result, base])] if result >= 0 else []
            result = base if result < 0 else len(steps) + 2
        n >>= 1
        if n:
            steps.append(("square", [base]))
            base = len(steps) + 2
    return steps


def _reciprocal_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """1 / x**n; arguments x and the scalar 1."""
    x, steps = specs[0], _steps_of_power(attrs[0])
    steps.append(("div", [1, len(steps) + 2]))
    outs = [*range(3, len(steps) + 2), 2]
    code = [
        map_code(step, x.code, x.shape, out, ins, [() if i == 1 else x.shape for i in ins], [])
        for out, (step, ins) in zip(outs, steps, strict=True)
    ]
    return Plan(x, code, [x] * (len(steps) - 1))


# From the value, not by way of x**n and its slope, which overflow where those of the reciprocal are ordinary numbers.
_RECIPROCAL_POWER = Op(
    "power",
    _reciprocal_plan,
    (lambda g, y, x, a: mul(g, div(mul(-float(a[0]), y), x[0])), None),
    (SYMMETRIC, None),
)


# The kernel computes x**(y - n), n being the order of the derivative: y - 1 would round.


def _power_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    return _map_plan(name, specs, attrs[:1])


def _by_base(g: Tensor, y: Tensor, x: tuple[Tensor, ...], a: Attrs) -> Tensor:
    """(y - n) x**(y - n - 1), and 0 for the exponent 0, where the other factor may be infinite or NaN."""
    e, power = sub(x[1], a[0]) if a[0] else x[1], apply(_POW, x, (a[0] + 1,))
    finite = where(equal(e, 0), where(less(abs(power), float("inf")), power, 0), power)
    return mul(g, mul(e, finite))


def _by_exponent(g: Tensor, y: Tensor, x: tuple[Tensor, ...], a: Attrs) -> Tensor:
    """x**(y - n) log(x), and 0 for the base 0 and an exponent from 0 on."""
    base = where(equal(x[0], 0), where(greater_equal(x[1], a[0]), 1, x[0]), x[0])
    return mul(g, xlogy(y, base))


def _by_base_alone(g: Tensor, y: Tensor, x: tuple[Tensor, ...], a: Attrs) -> Tensor:
    """The same for a number as exponent, which is none of those that are done by repeated squaring."""
    return mul(g, mul(sub(x[1], a[0]) if a[0] else x[1], apply(_POW_OF_NUMBER, x, (a[0] + 1,))))


_POW = register(Op("pow", _power_plan, (_by_base, _by_exponent)))
_POW_OF_NUMBER = Op("pow", _power_plan, (_by_base_alone, None))


# Of integers, which wrap around.
_INTEGER_POWER = Op("integer_power", _map_plan)


def _integer_power(base: Tensor, n: Tensor) -> Tensor:
    def error(at: tuple[int, ...]) -> Exception:
        place = f", the exponent at {at}," if at else ""
        return ValueError(f"power: an integer to a negative power{place} is a fraction; write x.float() ** n")

    raise_where(less(n, 0), error)
    return apply(_INTEGER_POWER, (base, n))


def power(x: Any, exponent: Any) -> Tensor:
    """Raise to a power, x ** exponent, elementwise with broadcasting, as `pow` of IEEE 754.

    0**0 and NaN**0 are 1; a negative base has powers of integers, others are NaN. The gradient by the exponent is
    x**exponent * log(x), and 0 at the base 0 and an exponent from 0 on. `2 ** x` is `cr.exp2(x)`, `x ** 0.5` is
    `cr.sqrt(x)`; an integer up to 64 as exponent is done by repeated squaring (docs/arithmetic.md).

    Arguments: `x` and `exponent`, numbers or tensors of broadcastable shapes, of dtypes as in `cr.add`. Integers to the
    power of integers are integers.
    Returns: a tensor of the broadcast shape. Errors: as `cr.add`; ValueError for an integer to a negative power.

    >>> import chainrule as cr
    >>> cr.power([2.0, 3.0], 3).numpy()
    array([ 8., 27.], dtype=float32)
    >>> (cr.tensor([2.0, 4.0]) ** cr.tensor([-1.0, 2.5])).numpy()
    array([ 0.5, 32. ], dtype=float32)
    """
    if not _is_number(exponent):
        both = pair(x, exponent)
        if both[0].dtype not in FLOATS and both[1].dtype not in FLOATS:
            return _integer_power(*both)
        if _is_number(x) and x == 2:
            return exp2(exponent)
        return apply(_POW, pair(x, exponent), (0,))
    base = one(x)
    if base.dtype not in FLOATS:
        if isinstance(exponent, (int, np.integer)):
            return _integer_power(*pair(base, exponent))
        base = astype(base, FLOAT32)
    if exponent == 0.5:
        return apply(OPS["sqrt"], (base,))
    if not float(exponent).is_integer() or not -_MOST_SQUARED <= exponent <= _MOST_SQUARED:
        return apply(_POW_OF_NUMBER, pair(base, exponent), (0,))
    n = int(exponent)
    if n == 0:
        return where(less(base, base), base, 1)  # 1 everywhere, NaN**0 included; a node, so that the gradient is 0
    if n < -1:
        return apply(_RECIPROCAL_POWER, pair(base, 1), (-n,))
    if n == -1:
        return div(1, base)
    slots = [base, base, base]
    for step, ins in _steps_of_power(n):
        slots.append(apply(OPS[step], tuple(slots[i] for i in ins)))
    return slots[-1]


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.integer, np.floating)) and not isinstance(x, bool)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
