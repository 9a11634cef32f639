"""Elementwise arithmetic, comparisons and selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np

from .._tensor import Tensor
from .._util.dtypes import BOOL, CODES, FLOAT32, FLOAT64, FLOATS, INT64
from .._util.exports import own_names
from ._dtypes import common_dtype, computed_in, converted
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


def _map_in(
    name: str, specs: Sequence[Spec], attrs: Attrs, dtypes: Sequence[np.dtype[Any]], out: np.dtype[Any]
) -> Plan:
    """An elementwise kernel on operands that are converted to these dtypes; the last one is the kernel's."""
    n, shapes = len(specs), [s.shape for s in specs]
    result = Spec(broadcast_shapes(name, shapes), out)
    slots, code, temporaries = converted(specs, dtypes)
    code.append(map_code(name, CODES[dtypes[-1]], result.shape, n, slots, shapes, [float(a) for a in attrs]))
    return Plan(result, code, temporaries)


def _map_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    dtype = computed_in(name, [s.dtype for s in specs])
    return _map_in(name, specs, attrs, [dtype] * len(specs), dtype)


def _compare_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """int64 and float32 are compared as float64: float32 has too few digits for integers."""
    dtypes = [s.dtype for s in specs]
    dtype = FLOAT64 if set(dtypes) == {INT64, FLOAT32} else computed_in(name, dtypes)
    return _map_in(name, specs, attrs, [dtype] * len(specs), BOOL)


def _where_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    if specs[0].dtype != BOOL:
        raise TypeError(f"{name}: the condition must be bool, got {specs[0].dtype}; compare, for example x != 0")
    dtype = common_dtype(name, [s.dtype for s in specs[1:]])
    return _map_in(name, specs, attrs, [BOOL, dtype, dtype], dtype)


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


def add(a: Any, b: Any, alpha: Any = None) -> Tensor:
    """Add elementwise with broadcasting, a + b, or a + alpha * b.

    Arguments: tensors of broadcastable shapes. bool and int64 beside a float take its dtype, bool beside int64 becomes
    int64; arrays, lists and numbers take a tensor's dtype where that loses nothing (docs/arithmetic.md, Dtypes).
    int64 wraps around where it overflows.
    Returns: a tensor of the broadcast shape; of two bool tensors bool, a | b.
    Errors: TypeError for float32 beside float64, ValueError for shapes that do not broadcast. The same holds for the
    other arithmetic functions.

    >>> import chainrule as cr
    >>> cr.add([1.0, 2.0], 3.0).numpy()
    array([4., 5.], dtype=float32)
    """
    if alpha is not None:
        a, b = pair(a, b)
        b = mul(b, alpha)
    return apply(_ADD, pair(a, b))


def sub(a: Any, b: Any, alpha: Any = None) -> Tensor:
    """Subtract elementwise with broadcasting, a - b; arguments as `cr.add`, but two bool tensors are an error.

    >>> import chainrule as cr
    >>> cr.sub([1.0, 2.0], 3.0).numpy()
    array([-2., -1.], dtype=float32)
    """
    first, second = pair(a, b)
    if first.dtype == BOOL == second.dtype:
        raise TypeError("sub: bool minus bool is not defined; write a ^ b, or a.long() - b")
    return apply(_SUB, (first, second) if alpha is None else pair(first, mul(second, alpha)))


def mul(a: Any, b: Any) -> Tensor:
    """Multiply elementwise with broadcasting, a * b; arguments as `cr.add`.

    >>> import chainrule as cr
    >>> cr.mul([1.0, 2.0], 3.0).numpy()
    array([3., 6.], dtype=float32)
    """
    return apply(_MUL, pair(a, b))


