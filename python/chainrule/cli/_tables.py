"""A table to train on: read, with its target, what each column is used as, and the rows that are held out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from ..data import DataError
from ..data._dialect import MISSING
from ..data._frame import Frame
from ..data._kinds import ColumnKind, column_kinds
from ..data._read import FrameRead, read_frame, read_names
from ..data._split import split_rows
from ..data._streams import source_name
from ._report import Report
from ._target import Target, read_target, sorted_classes

__all__ = ["TableData", "load_table", "name_of"]

# Options of the reader, in the order of the command line.
READING = ("delimiter", "decimal", "thousands", "encoding", "comment", "header", "missing")


@dataclass(frozen=True)
class Part:
    """Rows of a table: the columns and the targets."""

    frame: Frame
    y: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class TableData:
    """A table: training rows, held-out rows (or none), kinds of the columns, and the classes."""

    name: str
    task: str
    target: str
    classes: tuple[str, ...]
    kinds: tuple[ColumnKind, ...]
    train: Part
    held_out: Part | None
    held_out_name: str


def name_of(source: str) -> str:
    """The name of a table, from that of its file.

    >>> from chainrule.cli._tables import name_of
    >>> name_of("data/iris.csv.gz"), name_of("-")
    ('iris', 'stdin')
    """
    if source in ("-", "/dev/stdin"):
        return "stdin"
    name = os.path.basename(source)
    for ends in ((".gz", ".bz2", ".xz", ".zip"), (".csv", ".tsv", ".txt", ".data", ".parquet", ".feather", ".arrow")):
        stem, dot, last = name.rpartition(".")
        name = stem if stem and dot + last.lower() in ends else name
    return name


def load_table(
    source: str,
    target: str | None,
    report: Report,
    *,
    task: str | None,
    reading: dict[str, Any],
    declared: dict[str, Sequence[str]],
    drop_missing: bool | None,
    holdout: float,
    test: str | None,
    seed: int,
) -> TableData:
    """Read a table and say what was read.

    Arguments: `source`, a file or "-"; `target`, the column to predict; `report`, which prints what is found; `task` or
    None; `reading`, options of the reader; `declared`, names of columns by `categories`, `numbers`, `dates`, `ignore`;
    `drop_missing` as in `read_target`; `holdout`, the fraction of rows that is held out; `test`, a file of rows to hold
    out instead; `seed`, of the split.
    Errors: `DataError` for what is wrong with the files or the options.
    """
    read, shown = _read(source, target, reading, declared), source_name(source)
    found, frame = _target_and_features(read, shown, str(target), task, reading, drop_missing)
    ignored = tuple(declared["ignore"])
    kinds = column_kinds(frame, **{**declared, "ignore": ignored})
    if not any(kind.used for kind in kinds):
        raise DataError(f"{shown}: there is no column to predict {target!r} from" + _left_out(kinds))
    classes = sorted_classes(found.y) if found.task == "classification" else ()
    _show(report, shown, read, found, kinds, classes)
    whole = Part(frame, found.y)
    parts: tuple[Part, Part | None]
    if test is not None:
        other = _read(test, target, reading, declared)
        also, rest = _target_and_features(other, test, str(target), found.task, reading, True)
        lacking = [kind.name for kind in kinds if kind.used and kind.name not in rest]
        if lacking:
            raise DataError(f"{test}: the columns {', '.join(lacking)} of {shown} are missing")
        parts = whole, Part(rest, also.y)
    else:
        parts = _split(whole, found.task, holdout, seed, shown, report)
    name = os.path.basename(test) if test is not None else "held-out rows"
    return TableData(name_of(source), found.task, str(target), classes, kinds, *parts, name)


def _read(source: str, target: str | None, reading: dict[str, Any], declared: dict[str, Sequence[str]]) -> FrameRead:
    options = {key: value for key, value in reading.items() if value not in (None, ())}
    if target is None:
        names = read_names(source, **options)
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        raise ValueError(f"train: --target COLUMN is missing; {source} has: {shown}")
    exact = [target, *(name for name in declared["categories"] if name != target)]
    numbers = list(declared["numbers"])
    if target in declared["ignore"]:
        raise DataError(f"train: --ignore names the target {target!r}")
    return read_frame(source, categories=exact, numbers=numbers, target=[target], **options)


def _target_and_features(
    read: FrameRead, source: str, target: str, task: str | None, reading: dict[str, Any], drop: bool | None
) -> tuple[Target, Frame]:
    missing = (*MISSING, *reading.get("missing", ()))
    found = read_target(read.frame[target], read.lines, task, missing, source, drop)
    frame = read.frame.drop([target])
    return found, frame if len(found.kept) == frame.rows else frame.take(found.kept)


def _left_out(kinds: Sequence[ColumnKind]) -> str:
    return "".join(f"; {kind.name}: {kind.note}" for kind in kinds[:5])


def _split(whole: Part, task: str, holdout: float, seed: int, source: str, report: Report) -> tuple[Part, Part | None]:
    if holdout == 0:
        return whole, None
    labels = whole.y.astype(str) if task == "classification" else None
    for stratify in (labels, None):
        try:
            held, rest = split_rows(source, len(whole), (holdout.as_integer_ratio(),), seed, stratify)
        except ValueError:  # one part is empty
            continue
        if stratify is not labels:
            report.note(f"{source}: the classes are too small to hold out the same share of each")
        return Part(whole.frame.take(rest), whole.y[rest]), Part(whole.frame.take(held), whole.y[held])
    raise DataError(f"{source}: {len(whole)} rows cannot be parted by --holdout {holdout:g}; 0 trains on all of them")


def _show(
    report: Report, source: str, read: FrameRead, found: Target, kinds: Sequence[ColumnKind], classes: Sequence[str]
) -> None:
    said = "".join(f"; {note}" for note in read.notes)
    report.line(f"{source}: {len(read.lines):,} rows, {len(read.frame.columns)} columns{said}")
    for note in found.notes:
        report.note(f"{found.name}: {note}")
    rows = [[kind.name, _used_as(kind), _detail(kind)] for kind in kinds]
    if classes:
        shown = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
        rows.append([found.name, "target", f"{len(classes)} classes: {shown}"])
    else:
        rows.append([found.name, "target", "a number"])
    report.table(["column", "used as", ""], rows)


def _used_as(kind: ColumnKind) -> str:
    return kind.kind if kind.used else "left out"


def _detail(kind: ColumnKind) -> str:
    levels = f"{len(kind.levels)}: {', '.join(kind.levels[:6])}{', ...' if len(kind.levels) > 6 else ''}"
    parts = ([levels] if kind.kind == "category" else []) + ([kind.note] if kind.note else [])
    return "; ".join(parts)
