"""Gradient clipping, which `cr.nn.utils` exports, too, as PyTorch does."""

from ..autodiff._clip import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_"]
