"""Muon: steps along orthogonal matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.arrays import aligned_full
from .._util.checks import check_integer, check_number
from .._util.exports import own_names
from .._util.mode import grad_mode
from ..autodiff._sweeps import no_grad
from ._base import Group, Optimizer
from ._checks import signature
from ._options import Flag, Number

_LR_OF_SHAPE = (None, "original", "match_rms_adamw")


class Muon(Optimizer):
    """Muon: steps along the orthogonal matrix that is nearest to an average of the gradient, for matrices only.

    m = momentum * m + (1 - momentum) * g;  d = momentum * m + (1 - momentum) * g with nesterov, else m;
    X = d / max(norm(d), eps), and `ns_steps` times X = a X + (b XX' + c (XX')²) X for (a, b, c) = `ns_coefficients`,
    which takes the singular values of X near 1;  p = p * (1 - lr * weight_decay) - lr * s * X, where
    s = sqrt(max(1, rows / columns)), or 0.2 * sqrt(max(rows, columns)) with `adjust_lr_fn="match_rms_adamw"`: steps of
    the size of AdamW's. X is of the parameter's dtype, where PyTorch takes bfloat16.

    Arguments: `params`, parameters of two axes or groups of them, as `cr.optim.SGD`: the weights of hidden layers;
    train biases, embeddings and the last layer by another optimizer; `lr`; `weight_decay`; `momentum`, in [0, 1);
    `nesterov`; `ns_coefficients`, `eps`, `ns_steps`, below 100, and `adjust_lr_fn`, None, "original" or
    "match_rms_adamw", for all groups; `maximize` and `switches`, as `cr.optim.SGD`. Defaults are PyTorch's.
    Errors: as `cr.optim.SGD`; ValueError for a parameter that is no matrix.
    Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([[3.0, 0.0], [0.0, 1.0]])
    >>> optimizer = cr.optim.Muon([weight], lr=0.5, weight_decay=0.0)
    >>> cr.sum(weight * weight).backward()
    >>> optimizer.step()
    >>> weight.numpy().round(2)
    array([[2.62, 0.  ],
           [0.  , 0.43]], dtype=float32)
    """

    _updates = (("muon", 4), ("muon_direction", 4))
    _all_states = ("momentum_buffer",)

    momentum = Number(below=1.0)
    nesterov = Flag()
    weight_decay = Number()
    maximize = Flag()

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        maximize: bool = False,
        **switches: Any,
    ) -> None:
        coefficients = tuple(float(number) for number in ns_coefficients)
        if len(coefficients) != 3:
            raise ValueError(f"Muon: ns_coefficients must be three numbers, got {ns_coefficients}")
        if adjust_lr_fn not in _LR_OF_SHAPE:
            raise ValueError(f"Muon: adjust_lr_fn must be None, 'original' or 'match_rms_adamw', got {adjust_lr_fn!r}")
        self.ns_coefficients, self.adjust_lr_fn = coefficients, adjust_lr_fn
        self.eps, self.ns_steps = check_number("Muon: eps", eps), check_integer("Muon: ns_steps", ns_steps, 0)
        if self.ns_steps >= 100:
            raise ValueError(f"Muon: ns_steps must be below 100, got {ns_steps}")
        # Of parameters by their numbers: memory for the direction of a step, and the factor of its length.
        self._directions: dict[int, tuple[Tensor, float]] = {}
        options = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(params, {**options, "maximize": maximize}, switches)
        for parameter in self.params:
            self._add_direction(parameter)

    def _check_parameters(self, params: Sequence[Tensor]) -> None:
        for i, parameter in enumerate(params):
            if parameter.ndim != 2:
                raise ValueError(
                    f"Muon: parameter {i} is {signature(parameter)}, expected matrices; give biases and other "
                    "parameters to another optimizer, for example cr.optim.AdamW"
                )

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        super().add_param_group(group)
        for parameter in self.param_groups[-1].params:
            self._add_direction(parameter)

    def _add_direction(self, parameter: Tensor) -> None:
        direction = Tensor._wrap(aligned_full(parameter.shape, parameter.dtype, 0))
        self._directions[parameter._number] = direction, self._factor(*parameter.shape)

    def _update_one(self, group: Group, i: int, gradient: Tensor) -> None:
        executor, parameter, numbers = grad_mode.executor, group.params[i], group._hyperparameters
        direction, factor = self._directions[parameter._number]
        executor.update("muon_direction", direction, gradient, group._states[i], numbers, None)
        with no_grad():
            step = ops.mul(self._orthogonal(direction), factor)
        executor.update("muon", parameter, step, (), numbers, None)

    def _orthogonal(self, x: Tensor) -> Tensor:
        """The Newton-Schulz iteration on the shorter side of a matrix."""
        a, b, c = self.ns_coefficients
        tall = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if tall else x
        norm = ops.sqrt(ops.sum(ops.square(x)))
        x = ops.div(x, ops.maximum(norm, self.eps))
        for _ in range(self.ns_steps):
            gram = ops.matmul(x, ops.transpose(x))
            x = ops.add(ops.mul(a, x), ops.matmul(ops.add(ops.mul(b, gram), ops.mul(c, ops.matmul(gram, gram))), x))
        return ops.transpose(x) if tall else x

    def _factor(self, rows: int, columns: int) -> float:
        most = np.float64(max(rows, columns))
        if self.adjust_lr_fn == "match_rms_adamw":
            return float(ops.mul(np.float64(0.2), ops.sqrt(most)).item())
        return float(ops.sqrt(ops.div(most, np.float64(columns))).item()) if rows > columns > 0 else 1.0


if not TYPE_CHECKING:
    __all__ = own_names(globals())
