"""Conversion of user data to arrays of the supported dtypes. Casts that may round are done by the core."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .dtypes import BOOL, CODES, FLOAT32, FLOAT64, FLOATS, INT64, Array, default_dtype
from .programs import PROGRAMS, cache_program

__all__ = [
    "aligned_empty",
    "aligned_full",
    "as_ndarray",
    "cast_array",
    "check_operand",
    "constant",
    "first_nonfinite",
    "is_aligned",
    "is_plain",
    "number_rows",
    "real_array",
    "shared_view",
    "to_array",
    "values_of",
]

_CACHE_LINE = _core.ALIGNMENT  # bytes
_NUMBERS = (float, int, bool)
_WARNS_OF_RAGGED_LISTS = np.lib.NumpyVersion(np.__version__) < "1.24.0"  # later versions raise ValueError
_LOOKED_AT = 1 << 24  # elements at a time
_ALIGN_FROM = 1024  # elements; smaller arrays do not repay the 3 us that aligned allocation takes


def to_array(data: Any, dtype: npt.DTypeLike | None) -> Array:
    """Return a new C-contiguous array of a supported dtype; see `cr.tensor` for the rules."""
    array, python_numbers = _given_array(data, "tensor")
    target = _default_dtype(array, python_numbers)
    if dtype is not None:
        target = np.dtype(dtype)
        if target not in CODES:
            raise TypeError(f"tensor: dtype must be float32, float64, int64 or bool, got {target}")
    return cast_array(array, target)


def as_ndarray(data: Any, name: str) -> Array:
    """Return a user's data as a plain array, which may share its memory; errors begin with `name`.

    Errors: TypeError for masked elements, ValueError for ragged lists.

    >>> import numpy as np
    >>> from chainrule._util.arrays import as_ndarray
    >>> as_ndarray([[1, 2], [3, 4]], "X").shape
    (2, 2)
    """
    return _given_array(data, name)[0]


def values_of(data: Any, name: str) -> Array:
    """Like `as_ndarray`, for copying values on purpose: also of a tensor that requires a gradient."""
    values: Array = data._read(name) if hasattr(data, "_read") else as_ndarray(data, name)
    return values


def _given_array(data: Any, name: str) -> tuple[Array, bool]:
    """The data as a plain array, and whether it consists of numbers without a dtype."""
    if type(data) is np.ndarray:
        return data, False
    if hasattr(data, "_as_constant"):  # a tensor
        return data._as_constant(name), False
    nested = isinstance(data, (list, tuple))
    python_numbers = _has_only_numbers(data) if nested else not _has_dtype(data)
    if nested and not python_numbers:
        data = _with_plain_arrays(data, name)
    elif isinstance(data, np.ndarray):
        _check_mask(data, name)
    try:
        if nested and _WARNS_OF_RAGGED_LISTS:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                return np.asarray(data), python_numbers
        array = np.asarray(data)
        if array.dtype.kind == "O" and not nested:
            array = _of_columns(data, array, name)
        return array, python_numbers
    except (ValueError, Warning) as error:
        raise ValueError(f"{name}: the data is ragged: {error}") from None


def _has_only_numbers(data: list[Any] | tuple[Any, ...]) -> bool:
    """Whether nested lists contain no arrays, and so have no dtype. NumPy's scalars count as numbers."""
    for kind in set(map(type, data)):
        if kind in _NUMBERS or issubclass(kind, np.generic):
            continue
        for item in data:
            if type(item) is kind and (
                not _has_only_numbers(item) if isinstance(item, (list, tuple)) else _has_dtype(item)
            ):
                return False
    return True


def _with_plain_arrays(data: list[Any] | tuple[Any, ...], name: str) -> list[Any]:
    """The nested lists with plain arrays in place of tensors and other array-likes."""
    return [
        _with_plain_arrays(item, name)
        if isinstance(item, (list, tuple))
        else as_ndarray(item, name)
        if _has_dtype(item)
        else item
        for item in data
    ]


