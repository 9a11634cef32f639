"""Training on batches that come from an iterable: a `cr.data.DataLoader`, or a generator of rows larger than memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from .._tensor import Tensor
from .._util.interrupt import DeferredInterrupt
from ..nn import Module
from ..nn._inputs import map_parts, parts_of
from ._dataset import convert
from ._training import FitTrainer

__all__ = ["BatchTrainer"]


class BatchTrainer(FitTrainer):
    """A Trainer whose rows are those of one batch: each batch that comes is written into their memory.

    All batches have as many rows as the first one; the last of an epoch may have fewer.
    """

    def __init__(self, model: Module, batches: Iterable[Any], **options: Any) -> None:
        if not isinstance(batches, Iterable):
            raise TypeError(f"fit: y is missing; without y, X must be an iterable of batches (x, y), got {batches!r}")
        opened = iter(batches)
        first = next(opened, None)
        if first is None:
            raise ValueError("fit: there are no batches")
        self._batches = batches
        # An iterator is there once. A loader numbers its epochs: it begins again with the right one.
        self._opened = None if hasattr(batches, "epoch") else chain([first], opened)
        self._once = opened is batches
        x, y = _pair(first)
        super().__init__(model, x, y, batch_size=None, **options)
        copies = {name: map_parts(_copy, getattr(self.rows, name)) for name in ("x", "y")}
        self.rows = replace(self.rows, **copies)
        self._count = 0
        if self.schedules and self.steps_per_epoch is None:
            raise ValueError("fit: a StepSchedule needs the number of batches; pass an iterable that has len()")

    @property
    def row_count(self) -> int:
        """The rows of the latest epoch, or those of full batches where none has ended; 0 if that is not known."""
        return self._count or (self.steps_per_epoch or 0) * self.batch_size

    @property
    def steps_per_epoch(self) -> int | None:
        """The number of batches, if it is known."""
        try:
            return len(self._batches)  # type: ignore[arg-type]
        except TypeError:
            return None

    def parts(self, interrupt: DeferredInterrupt) -> Iterator[int]:
        """Run the steps left in the epoch; yields the number of rows of each. The batches before them are skipped."""
        self._begin_parts()
        done, count, last = self.next_step, 0, False
        for number, batch in enumerate(self._of_epoch()):
            if last:
                raise ValueError(f"fit: batch {number} has fewer rows than the first one, only the last batch may")
            n = self._write(batch, number)
            count, last = count + n, n < self.batch_size
            if number >= done:
                yield from self._steps(np.arange(n)[None], self.steps_per_epoch or 0, interrupt)
        if not count:
            raise ValueError("fit: there are no batches")
        self._count = count

    def _of_epoch(self) -> Iterator[Any]:
        opened, self._opened = self._opened, None
        if opened is not None:
            return opened
        if self._once:
            raise ValueError(
                "fit: the iterator of batches has ended; for several epochs pass an object whose __iter__ begins "
                "again, such as cr.data.DataLoader"
            )
        if hasattr(self._batches, "epoch"):
            self._batches.epoch = self.next_epoch
        return iter(self._batches)

    def _write(self, batch: Any, number: int) -> int:
        """Check a batch, write it into the memory of the rows, and return its number of rows."""
        x, y = _pair(batch)
        new = convert(self.model, x, y, self.loss, f"fit: batch {number + 1}: ")
        if len(new) > self.batch_size:
            raise ValueError(f"fit: batch {number + 1} has {len(new)} rows, the first one {self.batch_size}")
        for name in ("x", "y"):
            parts, own = parts_of(getattr(new, name)), parts_of(getattr(self.rows, name))
            found, expected = ([(key, p.shape[1:], p.dtype) for key, p in some] for some in (parts, own))
            if found != expected:
                shapes = " and ".join(
                    ", ".join(f"{name}{k}: {d} (n, *{s})" for k, s, d in of) for of in (found, expected)
                )
                raise ValueError(f"fit: batch {number + 1} differs from the first one: {shapes}")
            for (_, part), (_, memory) in zip(parts, own, strict=True):
                memory._data[: len(new)] = part._data
        return len(new)

    def _order_options(self) -> dict[str, Any]:
        return {"rows": None, "batch_size": self.batch_size, "seed": int(self.seed), "shuffle": None}

    def _identity(self) -> dict[str, Any]:
        self._data = "batches"  # what an iterable will yield is not known
        return super()._identity()


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        what = f"{len(batch)} items" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise TypeError(f"fit: a batch must be a pair (x, y), got {what}")
    return batch[0], batch[1]


def _copy(part: Tensor, _: str) -> Tensor:
    return Tensor._wrap(part._data.copy())
