"""Training: `fit`, `Trainer`, callbacks, checkpoints, progress bars; linear regression in closed form."""

from __future__ import annotations

from ._averaging import AveragedModel, WeightAveraging
from ._callbacks import Callback, EarlyStopping
from ._checkpoint import load_checkpoint, save_checkpoint
from ._fit import fit
from ._history import History
from ._linear_regression import linear_regression
from ._loggers import JSONLinesLogger, MLflowLogger, TensorBoardLogger, WandbLogger
from ._statistics import update_bn
from ._trainer import Trainer

__all__ = [
    "AveragedModel",
    "Callback",
    "EarlyStopping",
    "History",
    "JSONLinesLogger",
    "MLflowLogger",
    "TensorBoardLogger",
    "Trainer",
    "WandbLogger",
    "WeightAveraging",
    "fit",
    "linear_regression",
    "load_checkpoint",
    "save_checkpoint",
    "update_bn",
]
