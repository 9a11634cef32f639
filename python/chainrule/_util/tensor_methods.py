"""Methods of tensors that are ops: NumPy's, and PyTorch's where these mean nothing else.

The ops need the complete class Tensor: `_tensor.py` imports them in its last lines, and sets `ops` here.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast, overload

import numpy as np
import numpy.typing as npt

from .device import device as _device
from .torch_methods import TorchMethods

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .. import ops
    from .._tensor import Tensor
    from ..ops._names import Dim, Ends, Indexed

__all__ = ["Methods", "no_device", "target_dtype"]


CPU = _device()


class Methods(TorchMethods):
    """Base of Tensor: the methods that call an op."""

    __slots__ = ()

    # Dtypes and devices.

    def astype(self, dtype: npt.DTypeLike) -> Tensor:
        """Return the values in another dtype; see `cr.astype`."""
        return ops.astype(self, dtype)

    def float(self) -> Tensor:
        """The values in float32, as PyTorch's."""
        return ops.astype(self, np.float32)

    def double(self) -> Tensor:
        """The values in float64."""
        return ops.astype(self, np.float64)

    def long(self) -> Tensor:
        """The values in int64, without their fractions; see `cr.astype`."""
        return ops.astype(self, np.int64)

    def bool(self) -> Tensor:
        """Whether values are other than 0; see `cr.astype`."""
        return ops.astype(self, np.bool_)

    def to(self, *args: Any, dtype: npt.DTypeLike | None = None, device: Any = None) -> Tensor:
        """Return the values in another dtype, as `torch.Tensor.to`: `x.to("float64")`, `x.to("cpu")`, `x.to(other)`.

        Errors: ValueError for a device other than the CPU, which is the only one here.

        >>> import chainrule as cr
        >>> cr.tensor([1.0]).to("cpu", dtype="float64").dtype
        dtype('float64')
        """
        target = target_dtype(args, dtype, device)
        return self._same() if target is None else ops.astype(self, target)

    def cpu(self) -> Tensor:
        """The tensor itself: it is on the CPU."""
        return self._same()

    def cuda(self, *args: Any) -> NoReturn:
        """Raise ValueError: there is no other device than the CPU."""
        raise no_device("cuda")

    def _same(self) -> Tensor:
        return cast("Tensor", self)

    @property
    def device(self) -> Any:
        """The CPU, as `cr.device`."""
        return CPU

    def type(self, dtype: npt.DTypeLike) -> Tensor:
        """The values in another dtype, as `astype`."""
        return ops.astype(self, dtype)

    # Copies.

    def contiguous(self) -> Tensor:
        """The tensor itself: ops take any strides."""
        return self._same()

    def clone(self) -> Tensor:
        """A copy in memory of its own, through which gradients flow; `x.detach().clone()` is one without a graph.

        >>> import chainrule as cr
        >>> x = cr.tensor([1.0, 2.0], requires_grad=True)
        >>> x.clone().requires_grad, x.clone().tolist()
        (True, [1.0, 2.0])
        """
        out = ops.getitem(self, ...)
        del out._version[2:]  # it may be changed in place: everywhere a clone is a copy
        return out

    # Operators; the others are Tensor's.

    def __floordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return ops.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return ops.remainder(other, self)

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return ops.divmod(self, other)

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return ops.divmod(other, self)

    def __round__(self, digits: int | None = None) -> Tensor:
        return ops.round(self, digits or 0)

    # Operations on bits, of masks and integers.

    def __and__(self, other: Any) -> Tensor:
        return ops.bitwise_and(self, other)

    def __rand__(self, other: Any) -> Tensor:
        return ops.bitwise_and(other, self)

    def __or__(self, other: Any) -> Tensor:
        return ops.bitwise_or(self, other)

    def __ror__(self, other: Any) -> Tensor:
        return ops.bitwise_or(other, self)

    def __xor__(self, other: Any) -> Tensor:
        return ops.bitwise_xor(self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return ops.bitwise_xor(other, self)

    def __invert__(self) -> Tensor:
        return ops.bitwise_not(self)

    # Shape.

    @property
    def T(self) -> Tensor:
        """The tensor with its axes reversed."""
        return ops.transpose(self)

    def transpose(self, *axes: int) -> Tensor:
        """Permute the axes; see `cr.transpose`. Of more axes than two, two numbers exchange these, as in PyTorch."""
        if len(axes) == 2 < self.ndim:
            return ops.swapaxes(self, *axes)
        return ops.transpose(self, axes or None)

    def reshape(self, *shape: Any) -> Tensor:
        """Change the shape; see `cr.reshape`."""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def flatten(self, start_axis: int = 0, end_axis: int = -1, **names: Unpack[Ends]) -> Tensor:
        """Merge the axes from `start_axis` to `end_axis` into one; see `cr.flatten`."""
        return ops.flatten(self, start_axis, end_axis, **names)

    def dim(self) -> int:
        """Number of axes, `ndim`."""
        return self.ndim

    def ndimension(self) -> int:
        """Number of axes, `ndim`."""
        return self.ndim

    def numel(self) -> int:
        """Number of elements, `size`."""
        return int(self.size)

    def view(self, *shape: Any) -> Tensor:
        """Change the shape, sharing the memory; see `cr.reshape`."""
        return ops.reshape(self, _unpacked(shape))

    def ravel(self) -> Tensor:
        """Merge all axes into one."""
        return ops.reshape(self, -1)

    def squeeze(self, axis: Any = None, **names: Unpack[Dim]) -> Tensor:
        """Remove axes of length 1; see `cr.squeeze`."""
        return ops.squeeze(self, axis, **names)

    def unsqueeze(self, axis: Any = None, **names: Unpack[Dim]) -> Tensor:
        """Insert an axis of length 1; see `cr.expand_dims`."""
        return ops.expand_dims(self, axis, **names)

    def permute(self, *axes: Any) -> Tensor:
        """Permute the axes: axis i of the result is axis axes[i]; see `cr.transpose`."""
        return ops.transpose(self, _unpacked(axes))

    def t(self) -> Tensor:
        """The transpose of a tensor of at most two axes."""
        if self.ndim > 2:
            raise ValueError(f"t: expected at most two axes, got shape {self.shape}; write transpose(...)")
        return ops.transpose(self)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Exchange two axes; see `cr.swapaxes`."""
        return ops.swapaxes(self, axis1, axis2)

    def moveaxis(self, source: Any, destination: Any) -> Tensor:
        """Move axes to other places; see `cr.moveaxis`."""
        return ops.moveaxis(self, source, destination)

    def expand(self, *shape: Any) -> Tensor:
        """Broadcast to a shape, in which -1 keeps the length of an axis; see `cr.broadcast_to`.

        >>> import chainrule as cr
        >>> cr.tensor([[1.0], [2.0]]).expand(3, -1, 4).shape
        (3, 2, 4)
        """
        wanted = list(_unpacked(shape))
        for i in range(1, self.ndim + 1):
            if i <= len(wanted) and wanted[-i] == -1:
                wanted[-i] = self.shape[-i]
        return ops.broadcast_to(self, wanted)

    def flip(self, *axes: Any) -> Tensor:
        """Reverse the order along axes (default: all); see `cr.flip`."""
        return ops.flip(self, tuple(_unpacked(axes)) if axes else None)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """The elements of a diagonal; see `cr.diagonal`."""
        return ops.diagonal(self, offset, axis1, axis2)

    def tril(self, k: int = 0, *, diagonal: int = 0) -> Tensor:
        """The lower triangle; see `cr.tril`."""
        return ops.tril(self, k, diagonal=diagonal)

    def triu(self, k: int = 0, *, diagonal: int = 0) -> Tensor:
        """The upper triangle; see `cr.triu`."""
        return ops.triu(self, k, diagonal=diagonal)

    def take(self, indices: Any, axis: int | None = 0) -> Tensor:
        """Gather rows by index; see `cr.take`."""
        return ops.take(self, indices, axis)

    def log_softmax(self, axis: int = -1, dim: int | None = None) -> Tensor:
        """Logarithms of softmax along an axis; see `cr.log_softmax`."""
        return ops.log_softmax(self, axis if dim is None else dim)

    def repeat(self, *repeats: Any) -> NoReturn:
        """Raise TypeError: NumPy's repeats each element, PyTorch's the tensor."""
        raise TypeError("repeat: NumPy repeats each element, cr.repeat(x, n); PyTorch the tensor, x.tile(n)")

    # Products.

    def matmul(self, other: Any) -> Tensor:
        """Matrix product; see `cr.matmul`."""
        return ops.matmul(self, other)

    def dot(self, other: Any) -> Tensor:
        """Product as `numpy.dot`; see `cr.dot`."""
        return ops.dot(self, other)

    # Reductions and functions.

    def sum(self, axis: Any = None, keepdims: builtins.bool = False, **names: Unpack[Dim]) -> Tensor:
        """Sum over axes; see `cr.sum`."""
        return ops.sum(self, axis, keepdims, **names)

    def mean(self, axis: Any = None, keepdims: builtins.bool = False, **names: Unpack[Dim]) -> Tensor:
        """Mean over axes; see `cr.mean`."""
        return ops.mean(self, axis, keepdims, **names)

    @overload
    def max(self, axis: Any = None, keepdims: builtins.bool = False) -> Tensor: ...
    @overload
    def max(self, *, dim: int, keepdim: builtins.bool = False) -> Indexed: ...
    def max(self, axis: Any = None, keepdims: builtins.bool = False, **names: Any) -> Any:
        """Maximum over axes; see `cr.max`."""
        return ops.max(self, axis, keepdims, **names)

    @overload
    def min(self, axis: Any = None, keepdims: builtins.bool = False) -> Tensor: ...
    @overload
    def min(self, *, dim: int, keepdim: builtins.bool = False) -> Indexed: ...
    def min(self, axis: Any = None, keepdims: builtins.bool = False, **names: Any) -> Any:
        """Minimum over axes; see `cr.min`."""
        return ops.min(self, axis, keepdims, **names)

    def argmax(self, axis: int | None = None, keepdims: builtins.bool = False, **names: Unpack[Dim]) -> Tensor:
        """Index of the maximum; see `cr.argmax`."""
        return ops.argmax(self, axis, keepdims, **names)

    def clip(self, low: Any = None, high: Any = None) -> Tensor:
        """Limit the values; see `cr.clip`."""
        return ops.clip(self, low, high)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Limit the values; see `cr.clip`."""
        return ops.clip(self, min, max)

    def pow(self, exponent: Any) -> Tensor:
        """Power, x**exponent."""
        return ops.power(self, exponent)

    def abs(self) -> Tensor:
        """Absolute value; see `cr.abs`."""
        return ops.abs(self)

    def square(self) -> Tensor:
        """Square; see `cr.square`."""
        return ops.square(self)

    def exp(self) -> Tensor:
        """Exponential; see `cr.exp`."""
        return ops.exp(self)

    def log(self) -> Tensor:
        """Natural logarithm; see `cr.log`."""
        return ops.log(self)

    def sqrt(self) -> Tensor:
        """Square root; see `cr.sqrt`."""
        return ops.sqrt(self)

    def sin(self) -> Tensor:
        """Sine; see `cr.sin`."""
        return ops.sin(self)

    def cos(self) -> Tensor:
        """Cosine; see `cr.cos`."""
        return ops.cos(self)

    def tanh(self) -> Tensor:
        """Hyperbolic tangent; see `cr.tanh`."""
        return ops.tanh(self)

    def sigmoid(self) -> Tensor:
        """Logistic function; see `cr.sigmoid`."""
        return ops.sigmoid(self)

    def relu(self) -> Tensor:
        """Rectified linear unit; see `cr.relu`."""
        return ops.relu(self)

    def softmax(self, axis: int = -1, **names: Unpack[Dim]) -> Tensor:
        """Softmax along an axis; see `cr.softmax`."""
        return ops.softmax(self, axis, **names)


# Names of devices of PyTorch.
_DEVICES = ("cuda", "mps", "xpu", "hip", "xla", "meta", "vulkan", "mtia")


def no_device(device: str) -> ValueError:
    return ValueError(
        f"there is no device {device!r}: chainrule computes on the CPU; leave out .to(device) and .cuda()"
    )


def _unpacked(given: Sequence[Any]) -> Sequence[Any]:
    """The numbers of `f(2, 3)` or of `f((2, 3))`."""
    return given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given


def target_dtype(args: Sequence[Any], dtype: Any, device: Any) -> Any:
    """The dtype that the arguments of PyTorch's `to` name, or None; ValueError for a device other than the CPU."""
    for given in (*args, *(() if device is None else (device,))):
        if isinstance(given, Methods):
            dtype = cast("Tensor", given).dtype
        elif str(given).partition(":")[0] == "cpu":
            continue
        elif str(getattr(given, "type", given)).partition(":")[0] in _DEVICES:
            raise no_device(str(given))
        elif not isinstance(given, bool):  # non_blocking, copy
            dtype = given
    return dtype
