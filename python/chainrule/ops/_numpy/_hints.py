"""What to write in place of NumPy functions that have no op, by name."""

from __future__ import annotations

__all__ = ["HINTS"]

HINTS: dict[str, str] = {
    "array_equal": "np.array_equal(x.numpy(), y.numpy())",
    "allclose": "np.allclose(x.numpy(), y.numpy())",
    "isclose": "np.isclose(x.numpy(), y.numpy())",
    "copy": "x itself (tensors are not changed in place), or x.numpy().copy()",
    "cosh": "(cr.exp(x) + cr.exp(-x)) / 2",
    "divmod": "np.divmod(x.numpy(), y) for values",
    "exp2": "cr.exp(x * math.log(2))",
    "floor_divide": "np.floor_divide(x.numpy(), y) for values",
    "float_power": "cr.power, or cr.exp(exponent * cr.log(x))",
    "linalg.norm": "cr.sqrt(cr.sum(cr.square(x)))",
    "log10": "cr.log(x) / math.log(10)",
    "log2": "cr.log(x) / math.log(2)",
    "logaddexp": "y + cr.softplus(x - y)",
    "power": "cr.exp(exponent * cr.log(base))",
    "remainder": "np.remainder(x.numpy(), y) for values, x - y * k with a number k for a gradient",
    "sinh": "(cr.exp(x) - cr.exp(-x)) / 2",
    "std": "cr.sqrt(cr.mean(cr.square(x - cr.mean(x))))",
    "var": "cr.mean(cr.square(x - cr.mean(x)))",
}
