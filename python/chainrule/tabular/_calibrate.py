"""Temperature: the factor of class scores under which held-out rows are most probable."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops

__all__ = ["temperature_of"]

_STEPS = 40  # of the golden section search, on the logarithm of the factor from -3 to 3


def temperature_of(
    scores: npt.NDArray[np.float32], codes: npt.NDArray[np.int64], weights: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    """The factor t that minimises the cross entropy of softmax(t * scores), as an array (1,).

    Labels are smoothed by 1 / (rows + 2), so that few rows without an error do not make the model certain.

    Source: Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017.
    """
    wide = scores.astype(np.float64)
    options: dict[str, Any] = {"label_smoothing": 1.0 / (len(wide) + 2)}
    if weights is not None:
        options["sample_weight"] = weights.astype(np.float64)

    def loss(exponent: float) -> float:
        factor = ops.exp(np.float64(exponent))
        return float(ops.cross_entropy(ops.mul(wide, factor), codes, **options).item())

    low, high, golden = -3.0, 3.0, 0.6180339887498949
    a, b = high - golden * (high - low), low + golden * (high - low)
    at_a, at_b = loss(a), loss(b)
    for _ in range(_STEPS):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - golden * (high - low)
            at_a = loss(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + golden * (high - low)
            at_b = loss(b)
    factor: npt.NDArray[np.float32] = ops.exp(np.array([(low + high) / 2])).numpy().astype(np.float32)
    return factor
