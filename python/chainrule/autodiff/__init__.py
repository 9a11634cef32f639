"""Differentiation: reverse and forward sweeps, function transformations, custom ops, gradient checks."""

from __future__ import annotations

from ._custom_op import custom_op
from ._gradcheck import gradcheck
from ._jacobian import hessian, jacobian
from ._sweeps import backward, is_grad_enabled, no_grad
from ._transforms import grad, hvp, jvp, value_and_grad, vjp

__all__ = [
    "backward",
    "custom_op",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "no_grad",
    "value_and_grad",
    "vjp",
]
