"""Tensor: an array that records which op created it.

Values are C-contiguous NumPy arrays, computed immediately (define-by-run: the graph is the tape). The result of an op
on tensors that require a gradient stores the op, its inputs and its attributes. These references are the whole graph.

This module, the methods, the ops and the reverse sweep form the package's only import cycle: ops take and return
tensors, and tensors have ops as operators and methods. The cycle is closed by the imports at the end of this file,
where Tensor is complete; all other modules import at the top.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _core
from ._util.arrays import to_array
from ._util.device import check_device
from ._util.dtypes import FLOATS, Array
from ._util.mode import grad_mode
from ._util.tensor_methods import Methods
from .random import Generator, given_or_default

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Tensor", "tensor"]

sequence_numbers = itertools.count()  # one for each tensor, in order of creation: an output's is above its inputs'


class Tensor(Methods):
    """A multi-dimensional array of float32, float64, int64 or bool that can be differentiated.

    Created by `cr.tensor` and by ops. Operators and methods follow NumPy, including its broadcasting.

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

    _data: Array
    _op: Op | None
    _inputs: tuple[Tensor, ...]
    _attrs: tuple[Any, ...]
    _saved: list[int]
    _version: list[Any]
    _grad: Tensor | None
    _learned = False  # whether it is a parameter, also while it is frozen
    _row_size = 0  # of a parameter that optimizers update by rows, the elements of a row

    def __init__(self, data: Any, dtype: npt.DTypeLike | None = None, requires_grad: bool = False) -> None:
        self._init(to_array(data, dtype))
        self.requires_grad = requires_grad

    def _init(self, data: Array) -> None:
        self._data = data
        self._requires_grad = False
        self._grad = None
        self._op = None
        self._inputs = ()
        self._attrs = ()
        self._saved = []
        self._number = next(sequence_numbers)
        # Of the memory, the tensor that allocated it, and the op whose result is a copy and elsewhere a view, if it is
        # one; tensors that share the memory share the list.
        self._version = [0, self._number]

    @staticmethod
    def _wrap(data: Any) -> Tensor:
        self = Tensor.__new__(Tensor)
        self._init(data)
        return self

    def _record(self, op: Op, inputs: tuple[Tensor, ...], attrs: tuple[Any, ...]) -> None:
        self._op, self._inputs, self._attrs = op, inputs, attrs
        self._saved = [t._version[0] for t in inputs]
        self._saved.append(self._version[0])  # gradient rules may use the output
        self._requires_grad = True

    def _bump(self) -> None:
        """Record that the values were overwritten: a graph that saved them is now invalid."""
        grad_mode.executor.bump_version(self._version)

    # Properties.

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was not created by an op; `backward` accumulates gradients in leaves only."""
        return self._op is None

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are computed for this tensor; can be set on leaves of a float dtype."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._op is not None:
            raise ValueError("requires_grad: can be set on leaves only; use detach() for a tensor without a graph")
        if value and self._data.dtype not in FLOATS:
            raise TypeError(f"requires_grad: only float32 and float64 have gradients, this tensor is {self.dtype}")
        if not value and self._number in grad_mode.differentiated:
            raise RuntimeError("requires_grad: the tensor is differentiated here; use cr.no_grad() or detach()")
        grad_mode.executor.check_requires_grad(self, bool(value))
        self._requires_grad = bool(value)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` accumulated for this leaf, or None; for other tensors see `retain_grad`."""
        found: Tensor | None = grad_mode.executor.get_grad(self)
        return found

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        grad_mode.executor.set_grad(self, value)

    def retain_grad(self) -> None:
        """Let `backward` save the gradient of this tensor, too, although it was created by an op; for leaves no effect.

        Errors: ValueError for a tensor that requires no gradient.

        >>> import chainrule as cr
        >>> x = cr.tensor(3.0, requires_grad=True)
        >>> y = x * x
        >>> y.retain_grad()
        >>> (y * y).backward()
        >>> y.grad.item()
        18.0
        """
        if not self._requires_grad:
            raise ValueError("retain_grad: the tensor does not require a gradient")
        if self._op is not None:
            retained[self._number] = self

    @property
    def retains_grad(self) -> bool:
        """Whether `backward` saves a gradient for this tensor although it is not a leaf."""
        return self._number in retained

    def detach(self) -> Tensor:
        """Return a tensor that shares this memory but not the graph.

        >>> import chainrule as cr
        >>> cr.tensor([1.0], requires_grad=True).detach().requires_grad
        False
        """
        source = grad_mode.replaced.get(self._number, self)
        other = Tensor._wrap(source._data)
        other._version = source._version
        return other

    def copy_(self, values: Any) -> Self:
        """Overwrite the values of a leaf in place and return it.

        Arguments: `values`, array-like of this shape; a float dtype is cast with one rounding.
        Errors: ValueError for another shape or a tensor created by an op that is recorded; RuntimeError for a part of
        another tensor, `x[0]` or `x.T`, which is a copy here, so that x would not change; RuntimeError inside `cr.grad`
        and other transformations if a derivative would be lost, because the values depend on what is differentiated or
        because this tensor is; the values are then unchanged.

        >>> import chainrule as cr
        >>> cr.tensor([1.0, 2.0]).copy_([3.0, 4.0]).numpy()
        array([3., 4.], dtype=float32)
        """
        if self._op is not None:
            raise ValueError("copy_: the tensor was created by an op; only leaves can be overwritten")
        if len(self._version) > 2:
            raise RuntimeError(
                f"copy_: the tensor {self.shape} is a copy, made by {self._version[2]}, and what it was taken from "
                "would not change; write x[index] = values, or change x.clone()"
            )
        if self._number in grad_mode.replaced:
            grad_mode.replaced[self._number].copy_(values)
            return self
        check_overwrite("copy_", self, values)
        new = grad_mode.executor.operand(self, values)
        if new.shape != self.shape:
            raise ValueError(f"copy_: expected shape {self.shape}, got {new.shape}")
        grad_mode.executor.overwrite(self, new)
        self._bump()
        return self

    # Changes in place, as PyTorch's: of leaves, outside of recording.

    @property
    def data(self) -> Tensor:
        """The tensor without its graph, `detach()`; assigning to it is `copy_`."""
        return self.detach()

    @data.setter
    def data(self, values: Any) -> None:
        self.copy_(values)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    def _overwrite(self, name: str, values: Any, sources: Sequence[Any] = ()) -> Self:
        if grad_mode.enabled:
            given = (values, *sources)
            if self._requires_grad or any(isinstance(t, Tensor) and t._requires_grad for t in given):
                raise RuntimeError(
                    f"{name}: a tensor {self.shape} is changed in place, and a gradient would be lost; write it under "
                    "cr.no_grad(), or compute a new tensor"
                )
        return self.copy_(values)

    def __setitem__(self, index: Any, value: Any) -> None:
        check_overwrite("x[index] = value", self, value)
        self._overwrite("x[index] = value", ops._getitem._with_items(self.detach(), index, value), [value])

    def fill_(self, value: Any) -> Self:
        """Set all elements of a leaf to a number and return it.

        Errors, as for all changes in place: RuntimeError where the change would be recorded (write `with cr.no_grad():`
        around it); ValueError for a tensor that was created by an op.

        >>> import chainrule as cr
        >>> cr.tensor([1.0, 2.0]).fill_(3.0).add_(1.0).tolist()
        [4.0, 4.0]
        """
        return self._overwrite("fill_", np.full(self.shape, value, self.dtype))

    def zero_(self) -> Self:
        """Set all elements of a leaf to 0 and return it; see `fill_`."""
        return self._overwrite("zero_", np.zeros(self.shape, self.dtype))

    def uniform_(self, low: float = 0.0, high: float = 1.0, *, generator: Generator | None = None) -> Self:
        """Draw the elements of a leaf uniformly from [low, high) and return it; see `fill_` and `cr.nn.init`."""
        draw = given_or_default(generator)._uniform(self.shape, self.dtype, low, high)
        return self._overwrite("uniform_", Tensor._wrap(draw))

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Self:
        """Draw the elements of a leaf from the normal distribution and return it; see `fill_` and `cr.nn.init`."""
        draw = given_or_default(generator)._normal(self.shape, self.dtype, mean, std)
        return self._overwrite("normal_", Tensor._wrap(draw))

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add d self / d leaf, times `gradient`, to the `grad` of every leaf that requires one; see `cr.backward`."""
        backward(self, gradient, create_graph)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        if self._op is not None:
            raise ValueError("copy: the tensor was created by an op; copy leaves, or use detach()")
        check_copy(self)
        return _rebuild, (type(self), self._data, self._requires_grad, self._version)

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

    def __pow__(self, exponent: Any) -> Tensor:
        return ops.power(self, exponent)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.neg(self)

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    # NumPy's functions, and operators with an array on the left.

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        from .ops import _numpy  # on first use: its tables take 2 ms of the import

        return _numpy.call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from .ops import _numpy

        return _numpy.call_function(function, types, args, kwargs)

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


def _rebuild(cls: type[Tensor], data: Array, requires_grad: bool, version: list[int]) -> Tensor:
    """Create the copy of a leaf: a separate node, although copy.copy shares the memory."""
    self = cls.__new__(cls)
    self._init(data)
    self._requires_grad, self._version = requires_grad, version
    return self


_core.register_tensor(Tensor, sequence_numbers)  # the core creates the results of compiled functions


def tensor(data: Any, dtype: npt.DTypeLike | None = None, requires_grad: bool = False, *, device: Any = None) -> Tensor:
    """Create a tensor from numbers, lists, arrays or tensors; the data is copied.

    Arguments: `data`, array-like of any shape; `dtype`, float32, float64, int64 or bool (default: Python floats give
    float32 or what `cr.set_default_dtype` says, NumPy arrays keep float32 and float64, integers give int64, bools
    bool); `requires_grad`; `device`, None or "cpu".
    Returns: a leaf Tensor.
    Errors: TypeError for other dtypes (naming them), for masked elements, and for a tensor that requires a gradient (it
    would be lost: x.detach() is a constant, cr.stack joins tensors); ValueError for ragged lists.

    >>> import chainrule as cr
    >>> cr.tensor([[1, 2], [3, 4]]).dtype, cr.tensor(0.5).dtype
    (dtype('int64'), dtype('float32'))
    """
    check_device(device)
    return Tensor(data, dtype, requires_grad)


from . import ops  # noqa: E402
from ._util import in_place, op_methods, tensor_methods, torch_methods  # noqa: E402
from .autodiff._sweeps import backward, check_copy, check_overwrite, retained  # noqa: E402
from .ops._op import Op  # noqa: E402

vars(tensor_methods)["ops"] = vars(torch_methods)["ops"] = ops
op_methods.assign_ops(ops)
in_place.assign_in_place(ops)
