"""History: the curves of a training run."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops

__all__ = ["History", "Position"]


@dataclass
class Position:
    """Where training stands between two completed epochs.

    `losses`, of the steps done in the epoch that is not finished, in parts; `seconds` that they took; `order`, the
    options that determine the order of its rows; `called`, how many of the calls after the last completed epoch are
    done, None if all; `stop`, whether one of them has ended training.

    >>> from chainrule.train._history import Position
    >>> Position().steps
    0
    """

    losses: list[npt.NDArray[Any]] = field(default_factory=list)
    seconds: float = 0.0
    order: dict[str, Any] = field(default_factory=dict)
    called: int | None = None
    stop: bool = False

    @property
    def steps(self) -> int:
        """The number of steps done in the epoch."""
        return sum(map(len, self.losses))

    @property
    def all_losses(self) -> npt.NDArray[Any]:
        """The losses of the steps as one array, in float64 where their parts have several dtypes."""
        if len({part.dtype for part in self.losses}) > 1:
            self.losses[:] = [ops.astype(part, np.float64).numpy() for part in self.losses]
        return np.concatenate(self.losses)

    def begin_epoch(self) -> None:
        """Forget the steps: none of the next epoch is done."""
        self.losses.clear()
        self.seconds, self.order = 0.0, {}

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the fields that differ from those between two epochs; the losses as one array."""
        state = {name: value for name, value in vars(self).items() if value != getattr(Position(), name)}
        if self.losses:
            state["losses"] = ops.astype(self.all_losses, np.float64).numpy()
        return copy.deepcopy(state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; nothing changes on an error."""
        losses = np.array(state.get("losses", []), dtype=np.float64)
        called = None if state.get("called") is None else int(state["called"])
        seconds, order = float(state.get("seconds", 0)), dict(state.get("order", {}))
        self.losses[:] = [losses] if len(losses) else []
        self.seconds, self.order, self.called, self.stop = seconds, order, called, bool(state.get("stop"))


@dataclass
class History:
    """The curves of a training run, one value per completed epoch.

    `loss`: the mean of the batch losses before each step, weighted by their rows; `val_loss` and `metrics` (lists by
    name): on the validation rows after the epoch, empty without validation; `seconds`: training time, without
    validation; `samples`: rows trained on.

    It also holds the position within an epoch in which `cr.fit` was interrupted; `fit(history=)` continues from there.

    >>> import chainrule as cr
    >>> cr.History().epochs
    0
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    samples: int = 0

    def __post_init__(self) -> None:
        self._position = Position()

    @property
    def epochs(self) -> int:
        """The number of completed epochs."""
        return len(self.loss)

    @property
    def samples_per_second(self) -> float:
        """Rows trained on per second of training; 0.0 before the first completed epoch."""
        return self.samples / max(sum(self.seconds), 1e-9)

    @property
    def measures(self) -> dict[str, list[float]]:
        """The curves by name: `loss`, `val_loss`, and the metrics with the prefix `val_`.

        >>> import chainrule as cr
        >>> cr.History(loss=[0.5], metrics={"accuracy": [0.75]}).measures
        {'loss': [0.5], 'val_loss': [], 'val_accuracy': [0.75]}
        """
        named = {"loss": self.loss, "val_loss": self.val_loss}
        named.update({f"val_{name}": values for name, values in self.metrics.items()})
        return named

    def state_dict(self) -> dict[str, Any]:
        """Return copies of all fields and of the position within an epoch, for `cr.save_checkpoint`."""
        return {**asdict(self), "position": self._position.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; ValueError naming missing fields, before anything changes."""
        missing = [item.name for item in fields(self) if item.name not in state]
        if missing:
            raise ValueError(f"load_state_dict: missing {', '.join(missing)}")
        # Checkpoints of version 0.1 have no position: they were written between epochs.
        self._position.load_state_dict(state.get("position", {}))
        for item in fields(self):
            setattr(self, item.name, copy.deepcopy(state[item.name]))

    def summary(self) -> str:
        """The last epoch in one line; empty before the first completed epoch.

        >>> import chainrule as cr
        >>> cr.History(loss=[0.5], val_loss=[0.75]).summary()
        'loss 0.5  val_loss 0.75'
        """
        return "  ".join(f"{name} {values[-1]:.4g}" for name, values in self.measures.items() if values)

    def plot(self, names: Sequence[str] | None = None, *, ax: Any = None) -> Any:
        """Plot the curves over the epochs, the losses and beside them the metrics, with matplotlib.

        Arguments: `names`, of curves in `measures` (default: all that have values), plotted on one axis; `ax`, the
        matplotlib Axes for them (default: a new figure). Returns: the Axes, or an array of two for losses and metrics.
        Errors: ValueError for an unknown name; ImportError without matplotlib.

        >>> import chainrule as cr
        >>> cr.History(loss=[0.5, 0.25]).plot(["accuracy"])
        Traceback (most recent call last):
            ...
        ValueError: plot: unknown measure 'accuracy', expected some of loss
        """
        curves = {name: values for name, values in self.measures.items() if values}
        for name in names or ():
            if name not in curves:
                raise ValueError(f"plot: unknown measure {name!r}, expected some of {', '.join(curves)}")
        try:
            from matplotlib import pyplot
        except ImportError:
            raise ImportError("History.plot requires matplotlib: pip install matplotlib") from None
        losses = [name for name in curves if name in ("loss", "val_loss")]
        parts = [losses, [name for name in curves if name not in losses]]
        if names is not None or ax is not None or not parts[1]:
            parts = [list(curves) if names is None else list(names)]
        found = ax if ax is not None else pyplot.subplots(1, len(parts), figsize=(5 * len(parts), 3.5))[1]
        for part, one in zip(parts, np.atleast_1d(found), strict=True):
            for name in part:
                one.plot(range(1, len(curves[name]) + 1), curves[name], label=name)
            one.set_xlabel("epoch")
            one.legend()
        return found
