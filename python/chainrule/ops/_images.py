"""Images and signals as ops take them: with a batch and a height."""

from __future__ import annotations

from typing import Any

from .._tensor import Tensor
from ._arithmetic import _float_dtype
from ._op import Shape
from ._operands import one
from ._shape import reshape
from ._windows import Pair

__all__ = ["AXES", "as_given", "as_images", "images_of_any"]

AXES = {1: "l", 2: "h, w"}  # the names of the axes behind the channels


def as_images(name: str, x: Any, axes: int, channels: str = "channels") -> tuple[Tensor, bool]:
    """x as images (n, channels, h, w), a signal being one of height 1, and whether it was a single one, without n."""
    images = one(x)
    _float_dtype(name, [images])
    if images.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"{name}: x must be (n, {channels}, {AXES[axes]}) or without the first axis, got shape {images.shape}"
        )
    alone = images.ndim == axes + 1
    return images_of_any(images, axes, alone), alone


def images_of_any(t: Tensor, axes: int, alone: bool) -> Tensor:
    """With a first axis, and a height."""
    shape: Shape = (1, *t.shape) if alone else t.shape
    shape = (*shape[:2], 1, *shape[2:]) if axes == 1 else shape
    return t if t.shape == shape else reshape(t, shape)


def as_given(y: Tensor, axes: int, alone: bool, size: Pair) -> Tensor:
    """Images of this size in the form in which they came; y is (n, channels, ...)."""
    shape = y.shape[1:2] if alone else y.shape[:2]
    return reshape(y, (*shape, *(size if axes == 2 else size[1:])))
