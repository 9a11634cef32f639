"""Conversion to another dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._ir.instruction import Instr
from .._ir.records import Cast
from .._tensor import Tensor
from .._util.dtypes import BOOL, CODES, FLOAT32, FLOAT64, FLOATS, INT64
from ._arithmetic import less, less_equal
from ._checks import raise_where
from ._dtypes import converted
from ._logic import logical_and, logical_not, truth
from ._op import LINEAR, Attrs, Op, Plan, Spec, apply, register
from ._operands import own

__all__ = ["astype"]


def _cast_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    out = Spec(specs[0].shape, np.dtype(attrs[0]))
    # There is no cast from float32 to int64: it goes by way of float64.
    source = FLOAT64 if out.dtype == INT64 and specs[0].dtype == FLOAT32 else specs[0].dtype
    (slot,), code, temporaries = converted(specs, [source])
    code.append(Instr("cast", out.code, [1], [slot], Cast(out.size, source_dtype=CODES[source])))
    return Plan(out, code, temporaries)


_ASTYPE = register(Op("astype", _cast_plan, (lambda g, y, x, a: astype(g, x[0].dtype),), (LINEAR,)))


def astype(x: Any, dtype: npt.DTypeLike) -> Tensor:
    """Convert to another dtype: to a float with one rounding to nearest, to int64 without the fraction.

    Arguments: `dtype`, float32, float64, int64 or bool; bool is whether a number is other than 0, True for NaN.
    Errors: TypeError for other dtypes; ValueError for NaN, infinities and numbers beyond int64 to int64.

    >>> import chainrule as cr
    >>> cr.astype([1.5, -1.5, 0.0], "int64").tolist(), cr.astype([1.5, 0.0], bool).tolist()
    ([1, -1, 0], [True, False])
    """
    source, target = own(x), np.dtype(dtype)
    if target == source.dtype:
        return source
    if target not in CODES:
        raise TypeError(f"astype: expected float32, float64, int64 or bool, got {target}")
    if target == BOOL:
        return truth(source)
    if target == INT64 and source.dtype in FLOATS:
        _check_range(source.detach())
    return apply(_ASTYPE, (source,), (target.char,))


def _check_range(x: Tensor) -> None:
    def error(at: tuple[int, ...]) -> Exception:
        return ValueError(f"astype: the {x.dtype} at {at} of shape {x.shape} is NaN, infinite or beyond int64")

    raise_where(logical_not(logical_and(less_equal(-(2.0**63), x), less(x, 2.0**63))), error)
