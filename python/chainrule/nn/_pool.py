"""Pooling layers: the functions of the same name, and the mean over whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import ops
from .._tensor import Tensor
from .._util.exports import own_names
from ..ops import _adaptive, _pool
from ..ops._windows import Pair, sizes_of
from ._module import Module


class _Pool(Module):
    """Arguments that both kinds have; `axes` is 2 for images, 1 for signals."""

    _axes: ClassVar[int]
    _names: ClassVar[tuple[str, ...]]

    def _initialize(self, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1) -> None:
        def sizes(argument: str, value: Any, minimum: int) -> Any:
            pair = sizes_of(type(self).__name__, argument, value, minimum, self._axes, minimum)
            return pair if self._axes == 2 else pair[1]

        self.kernel_size = sizes("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else sizes("stride", stride, 1)
        self.padding = sizes("padding", padding, 0)
        self.dilation = sizes("dilation", dilation, 1)

    def config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._names}


class _MaxPool(_Pool):
    _names = ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._initialize(kernel_size, stride, padding, dilation)
        self.return_indices, self.ceil_mode = bool(return_indices), bool(ceil_mode)

    def forward(self, x: Tensor) -> Any:
        pool = ops.max_pool2d if self._axes == 2 else _pool.max_pool1d
        options = (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)
        return pool(x, *options)


class MaxPool2d(_MaxPool):
    """The largest element of each window; arguments as `cr.max_pool2d`, in PyTorch's order.

    Input: x of shape (n, channels, h, w), or one image. Output: shape (n, channels, oh, ow); with `return_indices` a
    tuple of it and of the places of the maxima.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.MaxPool2d(2)(np.zeros((2, 6, 28, 28))).shape
    (2, 6, 14, 14)
    """

    _axes = 2


class MaxPool1d(_MaxPool):
    """The largest element of each window of a signal; arguments as `cr.nn.MaxPool2d`, integers.

    Input: x of shape (n, channels, l), or one signal. Output: shape (n, channels, ol).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.MaxPool1d(2)(np.zeros((2, 3, 6))).shape
    (2, 3, 3)
    """

    _axes = 1


class _MaxUnpool(_Pool):
    _names = ("kernel_size", "stride", "padding")

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        self._initialize(kernel_size, stride, padding)

    def forward(self, x: Tensor, indices: Any, output_size: Any = None) -> Tensor:
        unpool = _pool.max_unpool2d if self._axes == 2 else _pool.max_unpool1d
        return unpool(x, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpool):
    """The maxima of `cr.nn.MaxPool2d` at their places, 0 elsewhere; arguments as `cr.nn.functional.max_unpool2d`.

    Input: x of shape (n, channels, h, w), or one image; the indices that the pool returned, and possibly the
    `output_size`, the shape that it took. Output: shape (n, channels, oh, ow).

    >>> import chainrule as cr
    >>> pool, unpool = cr.nn.MaxPool2d(2, return_indices=True), cr.nn.MaxUnpool2d(2)
    >>> maxima, places = pool(cr.zeros(2, 3, 5, 4))
    >>> unpool(maxima, places).shape, unpool(maxima, places, output_size=(5, 4)).shape
    ((2, 3, 4, 4), (2, 3, 5, 4))
    """

    _axes = 2


class MaxUnpool1d(_MaxUnpool):
    """The maxima of `cr.nn.MaxPool1d` at their places, 0 elsewhere; as `cr.nn.MaxUnpool2d`.

    >>> import chainrule as cr
    >>> pool, unpool = cr.nn.MaxPool1d(2, return_indices=True), cr.nn.MaxUnpool1d(2)
    >>> unpool(*pool(cr.zeros(2, 3, 4))).shape
    (2, 3, 4)
    """

    _axes = 1


class AvgPool2d(_Pool):
    """The mean of each window; arguments as `cr.avg_pool2d`.

    Input: x of shape (n, channels, h, w), or one image. Output: shape (n, channels, oh, ow).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.AvgPool2d(2)(np.zeros((2, 6, 28, 28))).shape
    (2, 6, 14, 14)
    """

    _axes = 2
    _names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self._initialize(kernel_size, stride, padding)
        self.ceil_mode, self.count_include_pad = bool(ceil_mode), bool(count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, x: Tensor) -> Tensor:
        return ops.avg_pool2d(x, *(getattr(self, name) for name in self._names))


class AvgPool1d(_Pool):
    """The mean of each window of a signal; arguments as `cr.nn.AvgPool2d`, integers, without divisor_override.

    Input: x of shape (n, channels, l), or one signal. Output: shape (n, channels, ol).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.AvgPool1d(2)(np.zeros((2, 3, 6))).shape
    (2, 3, 3)
    """

    _axes = 1
    _names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self._initialize(kernel_size, stride, padding)
        self.ceil_mode, self.count_include_pad = bool(ceil_mode), bool(count_include_pad)

    def forward(self, x: Tensor) -> Tensor:
        return _pool.avg_pool1d(x, *(getattr(self, name) for name in self._names))


class _Adaptive(Module):
    """The size of the result."""

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size if isinstance(output_size, (int, type(None))) else tuple(output_size)

    def config(self) -> dict[str, Any]:
        return {"output_size": self.output_size}


class AdaptiveAvgPool2d(_Adaptive):
    """Means of as many windows as the result shall have, `cr.nn.functional.adaptive_avg_pool2d`.

    Argument: `output_size`, (oh, ow) or one number for both; None stands for the image's.
    Input: x of shape (n, channels, h, w), or one image. Output: shape (n, channels, oh, ow).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.AdaptiveAvgPool2d((1, 2))(np.zeros((2, 3, 4, 3))).shape
    (2, 3, 1, 2)
    """

    def forward(self, x: Tensor) -> Tensor:
        return _adaptive.adaptive_avg_pool2d(x, self.output_size)


class AdaptiveAvgPool1d(_Adaptive):
    """Means of as many windows of a signal as the result shall have, `cr.nn.functional.adaptive_avg_pool1d`.

    Argument: `output_size`, the length of the result.
    Input: x of shape (n, channels, l), or one signal. Output: shape (n, channels, output_size).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.AdaptiveAvgPool1d(2)(np.zeros((2, 3, 5))).shape
    (2, 3, 2)
    """

    def forward(self, x: Tensor) -> Tensor:
        return _adaptive.adaptive_avg_pool1d(x, self.output_size)


class _AdaptiveMax(_Adaptive):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = bool(return_indices)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "return_indices": self.return_indices}


class AdaptiveMaxPool2d(_AdaptiveMax):
    """Maxima of as many windows as the result shall have, `cr.nn.functional.adaptive_max_pool2d`.

    Arguments: `output_size`, as `cr.nn.AdaptiveAvgPool2d`; `return_indices`, return also the places of the maxima.
    Input: x of shape (n, channels, h, w), or one image. Output: shape (n, channels, oh, ow), or a tuple.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.AdaptiveMaxPool2d((1, 2))(np.zeros((2, 3, 4, 3))).shape
    (2, 3, 1, 2)
    """

    def forward(self, x: Tensor) -> Any:
        return _adaptive.adaptive_max_pool2d(x, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMax):
    """Maxima of as many windows of a signal as the result shall have, `cr.nn.functional.adaptive_max_pool1d`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.AdaptiveMaxPool1d(2)(np.zeros((2, 3, 5))).shape
    (2, 3, 2)
    """

    def forward(self, x: Tensor) -> Any:
        return _adaptive.adaptive_max_pool1d(x, self.output_size, self.return_indices)


class GlobalAvgPool2d(Module):
    """The mean of each channel over the whole image, y[i, c] = mean over (h, w) of x[i, c].

    Input: x of shape (n, channels, h, w). Output: shape (n, channels).
    Errors: ValueError for another number of axes.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.GlobalAvgPool2d()(np.ones((2, 6, 7, 7))).shape
    (2, 6)
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(f"GlobalAvgPool2d: x must be (n, channels, h, w), got shape {x.shape}")
        return ops.mean(x, axis=(2, 3))


if not TYPE_CHECKING:
    __all__ = own_names(globals())
