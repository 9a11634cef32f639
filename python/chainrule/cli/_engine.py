"""The tabular engine as the commands use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data._frame import Frame
from ..tabular import TabularModel
from ._progress import Events

__all__ = ["EngineModel", "is_engine", "train_engine"]

Array = npt.NDArray[Any]


def is_engine(model: Any) -> bool:
    """Whether a loaded model is one of the engine."""
    return isinstance(model, TabularModel)


class EngineModel:
    """A tabular model; the methods are those of `TableModel`."""

    def __init__(self, model: TabularModel, target: str) -> None:
        self.model, self.target = model, target
        self.task = model.task
        self.classes = () if model.classes is None else tuple(map(str, model.classes))
        used = [kind for kind in model.columns if kind.used]
        self.features = tuple(kind.name for kind in used)
        self.categories = {kind.name: kind.levels for kind in used if kind.kind == "category"}
        self.numbers = tuple(kind.name for kind in used if kind.kind == "number")

    def probabilities(self, frame: Frame) -> Array:
        """As `TableModel`."""
        return np.asarray(self.model.predict_proba(frame.select(self.features)), dtype=np.float64)

    def values(self, frame: Frame) -> Array:
        """As `TableModel`."""
        return np.asarray(self.model.predict(frame.select(self.features)), dtype=np.float64)

    def quantiles(self, frame: Frame, shares: Sequence[float]) -> Array:
        """As `TableModel`."""
        return np.asarray(self.model.predict_quantiles(frame.select(self.features), shares), dtype=np.float64)

    def importances(self) -> dict[str, float]:
        """As `TableModel`."""
        shares = self.model.feature_importances.tolist()
        return {kind.name: share for kind, share in zip(self.model.columns, shares, strict=True) if kind.used}

    def kinds(self) -> list[tuple[str, str, str]]:
        """As `TableModel`."""
        return [(kind.name, kind.kind, ", ".join(kind.levels[:10])) for kind in self.model.columns]


def train_engine(
    frame: Frame,
    y: Array,
    *,
    task: str,
    kinds: Sequence[Any],
    seed: int,
    options: dict[str, Any],
    events: Events,
) -> TabularModel:
    """Train on the rows of a table; `events` hears of every member of the ensemble."""

    def run(train: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        for number, job in enumerate(jobs):
            events.step(number / len(jobs), f"net {number + 1} of {len(jobs)}")
            member = train(job)
            events.step((number + 1) / len(jobs), f"net {number + 1} of {len(jobs)}")
            events.log("member", member=number + 1, of=len(jobs), epochs=member.epochs)
            yield member

    return TabularModel.fit(frame, y, task=task, kinds=kinds, seed=seed, run=run, **options)
