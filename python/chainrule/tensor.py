"""Tensor: an array that knows which op made it.

Values are C-contiguous NumPy arrays, there at once (the graph is the tape). A tensor made by an op of tensors that require a
gradient keeps the op, its inputs and attributes; that is the whole graph.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .ops import _table

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Tensor", "as_tensor", "from_dlpack", "tensor"]

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_INT64, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)
_FLOATS = (_FLOAT32, _FLOAT64)
_numbers = itertools.count()


class _GradMode(threading.local):
    """Whether ops record the graph, per thread."""

    enabled = True


grad_mode = _GradMode()


class Tensor:
    """A multi-dimensional array of float32, float64, int64 or bool that can be differentiated.

    Made by `cr.tensor` and by ops. Operators and methods follow NumPy, with its broadcasting.

    Arguments: as `cr.tensor`.

    >>> import chainrule as cr
    >>> x = cr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad.numpy()
    array([2., 4., 6.], dtype=float32)
    """

    __slots__ = (
        "__weakref__",
        "_attrs",
        "_data",
        "_inputs",
        "_number",
        "_op",
        "_requires_grad",
        "_saved",
        "_version",
        "grad",
    )

    _data: npt.NDArray[Any]
    _op: _table.Op | None
    _inputs: tuple[Tensor, ...]
    _attrs: tuple[Any, ...]
    _saved: tuple[int, ...]
    _version: list[int]
    grad: Tensor | None

    __array_priority__ = 100  # ndarray + Tensor is Tensor's business

    def __init__(self, data: Any, dtype: npt.DTypeLike | None = None, requires_grad: bool = False) -> None:
        self._init(_to_array(data, dtype))
        self.requires_grad = requires_grad

    def _init(self, data: npt.NDArray[Any]) -> None:
        self._data = data
        self._requires_grad = False
        self.grad = None
        self._op = None
        self._inputs = ()
        self._attrs = ()
        self._saved = ()
        self._version = [0]  # shared by tensors that share memory
        self._number = next(_numbers)

    @classmethod
    def _wrap(cls, data: npt.NDArray[Any]) -> Tensor:
        self = Tensor.__new__(Tensor)
        self._init(data)
        return self

    def _record(self, op: _table.Op, inputs: tuple[Tensor, ...], attrs: tuple[Any, ...]) -> None:
        self._op, self._inputs, self._attrs = op, inputs, attrs
        self._saved = tuple([t._version[0] for t in inputs])
        self._requires_grad = True

    def _bump(self) -> None:
        """Say that the values were overwritten: a graph that saved them is now invalid."""
        self._version[0] += 1

    # What it is.

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype: float32, float64, int64 or bool."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    @property
    def is_leaf(self) -> bool:
        """Whether no op made it, so that `backward` fills its `grad`."""
        return self._op is None

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are computed for it; can be set on a leaf of a float dtype."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._op is not None:
            raise ValueError("requires_grad: can be set on leaves only; use detach() for a tensor without history")
        if value and self._data.dtype not in _FLOATS:
            raise TypeError(f"requires_grad: only float32 and float64 have gradients, this tensor is {self.dtype}")
        self._requires_grad = bool(value)

    # Values.

    def numpy(self) -> npt.NDArray[Any]:
        """Return the values as a read-only NumPy view (copy it to change it).

        >>> import chainrule as cr
        >>> cr.tensor([1.0, 2.0]).numpy()
        array([1., 2.], dtype=float32)
        """
        view = self._data.view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """Return the value of a tensor with one element as a Python number; ValueError for other sizes."""
        if self._data.size != 1:
            raise ValueError(f"item: expected one element, got shape {self.shape}")
        return self._data.item()

    def tolist(self) -> Any:
        """Return the values as nested Python lists."""
        return self._data.tolist()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if dtype is not None and np.dtype(dtype) != self.dtype:
            if copy is False:
                raise ValueError(f"__array__: a {self.dtype} tensor cannot become {np.dtype(dtype)} without a copy")
            return self._data.astype(dtype)
        return self._data.copy() if copy else self.numpy()

    def __dlpack__(self, **options: Any) -> Any:
        # The memory itself: DLPack has no read-only arrays before version 1, and consumers refuse those of NumPy.
        return self._data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[Any, Any]:
        return self._data.__dlpack_device__()

    def detach(self) -> Tensor:
        """Return a tensor of the same memory without history.

        >>> import chainrule as cr
        >>> cr.tensor([1.0], requires_grad=True).detach().requires_grad
        False
        """
        other = Tensor._wrap(self._data)
        other._version = self._version
        return other

    def copy_(self, values: Any) -> Self:
        """Overwrite the values of a leaf in place and return it.

        Arguments: `values`, array-like of this shape; a float dtype is cast with one rounding.
        Errors: ValueError for another shape or a tensor made by an op; nothing changes then.

        >>> import chainrule as cr
        >>> cr.tensor([1.0, 2.0]).copy_([3.0, 4.0]).numpy()
        array([3., 4.], dtype=float32)
        """
        if self._op is not None:
            raise ValueError("copy_: the tensor was made by an op; only leaves can be overwritten")
        new = _to_array(values, self.dtype)
        if new.shape != self.shape:
            raise ValueError(f"copy_: expected shape {self.shape}, got {new.shape}")
        self._data[...] = new
        self._bump()
        return self

    def astype(self, dtype: npt.DTypeLike) -> Tensor:
        """Return the values in another dtype; see `cr.astype`."""
        return ops.astype(self, dtype)

    def backward(self, gradient: Any = None) -> None:
        """Add d self / d leaf, times `gradient`, to the `grad` of every leaf that requires it; see `cr.backward`."""
        from .autodiff import backward

        backward(self, gradient)

    def __repr__(self) -> str:
        values = np.array2string(self._data, separator=", ", prefix="tensor(")
        notes = "" if self.dtype == _FLOAT32 else f", dtype={self.dtype}"
        notes += ", requires_grad=True" if self._requires_grad else ""
        return f"tensor({values}{notes})"

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(f"bool: a tensor of shape {self.shape} has no single truth value")
        return bool(self._data.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._op is not None:
            raise ValueError("deepcopy: the tensor was made by an op; copy leaves, or use detach()")
        other = type(self).__new__(type(self))
        other._init(self._data.copy())
        other._requires_grad = self._requires_grad
        memo[id(self)] = other
        return other

    # Arithmetic.

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ops.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ops.mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ops.div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.div(other, self)

    def __pow__(self, exponent: float) -> Tensor:
        return ops.power(self, exponent)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.neg(self)

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    # Comparison. == is elementwise as in NumPy, so tensors hash by identity.

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.equal(self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return ops.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ops.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ops.greater_equal(self, other)

    # Shape.

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    @property
    def T(self) -> Tensor:
        """The tensor with its axes reversed."""
        return ops.transpose(self)

    def transpose(self, *axes: int) -> Tensor:
        """Permute the axes; see `cr.transpose`."""
        return ops.transpose(self, axes or None)

    def reshape(self, *shape: Any) -> Tensor:
        """Change the shape; see `cr.reshape`."""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def flatten(self, start_axis: int = 0) -> Tensor:
        """Join the axes from `start_axis` on; see `cr.flatten`."""
        return ops.flatten(self, start_axis)

    # Reductions and functions.

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Sum over axes; see `cr.sum`."""
        return ops.sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Mean over axes; see `cr.mean`."""
        return ops.mean(self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Largest over axes; see `cr.max`."""
        return ops.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Smallest over axes; see `cr.min`."""
        return ops.min(self, axis, keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """Index of the largest; see `cr.argmax`."""
        return ops.argmax(self, axis, keepdims)

    def exp(self) -> Tensor:
        """Exponential; see `cr.exp`."""
        return ops.exp(self)

    def log(self) -> Tensor:
        """Natural logarithm; see `cr.log`."""
        return ops.log(self)

    def sqrt(self) -> Tensor:
        """Square root; see `cr.sqrt`."""
        return ops.sqrt(self)

    def tanh(self) -> Tensor:
        """Hyperbolic tangent; see `cr.tanh`."""
        return ops.tanh(self)

    def sigmoid(self) -> Tensor:
        """Logistic function; see `cr.sigmoid`."""
        return ops.sigmoid(self)

    def relu(self) -> Tensor:
        """Rectified linear unit; see `cr.relu`."""
        return ops.relu(self)

    def softmax(self, axis: int = -1) -> Tensor:
        """Softmax along an axis; see `cr.softmax`."""
        return ops.softmax(self, axis)


def _to_array(data: Any, dtype: npt.DTypeLike | None) -> npt.NDArray[Any]:
    """A fresh C-contiguous array of one of our dtypes."""
    python_numbers = not isinstance(data, (np.ndarray, np.generic, Tensor)) and not hasattr(data, "__array__")
    if isinstance(data, (list, tuple)) and any(isinstance(item, (Tensor, np.ndarray)) for item in data):
        data = [np.asarray(item) for item in data]
        python_numbers = False
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"tensor: the data is ragged: {error}") from None
    if python_numbers and array.size == 0 and array.dtype == _FLOAT64:
        target = _FLOAT32
    elif array.dtype.kind == "f" and array.dtype.itemsize in (4, 8):
        target = _FLOAT32 if python_numbers else array.dtype.newbyteorder("=")
    elif array.dtype.kind == "f" and array.dtype.itemsize == 2:
        target = _FLOAT32  # exact
    elif array.dtype.kind == "b":
        target = _BOOL
    elif array.dtype.kind in "iu" and array.dtype != np.dtype(np.uint64):
        target = _INT64
    else:
        raise TypeError(f"tensor: dtype {array.dtype} is not supported; expected float32, float64, an integer or bool")
    if dtype is not None:
        target = np.dtype(dtype)
        if target not in _table.CODES:
            raise TypeError(f"tensor: dtype must be float32, float64, int64 or bool, got {target}")
    return cast_array(array, target)


def cast_array(array: npt.NDArray[Any], target: np.dtype[Any]) -> npt.NDArray[Any]:
    """A fresh array of dtype `target`. Casts that may round go through the core: NumPy's obey the caller's rounding mode."""
    exact = (
        array.dtype.newbyteorder("=") == target
        or (array.dtype.kind in "iub" and target == _INT64)
        or (array.dtype.kind == "b" or (array.dtype.kind in "iu" and array.dtype.itemsize <= 2))
        or (array.dtype.kind == "f" and array.dtype.itemsize < target.itemsize and target.kind == "f")
    )
    if target == _BOOL and array.dtype.kind != "b":
        raise TypeError(f"tensor: {array.dtype} to bool is not a cast; compare instead, for example x != 0")
    if target == _INT64 and array.dtype.kind == "f":
        raise TypeError(f"tensor: {array.dtype} to int64 would drop fractions; round with NumPy first")
    if exact:
        return np.array(array, dtype=target, order="C", copy=True)
    wide = np.array(array, dtype=_INT64 if array.dtype.kind in "iu" else array.dtype.newbyteorder("="), order="C")
    return _table.run(_table.OPS["astype"], [wide], (target.char,))


def tensor(data: Any, dtype: npt.DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Make a tensor from numbers, lists, arrays or tensors; the data is copied.

    Arguments: `data`, array-like of any shape; `dtype`, float32, float64, int64 or bool (default: Python floats give float32,
    NumPy arrays keep float32 and float64, integers give int64, bools bool); `requires_grad`.
    Returns: a leaf Tensor.
    Errors: TypeError for other dtypes (naming them), ValueError for ragged lists.

    >>> import chainrule as cr
    >>> cr.tensor([[1, 2], [3, 4]]).dtype, cr.tensor(0.5).dtype
    (dtype('int64'), dtype('float32'))
    """
    return Tensor(data, dtype, requires_grad)


