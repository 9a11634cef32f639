"""The recipe for a table of a given size."""

from __future__ import annotations

from dataclasses import replace

from ._member import Recipe

__all__ = ["linear_recipe", "recipe_for"]


# Below so many rows: passes, rows in a batch.
_SIZES = (
    (300, 100, 32),
    (1000, 64, 64),
    (1500, 48, 64),
    (2500, 48, 128),
    (10_000, 32, 128),
    (30_000, 24, 128),
    (100_000, 20, 256),
    (float("inf"), 12, 256),
)


def recipe_for(rows: int, classes: int) -> Recipe:
    """How members are trained by default; `classes` is 0 for numbers.

    Small tables take many passes in small batches through a narrow net, large ones few passes in larger batches.
    """
    width = 64 if rows < 10_000 else 128
    return Recipe(
        hidden=(width, width),
        activation="selu" if classes else "mish",
        epochs=next(epochs for most, epochs, _ in _SIZES if rows < most),
        batch_size=next(size for most, _, size in _SIZES if rows < most),
        lr=0.04 if classes else 0.07,
        label_smoothing=0.05 if classes else 0.0,
    )


def linear_recipe(recipe: Recipe) -> Recipe:
    """The recipe of a net without hidden layers beside the others."""
    return replace(recipe, hidden=())
