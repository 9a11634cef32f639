"""NumPy's arithmetic as ops: ufuncs, reductions, selection and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._tensor import Tensor
from .._activations import clip, heaviside, sign
from .._arithmetic import (
    abs,
    add,
    div,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    maximum,
    minimum,
    mul,
    neg,
    not_equal,
    square,
    sub,
    where,
)
from .._cumulative import prod
from .._elementary import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    cosh,
    exp2,
    hypot,
    log2,
    log10,
    reciprocal,
    sinh,
    tan,
)
from .._math import cos, exp, expm1, log, log1p, sin, sqrt, tanh
from .._matmul import matmul
from .._operands import one, own, pair
from .._power import power
from .._products import dot, inner, outer, tensordot
from .._reduce import argmax, argmin, max, mean, min, sum
from .._shape import reshape
from .._special import logaddexp
from ._rows import NoOpError, Row, adapts, check_default

__all__ = ["REDUCTIONS", "UFUNCS"]

# Ufuncs.


def _number(name: str, value: Any) -> Any:
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return value
    raise NoOpError(f"its op takes a number as {name}")


_FINITE = {np.dtype(kind): float(np.finfo(kind).max) for kind in (np.float32, np.float64)}


def _isfinite(x: Any) -> Tensor:
    t = one(x)
    return less_equal(abs(t), _FINITE[t.dtype])


def _equal_to_itself_not(x: Any) -> Tensor:
    t = one(x)
    return not_equal(t, t)


_ufuncs: dict[str, Callable[..., Any]] = {
    "absolute": abs,
    "add": add,
    "arccos": acos,
    "arccosh": acosh,
    "arcsin": asin,
    "arcsinh": asinh,
    "arctan": atan,
    "arctan2": atan2,
    "arctanh": atanh,
    "cbrt": cbrt,
    "cos": cos,
    "cosh": cosh,
    "divide": div,
    "equal": equal,
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "fabs": abs,
    "greater": greater,
    "greater_equal": greater_equal,
    "heaviside": lambda x, value: heaviside(x, _number("value", value)),
    "hypot": hypot,
    "isfinite": _isfinite,
    "isinf": lambda x: equal(abs(x), float("inf")),
    "isnan": _equal_to_itself_not,
    "less": less,
    "less_equal": less_equal,
    "log": log,
    "log10": log10,
    "log1p": log1p,
    "log2": log2,
    "logaddexp": logaddexp,
    "matmul": matmul,
    "maximum": maximum,
    "minimum": minimum,
    "multiply": mul,
    "negative": neg,
    "not_equal": not_equal,
    "positive": one,
    "power": power,
    "reciprocal": reciprocal,
    "sign": sign,
    "sin": sin,
    "sinh": sinh,
    "sqrt": sqrt,
    "square": square,
    "subtract": sub,
    "tan": tan,
    "tanh": tanh,
}
UFUNCS = {getattr(np, name): Row(op) for name, op in _ufuncs.items()}
REDUCTIONS = {
    np.add: Row(lambda x, axis=0, keepdims=False: sum(x, axis, keepdims)),
    np.maximum: Row(lambda x, axis=0, keepdims=False: max(x, axis, keepdims)),
    np.multiply: Row(lambda x, axis=0, keepdims=False: prod(x, axis, keepdims)),
    np.minimum: Row(lambda x, axis=0, keepdims=False: min(x, axis, keepdims)),
}

# Reductions and selection.


@adapts("sum", floats=True)
def _sum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(dtype=(dtype, None), out=(out, None))
    return sum(a, axis, keepdims)


@adapts("mean", floats=True)
def _mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(dtype=(dtype, None), out=(out, None))
    return mean(a, axis, keepdims)


@adapts("max", "amax", floats=True)
def _max(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return max(a, axis, keepdims)


@adapts("min", "amin", floats=True)
def _min(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return min(a, axis, keepdims)


@adapts("argmax", floats=True)
def _argmax(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return argmax(a, axis, keepdims)


@adapts("argmin", floats=True)
def _argmin(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return argmin(a, axis, keepdims)


@adapts("where", floats=True)
def _where(condition: Any, x: Any = None, y: Any = None) -> Tensor:
    if x is None or y is None:
        raise NoOpError("its op takes three arguments")
    if own(condition).dtype != np.bool_:
        raise NoOpError("its op takes a bool condition, such as x != 0")
    return where(condition, x, y)


@adapts("clip", floats=True)
def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, min: Any = None, max: Any = None) -> Tensor:
    check_default(out=(out, None))
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    numbers = isinstance(a, (int, float, np.generic))  # and a tensor as bound: the op takes the tensor's dtype
    return clip(a, low, high) if not numbers else clip(pair(a, high if low is None else low)[0], low, high)


# Products.


@adapts("dot", floats=True)
def _dot(a: Any, b: Any, out: Any = None) -> Tensor:
    check_default(out=(out, None))
    return dot(a, b)


@adapts("vdot", floats=True)
def _vdot(a: Any, b: Any) -> Tensor:
    return matmul(*(reshape(t, -1) for t in pair(a, b)))


@adapts("outer", floats=True)
def _outer(a: Any, b: Any, out: Any = None) -> Tensor:
    check_default(out=(out, None))
    return outer(a, b)


adapts("inner", floats=True)(inner)
adapts("tensordot", floats=True)(tensordot)
