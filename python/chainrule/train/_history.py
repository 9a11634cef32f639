"""History: the curves of a training run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

__all__ = ["History"]


@dataclass
class History:
    """The curves of a training run, one value per completed epoch.

    `loss`: the mean of the batch losses before each step, weighted by their rows; `val_loss` and `metrics` (lists by
    name): on the validation rows after the epoch, empty without validation; `seconds`: training time, without
    validation; `samples`: rows trained on.

    >>> import chainrule as cr
    >>> cr.History().epochs
    0
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    samples: int = 0

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
        """Return copies of all fields, for `cr.save_checkpoint`."""
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; ValueError naming missing fields, before anything changes."""
        missing = [item.name for item in fields(self) if item.name not in state]
        if missing:
            raise ValueError(f"load_state_dict: missing {', '.join(missing)}")
        for item in fields(self):
            setattr(self, item.name, copy.deepcopy(state[item.name]))

    def summary(self) -> str:
        """The last epoch in one line; empty before the first completed epoch.

        >>> import chainrule as cr
        >>> cr.History(loss=[0.5], val_loss=[0.75]).summary()
        'loss 0.5  val_loss 0.75'
        """
        return "  ".join(f"{name} {values[-1]:.4g}" for name, values in self.measures.items() if values)
