"""Elementwise arithmetic, comparisons and selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from .._util.dtypes import BOOL, CODES, FLOATS
from .._util.exports import own_names
from ._op import Attrs, Op, Plan, Rule, Spec, apply, register
from ._operands import one, own, pair
from ._strides import broadcast_shapes, map_code


def _float_dtype(name: str, specs: Sequence[Spec | Tensor]) -> np.dtype[Any]:
    first = specs[0].dtype
    if first in FLOATS and [spec.dtype for spec in specs].count(first) == len(specs):
        return first
    for spec in specs:
        if spec.dtype not in FLOATS:
            raise TypeError(f"{name}: expected float32 or float64, got {spec.dtype}; convert with astype()")
        if spec.dtype != first:
            raise TypeError(f"{name}: expected one dtype, got {first} and {spec.dtype}; convert with astype()")
    return first


def _map_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    dtype = _float_dtype(name, specs)
    shapes = [s.shape for s in specs]
    out = Spec(broadcast_shapes(name, shapes), dtype)
    n = len(specs)
    return Plan(out, [map_code(name, CODES[dtype], out.shape, n, range(n), shapes, [float(a) for a in attrs])])


def _compare_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    plan = _map_plan(name, specs, attrs)
    return Plan(Spec(plan.out.shape, BOOL), plan.code)


def _where_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    if specs[0].dtype != BOOL:
        raise TypeError(f"{name}: the condition must be bool, got {specs[0].dtype}; compare, for example x != 0")
    dtype = _float_dtype(name, specs[1:])
    shapes = [s.shape for s in specs]
    out = Spec(broadcast_shapes(name, shapes), dtype)
    return Plan(out, [map_code(name, CODES[dtype], out.shape, 3, range(3), shapes, [])])


def _map_op(name: str, *vjp: Rule | None) -> Op:
    return register(Op(name, _map_plan, vjp))


# Arithmetic.

_ADD = _map_op("add", lambda g, y, x, a: g, lambda g, y, x, a: g)
_SUB = _map_op("sub", lambda g, y, x, a: g, lambda g, y, x, a: neg(g))
_MUL = _map_op("mul", lambda g, y, x, a: mul(g, x[1]), lambda g, y, x, a: mul(g, x[0]))
_DIV = _map_op("div", lambda g, y, x, a: div(g, x[1]), lambda g, y, x, a: neg(mul(g, div(y, x[1]))))
_NEG = _map_op("neg", lambda g, y, x, a: neg(g))
_ABS = _map_op("abs", lambda g, y, x, a: where(greater(x[0], 0), g, where(less(x[0], 0), neg(g), mul(x[0], 0))))
_SQUARE = _map_op("square", lambda g, y, x, a: mul(g, add(x[0], x[0])))
# At a tie the first argument gets the gradient; a NaN argument always gets it.
_MAXIMUM = _map_op(
    "maximum",
    lambda g, y, x, a: where(greater_equal(x[0], x[1]), g, where(not_equal(x[0], x[0]), g, 0)),
    lambda g, y, x, a: where(less(x[0], x[1]), g, where(not_equal(x[1], x[1]), g, 0)),
)
_MINIMUM = _map_op(
    "minimum",
    lambda g, y, x, a: where(less_equal(x[0], x[1]), g, where(not_equal(x[0], x[0]), g, 0)),
    lambda g, y, x, a: where(greater(x[0], x[1]), g, where(not_equal(x[1], x[1]), g, 0)),
)
_WHERE = register(
    Op("where", _where_plan, (None, lambda g, y, x, a: where(x[0], g, 0), lambda g, y, x, a: where(x[0], 0, g)))
)
_EQUAL, _NOT_EQUAL, _LESS, _LESS_EQUAL, _GREATER, _GREATER_EQUAL = (
    register(Op(name, _compare_plan))
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
)


def add(a: Any, b: Any) -> Tensor:
    """Add elementwise with broadcasting, a + b.

    Arguments: tensors of one float dtype and broadcastable shapes; arrays, lists and numbers take a tensor's dtype.
    Returns: a tensor of the broadcast shape.
    Errors: TypeError for other or mixed dtypes, ValueError for shapes that do not broadcast. The same holds for the
    other arithmetic functions.

    >>> import chainrule as cr
    >>> cr.add([1.0, 2.0], 3.0).numpy()
    array([4., 5.], dtype=float32)
    """
    return apply(_ADD, pair(a, b))


def sub(a: Any, b: Any) -> Tensor:
    """Subtract elementwise with broadcasting, a - b; arguments as `cr.add`.

    >>> import chainrule as cr
    >>> cr.sub([1.0, 2.0], 3.0).numpy()
    array([-2., -1.], dtype=float32)
    """
    return apply(_SUB, pair(a, b))


def mul(a: Any, b: Any) -> Tensor:
    """Multiply elementwise with broadcasting, a * b; arguments as `cr.add`.

    >>> import chainrule as cr
    >>> cr.mul([1.0, 2.0], 3.0).numpy()
    array([3., 6.], dtype=float32)
    """
    return apply(_MUL, pair(a, b))


def div(a: Any, b: Any) -> Tensor:
    """Divide elementwise with broadcasting, a / b (IEEE: x/0 is infinite, 0/0 NaN); arguments as `cr.add`.

    >>> import chainrule as cr
    >>> cr.div([1.0, 2.0], 4.0).numpy()
    array([0.25, 0.5 ], dtype=float32)
    """
    return apply(_DIV, pair(a, b))


def neg(x: Any) -> Tensor:
    """Negate, -x.

    >>> import chainrule as cr
    >>> cr.neg([1.0, -2.0]).numpy()
    array([-1.,  2.], dtype=float32)
    """
    return apply(_NEG, (one(x),))


def abs(x: Any) -> Tensor:
    """Absolute value, |x|; its gradient at 0 is 0.

    >>> import chainrule as cr
    >>> cr.abs([1.0, -2.0]).numpy()
    array([1., 2.], dtype=float32)
    """
    return apply(_ABS, (one(x),))


def square(x: Any) -> Tensor:
    """Square, x * x.

    >>> import chainrule as cr
    >>> cr.square([1.0, -3.0]).numpy()
    array([1., 9.], dtype=float32)
    """
    return apply(_SQUARE, (one(x),))


def maximum(a: Any, b: Any) -> Tensor:
    """Elementwise maximum of two tensors; NaN if either is NaN, and +0 is larger than -0.

    The gradient goes to the larger argument, at a tie to the first. Arguments as `cr.add`.

    >>> import chainrule as cr
    >>> cr.maximum([1.0, 5.0], 3.0).numpy()
    array([3., 5.], dtype=float32)
    """
    return apply(_MAXIMUM, pair(a, b))


def minimum(a: Any, b: Any) -> Tensor:
    """Elementwise minimum of two tensors; NaN if either is NaN, and -0 is smaller than +0.

    The gradient goes to the smaller argument, at a tie to the first. Arguments as `cr.add`.

    >>> import chainrule as cr
    >>> cr.minimum([1.0, 5.0], 3.0).numpy()
    array([1., 3.], dtype=float32)
    """
    return apply(_MINIMUM, pair(a, b))


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """Select elementwise, a where the condition is true, else b.

    Arguments: `condition`, bool; `a`, `b`, of one float dtype; the three shapes broadcast.

    >>> import chainrule as cr
    >>> x = cr.tensor([-1.0, 2.0])
    >>> cr.where(x > 0, x, 0.0).numpy()
    array([0., 2.], dtype=float32)
    """
    return apply(_WHERE, (own(condition), *pair(a, b)))


def equal(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a == b, as bool; NaN equals nothing.

    >>> import chainrule as cr
    >>> cr.equal([1.0, 2.0], 2.0).numpy()
    array([False,  True])
    """
    return apply(_EQUAL, pair(a, b))


def not_equal(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a != b, as bool; true for NaN.

    >>> import chainrule as cr
    >>> cr.not_equal([1.0, 2.0], 2.0).numpy()
    array([ True, False])
    """
    return apply(_NOT_EQUAL, pair(a, b))


def less(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a < b, as bool.

    >>> import chainrule as cr
    >>> cr.less([1.0, 2.0], 2.0).numpy()
    array([ True, False])
    """
    return apply(_LESS, pair(a, b))


def less_equal(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a <= b, as bool.

    >>> import chainrule as cr
    >>> cr.less_equal([1.0, 3.0], 2.0).numpy()
    array([ True, False])
    """
    return apply(_LESS_EQUAL, pair(a, b))


def greater(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a > b, as bool.

    >>> import chainrule as cr
    >>> cr.greater([1.0, 3.0], 2.0).numpy()
    array([False,  True])
    """
    return apply(_GREATER, pair(a, b))


def greater_equal(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a >= b, as bool.

    >>> import chainrule as cr
    >>> cr.greater_equal([1.0, 3.0], 2.0).numpy()
    array([False,  True])
    """
    return apply(_GREATER_EQUAL, pair(a, b))


if not TYPE_CHECKING:
    __all__ = own_names(globals())
