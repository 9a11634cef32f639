"""Operations on bits and truth values. None has a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.dtypes import BOOL
from .._util.exports import own_names
from ._arithmetic import _map_plan, abs, equal, less, not_equal
from ._op import Op, apply, register
from ._operands import one, pair

_AND, _OR, _XOR, _NOT = (
    register(Op(name, _map_plan)) for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not")
)


def bitwise_and(a: Any, b: Any) -> Tensor:
    """Both bits, a & b: of masks whether both are true, of integers bit by bit.

    Arguments: bool and int64 tensors of broadcastable shapes; arrays, lists and integers beside one.
    Returns: bool, or int64 if one is int64. Errors: TypeError for floats. The same holds for the other operations on
    bits.

    >>> import chainrule as cr
    >>> cr.bitwise_and([True, True, False], [True, False, False]).tolist(), cr.bitwise_and([6], 3).tolist()
    ([True, False, False], [2])
    """
    return apply(_AND, pair(a, b))


def bitwise_or(a: Any, b: Any) -> Tensor:
    """Either bit or both, a | b; arguments as `cr.bitwise_and`.

    >>> import chainrule as cr
    >>> cr.bitwise_or([True, False], [False, False]).tolist(), cr.bitwise_or([6], 3).tolist()
    ([True, False], [7])
    """
    return apply(_OR, pair(a, b))


def bitwise_xor(a: Any, b: Any) -> Tensor:
    """Either bit but not both, a ^ b; arguments as `cr.bitwise_and`.

    >>> import chainrule as cr
    >>> cr.bitwise_xor([True, True], [True, False]).tolist(), cr.bitwise_xor([6], 3).tolist()
    ([False, True], [5])
    """
    return apply(_XOR, pair(a, b))


def bitwise_not(x: Any) -> Tensor:
    """The other bits, ~x: of a mask where it is false, of an integer -x - 1.

    >>> import chainrule as cr
    >>> cr.bitwise_not([True, False]).tolist(), cr.bitwise_not([6]).tolist()
    ([False, True], [-7])
    """
    return apply(_NOT, (one(x),))


def truth(x: Any) -> Tensor:
    """Whether elements are other than 0, as bool; True for NaN."""
    source = one(x)
    return source if source.dtype == BOOL else not_equal(source, 0)


def logical_and(a: Any, b: Any) -> Tensor:
    """Whether both elements are other than 0, as bool.

    Arguments: tensors of any dtype and of broadcastable shapes; NaN is other than 0.

    >>> import chainrule as cr
    >>> cr.logical_and([1.0, 2.0, 0.0], [3.0, 0.0, 0.0]).tolist()
    [True, False, False]
    """
    return bitwise_and(truth(a), truth(b))


def logical_or(a: Any, b: Any) -> Tensor:
    """Whether one or both elements are other than 0, as bool; arguments as `cr.logical_and`.

    >>> import chainrule as cr
    >>> cr.logical_or([1.0, 2.0, 0.0], [3.0, 0.0, 0.0]).tolist()
    [True, True, False]
    """
    return bitwise_or(truth(a), truth(b))


def logical_xor(a: Any, b: Any) -> Tensor:
    """Whether one of two elements is other than 0, as bool; arguments as `cr.logical_and`.

    >>> import chainrule as cr
    >>> cr.logical_xor([1.0, 2.0, 0.0], [3.0, 0.0, 0.0]).tolist()
    [False, True, False]
    """
    return bitwise_xor(truth(a), truth(b))


def logical_not(x: Any) -> Tensor:
    """Whether elements are 0, as bool.

    >>> import chainrule as cr
    >>> cr.logical_not([1.0, 0.0]).tolist()
    [False, True]
    """
    return bitwise_not(truth(x))


def isnan(x: Any) -> Tensor:
    """Whether elements are NaN, as bool.

    >>> import chainrule as cr
    >>> cr.isnan([1.0, float("inf"), float("nan")]).tolist()
    [False, False, True]
    """
    t = one(x)
    return not_equal(t, t)


def isinf(x: Any) -> Tensor:
    """Whether elements are infinite, as bool.

    >>> import chainrule as cr
    >>> cr.isinf([1.0, float("-inf"), float("nan")]).tolist()
    [False, True, False]
    """
    return equal(abs(x), float("inf"))


def isfinite(x: Any) -> Tensor:
    """Whether elements are neither infinite nor NaN, as bool.

    >>> import chainrule as cr
    >>> cr.isfinite([1.0, float("-inf"), float("nan")]).tolist()
    [True, False, False]
    """
    return less(abs(x), float("inf"))


if not TYPE_CHECKING:
    __all__ = [name for name in own_names(globals()) if name != "truth"]
