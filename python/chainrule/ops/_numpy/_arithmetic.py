"""NumPy's arithmetic as ops: ufuncs, reductions, selection and products."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._ir.shapes import product
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
    power,
    square,
    sub,
    where,
)
from .._math import cos, exp, expm1, log, log1p, sin, sqrt, tanh
from .._matmul import matmul
from .._operands import one, own, pair
from .._reduce import argmax, max, mean, min, sum
from .._shape import reshape, transpose
from ._rows import NoOpError, Row, adapts, check_default

__all__ = ["REDUCTIONS", "UFUNCS"]

# Ufuncs.


def _number(name: str, value: Any) -> Any:
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return value
    raise NoOpError(f"its op takes a number as {name}")


def _power(x: Any, exponent: Any) -> Tensor:
    n = _number("exponent", exponent)
    if n != 0.5 and not float(n).is_integer():
        raise NoOpError("its op takes an integer or 0.5 as exponent")
    return power(x, n)


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
    "cos": cos,
    "divide": div,
    "equal": equal,
    "exp": exp,
    "expm1": expm1,
    "fabs": abs,
    "greater": greater,
    "greater_equal": greater_equal,
    "heaviside": lambda x, value: heaviside(x, _number("value", value)),
    "isfinite": _isfinite,
    "isinf": lambda x: equal(abs(x), float("inf")),
    "isnan": _equal_to_itself_not,
    "less": less,
    "less_equal": less_equal,
    "log": log,
    "log1p": log1p,
    "matmul": matmul,
    "maximum": maximum,
    "minimum": minimum,
    "multiply": mul,
    "negative": neg,
    "not_equal": not_equal,
    "positive": one,
    "power": _power,
    "reciprocal": lambda x: div(1, x),
    "sign": sign,
    "sin": sin,
    "sqrt": sqrt,
    "square": square,
    "subtract": sub,
    "tanh": tanh,
}
UFUNCS = {getattr(np, name): Row(op) for name, op in _ufuncs.items()}
REDUCTIONS = {
    np.add: Row(lambda x, axis=0, keepdims=False: sum(x, axis, keepdims)),
    np.maximum: Row(lambda x, axis=0, keepdims=False: max(x, axis, keepdims)),
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
    return argmax(neg(a), axis, keepdims)


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
    numbers = all(bound is None or isinstance(bound, (int, float, np.number)) for bound in (low, high))
    if numbers and not isinstance(a, (int, float, np.generic)):
        return clip(a, low, high)
    limited = a if low is None else maximum(a, low)
    return limited if high is None else minimum(limited, high)


# Products.


@adapts("dot", floats=True)
def _dot(a: Any, b: Any, out: Any = None) -> Tensor:
    check_default(out=(out, None))
    x, y = pair(a, b)
    if x.ndim == 0 or y.ndim == 0:
        return mul(x, y)
    return matmul(x, y) if y.ndim <= 2 else _tensordot(x, y, (-1, -2))


@adapts("vdot", floats=True)
def _vdot(a: Any, b: Any) -> Tensor:
    return matmul(*(reshape(t, -1) for t in pair(a, b)))


@adapts("inner", floats=True)
def _inner(a: Any, b: Any) -> Tensor:
    x, y = pair(a, b)
    return mul(x, y) if x.ndim == 0 or y.ndim == 0 else _tensordot(x, y, (-1, -1))


@adapts("outer", floats=True)
def _outer(a: Any, b: Any, out: Any = None) -> Tensor:
    check_default(out=(out, None))
    x, y = pair(a, b)
    return mul(reshape(x, (-1, 1)), reshape(y, (1, -1)))


@adapts("tensordot", floats=True)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    x, y = pair(a, b)
    if isinstance(axes, (int, np.integer)):
        axes = (range(x.ndim - int(axes), x.ndim), range(int(axes)))
    of_x, of_y = ([part] if isinstance(part, (int, np.integer)) else list(part) for part in axes)
    of_x, of_y = [int(i) % builtins.max(x.ndim, 1) for i in of_x], [int(i) % builtins.max(y.ndim, 1) for i in of_y]
    if [x.shape[i] for i in of_x] != [y.shape[i] for i in of_y]:
        raise ValueError(f"tensordot: the axes {axes} of {x.shape} and {y.shape} have different lengths")
    left = [i for i in range(x.ndim) if i not in of_x]
    right = [i for i in range(y.ndim) if i not in of_y]
    shape = (*(x.shape[i] for i in left), *(y.shape[i] for i in right))
    n = product([x.shape[i] for i in of_x])
    rows = reshape(transpose(x, [*left, *of_x]), (product([x.shape[i] for i in left]), n))
    columns = reshape(transpose(y, [*of_y, *right]), (n, product([y.shape[i] for i in right])))
    return reshape(matmul(rows, columns), shape)
