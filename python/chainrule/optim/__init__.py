"""Optimizers and schedules, in PyTorch's words and formulas; a step is one pass over a parameter and its states."""

from __future__ import annotations

from ._adam import Adam, AdamW
from ._adaptive import Adagrad, RMSprop
from ._base import Group, Optimizer
from ._clip import clip_grad_norm_, clip_grad_value_
from ._plateau import ReduceLROnPlateau
from ._schedules import CosineAnnealingLR, ExponentialLR, LambdaLR, LinearLR, LRScheduler, SequentialLR, StepLR
from ._sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "Group",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
]
