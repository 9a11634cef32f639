"""NumPy's arithmetic as ops: ufuncs, reductions, selection and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._tensor import Tensor
from ..._util.dtypes import FLOATS
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
from .._combinations import kron
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
from .._formulas import copysign, deg2rad, fmax, fmin, isclose, isin, nan_to_num, rad2deg, sinc
from .._logic import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    isfinite,
    isinf,
    isnan,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
)
from .._math import cos, exp, expm1, log, log1p, sin, sqrt, tanh
from .._matmul import matmul
from .._operands import one, own, pair
from .._power import power
from .._products import dot, inner, outer, tensordot
from .._reduce import all, any, argmax, argmin, count_nonzero, max, mean, min, sum
from .._rounding import ceil, divmod, floor, floor_divide, fmod, remainder, round, trunc
from .._shape import reshape
from .._special import logaddexp
from ._rows import NoOpError, Row, adapts, check_default

__all__ = ["REDUCTIONS", "UFUNCS"]

# Ufuncs.

_LN2 = 0.6931471805599453


def _number(name: str, value: Any) -> Any:
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return value
    raise NoOpError(f"its op takes a number as {name}")


def _of_floats(x: Any, op: Callable[..., Tensor]) -> Tensor:
    """An op that means something else than NumPy's function where it takes integers."""
    t = one(x)
    if t.dtype not in FLOATS:
        raise NoOpError(f"its op takes floats, got {t.dtype}")
    return op(t)


def _fmod(a: Any, b: Any) -> Tensor:
    first, second = pair(a, b)
    if first.dtype not in FLOATS and second.dtype not in FLOATS:
        raise NoOpError(f"its op takes floats, got {first.dtype}")
    return fmod(first, second)


_ufuncs: dict[str, Callable[..., Any]] = {
    "absolute": abs,
    "add": add,
    "bitwise_and": bitwise_and,
    "bitwise_or": bitwise_or,
    "bitwise_xor": bitwise_xor,
    "ceil": ceil,
    "arccos": acos,
    "arccosh": acosh,
    "arcsin": asin,
    "arcsinh": asinh,
    "arctan": atan,
    "arctan2": atan2,
    "arctanh": atanh,
    "cbrt": cbrt,
    "cos": cos,
    "conjugate": one,
    "copysign": copysign,
    "cosh": cosh,
    "deg2rad": deg2rad,
    "degrees": rad2deg,
    "divide": div,
    "divmod": divmod,
    "equal": equal,
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "fabs": lambda x: _of_floats(x, abs),
    "floor": floor,
    "floor_divide": floor_divide,
    "fmax": fmax,
    "fmin": fmin,
    "fmod": _fmod,
    "greater": greater,
    "greater_equal": greater_equal,
    "heaviside": lambda x, value: heaviside(x, _number("value", value)),
    "hypot": hypot,
    "invert": bitwise_not,
    "isfinite": isfinite,
    "isinf": isinf,
    "isnan": isnan,
    "less": less,
    "less_equal": less_equal,
    "log": log,
    "log10": log10,
    "log1p": log1p,
    "logical_and": logical_and,
    "logical_not": logical_not,
    "logical_or": logical_or,
    "logical_xor": logical_xor,
    "log2": log2,
    "logaddexp": logaddexp,
    "logaddexp2": lambda x, y: mul(logaddexp(*(mul(t, _LN2) for t in pair(x, y))), 1 / _LN2),
    "matmul": matmul,
    "maximum": maximum,
    "minimum": minimum,
    "multiply": mul,
    "negative": neg,
    "not_equal": not_equal,
    "positive": one,
    "power": power,
    "rad2deg": rad2deg,
    "radians": deg2rad,
    "reciprocal": lambda x: _of_floats(x, reciprocal),
    "remainder": remainder,
    "rint": round,
    "sign": sign,
    "sin": sin,
    "sinh": sinh,
    "sqrt": sqrt,
    "square": square,
    "subtract": sub,
    "tan": tan,
    "tanh": tanh,
    "trunc": trunc,
}
UFUNCS = {getattr(np, name): Row(op, floats=name == "matmul") for name, op in _ufuncs.items()}
REDUCTIONS = {
    np.logical_and: Row(lambda x, axis=0, keepdims=False: all(x, axis, keepdims)),
    np.logical_or: Row(lambda x, axis=0, keepdims=False: any(x, axis, keepdims)),
    np.add: Row(lambda x, axis=0, keepdims=False: sum(x, axis, keepdims)),
    np.maximum: Row(lambda x, axis=0, keepdims=False: max(x, axis, keepdims)),
    np.multiply: Row(lambda x, axis=0, keepdims=False: prod(x, axis, keepdims)),
    np.minimum: Row(lambda x, axis=0, keepdims=False: min(x, axis, keepdims)),
}

# Reductions and selection.


@adapts("sum")
def _sum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(dtype=(dtype, None), out=(out, None))
    return sum(a, axis, keepdims)


@adapts("mean")
def _mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(dtype=(dtype, None), out=(out, None))
    return mean(a, axis, keepdims)


@adapts("max", "amax")
def _max(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return max(a, axis, keepdims)


@adapts("min", "amin")
def _min(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return min(a, axis, keepdims)


@adapts("argmax")
def _argmax(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return argmax(a, axis, keepdims)


@adapts("argmin")
def _argmin(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return argmin(a, axis, keepdims)


@adapts("any")
def _any(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return any(a, axis, keepdims)


@adapts("all")
def _all(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return all(a, axis, keepdims)


adapts("count_nonzero")(lambda a, axis=None, keepdims=False: count_nonzero(a, axis, keepdims))


@adapts("round", "around", "round_")
def _round(a: Any, decimals: int = 0, out: Any = None) -> Tensor:
    check_default(out=(out, None))
    return round(a, decimals)


@adapts("fix")
def _fix(x: Any, out: Any = None) -> Tensor:
    check_default(out=(out, None))
    return trunc(x)


adapts("isclose")(lambda a, b, rtol=1e-05, atol=1e-08, equal_nan=False: isclose(a, b, rtol, atol, equal_nan))
adapts("sinc", floats=True)(lambda x: sinc(x))


@adapts("nan_to_num")
def _nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    check_default(copy=(copy, True))
    return nan_to_num(x, nan, posinf, neginf)


@adapts("isin")
def _isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Tensor:
    return isin(element, test_elements, assume_unique, invert)


@adapts("where")
def _where(condition: Any, x: Any = None, y: Any = None) -> Tensor:
    if x is None or y is None:
        raise NoOpError("its op takes three arguments")
    if own(condition).dtype != np.bool_:
        raise NoOpError("its op takes a bool condition, such as x != 0")
    return where(condition, x, y)


@adapts("clip")
def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, min: Any = None, max: Any = None) -> Tensor:
    check_default(out=(out, None))
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    return clip(a, low, high)


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
adapts("kron", floats=True)(lambda a, b: kron(a, b))
adapts("tensordot", floats=True)(tensordot)
