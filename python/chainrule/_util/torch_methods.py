"""Methods of PyTorch's tensors that are no ops: of another tensor's shape or dtype, new tensors, and questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from .device import check_device
from .in_place import InPlaceMethods

if TYPE_CHECKING:
    from .. import ops
    from .._tensor import Tensor

__all__ = ["TorchMethods"]


class TorchMethods(InPlaceMethods):
    """Base of Tensor: what a tensor does with another one, and makes of its dtype."""

    __slots__ = ()

    @property
    def _self(self) -> Tensor:
        return cast("Tensor", self)

    def where(self, condition: Any, other: Any) -> Tensor:
        """The tensor's elements where the condition is true, else those of `other`; see `cr.where`."""
        return ops.where(condition, self, other)

    def expand_as(self, other: Any) -> Tensor:
        """Broadcast to the shape of another tensor; see `cr.broadcast_to`."""
        return ops.broadcast_to(self, other.shape)

    def view_as(self, other: Any) -> Tensor:
        """Change the shape to that of another tensor; see `cr.reshape`."""
        return ops.reshape(self, other.shape)

    def reshape_as(self, other: Any) -> Tensor:
        """Change the shape to that of another tensor; see `cr.reshape`."""
        return ops.reshape(self, other.shape)

    def type_as(self, other: Any) -> Tensor:
        """The values in the dtype of another tensor; see `cr.astype`."""
        return self._self.astype(other.dtype)

    def nelement(self) -> int:
        """Number of elements, `size`."""
        return int(self._self.size)

    def element_size(self) -> int:
        """Bytes of an element."""
        return int(self._self.dtype.itemsize)

    def is_contiguous(self) -> bool:
        """True: the values of every tensor lie in C order."""
        return True

    def is_floating_point(self) -> bool:
        """Whether the dtype is float32 or float64."""
        return self._self.dtype.kind == "f"

    def nonzero(self, as_tuple: bool = True) -> Any:
        """The indices of elements other than 0; see `cr.nonzero`."""
        return ops._values.nonzero(self, as_tuple)

    def argwhere(self) -> Tensor:
        """The indices of elements other than 0 as rows; see `cr.argwhere`."""
        return ops._values.argwhere(self)

    def unique(self, *args: Any, **options: Any) -> Any:
        """The different elements in ascending order; see `cr.unique`."""
        return ops._values.unique(self, *args, **options)

    def bincount(self, weights: Any = None, minlength: int = 0) -> Tensor:
        """How often each of 0, 1, ... occurs; see `cr.bincount`."""
        return ops._values.bincount(self, weights, minlength)

    # New tensors, in this one's dtype unless another is given.

    def unfold(self, dimension: int, size: int, step: int) -> Tensor:
        """All windows of `size` elements along an axis, `step` apart, as a new last axis; `cr.unfold` is of images.

        Errors: ValueError for a size beyond the axis, and a step below 1.

        >>> import chainrule as cr
        >>> cr.arange(5).unfold(0, 3, 2).tolist()
        [[0, 1, 2], [2, 3, 4]]
        """
        x = self._self
        axis = range(x.ndim)[dimension] if -x.ndim <= dimension < x.ndim else None
        if axis is None or not 0 <= size <= x.shape[axis] or step < 1:
            raise ValueError(f"unfold: no windows of {size}, {step} apart, along axis {dimension} of {x.shape}")
        begins = np.arange(0, x.shape[axis] - size + 1, step)
        return ops.moveaxis(ops.take(x, begins[:, None] + np.arange(size), axis), axis + 1, -1)

    def new_zeros(
        self,
        *shape: Any,
        size: Any = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:
        """Zeros of the tensor's dtype; see `cr.zeros`.

        >>> import chainrule as cr
        >>> cr.tensor([1, 2]).new_zeros(2, 3).dtype
        dtype('int64')
        """
        kind = self._own(dtype)
        return ops._create.zeros(*shape, size=size, dtype=kind, device=device, requires_grad=requires_grad)

    def new_ones(
        self,
        *shape: Any,
        size: Any = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:
        """Ones of the tensor's dtype; see `cr.ones`."""
        kind = self._own(dtype)
        return ops._create.ones(*shape, size=size, dtype=kind, device=device, requires_grad=requires_grad)

    def new_empty(
        self,
        *shape: Any,
        size: Any = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:
        """A tensor of the tensor's dtype to be overwritten; see `cr.empty`."""
        kind = self._own(dtype)
        return ops._create.empty(*shape, size=size, dtype=kind, device=device, requires_grad=requires_grad)

    def new_full(
        self,
        shape: Any = None,
        fill_value: Any = None,
        dtype: npt.DTypeLike | None = None,
        requires_grad: bool = False,
        *,
        size: Any = None,
        device: Any = None,
    ) -> Tensor:
        """One number, in the tensor's dtype; see `cr.full`."""
        return ops._create.full(shape, fill_value, self._own(dtype), requires_grad, size=size, device=device)

    def new_tensor(
        self, data: Any, dtype: npt.DTypeLike | None = None, requires_grad: bool = False, *, device: Any = None
    ) -> Tensor:
        """A tensor of these values in the tensor's dtype; see `cr.tensor`."""
        check_device(device)
        return type(self._self.detach())(data, self._own(dtype), requires_grad)

    def _own(self, dtype: npt.DTypeLike | None) -> npt.DTypeLike:
        return self._self.dtype if dtype is None else dtype
