"""The schedules of learning rates where PyTorch has them: `lr_scheduler.StepLR` is `cr.optim.StepLR`."""

from ._plateau import ReduceLROnPlateau
from ._schedules import CosineAnnealingLR, ExponentialLR, LambdaLR, LinearLR, LRScheduler, SequentialLR, StepLR

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
