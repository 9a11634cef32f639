"""Optimizers, in PyTorch's words and formulas; a step is one pass over a parameter and its states."""

from __future__ import annotations

from ._adam import Adam, AdamW
from ._adaptive import Adagrad, RMSprop
from ._base import Group, Optimizer
from ._sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Group", "Optimizer", "RMSprop"]
