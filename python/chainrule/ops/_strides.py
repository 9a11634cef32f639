"""From shapes to loops: broadcasting, merging of axes, strides. Plans are built once per shape: nothing here is hot."""

from __future__ import annotations

from collections.abc import Sequence

from .._ir.elementwise import Map
from .._ir.instruction import Instr
from .._ir.records import Copy
from .._ir.shapes import contiguous_strides, product
from .._util.checks import is_integer
from ._op import Shape, Spec

__all__ = [
    "axes_of",
    "broadcast_shapes",
    "broadcast_strides",
    "copy_code",
    "map_code",
    "transpose_code",
]


def broadcast_shapes(name: str, shapes: Sequence[Shape]) -> Shape:
    """Broadcast shapes by NumPy's rules; the error begins with the op's name and shows the shapes."""
    if len(set(shapes)) == 1:
        return tuple(shapes[0])
    ndim = max(len(s) for s in shapes)
    result = []
    for axis in range(-ndim, 0):
        lengths = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        if len(lengths) > 1:
            shown = " and ".join(str(s) for s in shapes)
            raise ValueError(
                f"{name}: shapes {shown} do not broadcast: axis {axis} has lengths "
                f"{' and '.join(str(n) for n in sorted(lengths))}"
            )
        result.append(lengths.pop() if lengths else 1)
    return tuple(result)


def broadcast_strides(shape: Shape, out: Shape) -> tuple[int, ...]:
    """Strides that read a contiguous array of `shape` as one of shape `out`: 0 along broadcast axes."""
    strides = contiguous_strides(shape)
    return (0,) * (len(out) - len(shape)) + tuple([0 if n == 1 else s for n, s in zip(shape, strides, strict=True)])


def merge_axes(dims: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Drop axes of length 1 and merge adjacent axes that are contiguous in every operand; at least one axis remains."""
    merged: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis, length in enumerate(dims):
        if length == 1:
            continue
        joins = bool(merged) and all(s[-1] == own[axis] * length for s, own in zip(steps, strides, strict=True))
        if joins:
            merged[-1] *= length
            for s, own in zip(steps, strides, strict=True):
                s[-1] = own[axis]
        else:
            merged.append(length)
            for s, own in zip(steps, strides, strict=True):
                s.append(own[axis])
    if not merged:
        return [1], [[1] for _ in strides]
    return merged, steps


def map_code(
    name: str,
    dtype: int,
    out: Shape,
    out_slot: int,
    in_slots: Sequence[int],
    shapes: Sequence[Shape],
    reals: list[float],
) -> Instr:
    """The instruction of an elementwise kernel with broadcast inputs and a contiguous output."""
    size = product(out)
    if size == 0 or all(s == out for s in shapes):  # nothing to broadcast
        record = Map((size,), ((1,),) * len(shapes))
    else:
        dims, strides = merge_axes(out, [broadcast_strides(s, out) for s in shapes])
        record = Map(tuple(dims), tuple(map(tuple, strides)))
    return Instr(name, dtype, [out_slot], list(in_slots), record, reals)


def copy_code(
    dtype: int,
    out_slot: int,
    in_slot: int,
    dims: Sequence[int],
    out_strides: Sequence[int],
    in_strides: Sequence[int],
    out_offset: int = 0,
    in_offset: int = 0,
) -> Instr:
    """The instruction of a strided copy."""
    if product(dims) == 0:
        merged, steps = [0], [[1], [1]]
    else:
        merged, steps = merge_axes(dims, [out_strides, in_strides])
    while len(merged) < 2:
        merged, steps = [1, *merged], [[0, *s] for s in steps]
    record = Copy(out_offset, in_offset, tuple(merged), tuple(steps[0]), tuple(steps[1]))
    return Instr("copy", dtype, [out_slot], [in_slot], record)


def transpose_code(spec: Spec, axes: Sequence[int], out_slot: int, in_slot: int) -> tuple[Instr, Spec]:
    """The copy that permutes axes, and the spec of its result."""
    shape = tuple(spec.shape[a] for a in axes)
    strides = contiguous_strides(spec.shape)
    code = copy_code(spec.code, out_slot, in_slot, shape, contiguous_strides(shape), [strides[a] for a in axes])
    return code, Spec(shape, spec.dtype)


def axes_of(name: str, axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Resolve an axis argument to sorted non-negative axes; None means all."""
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    result = set()
    for a in given:
        if not is_integer(a):
            raise TypeError(f"{name}: axis must be an integer or a tuple of integers, got {axis!r}")
        if not -ndim <= a < ndim:
            raise ValueError(f"{name}: axis {a} is out of range for {ndim} dimensions")
        if a % ndim in result:
            raise ValueError(f"{name}: axis {a} is given twice in {axis!r}")
        result.add(int(a) % ndim)
    return tuple(sorted(result))
