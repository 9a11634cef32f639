"""Losses of numbers and their gradients for the gradient a that arrives at each element, of docs/arithmetic.md."""

from typing import Any

import numpy as np

from .activations import relu, relu_grad
from .bits import Array
from .elementary import expm1, log, log1p, tanh
from .softmax_losses import mse_loss, mse_loss_grad


def l1_grad(p: Array, t: Array, a: Array) -> tuple[Array, ...]:
    by_d = _abs_grad(p - t, a)
    return by_d, -by_d


def _abs_grad(d: Array, a: Array) -> Array:
    return np.where(d > 0, a, np.where(d < 0, -a, d * d.dtype.type(0)))


def _cut(d: Array, delta: float) -> Array:
    width = d.dtype.type(delta)
    return np.maximum(np.minimum(d, width), -width)


def huber(p: Array, t: Array, delta: float = 1.0) -> Array:
    d = p - t
    c = _cut(d, delta)
    return c * (d - c * d.dtype.type(0.5))


def huber_grad(p: Array, t: Array, a: Array, delta: float = 1.0) -> tuple[Array, ...]:
    d = p - t
    c, half, zero = _cut(d, delta), d.dtype.type(0.5), d.dtype.type(0)
    inner = a * c
    by_c = a * (d - c * half) + -inner * half
    inside = (d <= d.dtype.type(delta)) & (d >= -d.dtype.type(delta))
    by_d = inner + np.where(inside, by_c, zero)
    return by_d, -by_d


def smooth_l1(p: Array, t: Array, beta: float = 1.0) -> Array:
    return huber(p, t, beta) / p.dtype.type(beta) if beta else np.abs(p - t)


def smooth_l1_grad(p: Array, t: Array, a: Array, beta: float = 1.0) -> tuple[Array, ...]:
    return huber_grad(p, t, a / p.dtype.type(beta), beta) if beta else l1_grad(p, t, a)


def pinball(p: Array, t: Array, quantile: float | list[float] = 0.5) -> Array:
    e, above, below = _sides(p, t, quantile)
    return relu(e) * above + relu(-e) * below


def pinball_grad(p: Array, t: Array, a: Array, quantile: float | list[float] = 0.5) -> tuple[Array, ...]:
    e, above, below = _sides(p, t, quantile)
    by_e = -relu_grad(relu(-e), a * below) + relu_grad(relu(e), a * above)
    return -by_e, by_e


def _sides(p: Array, t: Array, quantile: float | list[float]) -> tuple[Array, Array, Array]:
    q = np.asarray(quantile, np.float64)
    return np.asarray(t.astype(p.dtype) - p), q.astype(p.dtype), (1 - q).astype(p.dtype)


def log_cosh(p: Array, t: Array) -> Array:
    far, two = p.dtype.type(20), p.dtype.type(2)
    a = np.abs(p - t)
    c = np.minimum(a, far)
    e = expm1(c)
    return np.asarray(log1p(e * e / ((e + e) + two)) + (a - c))


def log_cosh_grad(p: Array, t: Array, a: Array) -> tuple[Array, ...]:
    by_d = a * tanh(p - t)
    return by_d, -by_d


def _floored(x: Array, var: Any, eps: float) -> Array:
    v, least = np.asarray(var, x.dtype), x.dtype.type(eps)
    return np.asarray(v + np.where(v < least, least - v, x.dtype.type(0)))


def gaussian(x: Array, t: Array, var: Any, full: bool = False, eps: float = 1e-6) -> Array:
    d, v = x - t, _floored(x, var, eps)
    each = (log(v) + d * d / v) * x.dtype.type(0.5)
    return np.asarray(each + x.dtype.type(0.9189385332046727) if full else each)


def gaussian_grad(x: Array, t: Array, a: Array, var: Any, full: bool = False, eps: float = 1e-6) -> tuple[Array, ...]:
    d, v = x - t, _floored(x, var, eps)
    by_d = a * x.dtype.type(0.5) / v * (d + d)
    return by_d, -by_d


def half_mse(p: Array, t: Array, half: bool = False) -> Array:
    each = mse_loss(p, t, "none")
    return np.asarray(each * p.dtype.type(0.5)) if half else each


def half_mse_grad(p: Array, t: Array, a: Array, half: bool = False) -> tuple[Array, ...]:
    return mse_loss_grad(p, t, a * p.dtype.type(0.5) if half else a, "none")
