"""The mean loss of an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from ..compiler.jit import Compiled

__all__ = ["weighted_mean"]


def weighted_mean(losses: npt.NDArray[Any], n: int, batch_size: int) -> float:
    """Return the mean of batch losses over rows, in float64; all batches but the last have batch_size rows."""
    count = len(losses)
    if count == 1:  # n * loss / n may be another number
        return float(losses[0])
    # Zeros at the end change no bit of the sum, and need few programs for all numbers of batches.
    values, sizes = (np.zeros(max(16, 1 << (count - 1).bit_length()), dtype) for dtype in (losses.dtype, np.float64))
    values[:count], sizes[:count] = losses, min(batch_size, n)
    sizes[count - 1] = n - batch_size * (count - 1)
    return float(_mean(values, sizes, np.array(float(n))).item())


def _weighted(losses: Tensor, sizes: Tensor, total: Tensor) -> Tensor:
    return ops.div(ops.sum(ops.mul(ops.astype(losses, np.float64), sizes)), total)


_mean = Compiled(_weighted, watched=())
