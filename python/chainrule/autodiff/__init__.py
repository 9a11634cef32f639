"""Differentiation: reverse and forward sweeps, function transformations, custom ops, gradient checks."""

from __future__ import annotations

from ._custom_op import custom_op
from ._gradcheck import gradcheck
from ._jacobian import hessian, jacobian
from ._sweeps import backward, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from ._transforms import grad, hvp, jvp, value_and_grad, vjp

__all__ = [
    "backward",
    "custom_op",
    "enable_grad",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "no_grad",
    "set_grad_enabled",
    "value_and_grad",
    "vjp",
]