def _check_mask(array: Array, name: str) -> None:
    """Raise TypeError for an array with masked elements, which kernels would read like others."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise TypeError(
            f"{name}: {np.count_nonzero(np.ma.getmaskarray(array))} of {array.size} elements are masked; fill them "
            "with x.filled(value), or leave out the rows that have some"
        )


def _of_columns(data: Any, array: Array, name: str) -> Array:
    """A data frame of numbers and bools, which NumPy takes for objects, as numbers; TypeError for a sparse matrix."""
    if array.ndim == 0 and hasattr(data, "toarray"):
        raise TypeError(f"{name} is a sparse {type(data).__name__}; write .toarray() for a dense array")
    if array.ndim != 2 or not array.size or _texts_column(data) is not None:
        return array
    return np.column_stack([np.asarray(data[column]) for column in data.columns])


def _texts_column(data: Any) -> str | None:
    """The first column of a data frame that is not of numbers or bools, "" for other data."""
    if not hasattr(data, "columns") or not hasattr(data, "dtypes"):
        return ""
    return next((f"{name}" for name in data.columns if np.asarray(data[name]).dtype.kind not in "biuf"), None)


class _SharedValues:
    """The memory of a tensor with a graph, as NumPy's arrays refer to it by `base`."""

    __slots__ = ("__array_interface__", "_owner")

    def __init__(self, array: Array) -> None:
        interface = array.__array_interface__
        interface["data"] = (interface["data"][0], True)  # read-only
        self.__array_interface__, self._owner = interface, array


def shared_view(array: Array, of_graph: bool = False) -> Array:
    """Return a read-only view whose flag cannot be lifted, because its memory belongs to an object, not an array.

    `of_graph`: it is the view of a tensor with a graph, which `check_operand` recognizes.

    >>> import numpy as np
    >>> from chainrule._util.arrays import shared_view
    >>> view = shared_view(np.zeros(2))
    >>> try:
    ...     view.flags.writeable = True
    ... except ValueError as error:
    ...     print(error)
    cannot set WRITEABLE flag to True of this array
    """
    return np.asarray(_SharedValues(array) if of_graph else array.data.toreadonly())


def check_operand(array: Array) -> None:
    """Raise TypeError for `numpy()` of a tensor with a graph: an op would take it as a constant."""
    base = array.base
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, _SharedValues):
        raise TypeError(
            "an op would take x.numpy() of a tensor that requires a gradient as a constant, and the gradient would be "
            "lost; pass x itself, or x.detach() for a constant"
        )


def is_plain(array: Array) -> bool:
    """Whether kernels can read an array without conversion: contiguous, aligned, of a supported dtype, no subclass.

    >>> import numpy as np
    >>> from chainrule._util.arrays import is_plain
    >>> is_plain(np.zeros((2, 3))), is_plain(np.zeros((2, 3)).T)
    (True, False)
    """
    return type(array) is np.ndarray and array.dtype in CODES and array.flags.c_contiguous and array.flags.aligned


def _has_dtype(data: Any) -> bool:
    """Whether the data has a dtype, as arrays and buffers do and lists do not."""
    if hasattr(data, "__array__") or hasattr(data, "__array_interface__") or hasattr(data, "__array_struct__"):
        return True
    try:
        memoryview(data)
    except TypeError:
        return False
    return True


def _default_dtype(array: Array, python_numbers: bool) -> np.dtype[Any]:
    given = array.dtype
    if given.kind == "f" and given.itemsize <= 8:
        if python_numbers:
            return default_dtype()
        return FLOAT32 if given.itemsize == 2 else given.newbyteorder("=")
    if given.kind == "b":
        return BOOL
    if given.kind in "iu" and given.newbyteorder("=") != np.dtype(np.uint64):
        return INT64
    got = ""
    if given.kind == "O":  # of something that is no number
        got = ", got " + next((type(x).__name__ for x in array.flat if type(x) not in _NUMBERS), "large integers")
    raise TypeError(f"tensor: dtype {given} is not supported; expected float32, float64, an integer or bool{got}")


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return a C-contiguous array of any values, aligned to a cache line; NumPy's arrays are so only by chance.

    An AVX-512 vector fills a cache line. If parameters and velocities are not aligned, every load touches two lines: a
    training step takes 1.5 to 3 % longer, a prediction of one row 8 to 15 %.
    """
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _CACHE_LINE, np.uint8)
    start = -_core.address(memory) % _CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned_full(shape: tuple[int, ...], dtype: np.dtype[Any], values: npt.ArrayLike) -> Array:
    """Return an aligned array of these values, as `aligned_empty`."""
    array = aligned_empty(shape, dtype)
    array[...] = values
    return array


def is_aligned(array: Array) -> bool:
    """Whether an array's memory begins at a cache line."""
    return _core.address(array) % _CACHE_LINE == 0


