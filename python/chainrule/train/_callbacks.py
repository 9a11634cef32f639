"""Callbacks of `fit` that have access to the model: early stopping."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._util.checks import check_integer, check_number
from ..nn import Module
from ._history import History

__all__ = ["Callback", "EarlyStopping"]

Weights = dict[str, npt.NDArray[Any]]


class Callback:
    """Base of callbacks of `cr.fit` that use the model: `begin`, a call after every epoch, `end`.

    A callback with `state_dict` and `load_state_dict` (a dict of numbers, strings, lists and arrays, and its inverse)
    keeps its state in the checkpoints of `cr.fit(checkpoint=)`; it is loaded after `begin`.

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
        """Called before the first step; `measures` are the names of the curves in `History.measures`."""

    def resume(self, model: Module, measures: Sequence[str], history: History) -> None:
        """Called in place of `begin` when training continues a History with completed epochs; by default `begin`."""
        self.begin(model, measures)

    def __call__(self, history: History) -> bool | None:
        """Called after every epoch; True stops training."""
        return None

    def end(self, model: Module) -> None:
        """Called after the last epoch, unless an error interrupted training."""


class EarlyStopping(Callback):
    """Stop training when a metric has not improved for some epochs, and restore the best weights.

    An epoch improves on the best one when its metric is below best - min_delta ("max": above best + min_delta); NaN
    never does, nor does inf ("max": -inf) without a best one. When training ends for any reason but an error, the model
    has the weights of the best epoch; the optimizer is unchanged. A `cr.fit` that continues the History that this
    object followed goes on as if training had not been split: the model gets back its last weights, and epochs without
    improvement count on. Every other `cr.fit`, and one after training was stopped, starts over.

    Arguments: `patience`, consecutive epochs without improvement after which training stops, at least 1; `min_delta`,
    at least 0; `monitor`, the name of a curve: "val_loss", "loss", or "val_" and the name of a metric; `mode`, "min" or
    "max"; `restore_best`, whether to restore the best weights. Attributes: `best`, `best_epoch` (counted from 1 as in
    History; None before the first) and `stopped`, whether it stopped training.
    Errors: TypeError and ValueError for other arguments; ValueError from `cr.fit`, before the model changes, for
    an unknown curve.

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
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.stopped = False
        self._bad_epochs = 0
        self._epochs = 0  # of the History at the last call
        self._model: Module | None = None
        self._weights: Weights | None = None  # of the best epoch
        self._last: Weights | None = None  # of the last epoch, when the best have been restored

    def begin(self, model: Module, measures: Sequence[str]) -> None:
        """Reset the state for this model."""
        self._check_monitor(measures)
        self._reset()
        self._model = model

    def resume(self, model: Module, measures: Sequence[str], history: History) -> None:
        """Go on with this History if it is the one of the last call, else reset the state."""
        self._check_monitor(measures)
        over = self.stopped and history._position.called is None
        if over or not self._follows(history):
            self._reset()
        self._model = model
        if self._last is not None and _equal(model.state_dict(), self._weights):
            model.load_state_dict(self._last)
        self._last = None

    def _check_monitor(self, measures: Sequence[str]) -> None:
        if self.monitor not in measures:
            hint = "; pass validation= to fit" if self.monitor.startswith("val_") and "val_loss" not in measures else ""
            raise ValueError(
                f"EarlyStopping: unknown measure {self.monitor!r}, expected one of {', '.join(measures)}{hint}"
            )

    def _follows(self, history: History) -> bool:
        """Whether the History has the epochs seen so far, and at most one more, for which the call is still due."""
        curve = history.measures[self.monitor]
        if not 0 < self._epochs <= history.epochs <= self._epochs + 1 or len(curve) != history.epochs:
            return False
        return self.best_epoch is None or curve[self.best_epoch - 1] == self.best

    def __call__(self, history: History) -> bool:
        """Compare the last epoch with the best one; True when the patience is exhausted."""
        if self._model is None:
            raise RuntimeError("EarlyStopping: pass it to cr.fit as one of its callbacks")
        value = history.measures[self.monitor][-1]
        self._epochs = history.epochs
        if self._is_better(value):
            self.best, self.best_epoch, self._bad_epochs = value, history.epochs, 0
            self._weights = self._model.state_dict() if self.restore_best else None
        else:
            self._bad_epochs += 1
        self.stopped = self._bad_epochs >= self.patience
        return self.stopped

    def _is_better(self, value: float) -> bool:
        change = -self.min_delta if self.mode == "min" else self.min_delta
        worst = np.inf if self.mode == "min" else -np.inf
        bound = worst if self.best is None else ops.add(np.float64(self.best), np.float64(change)).item()
        return bool(value < bound if self.mode == "min" else value > bound)

    def end(self, model: Module) -> None:
        """Restore the best weights."""
        if self._weights is not None:
            if self.best_epoch != self._epochs:
                self._last = model.state_dict()
            model.load_state_dict(self._weights)
        self._model = None

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the best measure, its epoch and weights, and the count of epochs without improvement."""
        return {name: copy.deepcopy(getattr(self, attribute)) for name, attribute in _STATE.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; ValueError naming missing entries, before anything changes."""
        missing = [name for name in _STATE if name not in state]
        if missing:
            raise ValueError(f"load_state_dict: missing {', '.join(missing)}")
        for name, attribute in _STATE.items():
            setattr(self, attribute, copy.deepcopy(state[name]))


_STATE = {
    "best": "best",
    "best_epoch": "best_epoch",
    "stopped": "stopped",
    "bad_epochs": "_bad_epochs",
    "epochs": "_epochs",
    "weights": "_weights",
    "last_weights": "_last",
}


def _equal(a: Weights, b: Weights | None) -> bool:
    """Whether two states of a model have the same bits."""
    return b is not None and a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)
