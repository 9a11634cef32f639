"""What to write in place of NumPy functions that have no op, by name."""

from __future__ import annotations

__all__ = ["HINTS"]

HINTS: dict[str, str] = {
    "array_equal": "np.array_equal(x.detach(), y.detach())",
    "allclose": "np.allclose(x.detach(), y.detach())",
    "isclose": "np.isclose(x.detach(), y.detach())",
    "copy": "x itself (no op changes it), or x.detach().numpy().copy()",
    "divmod": "k = np.floor_divide(x.detach(), y), a constant, and x - y * k",
    "floor_divide": "np.floor_divide(x.detach(), y), a constant",
    "float_power": "cr.power",
    "remainder": "x - y * np.floor_divide(x.detach(), y)",
}
