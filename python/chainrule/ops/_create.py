"""New tensors: of equal numbers, of ranges, of random numbers. Names and arguments follow NumPy and PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.arrays import cast_array
from .._util.checks import check_integer, check_total, is_integer
from .._util.device import check_device
from .._util.dtypes import BOOL, CODES, FLOAT64, INT64, Array, default_dtype
from .._util.exports import own_names
from ..random import Generator, given_or_default


def _shape(name: str, given: tuple[Any, ...], size: Any = None, device: Any = None) -> tuple[int, ...]:
    """The shape of `f(2, 3)`, `f((2, 3))` or, as in PyTorch, `f(size=(2, 3))`; a device can but be the CPU."""
    check_device(device)
    if size is not None:
        if given:
            raise TypeError(f"{name}: the lengths {given} and size={size!r} are the same argument, given twice")
        given = (size,)
    shape = given[0] if len(given) == 1 and not is_integer(given[0]) else given
    if not isinstance(shape, (tuple, list)) or not all(is_integer(n) for n in shape):
        raise TypeError(f"{name}: expected lengths, {name}(2, 3) or {name}((2, 3)), got {given!r}")
    checked = tuple(int(n) for n in shape)
    check_total(name, checked, 8)
    return checked


def _dtype(name: str, dtype: npt.DTypeLike | None, default: np.dtype[Any] | None = None) -> np.dtype[Any]:
    if dtype is None:
        return default or default_dtype()
    kind = np.dtype(dtype)
    if kind not in CODES:
        raise TypeError(f"{name}: dtype must be float32, float64, int64 or bool, got {kind}")
    return kind


def _new(data: Any, requires_grad: bool) -> Tensor:
    return _required(Tensor._wrap(data), requires_grad)


def _required(tensor: Tensor, requires_grad: bool) -> Tensor:
    if requires_grad:
        tensor.requires_grad = True
    return tensor


def zeros(
    *shape: Any, size: Any = None, dtype: npt.DTypeLike | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of zeros.

    Arguments: `shape`, lengths, `zeros(2, 3)`, `zeros((2, 3))` or `zeros(size=(2, 3))`; `dtype`, by default float32;
    `device`, None or "cpu", as in all functions that take one; `requires_grad`.
    Errors: TypeError for lengths that are not integers and for other dtypes, ValueError for negative lengths and other
    devices.

    >>> import chainrule as cr
    >>> cr.zeros(2, 3).shape, cr.zeros((2,), dtype="int64").tolist()
    ((2, 3), [0, 0])
    """
    return _new(np.zeros(_shape("zeros", shape, size, device), _dtype("zeros", dtype)), requires_grad)


