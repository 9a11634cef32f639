"""Operators and methods of a tensor: each is the op of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import ops

if TYPE_CHECKING:
    from ._tensor import Tensor

__all__ = ["Operators"]


class Operators:
    """Base of Tensor; to give an op a method, add it here."""

    __slots__ = ()

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
