"""The fully connected layer and its seeded initialisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from ..random import Generator, default_generator
from ..tensor import Tensor, tensor
from ._module import Module, Parameter, Stored

__all__ = ["Linear"]

_INITS = ("glorot", "he")


class Linear(Module):
    """Fully connected layer, y = x @ weight + bias.

    `weight` has shape (in_features, out_features) and is drawn uniformly from [-b, b): `init="glorot"` takes b = sqrt(6
    / (in_features + out_features)), made for tanh and sigmoid; `init="he"` takes b = sqrt(6 / in_features), made for
    relu. `bias` has shape (out_features,) and begins at 0.

    Arguments: `in_features`, `out_features`, at least 1; `bias`, whether there is one (else it is None); `dtype`,
    float32 or float64; `init`; `generator`, a `cr.random.Generator` (default: the one that `cr.manual_seed` seeds).
    Input: x of shape (..., in_features) in the layer's dtype. Output: shape (..., out_features).
    Errors: ValueError for sizes below 1 or an unknown init; TypeError for another dtype; in a call what `cr.linear`
    raises.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.Linear(64, 10, generator=cr.random.Generator(seed=1))
    >>> layer(np.ones((32, 64), np.float32)).shape
    (32, 10)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: npt.DTypeLike = np.float32,
        init: str = "glorot",
        generator: Generator | None = None,
    ) -> None:
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
                raise ValueError(f"Linear: {name} must be an integer of at least 1, got {size!r}")
        if init not in _INITS:
            raise ValueError(f"Linear: init must be one of {', '.join(_INITS)}, got {init!r}")
        kind = np.dtype(dtype)
        if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise TypeError(f"Linear: dtype must be float32 or float64, got {kind}")
        self.in_features, self.out_features, self.init = int(in_features), int(out_features), init
        self.weight = Parameter(self._draw(kind, default_generator() if generator is None else generator))
        self.bias = Parameter(np.zeros(self.out_features, dtype=kind)) if bias else None

    def _draw(self, dtype: np.dtype[Any], generator: Generator) -> npt.NDArray[Any]:
        fan = self.in_features + (self.out_features if self.init == "glorot" else 0)
        bound = ops.sqrt(ops.div(tensor(6.0, dtype=dtype), tensor(float(fan), dtype=dtype))).item()
        shape = (self.in_features, self.out_features)
        return generator.uniform(shape, low=-bound, high=bound, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return ops.linear(x, self.weight, self.bias)

    @classmethod
    def _stored_shape(cls, config: dict[str, Any]) -> tuple[Any, ...]:
        """The shape of the weight that a configuration asks for."""
        return config.get("in_features"), config.get("out_features")

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Linear:
        stored("weight", cls._stored_shape(config))
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias is not None,
            "dtype": str(self.weight.dtype),
            "init": self.init,
        }
