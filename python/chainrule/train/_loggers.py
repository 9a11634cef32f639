"""Callbacks of `fit` that write the curves of training elsewhere: JSON lines, TensorBoard, MLflow, Weights & Biases.

The libraries are imported when a callback is created, and called as their own documentation says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from math import isfinite
from typing import Any

from ..nn import Module
from ._callbacks import Callback
from ._history import History

__all__ = ["JSONLinesLogger", "MLflowLogger", "TensorBoardLogger", "WandbLogger"]


class _Logger(Callback):
    """Base: `log` gets the measures of every epoch, by name, with the seconds that its training took."""

    def __call__(self, history: History) -> None:
        self.log(_measures(history, history.epochs), history.epochs)

    def log(self, measures: Mapping[str, float], epoch: int) -> None:
        """Write the measures of an epoch, counted from 1."""
        raise NotImplementedError


class JSONLinesLogger(Callback):
    """Write a line of JSON for every epoch: {"epoch": 1, "loss": 0.5, "val_loss": 0.75, ..., "seconds": 0.1}.

    The file has one line for each epoch of the History, also when training continues one; it is replaced when training
    begins. A measure that is not finite is null.

    Arguments: `path`. Errors: OSError from `cr.fit` when the file cannot be written.

    >>> import pathlib, tempfile
    >>> import chainrule as cr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "curves.jsonl"
    ...     cr.JSONLinesLogger(path)(cr.History(loss=[0.5], seconds=[0.25]))
    ...     print(path.read_text(), end="")
    {"epoch": 1, "loss": 0.5, "seconds": 0.25}
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path, self._written = path, 0

    def begin(self, model: Module, measures: Sequence[str]) -> None:
        """Begin a new file at the next call."""
        self._written = 0

    def __call__(self, history: History) -> None:
        """Append the last epoch, or write all of a History that was not followed from its beginning."""
        follows = self._written == history.epochs - 1 and self._written > 0
        first = history.epochs if follows else 1
        with open(self.path, "a" if follows else "w", encoding="utf-8") as file:
            for epoch in range(first, history.epochs + 1):
                found = _measures(history, epoch).items()
                values = {name: value if isfinite(value) else None for name, value in found}
                file.write(json.dumps({"epoch": epoch, **values}) + "\n")
        self._written = history.epochs


class TensorBoardLogger(_Logger):
    """Write the curves for TensorBoard, by `tensorboardX.SummaryWriter.add_scalar`.

    Arguments: `log_dir`, the folder of the run (default: one below `runs`). Errors: ImportError without tensorboardX.

    >>> import chainrule as cr
    >>> issubclass(cr.TensorBoardLogger, cr.Callback)
    True
    """

    def __init__(self, log_dir: str | os.PathLike[str] | None = None) -> None:
        library = _imported("TensorBoardLogger", "tensorboardX", "tensorboardX")
        self._writer = library.SummaryWriter(None if log_dir is None else os.fspath(log_dir))

    def log(self, measures: Mapping[str, float], epoch: int) -> None:
        """Add the measures of an epoch as scalars."""
        for name, value in measures.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()


class MLflowLogger(_Logger):
    """Log the curves to MLflow, by `mlflow.log_metrics`, in the active run or one that ends with training.

    Arguments: `run_name`, of a new run; `params`, logged when training begins. Errors: ImportError without mlflow.

    >>> import chainrule as cr
    >>> issubclass(cr.MLflowLogger, cr.Callback)
    True
    """

    def __init__(self, run_name: str | None = None, params: Mapping[str, Any] | None = None) -> None:
        self._library = _imported("MLflowLogger", "mlflow", "mlflow-skinny")
        self.run_name, self.params, self._started = run_name, dict(params or {}), False

    def begin(self, model: Module, measures: Sequence[str]) -> None:
        """Start a run unless one is active, and log the parameters."""
        if self._library.active_run() is None:
            self._library.start_run(run_name=self.run_name)
            self._started = True
        if self.params:
            self._library.log_params(self.params)

    def log(self, measures: Mapping[str, float], epoch: int) -> None:
        """Log the measures of an epoch."""
        self._library.log_metrics(dict(measures), step=epoch)

    def end(self, model: Module) -> None:
        """End the run that this callback started."""
        if self._started:
            self._library.end_run()
            self._started = False


class WandbLogger(_Logger):
    """Log the curves to Weights & Biases, by `wandb.log`, in the active run or one that ends with training.

    Arguments: `options`, of `wandb.init`: `project`, `config`, `mode`, ... Errors: ImportError without wandb.

    >>> import chainrule as cr
    >>> issubclass(cr.WandbLogger, cr.Callback)
    True
    """

    def __init__(self, **options: Any) -> None:
        self._library = _imported("WandbLogger", "wandb", "wandb")
        self.options, self._started = options, False

    def begin(self, model: Module, measures: Sequence[str]) -> None:
        """Start a run unless one is active."""
        if self._library.run is None:
            self._library.init(**self.options)
            self._started = True

    def log(self, measures: Mapping[str, float], epoch: int) -> None:
        """Log the measures of an epoch."""
        self._library.log(dict(measures), step=epoch)

    def end(self, model: Module) -> None:
        """Finish the run that this callback started."""
        if self._started:
            self._library.finish()
            self._started = False


def _measures(history: History, epoch: int) -> dict[str, float]:
    """The measures of an epoch that has them, and its seconds."""
    curves = {**history.measures, "seconds": history.seconds}
    return {name: float(values[epoch - 1]) for name, values in curves.items() if len(values) >= epoch}


def _imported(name: str, module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise ImportError(f"{name} requires the package {package}: pip install {package}") from None
