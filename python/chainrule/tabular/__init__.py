"""Tabular models: from the columns of a table to class names or numbers, without scikit-learn."""

from ._model import TabularModel

__all__ = ["TabularModel"]
