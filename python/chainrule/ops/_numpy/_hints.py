"""What to write in place of NumPy functions that have no op, by name."""

from __future__ import annotations

__all__ = ["HINTS"]

HINTS: dict[str, str] = {
    "array_equal": "np.array_equal(x.detach(), y.detach())",
    "allclose": "np.allclose(x.detach(), y.detach())",
    "copy": "x itself (no op changes it), or x.detach().numpy().copy()",
    "float_power": "cr.power",
}
