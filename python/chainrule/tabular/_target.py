"""Targets of tabular models: class names and codes, or scaled numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from ..data._errors import DataError

__all__ = ["Classes", "Scaled", "check_labels", "column_of"]


def column_of(y: Any, rows: int) -> npt.NDArray[Any]:
    """The target as one axis; ValueError for another shape or length."""
    values = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"y: expected one target for each row, shape ({rows},), got shape {values.shape}")
    if len(values) != rows:
        raise ValueError(f"y: {len(values)} targets for {rows} rows of X")
    return values


def _missing(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if values.dtype.kind == "f":
        nan: npt.NDArray[np.bool_] = np.isnan(values)
        return nan
    if values.dtype.kind == "O":
        return np.fromiter(map(_is_missing, values.tolist()), np.bool_, len(values))
    return np.zeros(len(values), np.bool_)


def _is_missing(value: Any) -> bool:
    """Whether it is None, NaN, or pandas' NA or NaT, of which the first is not equal to itself nor unequal."""
    missing = type(value).__name__ in ("NAType", "NaTType")
    return value is None or missing or (isinstance(value, float) and value != value)


def _refuse_missing(values: npt.NDArray[Any]) -> None:
    missing = _missing(values)
    if missing.any():
        row, count = int(missing.argmax()), int(missing.sum())
        raise DataError(f"y: {count} targets are missing (NaN or None), the first in row {row}; leave these rows out")


def check_labels(y: npt.NDArray[Any]) -> None:
    """Raise DataError for missing classes, and for names of which some are texts."""
    _refuse_missing(y)
    if y.dtype.kind == "O":
        kinds = {type(value).__name__ for value in y.tolist()}
        if len(kinds) > 1 and "str" in kinds:
            raise DataError(f"y: class names are {' and '.join(sorted(kinds))}; make them all texts")


@dataclass(frozen=True)
class Classes:
    """The classes in ascending order, as they were given: texts, integers, booleans."""

    names: npt.NDArray[Any]

    @classmethod
    def learn(cls, y: npt.NDArray[Any]) -> tuple[Classes, npt.NDArray[np.int64]]:
        """The classes, and the code of each row."""
        check_labels(y)
        names, codes = np.unique(y, return_inverse=True)
        return cls(names), codes.reshape(-1).astype(np.int64)

    def describe(self) -> dict[str, Any]:
        kind = self.names.dtype
        texts = kind.kind in "OU" and all(isinstance(name, str) for name in self.names.tolist())
        return {"classes": self.names.tolist(), "dtype": ("object" if kind.kind == "O" else kind.str), "texts": texts}

    @classmethod
    def rebuild(cls, described: Any) -> Classes:
        names = np.empty(len(described["classes"]), np.dtype(described["dtype"]))
        names[:] = described["classes"]
        return cls(names)


_FAR = 300  # binary exponents


@dataclass(frozen=True)
class Scaled:
    """A number minus its mean, divided by its deviation; predictions stay within the range of the training rows."""

    mean: float
    deviation: float
    lowest: float
    highest: float

    @classmethod
    def learn(cls, y: npt.NDArray[Any], weights: npt.NDArray[np.float32] | None) -> tuple[Scaled, Any]:
        """The scale, and the scaled targets (rows, 1) float32."""
        _refuse_missing(y)
        try:
            values = y.astype(np.float64)
        except (TypeError, ValueError):
            raise DataError("y: expected numbers; for class names use a classifier") from None
        if not np.isfinite(values).all():
            raise DataError(f"y: the target of row {int((~np.isfinite(values)).argmax())} is infinite")
        w = np.ones(len(values)) if weights is None else weights.astype(np.float64)
        known = values if weights is None else values[weights > 0]
        # Squares of numbers far from 1 overflow or vanish: a power of two, which rounds nothing, brings them to 1.
        exponent = int(np.frexp(np.abs(known).max(initial=0.0))[1])
        exponent = exponent if abs(exponent) > _FAR else 0
        total, values = ops.sum(w), np.ldexp(values, -exponent)
        mean = ops.div(ops.sum(ops.mul(values, w)), total)
        centred = ops.sub(values, mean)
        deviation = ops.sqrt(ops.div(ops.sum(ops.mul(ops.square(centred), w)), total)).item()
        scale = deviation if deviation > 0 else 1.0
        middle, unit = np.ldexp(mean.item(), exponent), np.ldexp(deviation, exponent) if deviation > 0 else 1.0
        found = cls(float(middle), float(unit), float(known.min()), float(known.max()))
        return found, ops.astype(ops.div(centred, np.float64(scale)), np.float32).numpy().reshape(-1, 1)

    def values(self, outputs: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Targets of these outputs of a net."""
        return np.clip(self._unscaled(outputs), self.lowest, self.highest)

    def _unscaled(self, scaled: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        wide = scaled.astype(np.float64)
        result: npt.NDArray[np.float64] = ops.add(
            ops.mul(wide, np.float64(self.deviation)), np.float64(self.mean)
        ).numpy()
        return result

    def errors(self, outputs: npt.NDArray[Any], targets: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Target minus prediction, in units of `deviation`."""
        difference = ops.sub(self._unscaled(targets), self.values(outputs))
        errors: npt.NDArray[np.float64] = ops.div(difference, np.float64(self.deviation)).numpy()
        return errors

    def describe(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def rebuild(cls, described: Any) -> Scaled:
        return cls(**described)