def from_dlpack(array: Any) -> Tensor:
    """Make a tensor from an object with DLPack on the CPU (a torch or JAX array); the data is copied.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.from_dlpack(np.array([1.0, 2.0])).dtype
    dtype('float64')
    """
    return Tensor(np.from_dlpack(array))


_constants: dict[tuple[str, str], npt.NDArray[Any]] = {}
_CONSTANTS_MAX = 1024


def _constant(value: float, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A 0-d array of a Python number, rounded once; kept, since the same few come again and again."""
    key = (float(value).hex(), dtype.char)
    found = _constants.get(key)
    if found is None:
        if len(_constants) >= _CONSTANTS_MAX:
            _constants.clear()
        found = _constants[key] = cast_array(np.array(float(value)), dtype)
    return found


def as_tensor(value: Any, dtype: np.dtype[Any] | None = None) -> Tensor:
    """`value` itself if it is a tensor; else a tensor of it. Python and NumPy scalars take `dtype`."""
    if isinstance(value, Tensor):
        return value
    if dtype is not None and isinstance(value, (bool, int, float, np.generic)):
        return Tensor._wrap(_constant(float(value), dtype))
    array = value if isinstance(value, np.ndarray) else None
    if array is not None and array.dtype in _table.CODES and array.flags.c_contiguous and array.flags.aligned:
        # A graph keeps its inputs: the caller may change the array before backward. Without a graph it is read at once.
        return Tensor._wrap(array if not grad_mode.enabled else array.copy())
    return Tensor._wrap(_to_array(value, None))


_table.bind_tensor(Tensor, grad_mode)

from . import ops  # noqa: E402  (ops needs Tensor, the operators above need ops)
