"""What to write in place of NumPy functions that have no op, by name."""

from __future__ import annotations

__all__ = ["HINTS"]

HINTS: dict[str, str] = {
    "array_equal": "np.array_equal(x.detach(), y.detach())",
    "allclose": "np.allclose(x.detach(), y.detach())",
    "isclose": "np.isclose(x.detach(), y.detach())",
    "copy": "x itself (no op changes it), or x.detach().numpy().copy()",
    "cosh": "(cr.exp(x) + cr.exp(-x)) / 2",
    "divmod": "k = np.floor_divide(x.detach(), y), a constant, and x - y * k",
    "exp2": "cr.exp(x * math.log(2))",
    "floor_divide": "np.floor_divide(x.detach(), y), a constant",
    "float_power": "cr.power, or cr.exp(exponent * cr.log(x))",
    "log10": "cr.log(x) / math.log(10)",
    "log2": "cr.log(x) / math.log(2)",
    "logaddexp": "y + cr.softplus(x - y)",
    "power": "cr.exp(exponent * cr.log(base))",
    "remainder": "x - y * np.floor_divide(x.detach(), y)",
    "sinh": "(cr.exp(x) - cr.exp(-x)) / 2",
    "tan": "cr.sin(x) / cr.cos(x)",
}
