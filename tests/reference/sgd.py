"""The update of stochastic gradient descent with momentum, Nesterov momentum and weight decay."""

import numpy as np

from .bits import Array
from .fma import fma


def sgd_step(
    p: Array,
    g: Array,
    v: Array | None,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[Array, Array | None]:
    """New ``(p, v)``; the arguments stay as they are. v may be None without momentum."""
    # Hyper-parameters are rounded once.
    rate, mu, decay = (np.asarray(h, p.dtype) for h in (lr, momentum, weight_decay))
    d = g if decay == 0 else fma(decay, p, g)
    if mu != 0:
        if v is None:
            raise ValueError("sgd_step: momentum needs a buffer")
        v = fma(mu, v, d)
        d = fma(mu, v, d) if nesterov else v
    elif nesterov:
        raise ValueError("sgd_step: nesterov needs momentum")
    return fma(np.asarray(-rate), d, p), v
