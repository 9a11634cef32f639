"""The dtypes of results: the rules between bool, int64 and the floats, in this one place (docs/arithmetic.md, Dtypes).

An op computes in the widest dtype of its tensors, bool below int64 below the floats, or in the next wider one for which
it has a kernel. Operands of another dtype are converted as part of the op. float32 and float64 tensors do not mix.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from .. import _core
from .._ir.instruction import Instr
from .._ir.records import Cast
from .._util.dtypes import BOOL, CODES, FLOAT32, FLOATS, INT64, default_dtype
from ._op import Spec

__all__ = ["common_dtype", "computed_in", "converted", "number_dtype"]


def common_dtype(name: str, dtypes: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """The widest of the dtypes of tensors; TypeError for float32 beside float64, which begins with `name`."""
    floats = [dtype for dtype in dtypes if dtype in FLOATS]
    for dtype in floats:
        if dtype != floats[0]:
            raise TypeError(f"{name}: expected one dtype, got {floats[0]} and {dtype}; convert with astype()")
    if floats:
        return floats[0]
    return INT64 if INT64 in dtypes else BOOL


def number_dtype(value: Any, like: np.dtype[Any] | None = None, real: np.dtype[Any] | None = None) -> np.dtype[Any]:
    """The dtype of a number beside a tensor of dtype `like`, or alone (None).

    That of the tensor if it is a float; otherwise the number's own kind, so that 2.5 beside integers is not cut off. A
    float beside integers is `real`, by default that of `cr.set_default_dtype`, a NumPy float alone keeps its width.
    """
    if like in FLOATS:
        return like
    if isinstance(value, (bool, np.bool_)):
        return BOOL
    if isinstance(value, int):
        return INT64
    dtype = getattr(value, "dtype", None) or real or default_dtype()
    if dtype.kind in "biu":
        return BOOL if dtype.kind == "b" else INT64
    native = dtype.newbyteorder("=")
    return np.dtype(native.type) if like is None and native in FLOATS else real or default_dtype()


@cache
def _kernel_codes(name: str) -> tuple[int, ...]:
    return tuple(_core.kernel_dtypes(name))


def computed_in(name: str, dtypes: Sequence[np.dtype[Any]], kernel: str | None = None) -> np.dtype[Any]:
    """The dtype in which a kernel (of the op's name) computes with operands of these dtypes."""
    common, codes = common_dtype(name, dtypes), _kernel_codes(kernel or name)
    wider = (common,) if common in FLOATS else (common, INT64, FLOAT32)
    for dtype in wider:
        if CODES[dtype] in codes:
            return dtype
    known = " or ".join(f"{dtype}" for dtype, code in CODES.items() if code in codes)
    raise TypeError(f"{name}: expected {known}, got {common}")


def converted(specs: Sequence[Spec], dtypes: Sequence[np.dtype[Any]]) -> tuple[list[int], list[Instr], list[Spec]]:
    """The slots of a plan's arguments in these dtypes, and the casts into temporaries behind the output."""
    slots, code, temporaries = list(range(len(specs))), list[Instr](), list[Spec]()
    for i, (spec, dtype) in enumerate(zip(specs, dtypes, strict=True)):
        if spec.dtype != dtype:
            slots[i] = len(specs) + 1 + len(temporaries)
            temporaries.append(Spec(spec.shape, dtype))
            code.append(Instr("cast", CODES[dtype], [slots[i]], [i], Cast(spec.size, source_dtype=spec.code)))
    return slots, code, temporaries
