"""Conversion to another dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._ir.instruction import Instr
from .._ir.records import Cast
from .._tensor import Tensor
from .._util.dtypes import CODES, INT64
from ._op import LINEAR, Attrs, Op, Plan, Spec, apply, register
from ._operands import own

__all__ = ["astype"]


def _cast_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (x,) = specs
    out = Spec(x.shape, np.dtype(attrs[0]))
    return Plan(out, [Instr("cast", out.code, [1], [0], Cast(x.size, source_dtype=x.code))])


_ASTYPE = register(Op("astype", _cast_plan, (lambda g, y, x, a: astype(g, x[0].dtype),), (LINEAR,)))


def astype(x: Any, dtype: npt.DTypeLike) -> Tensor:
    """Convert to another dtype, with one rounding to nearest.

    Arguments: `dtype`, float32, float64 or int64. Casts from float to int64 and to bool are not supported.
    Errors: TypeError that names the alternative.

    >>> import chainrule as cr
    >>> cr.astype([1, 2], "float64").numpy()
    array([1., 2.])
    """
    source, target = own(x), np.dtype(dtype)
    if target == source.dtype:
        return source
    if target not in CODES or target == np.dtype(np.bool_):
        raise TypeError(f"astype: expected float32, float64 or int64, got {target}; for bool compare, as in x != 0")
    if target == INT64 and source.dtype.kind == "f":
        raise TypeError(f"astype: {source.dtype} to int64 would drop fractions; use .numpy() and round there")
    return apply(_ASTYPE, (source,), (target.char,))
