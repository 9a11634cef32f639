"""The recipe for a table of a given size."""

from __future__ import annotations

from ._member import Recipe

__all__ = ["recipe_for"]


def recipe_for(rows: int, classes: int) -> Recipe:
    """How members are trained by default; `classes` is 0 for numbers.

    Small tables take many passes in small batches through a narrow net, large ones few passes in larger batches.
    """
    small = rows < 2500
    width = 64 if small else 128
    batch = 32 if rows < 1000 else 64 if small else 128 if rows < 30_000 else 256
    epochs = 64 if rows < 10_000 else 48 if rows < 30_000 else 24
    return Recipe(
        hidden=(width, width),
        activation="selu" if classes else "mish",
        epochs=epochs,
        batch_size=batch,
        lr=0.04 if classes else 0.07,
        label_smoothing=0.05 if classes else 0.0,
    )
