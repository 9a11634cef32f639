"""Elementwise functions that are made of several ops; the gradients are those of their parts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from .._util.dtypes import FLOAT32, FLOAT64, FLOATS
from .._util.exports import own_names
from ._activations import sign
from ._arithmetic import (
    abs,
    add,
    div,
    equal,
    less,
    less_equal,
    maximum,
    minimum,
    mul,
    square,
    sub,
    where,
)
from ._cast import astype
from ._logic import isfinite, isnan, logical_and, logical_not, logical_or
from ._math import sin
from ._operands import one, pair
from ._reduce import any
from ._rounding import trunc
from ._shape import reshape


def _real(x: Any) -> Tensor:
    source = one(x)
    return source if source.dtype in FLOATS else astype(source, FLOAT32)


def lerp(start: Any, end: Any, weight: Any) -> Tensor:
    """Between two tensors, a + weight * (b - a) for weights below 1/2, else b - (1 - weight) * (b - a).

    Arguments: `start`, `end`, tensors of broadcastable shapes; `weight`, a number or a tensor, also outside of 0 to 1.

    >>> import chainrule as cr
    >>> cr.lerp([1.0, 2.0], [3.0, 6.0], 0.25).numpy()
    array([1.5, 3. ], dtype=float32)
    """
    first, last = pair(start, end)
    between = sub(last, first)
    share = pair(between, weight)[1]
    return where(less(share, 0.5), add(first, mul(share, between)), sub(last, mul(sub(1, share), between)))


def addcmul(input: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2, elementwise with broadcasting.

    >>> import chainrule as cr
    >>> cr.addcmul([1.0, 2.0], [3.0, 4.0], 5.0, value=0.5).numpy()
    array([ 8.5, 12. ], dtype=float32)
    """
    return add(input, mul(mul(tensor1, tensor2), value))


def addcdiv(input: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2, elementwise with broadcasting.

    >>> import chainrule as cr
    >>> cr.addcdiv([1.0, 2.0], [3.0, 4.0], 2.0, value=0.5).numpy()
    array([1.75, 3.  ], dtype=float32)
    """
    return add(input, mul(div(tensor1, tensor2), value))


def copysign(a: Any, b: Any) -> Tensor:
    """The size of a with the sign of b, also of -0; a NaN has the sign +. The gradient by b is 0.

    >>> import chainrule as cr
    >>> cr.copysign([1.0, -2.0], [-0.0, 3.0]).numpy()
    array([-1.,  2.], dtype=float32)
    """
    size, other = (_real(t) for t in pair(a, b))
    of_zero = where(less(div(1, other), 0), -1, 1)
    return mul(abs(size), where(logical_or(equal(other, 0), isnan(other)), of_zero, sign(other)))


def frac(x: Any) -> Tensor:
    """The part behind the point, x - trunc(x), with the sign of x; its gradient is 1.

    >>> import chainrule as cr
    >>> cr.frac([1.75, -2.5]).numpy()
    array([ 0.75, -0.5 ], dtype=float32)
    """
    source = one(x)
    return sub(source, trunc(source))


def deg2rad(x: Any) -> Tensor:
    """Radians of degrees, x * (pi / 180).

    >>> import chainrule as cr
    >>> cr.deg2rad([180.0]).numpy()
    array([3.1415927], dtype=float32)
    """
    return mul(_real(x), math.pi / 180)


def rad2deg(x: Any) -> Tensor:
    """Degrees of radians, x * (180 / pi).

    >>> import chainrule as cr
    >>> cr.rad2deg([0.5]).numpy()
    array([28.64789], dtype=float32)
    """
    return mul(_real(x), 180 / math.pi)


def fmax(a: Any, b: Any) -> Tensor:
    """Elementwise maximum that skips NaN: the other argument where one is NaN. Otherwise as `cr.maximum`.

    >>> import chainrule as cr
    >>> cr.fmax([1.0, float("nan")], [3.0, 2.0]).numpy()
    array([3., 2.], dtype=float32)
    """
    first, second = pair(a, b)
    return where(isnan(first), second, where(isnan(second), first, maximum(first, second)))


def fmin(a: Any, b: Any) -> Tensor:
    """Elementwise minimum that skips NaN: the other argument where one is NaN. Otherwise as `cr.minimum`.

    >>> import chainrule as cr
    >>> cr.fmin([1.0, float("nan")], [3.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """
    first, second = pair(a, b)
    return where(isnan(first), second, where(isnan(second), first, minimum(first, second)))


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """Numbers in place of NaN and of the infinities; the gradient there is 0.

    Arguments: `x`, a tensor of any shape; `nan`; `posinf` and `neginf`, by default the largest and the least number of
    the dtype.

    >>> import chainrule as cr
    >>> cr.nan_to_num([float("nan"), float("inf"), 1.0], posinf=9.0).numpy()
    array([0., 9., 1.], dtype=float32)
    """
    source = one(x)
    if source.dtype not in FLOATS:
        return source
    largest = float(np.finfo(source.dtype).max)
    high, low = largest if posinf is None else posinf, -largest if neginf is None else neginf
    found = where(isnan(source), nan, source)
    return where(equal(source, math.inf), high, where(equal(source, -math.inf), low, found))


def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |a - b| <= atol + rtol * |b|, elementwise as bool; infinities are close to equal ones only.

    Arguments: tensors of broadcastable shapes; `equal_nan`, whether two NaN are close. Integers become float64.

    >>> import chainrule as cr
    >>> cr.isclose([1.0, 2.0], [1.000001, 2.1]).numpy()
    array([ True, False])
    """
    first, second = (t if t.dtype in FLOATS else astype(t, FLOAT64) for t in pair(a, b, FLOAT64))
    if first.dtype != second.dtype:
        first, second = astype(first, FLOAT64), astype(second, FLOAT64)
    near = less_equal(abs(sub(first, second)), add(mul(abs(second), rtol), atol))
    close = logical_or(equal(first, second), logical_and(isfinite(second), near))
    return logical_or(close, logical_and(isnan(first), isnan(second))) if equal_nan else close


def isin(elements: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether elements are among others, as bool; NaN is not.

    Arguments: `elements`, a tensor; `test_elements`, a tensor of any shape; `assume_unique`, without effect; `invert`,
    whether they are not. Takes memory for each element with each other. Returns: a tensor of the shape of `elements`.

    >>> import chainrule as cr
    >>> cr.isin([1, 2, 3], [3, 1]).numpy()
    array([ True, False,  True])
    """
    first, second = pair(elements, test_elements, FLOAT64)
    found = any(equal(reshape(first, (*first.shape, 1)), reshape(second, -1)), -1)
    return logical_not(found) if invert else found


_SERIES = [(-1) ** n / math.factorial(2 * n + 1) for n in range(11)]  # of sin(z) / z in z**2, to 1e-19 of z = 1


def sinc(x: Any) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0, as NumPy's and PyTorch's; a series where |pi x| < 1, for derivatives of all orders.

    >>> import chainrule as cr
    >>> cr.sinc([0.0, 0.5]).numpy()
    array([1.        , 0.63661975], dtype=float32)
    """
    z = mul(_real(x), math.pi)
    near = less(abs(z), 1)
    w = square(where(near, z, 0))
    series = add(mul(w, _SERIES[-1]), _SERIES[-2])
    for factor in reversed(_SERIES[:-2]):
        series = add(mul(series, w), factor)
    far = where(near, 1, z)
    return where(near, series, div(sin(far), far))


if not TYPE_CHECKING:
    __all__ = own_names(globals())
