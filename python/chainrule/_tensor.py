"""Tensor: an array that knows which op made it.

Values are C-contiguous NumPy arrays, there at once (the graph is the tape). A tensor made by an op of tensors that
require a gradient keeps the op, its inputs and attributes; that is the whole graph.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import ops
from ._ir.records import Copy
from ._operators import Operators
from ._util.convert import constant, to_array
from .ops import _table

if TYPE_CHECKING:
    from typing_extensions import Self

    from .compiler.trace import Trace

__all__ = ["Tensor", "as_tensor", "from_dlpack", "tensor"]

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_FLOATS = (_FLOAT32, _FLOAT64)
numbers = itertools.count()


class _GradMode(threading.local):
    """What ops do, per thread: whether they record the graph, and the trace they append to (None: they run)."""

    enabled = True
    trace: Trace | None = None
    sources: frozenset[int] = frozenset()  # parameters that transformations around differentiate by
    calls: bool | None = True  # what compiled calls ask: `enabled`, or None where they must look further

    def set(self, enabled: bool, trace: Trace | None) -> None:
        """Change the mode."""
        self.enabled, self.trace = enabled, trace
        self.calls = enabled if trace is None and not self.sources else None

    def differentiate_by(self, sources: frozenset[int]) -> None:
        """Change the parameters that are differentiated by."""
        self.sources = sources
        self.set(self.enabled, self.trace)


grad_mode = _GradMode()


class Tensor(Operators):
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
        "_grad",
        "_inputs",
        "_number",
        "_op",
        "_requires_grad",
        "_saved",
        "_version",
    )

    _data: npt.NDArray[Any]
    _op: _table.Op | None
    _inputs: tuple[Tensor, ...]
    _attrs: tuple[Any, ...]
    _saved: list[int]
    _version: list[int]
    _grad: Tensor | None

    __array_priority__ = 100  # ndarray + Tensor is Tensor's business

    def __init__(self, data: Any, dtype: npt.DTypeLike | None = None, requires_grad: bool = False) -> None:
        self._init(to_array(data, dtype))
        self.requires_grad = requires_grad

    def _init(self, data: npt.NDArray[Any]) -> None:
        self._data = data
        self._requires_grad = False
        self._grad = None
        self._op = None
        self._inputs = ()
        self._attrs = ()
        self._saved = []
        self._number = next(numbers)
        self._version = [0, self._number]  # of the memory, and the first tensor of it; shared by all that share it

    @classmethod
    def _wrap(cls, data: Any) -> Tensor:
        self = Tensor.__new__(Tensor)
        self._init(data)
        return self

    def _record(self, op: _table.Op, inputs: tuple[Tensor, ...], attrs: tuple[Any, ...]) -> None:
        self._op, self._inputs, self._attrs = op, inputs, attrs
        self._saved = [t._version[0] for t in inputs]
        self._saved.append(self._version[0])  # rules use the output, too
        self._requires_grad = True

    def _bump(self) -> None:
        """Say that the values were overwritten: a graph that saved them is now invalid."""
        if grad_mode.trace is None:
            self._version[0] += 1
        else:
            grad_mode.trace.bump(self._version)

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
        if grad_mode.trace is not None:
            grad_mode.trace.keep_requires_grad(self, bool(value))
        self._requires_grad = bool(value)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` added up for this leaf, or None."""
        trace = grad_mode.trace
        return self._grad if trace is None else trace.get_grad(self)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if grad_mode.trace is None:
            self._grad = value
        else:
            grad_mode.trace.set_grad(self, value)

    # Values.

    def numpy(self) -> npt.NDArray[Any]:
        """Return the values as a read-only NumPy view (copy it to change it).

        >>> import chainrule as cr
        >>> cr.tensor([1.0, 2.0]).numpy()
        array([1., 2.], dtype=float32)
        """
        view: npt.NDArray[Any] = self._known().view()
        view.flags.writeable = False
        return view

    def _known(self) -> npt.NDArray[Any]:
        """The values for Python to look at; an error while they are not known, or would be fixed by a trace."""
        if grad_mode.trace is not None:
            grad_mode.trace.look(self)
        return self._data

    def item(self) -> Any:
        """Return the value of a tensor with one element as a Python number; ValueError for other sizes."""
        if self._data.size != 1:
            raise ValueError(f"item: expected one element, got shape {self.shape}")
        return self._known().item()

    def tolist(self) -> Any:
        """Return the values as nested Python lists."""
        return self._known().tolist()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if dtype is not None and np.dtype(dtype) != self.dtype:
            if copy is False:
                raise ValueError(f"__array__: a {self.dtype} tensor cannot become {np.dtype(dtype)} without a copy")
            return np.asarray(self._known().astype(dtype))
        return self._known().copy() if copy else self.numpy()

    def __dlpack__(self, **options: Any) -> Any:
        # The memory itself: DLPack has no read-only arrays before version 1, and consumers refuse those of NumPy.
        return self._known().__dlpack__(**options)

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
        trace = grad_mode.trace
        new = to_array(values, self.dtype) if trace is None else as_tensor(values, self.dtype).astype(self.dtype)
        if new.shape != self.shape:
            raise ValueError(f"copy_: expected shape {self.shape}, got {new.shape}")
        if trace is not None:
            assert isinstance(new, Tensor)
            trace.in_place("copy", [self], [new], Copy.contiguous(self.size))
        else:
            self._data[...] = new
        self._bump()
        return self

    def astype(self, dtype: npt.DTypeLike) -> Tensor:
        """Return the values in another dtype; see `cr.astype`."""
        return ops.astype(self, dtype)

    def backward(self, gradient: Any = None) -> None:
        """Add d self / d leaf, times `gradient`, to the `grad` of every leaf that requires it; see `cr.backward`."""
        from .autodiff._sweeps import backward  # it needs this class

        backward(self, gradient)

    def __repr__(self) -> str:
        traced = not isinstance(self._data, np.ndarray)
        values = f"<traced {self.shape}>" if traced else np.array2string(self._data, separator=", ", prefix="tensor(")
        notes = "" if self.dtype == _FLOAT32 else f", dtype={self.dtype}"
        notes += ", requires_grad=True" if self._requires_grad else ""
        return f"tensor({values}{notes})"

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return int(self._data.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(f"bool: a tensor of shape {self.shape} has no single truth value")
        return bool(self._known().item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __reduce__(self) -> tuple[Any, ...]:
        if self._op is not None:
            raise ValueError("copy: the tensor was made by an op; copy leaves, or use detach()")
        return _rebuild, (type(self), self._data, self._requires_grad, self._version)


def _rebuild(cls: type[Tensor], data: npt.NDArray[Any], requires_grad: bool, version: list[int]) -> Tensor:
    """A copied leaf: another node, also where copy.copy shares the memory."""
    self = cls.__new__(cls)
    self._init(data)
    self._requires_grad, self._version = requires_grad, version
    return self


def tensor(data: Any, dtype: npt.DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Make a tensor from numbers, lists, arrays or tensors; the data is copied.

    Arguments: `data`, array-like of any shape; `dtype`, float32, float64, int64 or bool (default: Python floats give
    float32, NumPy arrays keep float32 and float64, integers give int64, bools bool); `requires_grad`.
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


def as_tensor(value: Any, dtype: np.dtype[Any] | None = None) -> Tensor:
    """`value` itself if it is a tensor; else one for an op to read. Python and NumPy scalars take `dtype`."""
    if isinstance(value, Tensor):
        return value
    array = value if isinstance(value, np.ndarray) else None
    scalar = isinstance(value, (bool, int, float, np.generic)) or (array is not None and array.ndim == 0)
    if dtype is not None and scalar:
        return Tensor._wrap(constant(value, dtype))
    if array is not None and array.dtype in _table.CODES and array.flags.c_contiguous and array.flags.aligned:
        # A graph keeps its inputs: the caller may change the array before backward. Without a graph it is read at once.
        keep = grad_mode.enabled or grad_mode.trace is not None
        return Tensor._wrap(array.copy() if keep else array)
    return Tensor._wrap(to_array(value, None))


_table.bind_tensor(Tensor, as_tensor, grad_mode)
