"""The elementwise kernels and their references: the rows of the reference, values and gradients."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reference import GRADIENTS, REFERENCE, elementary
from reference.bits import Array
from reference.softmax_losses import bce_error, binary_cross_entropy_with_logits
from reference.table import ORDINARY, Interval, Row
from support.programs import Float, elementwise, scalar_float64

COMPOSED = ("power",)  # made of other instructions in Python


@dataclass(frozen=True)
class Kernel:
    """name of the instruction, reference(*inputs), a domain per input (None = bool), its scalar parameters."""

    name: str
    function: Callable[..., Array]
    domain: tuple[Interval | None, ...]
    attributes: tuple[tuple[str, float], ...] = ()

    def reference(self, *inputs: Array) -> Array:
        """The result in NumPy; float64 functions are the scalar level's."""
        with scalar_float64():
            result = self.function(*inputs, **dict(self.attributes))
        return np.reshape(result, np.broadcast_shapes(*(x.shape for x in inputs)))

    def run(self, *inputs: Array, out: Array | None = None) -> Array:
        """The kernel's result on the active level."""
        return elementwise(self.name, *inputs, params=self.params, out=out)

    @property
    def params(self) -> list[float]:
        """The scalar parameters of the instruction."""
        return [value for _, value in self.attributes]

    def bits(self, n: int, dtype: Float, seed: int) -> list[Array]:
        """Inputs (n,) of random bit patterns: all magnitudes, NaN and infinities among them."""
        rng = np.random.default_rng(seed)
        unsigned = np.dtype(f"u{np.dtype(dtype).itemsize}")
        top = np.iinfo(unsigned).max
        return [
            rng.random(n) < 0.5 if d is None else rng.integers(0, top, n, unsigned, endpoint=True).view(dtype)
            for d in self.domain
        ]

    def ordinary(self, shapes: list[tuple[int, ...]], dtype: Float, seed: int) -> list[Array]:
        """Inputs of these shapes inside the domain."""
        rng = np.random.default_rng(seed)
        return [
            rng.random(s) < 0.5 if d is None else np.asarray(rng.uniform(*d, s), dtype)
            for d, s in zip(self.domain, shapes, strict=True)
        ]


def _attribute_sets(row: Row) -> list[tuple[tuple[str, float], ...]]:
    return [tuple(attributes.items()) for attributes in row.attributes]


def _gradient(name: str, row: Row) -> list[Kernel]:
    assert row.gradient is not None
    kept = row.domain[0] if row.kept == "x" else ORDINARY
    return [Kernel(name, row.gradient, (kept, ORDINARY), attributes) for attributes in _attribute_sets(row)]


def _bce(logits: Array, target: Array) -> Array:
    return binary_cross_entropy_with_logits(logits, target, reduction="none")


def _polygamma(x: Array, n: int) -> Array:
    return elementary.polygamma(n, x)


KERNELS = [
    *(Kernel(n, r.value, r.domain, a) for n, r in REFERENCE.items() if n not in COMPOSED for a in _attribute_sets(r)),
    *(kernel for name, row in GRADIENTS.items() for kernel in _gradient(name, row)),
    *(Kernel("pow", elementary.power, ((0.25, 4.0), ORDINARY), (("shift", n),)) for n in (0, 1, 2)),
    *(Kernel("polygamma", _polygamma, ((0.4, 9.0),), (("n", n),)) for n in (1, 2, 3)),
    Kernel("bce_with_logits", _bce, ((-20.0, 20.0), (0.0, 1.0))),
    Kernel("bce_error", bce_error, ((-20.0, 20.0), (0.0, 1.0))),
]


def label(value: object) -> str | None:
    """Names of parametrised tests."""
    if isinstance(value, Kernel):
        return value.name + "".join(f"-{number}" for _, number in value.attributes)
    return value.__name__ if isinstance(value, type) else None
