"""The array protocol of a tensor: shape, values and conversions, as Python and NumPy expect them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .arrays import shared_view
from .dtypes import FLOAT32, Array
from .mode import EAGER, grad_mode

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ArrayProtocol", "depends_on", "has_graph"]


class Size(int):
    """A number of elements; called, the shape, or the length of an axis, as PyTorch's `x.size()` and `x.size(0)`."""

    shape: tuple[int, ...]

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int(self),)


class ArrayProtocol:
    """Base of Tensor: the methods that depend only on its array, `_data`."""

    __slots__ = ()

    _data: Array
    _requires_grad: bool

    __array_priority__ = 100  # ndarray + Tensor calls Tensor.__radd__

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
    def size(self) -> Size:
        """Number of elements; `x.size()` is the shape and `x.size(0)` the length of an axis."""
        found = Size(self._data.size)
        found.shape = self._data.shape
        return found

    # Values. Reading them is free outside of transformations and compiled functions. Code that takes values without
    # naming them, such as a NumPy function, must not take those of a tensor with a graph: their gradient would be lost.

    def _read(self, reader: str, method: str = "numpy") -> Array:
        """The array, for code that reads values on purpose; `reader` begins errors, `method` is what to call.

        CompileError if they are not computed yet or a trace would make them constant; TypeError if they depend on an
        argument that an enclosing transformation differentiates by.
        """
        self._require_values()
        if grad_mode.differentiated and has_graph(self) and depends_on(self, grad_mode.differentiated):
            raise TypeError(
                f"{reader}: the values depend on what is differentiated here, and the derivative would miss them; "
                "compute with tensors (cr.exp, not math.exp; x > 0 is allowed as a condition), or write "
                f"x.detach().{method}() for a constant"
            )
        return self._data

    def _require_values(self) -> None:
        grad_mode.executor.require_values(self)
        if not isinstance(self._data, np.ndarray):
            self._data.view()  # raises CompileError: the tensor is traced, or was

    def numpy(self) -> Array:
        """Return the values as a read-only NumPy view (copy it to change it).

        The flag cannot be lifted, so that values that a graph has saved do not change unnoticed.
        Errors: TypeError in a function that `cr.grad` or another transformation differentiates, if the values depend
        on its arguments; `cr.CompileError` while a function is compiled. `x.detach().numpy()` gives a constant.

        >>> import chainrule as cr
        >>> cr.tensor([1.0, 2.0]).numpy()
        array([1., 2.], dtype=float32)
        """
        # The rules of custom ops, which have an executor of their own, may compute with the values.
        return shared_view(self._read("numpy"), has_graph(self) and grad_mode.executor is EAGER)

    def item(self) -> Any:
        """Return the value of a tensor with one element as a Python number; ValueError for other sizes."""
        return self._as_number("item")

    def _as_number(self, reader: str) -> Any:
        if self._data.size != 1:
            raise ValueError(f"{reader}: expected one element, got shape {self.shape}")
        return self._read(reader, "item").item()

    def tolist(self) -> Any:
        """Return the values as nested Python lists."""
        return self._read("tolist", "tolist").tolist()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        array = self._as_constant("NumPy")
        if dtype is not None and np.dtype(dtype) != self.dtype:
            if copy is False:
                raise ValueError(f"__array__: a {self.dtype} tensor cannot become {np.dtype(dtype)} without a copy")
            return np.asarray(array.astype(dtype))
        return array.copy() if copy else shared_view(array)

    def _as_constant(self, reader: str) -> Array:
        """The array, for code that takes the values as constants; TypeError if that would lose a gradient."""
        self._require_values()
        if has_graph(self):
            raise TypeError(
                f"{reader}: the values of a tensor that requires a gradient would be read, and the gradient lost; "
                "compute with ops of chainrule (cr.stack joins tensors), or pass x.detach() as a constant"
            )
        return self._data

    def __dlpack__(self, *, copy: bool | None = None, **options: Any) -> Any:
        # A copy: consumers ignore DLPack's read-only flag (PyTorch) or do not know it (before version 1), and values
        # that a graph has saved must not change unnoticed.
        array = self._as_constant("DLPack")
        if copy is False:
            raise BufferError("__dlpack__: a tensor is exported as a copy; x.numpy() is a read-only view of its memory")
        return array.copy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[Any, Any]:
        return self._data.__dlpack_device__()

    @property
    def _mask(self) -> Any:
        # NumPy's masked arrays look at `_data` and `_mask` of an operand of any type, and would compute with the array.
        self._as_constant("numpy.ma")
        raise AttributeError("_mask")

    def __repr__(self) -> str:
        traced = not isinstance(self._data, np.ndarray)
        values = f"<traced {self.shape}>" if traced else np.array2string(self._data, separator=", ", prefix="tensor(")
        suffix = "" if self.dtype == FLOAT32 else f", dtype={self.dtype}"
        suffix += ", requires_grad=True" if self._requires_grad else ""
        return f"tensor({values}{suffix})"

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return int(self._data.shape[0])

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(f"bool: a tensor of shape {self.shape} has no single truth value")
        return bool(self._as_number("bool"))

    def __float__(self) -> float:
        return float(self._as_number("float"))

    def __int__(self) -> int:
        return int(self._as_number("int"))

    def __format__(self, spec: str) -> str:
        return format(self._as_number("format"), spec) if spec else str(self)

    def __pos__(self) -> Self:
        return self

    # Operators without an op: NumPy's result, or a TypeError where a gradient would be lost.

    def __rpow__(self, base: Any) -> Any:
        return np.power(base, self)


def has_graph(t: Any) -> bool:
    """Whether gradients flow through the tensor at present: it requires one, and ops are recorded."""
    return t._requires_grad and grad_mode.enabled


def depends_on(t: Any, numbers: frozenset[int]) -> bool:
    """Whether a tensor is, or was computed from, one of these; tensors that are older than all of them were not."""
    oldest, seen, waiting = min(numbers), set(), [t]
    while waiting:
        t = waiting.pop()
        if t._number in numbers:
            return True
        if t._number not in seen:
            seen.add(t._number)
            waiting.extend([x for x in t._inputs if x._requires_grad and x._number >= oldest])
    return False