def ones(
    *shape: Any, size: Any = None, dtype: npt.DTypeLike | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of ones; arguments as `cr.zeros`.

    >>> import chainrule as cr
    >>> cr.ones(2).tolist()
    [1.0, 1.0]
    """
    return _new(np.ones(_shape("ones", shape, size, device), _dtype("ones", dtype)), requires_grad)


def empty(
    *shape: Any, size: Any = None, dtype: npt.DTypeLike | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor to be overwritten: zeros, because what memory held before would differ from run to run.

    Arguments as `cr.zeros`.

    >>> import chainrule as cr
    >>> cr.empty(2, 3).copy_([[1.0, 2.0, 3.0]] * 2).shape
    (2, 3)
    """
    return _new(np.zeros(_shape("empty", shape, size, device), _dtype("empty", dtype)), requires_grad)


def full(
    shape: int | Sequence[int] | None = None,
    fill_value: Any = None,
    dtype: npt.DTypeLike | None = None,
    requires_grad: bool = False,
    *,
    size: Any = None,
    device: Any = None,
) -> Tensor:
    """A tensor of one number.

    Arguments: `shape`; `fill_value`; `dtype`, by default as `cr.tensor`.
    Errors: as `cr.tensor` for the number, as `cr.zeros` for the shape.

    >>> import chainrule as cr
    >>> cr.full((2,), 0.5).tolist(), cr.full(2, 3).dtype
    ([0.5, 0.5], dtype('int64'))
    """
    if fill_value is None:
        raise TypeError("full: expected a shape and a number, full((2, 3), 0.5)")
    lengths = _shape("full", () if shape is None else (shape,), size, device)
    value = Tensor(fill_value, dtype)
    if value.ndim:
        raise ValueError(f"full: expected a number, got values of shape {value.shape}")
    return _new(np.full(lengths, value._data), requires_grad)


def eye(
    n: int,
    m: int | None = None,
    dtype: npt.DTypeLike | None = None,
    requires_grad: bool = False,
    *,
    device: Any = None,
) -> Tensor:
    """The identity matrix, or ones on the diagonal of an n x m matrix.

    >>> import chainrule as cr
    >>> cr.eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    rows, columns = _shape("eye", (n, n if m is None else m), None, device)
    return _new(np.eye(rows, columns, dtype=_dtype("eye", dtype)), requires_grad)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: npt.DTypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers start, start + step, ... below stop (above it for a negative step); `arange(stop)` begins at 0.

    Each is start + i * step in float64, rounded once to the dtype.

    Arguments: finite numbers; `dtype`, by default int64 if all are integers, else float32.
    Errors: ValueError for a step of 0 and for numbers that are not finite.

    >>> import chainrule as cr
    >>> cr.arange(3).tolist(), cr.arange(1.0, 0.0, -0.25).tolist()
    ([0, 1, 2], [1.0, 0.75, 0.5, 0.25])
    """
    first, end = (0, start) if stop is None else (start, stop)
    numbers = (first, end, step)
    if not all(math.isfinite(x) for x in numbers) or step == 0:
        raise ValueError(f"arange: expected finite numbers and a step other than 0, got {numbers}")
    whole = all(is_integer(x) for x in numbers)
    kind = _dtype("arange", dtype, INT64 if whole else None)
    if whole and kind == INT64:
        check_total("arange", (max(-((int(first) - int(end)) // int(step)), 0),), 8)
        check_device(device)
        return _new(np.arange(int(first), int(end), int(step), dtype=INT64), requires_grad)
    if kind in (INT64, BOOL):
        raise TypeError(f"arange: {kind} of numbers that are not integers; leave out dtype")
    count = math.ceil((float(end) - float(first)) / float(step))
    check_total("arange", (max(count, 0),), 8)
    check_device(device)
    return _required(_rounded(float(first) + np.arange(max(count, 0)) * float(step), kind), requires_grad)


def linspace(
    start: float,
    stop: float,
    num: int = 50,
    *,
    steps: int | None = None,
    dtype: npt.DTypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`num` numbers at equal distances from start to stop, both included.

    Each is start + i * ((stop - start) / (num - 1)) in float64, the last one `stop`, rounded once to the dtype.

    Arguments: finite numbers; `num`, at least 0, also named `steps`; `dtype`, by default float32, or float64.
    Errors: ValueError for other numbers, TypeError for other dtypes.

    >>> import chainrule as cr
    >>> cr.linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    count = check_integer("linspace: num", num if steps is None else steps, 0)
    check_total("linspace", (count,), 8)
    kind = _dtype("linspace", dtype)
    if kind.kind != "f":
        raise TypeError(f"linspace: dtype must be float32 or float64, got {kind}")
    first, last = float(start), float(stop)
    if not math.isfinite(first) or not math.isfinite(last):
        raise ValueError(f"linspace: expected finite numbers, got {start} and {stop}")
    values = first + np.arange(count) * ((last - first) / max(count - 1, 1))
    if count > 1:
        values[-1] = last
    check_device(device)
    return _required(_rounded(values, kind), requires_grad)


def _rounded(values: Array, dtype: np.dtype[Any]) -> Tensor:
    return Tensor._wrap(values if dtype == FLOAT64 else cast_array(values, dtype))


def zeros_like(
    x: Any, dtype: npt.DTypeLike | None = None, requires_grad: bool = False, *, device: Any = None
) -> Tensor:
    """Zeros of the shape and dtype of a tensor or an array; `dtype` for another one.

    >>> import chainrule as cr
    >>> cr.zeros_like([[1.0, 2.0]]).tolist()
    [[0.0, 0.0]]
    """
    shape, kind = _like("zeros_like", x, dtype)
    return zeros(shape, dtype=kind, device=device, requires_grad=requires_grad)


def ones_like(x: Any, dtype: npt.DTypeLike | None = None, requires_grad: bool = False, *, device: Any = None) -> Tensor:
    """Ones of the shape and dtype of a tensor or an array; `dtype` for another one.

    >>> import chainrule as cr
    >>> cr.ones_like(cr.zeros(2, dtype="int64")).tolist()
    [1, 1]
    """
    shape, kind = _like("ones_like", x, dtype)
    return ones(shape, dtype=kind, device=device, requires_grad=requires_grad)


def empty_like(
    x: Any, dtype: npt.DTypeLike | None = None, requires_grad: bool = False, *, device: Any = None
) -> Tensor:
    """A tensor to be overwritten, of the shape and dtype of a tensor or an array: zeros, see `cr.empty`.

    >>> import chainrule as cr
    >>> cr.empty_like([[1.0, 2.0]]).shape
    (1, 2)
    """
    return zeros_like(x, dtype, requires_grad, device=device)


def full_like(
    x: Any,
    fill_value: Any,
    dtype: npt.DTypeLike | None = None,
    requires_grad: bool = False,
    *,
    device: Any = None,
) -> Tensor:
    """One number in the shape and dtype of a tensor or an array; `dtype` for another one.

    >>> import chainrule as cr
    >>> cr.full_like([1.0, 2.0], 5).tolist()
    [5.0, 5.0]
    """
    shape, kind = _like("full_like", x, dtype)
    return full(shape, fill_value, kind, requires_grad, device=device)


def _like(name: str, x: Any, dtype: npt.DTypeLike | None) -> tuple[tuple[int, ...], np.dtype[Any]]:
    like = x if isinstance(x, Tensor) else Tensor(x)
    return like.shape, _dtype(name, dtype, like.dtype)


def rand(
    *shape: Any,
    size: Any = None,
    dtype: npt.DTypeLike | None = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers, uniform in [0, 1).

    Arguments: `shape`, as `cr.zeros`; `dtype`, float32 (`cr.set_default_dtype`) or float64; `generator`, a
    `cr.random.Generator` (default: the one that `cr.manual_seed` seeds); `requires_grad`.
    Every call takes the next stream of the generator, and so does every run of a compiled function.
    Errors: as `cr.zeros`; TypeError for a dtype other than float32 and float64.

    >>> import chainrule as cr
    >>> cr.rand(2, 3, generator=cr.random.Generator(seed=1)).shape
    (2, 3)
    """
    lengths, kind = _shape("rand", shape, size, device), _dtype("rand", dtype)
    source = given_or_default(generator)
    return _new(source._uniform(lengths, kind), requires_grad)


def randn(
    *shape: Any,
    size: Any = None,
    dtype: npt.DTypeLike | None = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers of the normal distribution with mean 0 and standard deviation 1; arguments as `cr.rand`.

    >>> import chainrule as cr
    >>> cr.randn((2, 3), generator=cr.random.Generator(seed=1)).shape
    (2, 3)
    """
    lengths, kind = _shape("randn", shape, size, device), _dtype("randn", dtype)
    source = given_or_default(generator)
    return _new(source._normal(lengths, kind), requires_grad)


def rand_like(
    x: Any,
    dtype: npt.DTypeLike | None = None,
    generator: Generator | None = None,
    *,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers, uniform in [0, 1), of the shape and dtype of a tensor or an array.

    >>> import chainrule as cr
    >>> cr.rand_like(cr.zeros(2, 3)).shape
    (2, 3)
    """
    shape, kind = _like("rand_like", x, dtype)
    return rand(shape, dtype=kind, device=device, generator=generator, requires_grad=requires_grad)


def randn_like(
    x: Any,
    dtype: npt.DTypeLike | None = None,
    generator: Generator | None = None,
    *,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal random numbers of the shape and dtype of a tensor or an array.

    >>> import chainrule as cr
    >>> cr.randn_like(cr.zeros(2, 3)).shape
    (2, 3)
    """
    shape, kind = _like("randn_like", x, dtype)
    return randn(shape, dtype=kind, device=device, generator=generator, requires_grad=requires_grad)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
