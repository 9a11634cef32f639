"""Rounding to integers, and division with a remainder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_integer
from .._util.dtypes import FLOAT32, FLOATS
from .._util.exports import own_names
from ._activations import _zero_gradient
from ._arithmetic import _map_plan, abs, add, div, equal, less, mul, neg, not_equal, sub, where
from ._checks import raise_where
from ._op import Attrs, Op, apply, register
from ._operands import one, pair


def _flat(g: Tensor, y: Tensor, x: tuple[Tensor, ...], a: Attrs) -> Tensor:
    return _zero_gradient(g, y, (y,), a)


_FLOOR, _CEIL, _TRUNC, _ROUND = (
    register(Op(name, _map_plan, (_zero_gradient,))) for name in ("floor", "ceil", "trunc", "round")
)
_FLOOR_DIVIDE = register(Op("floor_divide", _map_plan, (_flat, _flat)))
_REMAINDER = register(
    Op("remainder", _map_plan, (lambda g, y, x, a: g, lambda g, y, x, a: neg(mul(g, floor_divide(x[0], x[1])))))
)
_FMOD = register(
    Op("fmod", _map_plan, (lambda g, y, x, a: g, lambda g, y, x, a: neg(mul(g, round(div(sub(x[0], y), x[1]))))))
)


def _to_integers(op: Op, x: Any) -> Tensor:
    source = one(x)
    return apply(op, (source,)) if source.dtype in FLOATS else source


def floor(x: Any) -> Tensor:
    """The nearest integer below or equal; the gradient is 0 everywhere.

    Arguments: `x`, a tensor, array or number of any shape. Returns: a tensor of its dtype; int64 and bool as they are.

    >>> import chainrule as cr
    >>> cr.floor([1.5, -1.5]).tolist()
    [1.0, -2.0]
    """
    return _to_integers(_FLOOR, x)


def ceil(x: Any) -> Tensor:
    """The nearest integer above or equal; the gradient is 0 everywhere.

    >>> import chainrule as cr
    >>> cr.ceil([1.5, -1.5]).tolist()
    [2.0, -1.0]
    """
    return _to_integers(_CEIL, x)


def trunc(x: Any) -> Tensor:
    """The number without its fraction; the gradient is 0 everywhere.

    >>> import chainrule as cr
    >>> cr.trunc([1.5, -1.5]).tolist()
    [1.0, -1.0]
    """
    return _to_integers(_TRUNC, x)


def round(x: Any, decimals: int = 0) -> Tensor:
    """The nearest integer, a half to the even one; the gradient is 0 everywhere.

    Arguments: `x`, as in `cr.floor`; `decimals`, digits that stay after the point, below 0 those that go before it:
    round(x * 10**decimals) / 10**decimals, each operation rounded; numbers too large to have such digits stay.
    Errors: TypeError for decimals that are no integer; ValueError for such beyond those of the dtype, and for negative
    ones of integers.

    >>> import chainrule as cr
    >>> cr.round([0.5, 1.5, -2.5]).tolist(), cr.round([1.25, 3.14], 1).tolist() == cr.tensor([1.2, 3.1]).tolist()
    ([0.0, 2.0, -2.0], True)
    """
    source, digits = one(x), check_integer("round: decimals", decimals)
    if source.dtype not in FLOATS:
        if digits < 0:
            raise ValueError(f"round: decimals below 0 of {source.dtype}; write cr.round(x.double(), {digits}).long()")
        return source
    if digits == 0:
        return apply(_ROUND, (source,))
    most, integers = (38, 2.0**23) if source.dtype == FLOAT32 else (308, 2.0**52)
    if not -most <= digits <= most:
        raise ValueError(f"round: decimals of {source.dtype} must be from {-most} to {most}, got {digits}")
    scale = float(f"1e{digits if digits > 0 else -digits}")
    if digits < 0:
        return mul(apply(_ROUND, (div(source, scale),)), scale)
    scaled = mul(source, scale)
    return where(less(abs(scaled), integers), div(apply(_ROUND, (scaled,)), scale), source.detach())


def _operands(name: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """The operands of a division, with a check of integers that are divisors."""
    dividend, divisor = pair(a, b)
    if dividend.dtype in FLOATS or divisor.dtype in FLOATS:
        return dividend, divisor

    def error(at: tuple[int, ...]) -> Exception:
        return ZeroDivisionError(f"{name}: an integer is divided by 0" + (f", the divisor at {at}" if at else ""))

    if b is divisor or divisor.ndim:
        raise_where(equal(divisor, 0), error)
    elif b == 0:
        raise error(())
    return dividend, divisor


def floor_divide(a: Any, b: Any) -> Tensor:
    """The quotient rounded down, floor(a / b), a // b; the gradient is 0 everywhere.

    Of floats it belongs to the exact `cr.remainder`, as Python's and NumPy's. Arguments as `cr.add`; two bool tensors
    give int64.
    Errors: ZeroDivisionError for an integer divided by 0; of floats it is infinite or NaN.

    >>> import chainrule as cr
    >>> cr.floor_divide([7.0, -7.0], 2.0).tolist(), cr.floor_divide([7, -7], 2).tolist()
    ([3.0, -4.0], [3, -4])
    """
    return apply(_FLOOR_DIVIDE, _operands("floor_divide", a, b))


def _rounded_quotient(a: Any, b: Any, mode: str) -> Tensor:
    """`div` with PyTorch's rounding_mode."""
    if mode == "floor":
        return floor_divide(a, b)
    if mode != "trunc":
        raise ValueError(f"div: rounding_mode must be None, 'floor' or 'trunc', got {mode!r}")
    first, second = pair(a, b)
    if first.dtype in FLOATS or second.dtype in FLOATS:
        return trunc(div(first, second))
    down = floor_divide(first, second)
    inexact = not_equal(mul(down, second), first)
    return add(down, where(inexact, where(less(down, 0), 1, 0), 0))


def remainder(a: Any, b: Any) -> Tensor:
    """The remainder with the sign of the divisor, a - b * floor(a / b), a % b, as Python's and NumPy's.

    It is exact, but for one rounding where a and b have different signs. The gradient is g by a, and -g * (a // b) by
    b. Arguments as `cr.add`.
    Errors: ZeroDivisionError for an integer divided by 0; of floats it is NaN.

    >>> import chainrule as cr
    >>> cr.remainder([7.0, -7.0], 4.0).tolist(), cr.remainder([7, -7], 4).tolist()
    ([3.0, 1.0], [3, 1])
    """
    return apply(_REMAINDER, _operands("remainder", a, b))


def fmod(a: Any, b: Any) -> Tensor:
    """The exact remainder with the sign of the dividend, a - b * trunc(a / b), as C's; of floats, integers become them.

    The gradient is g by a, and -g * trunc(a / b) by b. Arguments as `cr.add`.

    >>> import chainrule as cr
    >>> cr.fmod([7.0, -7.0], 4.0).tolist()
    [3.0, -3.0]
    """
    return apply(_FMOD, pair(a, b))


def divmod(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """The quotient rounded down and the remainder, (a // b, a % b).

    >>> import chainrule as cr
    >>> [t.tolist() for t in cr.divmod([7, -7], 4)]
    [[1, -2], [3, 1]]
    """
    return floor_divide(a, b), remainder(a, b)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
