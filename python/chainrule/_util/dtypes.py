"""The dtypes of the core."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["CODES", "FLOATS"]

# dtype codes of the core.
CODES: dict[Any, int] = {
    np.dtype(np.float32): 0,
    np.dtype(np.float64): 1,
    np.dtype(np.int64): 2,
    np.dtype(np.bool_): 3,
}
FLOATS: tuple[np.dtype[Any], ...] = (np.dtype(np.float32), np.dtype(np.float64))
