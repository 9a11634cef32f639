"""The schedules of learning rates where PyTorch has them: `lr_scheduler.StepLR` is `cr.optim.StepLR`."""

from ._more_schedules import ConstantLR, CosineAnnealingWarmRestarts, MultiStepLR, OneCycleLR, PolynomialLR
from ._plateau import ReduceLROnPlateau
from ._schedules import CosineAnnealingLR, ExponentialLR, LambdaLR, LinearLR, LRScheduler, SequentialLR, StepLR

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
