"""Errors that depend on values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._tensor import Tensor
from .._util.mode import grad_mode

__all__ = ["raise_where"]


def raise_where(wrong: Tensor, error: Callable[[tuple[int, ...]], Exception]) -> None:
    """Raise `error(index)` for the first True element of `wrong`; while traced, append a check that does so."""

    def at_index(at: int, value: int) -> Exception:
        return error(tuple(int(i) for i in np.unravel_index(at, wrong.shape)))

    grad_mode.executor.check_false(wrong, at_index)
