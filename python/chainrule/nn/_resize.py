"""Layers that resize images and signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_size
from .._util.exports import own_names
from ..ops._resize import interpolate, pixel_shuffle, pixel_unshuffle
from ._module import Module


class Upsample(Module):
    """Images or signals of another size, `cr.nn.functional.interpolate`.

    Arguments: `size` of the result, or `scale_factor`; `mode`, "nearest", "nearest-exact", "linear" (of signals),
    "bilinear" or "bicubic" (of images) or "area"; `align_corners`, for the linear and cubic ones;
    `recompute_scale_factor`.
    Input: x of shape (n, channels, h, w) or (n, channels, l). Output: of the new size.
    Errors: in a call, those of `cr.nn.functional.interpolate`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.Upsample(scale_factor=2.0, mode="bilinear")(np.zeros((2, 2, 2, 3))).shape
    (2, 2, 4, 6)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self.size = tuple(size) if isinstance(size, (tuple, list)) else size
        self.scale_factor = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else scale_factor
        self.mode, self.align_corners = mode, align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, x: Tensor) -> Tensor:
        return interpolate(x, **self.config())

    def config(self) -> dict[str, Any]:
        names = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor")
        return {name: getattr(self, name) for name in names}


class UpsamplingNearest2d(Upsample):
    """Images of another size, each element the nearest one: `Upsample` with mode "nearest".

    Arguments: `size` of the result, or `scale_factor`. Input: x of shape (n, channels, h, w). Output: of the new size.

    >>> import chainrule as cr
    >>> cr.nn.UpsamplingNearest2d(scale_factor=2)(cr.tensor([[[[1.0, 3.0]]]])).tolist()
    [[[[1.0, 1.0, 3.0, 3.0], [1.0, 1.0, 3.0, 3.0]]]]
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(f"{type(self).__name__}: x must be (n, channels, h, w), got shape {x.shape}")
        return interpolate(x, **super().config())

    def config(self) -> dict[str, Any]:
        return {"size": self.size, "scale_factor": self.scale_factor}


class UpsamplingBilinear2d(UpsamplingNearest2d):
    """Images of another size between whose corners elements are linear: `Upsample`, "bilinear", with `align_corners`.

    Arguments, input and output as `UpsamplingNearest2d`.

    >>> import chainrule as cr
    >>> cr.nn.UpsamplingBilinear2d((1, 3))(cr.tensor([[[[1.0, 3.0]]]])).tolist()
    [[[[1.0, 2.0, 3.0]]]]
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor)
        self.mode, self.align_corners = "bilinear", True


class PixelShuffle(Module):
    """Larger images from r*r times as many channels, `cr.nn.functional.pixel_shuffle`.

    Argument: `upscale_factor`, r, at least 1.
    Input: x of shape (..., channels * r * r, h, w). Output: shape (..., channels, h * r, w * r).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.PixelShuffle(2)(np.zeros((2, 4, 1, 2))).shape
    (2, 1, 2, 4)
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = check_size("PixelShuffle: upscale_factor", upscale_factor)

    def forward(self, x: Tensor) -> Tensor:
        return pixel_shuffle(x, self.upscale_factor)

    def config(self) -> dict[str, Any]:
        return {"upscale_factor": self.upscale_factor}


class PixelUnshuffle(Module):
    """Smaller images with r*r times as many channels, `cr.nn.functional.pixel_unshuffle`.

    Argument: `downscale_factor`, r, at least 1.
    Input: x of shape (..., channels, h * r, w * r). Output: shape (..., channels * r * r, h, w).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.PixelUnshuffle(2)(np.zeros((2, 1, 2, 4))).shape
    (2, 4, 1, 2)
    """

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = check_size("PixelUnshuffle: downscale_factor", downscale_factor)

    def forward(self, x: Tensor) -> Tensor:
        return pixel_unshuffle(x, self.downscale_factor)

    def config(self) -> dict[str, Any]:
        return {"downscale_factor": self.downscale_factor}


if not TYPE_CHECKING:
    __all__ = own_names(globals())
