"""From the columns of a table to the inputs of a net: what is learned from the training rows, and its application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data._errors import DataError
from ..data._frame import Column, Frame, codes_of
from ..data._kinds import ColumnKind

__all__ = ["Encoder", "quantile"]

Numbers = npt.NDArray[np.float64]

_CLIP = 3.0  # scaled numbers stay within this bound
_PIECES = 8  # of a number, at most; twice as many in large tables
_LARGE = 2500  # rows
_ALL_PIECES = 512  # of all numbers, at most
_CELLS = 100_000_000  # of the pieces of all rows, at most
_PIECE = 0.4  # the height of a piece
_DAY = 86_400_000_000  # microseconds


def quantile(ordered: Numbers, share: float) -> float:
    """The quantile of numbers in ascending order, interpolated linearly between the two nearest ones.

    >>> import numpy as np
    >>> from chainrule.tabular._encode import quantile
    >>> quantile(np.array([1.0, 2.0, 4.0]), 0.75)
    3.0
    """
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    a, b, part = float(ordered[low]), float(ordered[high]), position - low
    return a * (1.0 - part) + b * part


@dataclass(frozen=True)
class _Scale:
    """x -> c / sqrt(1 + (c / 3)**2) with c = (x - center) * factor: the smooth clip of a robustly scaled number."""

    center: float
    factor: float

    @classmethod
    def of(cls, values: Numbers) -> _Scale:
        """The median, and 1 / interquartile range; where that is 0, 2 / range; where that is 0, too, 0."""
        ordered = np.sort(values)
        if not len(ordered):
            return cls(0.0, 0.0)
        spread, span = quantile(ordered, 0.75) - quantile(ordered, 0.25), float(ordered[-1]) - float(ordered[0])
        factor = 1.0 / spread if spread > 0 else 2.0 / span if span > 0 else 0.0
        return cls(quantile(ordered, 0.5), factor if np.isfinite(factor) else 0.0)

    def __call__(self, values: Numbers) -> Numbers:
        with np.errstate(over="ignore"):
            centred = np.clip((values - self.center) * self.factor, -1e100, 1e100)
        third = centred / _CLIP
        result: Numbers = centred / np.sqrt(1.0 + third * third)
        return result


@dataclass(frozen=True)
class _NumberBlock:
    """A number: scaled, the center where it is missing; a column that marks missing values if there were some; pieces.

    Piece i is -1/5 below edge i, 1/5 above edge i + 1 and linear between them: the net bends where the values are. It
    is 0 for a missing value. The edges are quantiles.
    Source: Gorishniy, Rubachev and Babenko, On embeddings for numerical features in tabular deep learning, 2022.
    """

    name: str
    scale: _Scale
    marks_missing: bool
    edges: tuple[float, ...] = ()

    @classmethod
    def learn(cls, column: Column, kind: ColumnKind, pieces: int) -> _NumberBlock:
        values = _finite(column)
        missing = np.isnan(values)
        known = np.sort(values[~missing])
        return cls(column.name, _Scale.of(known), bool(missing.any()), _edges(known, pieces))

    @property
    def features(self) -> list[str]:
        missing = [f"{self.name} is missing"] if self.marks_missing else []
        pieces = zip(self.edges[:-1], self.edges[1:], strict=True)
        return [self.name, *missing, *(f"{self.name} from {low:g} to {high:g}" for low, high in pieces)]

    def write(self, column: Column, out: npt.NDArray[np.float32]) -> None:
        values = _finite(column)
        missing = np.isnan(values)
        out[:, 0] = self.scale(np.where(missing, self.scale.center, values))
        if self.marks_missing:
            out[:, 1] = missing
        first = 1 + self.marks_missing
        for i, (low, high) in enumerate(zip(self.edges[:-1], self.edges[1:], strict=True)):
            part = np.clip((values - low) / (high - low), 0.0, 1.0)
            out[:, first + i] = np.where(missing, 0.0, (part - 0.5) * _PIECE)


def _edges(ordered: Numbers, pieces: int) -> tuple[float, ...]:
    """The edges of so many pieces of a number with these values; none if there are less than three different ones."""
    different = 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1])) if len(ordered) else 0
    count = min(pieces, different - 1)
    edges = sorted({quantile(ordered, i / count) for i in range(count + 1)}) if count > 1 else []
    return tuple(edges) if len(edges) > 2 and all(np.isfinite(np.diff(edges))) else ()


@dataclass(frozen=True)
class _BooleanBlock:
    """0 or 1, as it is; 0 and a mark where it is missing."""

    name: str
    marks_missing: bool

    @classmethod
    def learn(cls, column: Column, kind: ColumnKind, pieces: int) -> _BooleanBlock:
        return cls(column.name, bool(np.isnan(_bits(column)).any()))

    @property
    def features(self) -> list[str]:
        return [self.name, *([f"{self.name} is missing"] if self.marks_missing else [])]

    def write(self, column: Column, out: npt.NDArray[np.float32]) -> None:
        values = _bits(column)
        missing = np.isnan(values)
        out[:, 0] = np.where(missing, 0.0, values)
        if self.marks_missing:
            out[:, 1] = missing


@dataclass(frozen=True)
class _CategoryBlock:
    """One column for each known value, and for missing ones if there were some; an unknown value is 0 in all.

    Two known values that are never missing share one column, -1 and 1: an unknown one is 0.
    """

    name: str
    levels: tuple[str, ...]
    marks_missing: bool

    @classmethod
    def learn(cls, column: Column, kind: ColumnKind, pieces: int) -> _CategoryBlock:
        codes, different = codes_of(column.texts())
        found = set(different)
        ordered = [level for level in kind.levels if level in found]
        ordered += [level for level in different if level not in set(ordered)]
        return cls(column.name, tuple(ordered), bool((codes < 0).any()))

    @property
    def _two(self) -> bool:
        return len(self.levels) == 2 and not self.marks_missing

    @property
    def features(self) -> list[str]:
        if self._two:
            return [f"{self.name} = {self.levels[1]}"]
        missing = [f"{self.name} is missing"] if self.marks_missing else []
        return [*(f"{self.name} = {level}" for level in self.levels), *missing]

    def codes(self, column: Column) -> npt.NDArray[np.int64]:
        """The index of each value in `levels`; that of a missing one follows them, an unknown one has -1."""
        given, different = codes_of(column.texts())
        index = {level: i for i, level in enumerate(self.levels)}
        missing = len(self.levels) if self.marks_missing else -1
        table = np.array([*(index.get(text, -1) for text in different), missing], np.int64)
        return table[given]

    def unknown(self, column: Column) -> int:
        """The number of rows with a value that the training rows did not have."""
        return int(((self.codes(column) < 0) & ~column.missing).sum())

    def write(self, column: Column, out: npt.NDArray[np.float32]) -> None:
        codes = self.codes(column)
        if self._two:
            out[:, 0] = np.array([-1.0, 1.0, 0.0], np.float32)[codes]
            return
        rows = np.flatnonzero(codes >= 0)
        out[...] = 0
        out[rows, codes[rows]] = 1


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class _DateBlock:
    """A date: time since the epoch, scaled as numbers are; day of the month; month; day of the week; hour, if any.

    Day and hour are numbers from -1 to 1. All are 0 where the date is missing.
    """

    name: str
    scale: _Scale
    format: str
    has_hours: bool
    marks_missing: bool

    @classmethod
    def learn(cls, column: Column, kind: ColumnKind, pieces: int) -> _DateBlock:
        values = column.dates(kind.format)
        missing = np.isnat(values)
        there = values[~missing].astype(np.int64)
        hours = bool((there % _DAY != 0).any())
        return cls(column.name, _Scale.of(there / _DAY), kind.format, hours, bool(missing.any()))

    @property
    def features(self) -> list[str]:
        parts = ["time", "day", *_MONTHS, *_WEEKDAYS, *(["hour"] if self.has_hours else [])]
        missing = [f"{self.name} is missing"] if self.marks_missing else []
        return [*(f"{self.name}: {part}" for part in parts), *missing]

    def write(self, column: Column, out: npt.NDArray[np.float32]) -> None:
        values = column.dates(self.format)
        missing = np.isnat(values)
        there = np.where(missing, np.datetime64(0, "us"), values)
        ticks, rows = there.astype(np.int64), np.arange(len(values))
        months = there.astype("datetime64[M]")
        out[...] = 0
        out[:, 0] = self.scale(ticks / _DAY)
        out[:, 1] = ((there.astype("datetime64[D]") - months).astype(np.int64) - 15) / 15
        out[rows, 2 + months.astype(np.int64) % 12] = 1
        out[rows, 14 + (ticks // _DAY + 3) % 7] = 1  # 1970-01-01 was a Thursday
        if self.has_hours:
            out[:, 21] = (ticks % _DAY - _DAY // 2) / (_DAY // 2)
        out[missing] = 0
        if self.marks_missing:
            out[:, -1] = missing


_Block = Any  # one of the classes above
_BLOCKS: dict[str, Any] = {
    "number": _NumberBlock,
    "boolean": _BooleanBlock,
    "category": _CategoryBlock,
    "date": _DateBlock,
}


@dataclass(frozen=True)
class Encoder:
    """The inputs of a net made from the columns of a table.

    >>> from chainrule.data._frame import Frame
    >>> from chainrule.data._kinds import column_kinds
    >>> from chainrule.tabular._encode import Encoder
    >>> frame = Frame.of({"size": [1.0, 2.0, 3.0], "heat": ["gas", "oil", "gas"]})
    >>> encoder = Encoder.learn(frame, column_kinds(frame))
    >>> encoder.features
    ['size', 'size from 1 to 2', 'size from 2 to 3', 'heat = oil']
    >>> encoder(Frame.of({"heat": ["oil", "sun"], "size": [2.0, 2.0]})).astype(float).round(3).tolist()
    [[0.0, 0.2, -0.2, 1.0], [0.0, 0.2, -0.2, 0.0]]
    """

    blocks: tuple[_Block, ...]
    kinds: tuple[str, ...] = field(default=())

    @classmethod
    def learn(cls, frame: Frame, kinds: Sequence[ColumnKind]) -> Encoder:
        """Learn scales and known values from these rows."""
        used = [kind for kind in kinds if kind.used]
        numbers = max(sum(kind.kind == "number" for kind in used), 1)
        most = 2 * _PIECES if frame.rows >= _LARGE else _PIECES
        pieces = min(most, _ALL_PIECES // numbers, _CELLS // (numbers * max(frame.rows, 1)))
        blocks = tuple(_BLOCKS[kind.kind].learn(frame[kind.name], kind, pieces) for kind in used)
        return cls(blocks, tuple(kind.kind for kind in used))

    @property
    def features(self) -> list[str]:
        """The names of the inputs."""
        return [feature for block in self.blocks for feature in block.features]

    def __call__(self, frame: Frame) -> npt.NDArray[np.float32]:
        """The inputs for these rows, (rows, features) float32; columns are found by name, others are ignored.

        Errors: `DataError` for a column that is missing, or whose values are of another kind.
        """
        out = np.empty((frame.rows, len(self.features)), np.float32)
        begin = 0
        for block in self.blocks:
            end = begin + len(block.features)
            block.write(frame[block.name], out[:, begin:end])
            begin = end
        return out

    def unknown(self, frame: Frame) -> dict[str, int]:
        """The number of rows with an unknown category, by column; columns without are left out."""
        counts = {b.name: b.unknown(frame[b.name]) for b in self.blocks if isinstance(b, _CategoryBlock)}
        return {name: count for name, count in counts.items() if count}

    def describe(self) -> list[dict[str, Any]]:
        """As JSON."""
        return [{"kind": kind, **asdict(block)} for kind, block in zip(self.kinds, self.blocks, strict=True)]

    @classmethod
    def rebuild(cls, described: Sequence[Mapping[str, Any]]) -> Encoder:
        """The inverse of `describe`."""
        blocks = []
        for item in described:
            arguments = {key: value for key, value in item.items() if key != "kind"}
            if "scale" in arguments:
                arguments["scale"] = _Scale(**arguments["scale"])
            for name in {"levels", "edges"} & set(arguments):
                arguments[name] = tuple(arguments[name])
            blocks.append(_BLOCKS[item["kind"]](**arguments))
        return cls(tuple(blocks), tuple(item["kind"] for item in described))


def _finite(column: Column) -> Numbers:
    """The numbers, NaN where one is missing; infinite ones are refused."""
    values = column.numbers()
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise DataError(f"column {column.name!r}: row {row} is infinite; replace it by NaN (missing) or a bound")
    return values


def _bits(column: Column) -> Numbers:
    values = _finite(column)
    return values