def div(a: Any, b: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Divide elementwise with broadcasting, a / b (IEEE: x/0 is infinite, 0/0 NaN); arguments as `cr.add`.

    Integers and bools give float32. `rounding_mode`, as PyTorch's: "floor" is `cr.floor_divide`, "trunc" rounds towards
    0; both keep integers.

    >>> import chainrule as cr
    >>> cr.div([1.0, 2.0], 4.0).numpy()
    array([0.25, 0.5 ], dtype=float32)
    """
    if rounding_mode is not None:
        from ._rounding import _rounded_quotient  # which takes its ops from here

        return _rounded_quotient(a, b, rounding_mode)
    return apply(_DIV, pair(a, b))


def neg(x: Any) -> Tensor:
    """Negate, -x; TypeError for bool.

    >>> import chainrule as cr
    >>> cr.neg([1.0, -2.0]).numpy()
    array([-1.,  2.], dtype=float32)
    """
    operand = one(x)
    if operand.dtype == BOOL:
        raise TypeError("neg: -x is not defined for bool; write ~x, or -x.long()")
    return apply(_NEG, (operand,))


def abs(x: Any) -> Tensor:
    """Absolute value, |x|; its gradient at 0 is 0. The least int64 wraps around to itself.

    >>> import chainrule as cr
    >>> cr.abs([1.0, -2.0]).numpy()
    array([1., 2.], dtype=float32)
    """
    operand = one(x)
    return operand if operand.dtype == BOOL else apply(_ABS, (operand,))


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


@overload
def where(condition: Any, a: Any, b: Any) -> Tensor: ...
@overload
def where(condition: Any) -> tuple[Tensor, ...]: ...
def where(condition: Any, a: Any = None, b: Any = None) -> Tensor | tuple[Tensor, ...]:
    """Select elementwise, a where the condition is true, else b.

    Arguments: `condition`, bool; `a`, `b`, of dtypes as in `cr.add`; the three shapes broadcast. Without a and b:
    `cr.nonzero(condition)`.

    >>> import chainrule as cr
    >>> x = cr.tensor([-1.0, 2.0])
    >>> cr.where(x > 0, x, 0.0).numpy()
    array([0., 2.], dtype=float32)
    """
    if a is None and b is None:
        from ._values import nonzero

        return cast("tuple[Tensor, ...]", nonzero(condition))
    if a is None or b is None:
        raise TypeError("where: expected where(condition, a, b) or where(condition)")
    return apply(_WHERE, (own(condition), *pair(a, b)))


def equal(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a == b, as bool; NaN equals nothing.

    >>> import chainrule as cr
    >>> cr.equal([1.0, 2.0], 2.0).numpy()
    array([False,  True])
    """
    return apply(_EQUAL, pair(a, b, FLOAT64))


def not_equal(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a != b, as bool; true for NaN.

    >>> import chainrule as cr
    >>> cr.not_equal([1.0, 2.0], 2.0).numpy()
    array([ True, False])
    """
    return apply(_NOT_EQUAL, pair(a, b, FLOAT64))


def less(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a < b, as bool.

    >>> import chainrule as cr
    >>> cr.less([1.0, 2.0], 2.0).numpy()
    array([ True, False])
    """
    return apply(_LESS, pair(a, b, FLOAT64))


def less_equal(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a <= b, as bool.

    >>> import chainrule as cr
    >>> cr.less_equal([1.0, 3.0], 2.0).numpy()
    array([ True, False])
    """
    return apply(_LESS_EQUAL, pair(a, b, FLOAT64))


def greater(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a > b, as bool.

    >>> import chainrule as cr
    >>> cr.greater([1.0, 3.0], 2.0).numpy()
    array([False,  True])
    """
    return apply(_GREATER, pair(a, b, FLOAT64))


def greater_equal(a: Any, b: Any) -> Tensor:
    """Compare elementwise, a >= b, as bool.

    >>> import chainrule as cr
    >>> cr.greater_equal([1.0, 3.0], 2.0).numpy()
    array([False,  True])
    """
    return apply(_GREATER_EQUAL, pair(a, b, FLOAT64))


if not TYPE_CHECKING:
    __all__ = own_names(globals())
