"""Layers that pad images and signals, and those that cut them into windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_integer, is_integer
from .._util.exports import own_names
from ..ops._pad import pad_last
from ._module import Module


class _Pad(Module):
    """Elements around the last axes of x, as many as the class's name says."""

    _axes: ClassVar[int] = 2
    _mode: ClassVar[str] = "constant"

    def __init__(self, padding: int | Sequence[int]) -> None:
        name, n = type(self).__name__, 2 * self._axes
        given = (padding,) * n if is_integer(padding) else tuple(padding)  # type: ignore[arg-type]
        if len(given) != n:
            raise ValueError(f"{name}: padding must be one number or {n}, got {padding!r}")
        least = None if self._mode == "constant" else 0
        self.padding = tuple(check_integer(f"{name}: padding", p, least) for p in given)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in (self._axes + 1, self._axes + 2):
            shape = (
                "(n, channels, h, w) or (channels, h, w)" if self._axes == 2 else "(n, channels, l) or (channels, l)"
            )
            raise ValueError(f"{type(self).__name__}: x must be {shape}, got shape {x.shape}")
        return pad_last(x, self.padding, self._mode, self._value())

    def _value(self) -> float | None:
        """Of constant elements."""
        return None

    def config(self) -> dict[str, Any]:
        return {"padding": self.padding}


class ZeroPad2d(_Pad):
    """Zeros around images.

    Arguments: `padding`, (left, right, top, bottom) or one number for all; negative ones take elements away.
    Input: x of shape (n, channels, h, w) or (channels, h, w). Output: h and w longer by the padding.
    Errors: ValueError for another number of paddings, and in a call for shapes.

    >>> import chainrule as cr
    >>> cr.nn.ZeroPad2d((1, 0, 0, 1))(cr.tensor([[[1.0, 2.0]]])).tolist()
    [[[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]]]
    """


class ConstantPad2d(_Pad):
    """Elements of one number around images.

    Arguments: `padding`, as `ZeroPad2d`; `value`, the number. Input, output and errors as `ZeroPad2d`.

    >>> import chainrule as cr
    >>> cr.nn.ConstantPad2d((1, 0, 0, 1), 7.0)(cr.tensor([[[1.0, 2.0]]])).tolist()
    [[[7.0, 1.0, 2.0], [7.0, 7.0, 7.0]]]
    """

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = float(value)

    def _value(self) -> float:
        return self.value

    def config(self) -> dict[str, Any]:
        return {**super().config(), "value": self.value}


class ReflectionPad2d(_Pad):
    """The elements of images reflected at the outermost ones.

    Arguments: `padding`, as `ZeroPad2d`, not negative. Input, output and errors as `ZeroPad2d`.

    >>> import chainrule as cr
    >>> cr.nn.ReflectionPad2d((2, 0, 0, 0))(cr.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[3.0, 2.0, 1.0, 2.0, 3.0]]]
    """

    _mode = "reflect"


class ReplicationPad2d(_Pad):
    """The outermost elements of images repeated around them.

    Arguments: `padding`, as `ZeroPad2d`, not negative. Input, output and errors as `ZeroPad2d`.

    >>> import chainrule as cr
    >>> cr.nn.ReplicationPad2d((2, 0, 0, 0))(cr.tensor([[[1.0, 2.0]]])).tolist()
    [[[1.0, 1.0, 1.0, 2.0]]]
    """

    _mode = "replicate"


class ZeroPad1d(ZeroPad2d):
    """Zeros before and behind signals.

    Arguments: `padding`, (left, right) or one number for both; negative ones take elements away.
    Input: x of shape (n, channels, l) or (channels, l). Output: l longer by the padding.
    Errors: ValueError for another number of paddings, and in a call for shapes.

    >>> import chainrule as cr
    >>> cr.nn.ZeroPad1d((1, 2))(cr.tensor([[1.0]])).tolist()
    [[0.0, 1.0, 0.0, 0.0]]
    """

    _axes = 1


class ConstantPad1d(ConstantPad2d):
    """Elements of one number before and behind signals.

    Arguments: `padding`, as `ZeroPad1d`; `value`, the number. Input, output and errors as `ZeroPad1d`.

    >>> import chainrule as cr
    >>> cr.nn.ConstantPad1d(1, 7.0)(cr.tensor([[1.0]])).tolist()
    [[7.0, 1.0, 7.0]]
    """

    _axes = 1


class ReflectionPad1d(ReflectionPad2d):
    """The elements of signals reflected at the outermost ones.

    Arguments: `padding`, as `ZeroPad1d`, not negative. Input, output and errors as `ZeroPad1d`.

    >>> import chainrule as cr
    >>> cr.nn.ReflectionPad1d(1)(cr.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[2.0, 1.0, 2.0, 3.0, 2.0]]
    """

    _axes = 1


class ReplicationPad1d(ReplicationPad2d):
    """The outermost elements of signals repeated before and behind them.

    Arguments: `padding`, as `ZeroPad1d`, not negative. Input, output and errors as `ZeroPad1d`.

    >>> import chainrule as cr
    >>> cr.nn.ReplicationPad1d(1)(cr.tensor([[1.0, 2.0]])).tolist()
    [[1.0, 1.0, 2.0, 2.0]]
    """

    _axes = 1


class _Windows(Module):
    """Arguments of the windows of images."""

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        self.kernel_size, self.dilation = _listed(kernel_size), _listed(dilation)
        self.padding, self.stride = _listed(padding), _listed(stride)

    def config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("kernel_size", "dilation", "padding", "stride")}


class Unfold(_Windows):
    """The windows of images as columns, `cr.unfold`.

    Arguments: as `cr.unfold`. Input: x of shape (n, channels, h, w). Output: (n, channels * kh * kw, windows).

    >>> import chainrule as cr
    >>> cr.nn.Unfold((1, 2))(cr.tensor([[[[1.0, 2.0, 3.0]]]])).tolist()
    [[[1.0, 2.0], [2.0, 3.0]]]
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.unfold(x, **self.config())


class Fold(_Windows):
    """Columns added up to images, `cr.fold`.

    Arguments: `output_size`, (h, w) of the images or one number for both; the others as `cr.unfold`.
    Input: x of shape (n, channels * kh * kw, windows). Output: (n, channels, h, w).

    >>> import chainrule as cr
    >>> cr.nn.Fold((1, 3), (1, 2))(cr.tensor([[[1.0, 2.0], [2.0, 3.0]]])).tolist()
    [[[[1.0, 4.0, 3.0]]]]
    """

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = _listed(output_size)

    def forward(self, x: Tensor) -> Tensor:
        return ops.fold(x, **self.config())

    def config(self) -> dict[str, Any]:
        return {"output_size": self.output_size, **super().config()}


def _listed(value: Any) -> Any:
    """One number or several, as a model file has them."""
    return tuple(value) if isinstance(value, (tuple, list)) else value


if not TYPE_CHECKING:
    __all__ = own_names(globals())
