"""Metrics of predictions on arrays, in scikit-learn's order of arguments: (target, prediction)."""

from ._scores import (
    accuracy,
    auc,
    balanced_accuracy,
    confusion_matrix,
    log_loss,
    mae,
    mse,
    r2,
    rmse,
)

__all__ = [
    "accuracy",
    "auc",
    "balanced_accuracy",
    "confusion_matrix",
    "log_loss",
    "mae",
    "mse",
    "r2",
    "rmse",
]
