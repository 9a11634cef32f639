"""Callbacks of `fit` that know the model: early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._util.checks import check_integer, check_number
from ..nn import Module
from ._history import History

__all__ = ["Callback", "EarlyStopping"]


class Callback:
    """Base of callbacks of `cr.fit` that need the model: `begin`, a call after every epoch, `end`.

    >>> import chainrule as cr
    >>> class Counting(cr.Callback):
    ...     def begin(self, model, measures):
    ...         self.parameters = sum(p.size for p in model.parameters())
    >>> counting = Counting()
    >>> counting.begin(cr.nn.Linear(2, 3), ["loss"])
    >>> counting.parameters
    9
    """

    def begin(self, model: Module, measures: Sequence[str]) -> None:
        """Before the first step; `measures` are the names in `History.measures` that every epoch will add to."""

    def __call__(self, history: History) -> bool | None:
        """After every epoch; True ends training."""
        return None

    def end(self, model: Module) -> None:
        """After the last epoch, unless training was interrupted by an error."""


class EarlyStopping(Callback):
    """End training when a measure has not become better for some epochs, and go back to the best weights.

    An epoch is better when its measure is below the best one less `min_delta` ("max": above the best one plus it); NaN
    is not. Every `cr.fit` begins anew. When it ends, for whatever reason but an error, the model has the weights of the
    best epoch; the optimizer stays as it is.

    Arguments: `patience`, epochs in a row without a better one after which training ends, at least 1; `min_delta`, at
    least 0; `monitor`, the measure: "val_loss", "loss", or "val_" and the name of a metric; `mode`, "min" or "max";
    `restore_best`, whether to go back. Attributes: `best`, `best_epoch` (counted from 1 as in History; None before the
    first) and `stopped`, whether it ended training.
    Errors: TypeError and ValueError for other arguments; ValueError from `cr.fit`, before the model is touched, for a
    measure that there is not.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X = cr.random.Generator(seed=0).normal((64, 2))
    >>> y = (X[:, 0] > X[:, 1]).astype(np.int64)
    >>> model = cr.nn.Sequential(cr.nn.Linear(2, 2, generator=cr.random.Generator(seed=1)))
    >>> optimizer, loss = cr.optim.SGD(model.parameters(), lr=0.5), cr.nn.CrossEntropyLoss()
    >>> stopping = cr.EarlyStopping(patience=3, min_delta=0.01)
    >>> history = cr.fit(model, X[:48], y[:48], loss=loss, optimizer=optimizer, epochs=500, seed=0,
    ...     validation=(X[48:], y[48:]), callbacks=[stopping])
    >>> history.epochs < 100
    True
    """

    def __init__(
        self,
        patience: int = 5,
        min_delta: float = 0.0,
        monitor: str = "val_loss",
        mode: str = "min",
        restore_best: bool = True,
    ) -> None:
        self.patience = check_integer("EarlyStopping: patience", patience, 1)
        self.min_delta = check_number("EarlyStopping: min_delta", min_delta)
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: mode must be 'min' or 'max', got {mode!r}")
        self.monitor, self.mode = monitor, mode
        self.restore_best = restore_best
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.stopped = False
        self._bad_epochs = 0
        self._model: Module | None = None
        self._weights: dict[str, npt.NDArray[Any]] | None = None

    def begin(self, model: Module, measures: Sequence[str]) -> None:
        """Begin anew for this model."""
        if self.monitor not in measures:
            hint = "; pass validation= to fit" if self.monitor.startswith("val_") and "val_loss" not in measures else ""
            raise ValueError(f"EarlyStopping: there is no measure {self.monitor!r}, only {', '.join(measures)}{hint}")
        self._forget()
        self._model = model

    def __call__(self, history: History) -> bool:
        """Compare the last epoch with the best one; True when it is time to stop."""
        if self._model is None:
            raise RuntimeError("EarlyStopping: pass it to cr.fit as one of its callbacks")
        value = history.measures[self.monitor][-1]
        if self._is_better(value):
            self.best, self.best_epoch, self._bad_epochs = value, history.epochs, 0
            self._weights = self._model.state_dict() if self.restore_best else None
        else:
            self._bad_epochs += 1
        self.stopped = self._bad_epochs >= self.patience
        return self.stopped

    def _is_better(self, value: float) -> bool:
        if self.best is None:
            return not np.isnan(value)
        change = -self.min_delta if self.mode == "min" else self.min_delta
        bound = ops.add(np.float64(self.best), np.float64(change)).item()
        return bool(value < bound if self.mode == "min" else value > bound)

    def end(self, model: Module) -> None:
        """Put the best weights back."""
        if self._weights is not None:
            model.load_state_dict(self._weights)
        self._weights = self._model = None