def cast_array(array: Array, target: np.dtype[Any]) -> Array:
    """Return a new array of dtype `target`. NumPy casts only where the caller's floating-point mode changes no bits."""
    given = array.dtype.newbyteorder("=")
    # NumPy's own dtype object, which compiled calls recognise; newbyteorder() and unpickled arrays have another one.
    target = np.dtype(target.type)
    if target == BOOL and given.kind != "b":
        raise TypeError(f"tensor: {given} to bool is not a cast; compare instead, for example x != 0")
    if target == INT64 and given.kind == "f":
        raise TypeError(f"tensor: {given} to int64 would drop fractions; round with NumPy first")
    # float32 to float64 is exact as well, except in a mode that flushes subnormals to zero.
    if given == target or target == INT64 or given.kind == "b" or given.itemsize <= 2:
        if array.size < _ALIGN_FROM:
            small = np.empty(array.shape, target)
            small[...] = array
            return small
        return aligned_full(array.shape, target, array)
    wide = np.array(array, dtype=INT64 if given.kind in "iu" else given, order="C")
    return _rounded(wide, target)


def _rounded(array: Array, target: np.dtype[Any]) -> Array:
    """Cast with the core's instruction, like the op `astype`."""
    key = ("cast", array.dtype, target, array.shape)
    program = PROGRAMS.get(key)
    if program is None:
        given, wanted, shape = CODES[array.dtype], CODES[target], list(array.shape)
        cast = [("cast", wanted, [1], [0], [array.size, given], list[float]())]
        program = cache_program(key, _core.Program([(given, shape)], [(wanted, shape)], [], cast))
    rounded: Array = program(array)
    return rounded


_constants: dict[tuple[Any, np.dtype[Any]], Array] = {}
_CONSTANTS_MAX = 1024


def constant(value: Any, dtype: np.dtype[Any]) -> Array:
    """Return a number as a 0-d array, rounded once. Python numbers are cached, because the same few recur."""
    if isinstance(value, (np.generic, np.ndarray)):
        return to_array(value, dtype)
    key = (value or repr(value), dtype)  # 0.0 == -0.0, so zeros are told apart by their text
    found = _constants.get(key)
    if found is None:
        if len(_constants) >= _CONSTANTS_MAX:
            _constants.clear()
        exact = np.array(value, INT64) if isinstance(value, int) and dtype == INT64 else np.array(value)
        found = _constants[key] = cast_array(np.array(float(value)) if dtype in FLOATS else exact, dtype)
        found.flags.writeable = False  # the array is shared by all uses of this number
    return found


def real_array(values: npt.ArrayLike, dtype: npt.DTypeLike, name: str) -> Array:
    """Convert an array of any real dtype to `dtype` (float32 or float64).

    Arguments: `values`, an array of integers, bools or floats of up to 64 bits; `dtype`; `name`, for the error.
    Returns: a new array, each value rounded once.
    Errors: TypeError when the values are not real numbers.

    >>> import numpy as np
    >>> from chainrule._util.arrays import real_array
    >>> real_array(np.array([0, 255], dtype=np.uint8), np.float32, "X").dtype
    dtype('float32')
    """
    array = as_ndarray(values, name)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8 or array.dtype.name == "uint64":
        column = _texts_column(values)
        hint = f" in column {column!r}" if column else ""
        raise TypeError(f"{name} must be real numbers, got dtype {array.dtype}{hint}")
    return to_array(array, dtype)


def number_rows(values: npt.ArrayLike, name: str) -> Array:
    """As `as_ndarray`, but TypeError for objects, with the column of a data frame that is not of numbers.

    >>> from chainrule._util.arrays import number_rows
    >>> number_rows([[1, 2]], "X").shape
    (1, 2)
    """
    array = as_ndarray(values, name)
    return array if array.dtype.kind != "O" else real_array(values, FLOAT64, name)


def first_nonfinite(array: Array) -> tuple[int, ...] | None:
    """Return the index of the first value that is not finite, or None.

    >>> import numpy as np
    >>> from chainrule._util.arrays import first_nonfinite
    >>> first_nonfinite(np.array([[0.0, 1.0], [np.nan, 2.0]]))
    (1, 0)
    """
    rows = np.atleast_1d(array)
    step = max(1, _LOOKED_AT * len(rows) // max(rows.size, 1))
    for start in range(0, len(rows), step):  # a mask of all elements of a mapped file may not fit into memory
        finite = np.isfinite(rows[start : start + step])
        if not finite.all():
            first, *others = np.unravel_index(int(np.argmin(finite)), finite.shape)
            return (start + int(first), *map(int, others))[: array.ndim]
    return None
