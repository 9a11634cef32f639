"""The column to predict: class names as the file has them, or numbers; rows without a target."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data import DataError
from ..data._amounts import PLAIN, parse_numbers
from ..data._dates import parse_dates
from ..data._frame import Column
from ..nn._output import MAX_CLASSES

__all__ = ["Target", "class_names", "decide_task", "read_target"]

# Numbers whose spelling says no more than their value: no leading zero, no exponent, exact in float64.
_VALUE = re.compile(r"[+-]?(0|[1-9]\d{0,14})(\.\d{0,6})?", re.ASCII)
_ROWS_PER_CLASS = 4  # whole numbers with fewer rows each are quantities


@dataclass(frozen=True)
class Target:
    """The targets of a table: `y`, class names (texts) or float64; `kept`, the rows that have one."""

    name: str
    task: str
    y: npt.NDArray[Any]
    kept: npt.NDArray[np.int64]
    notes: tuple[str, ...] = ()


def class_names(texts: Sequence[str]) -> dict[str, str]:
    """The class of each text: as it stands; in a column of plain numbers 1 and 1.0 are one class, by its shortest text.

    >>> from chainrule.cli._target import class_names
    >>> class_names(["1", "1.0", "2"]), class_names(["02134", "1E2"])
    ({'1': '1', '1.0': '1', '2': '2'}, {'02134': '02134', '1E2': '1E2'})
    """
    if not all(map(_VALUE.fullmatch, texts)):
        return {text: text for text in texts}
    shortest: dict[float, str] = {}
    for text in sorted(texts, key=lambda text: (len(text), text)):
        shortest.setdefault(float(text), text)
    return {text: shortest[float(text)] for text in texts}


def decide_task(texts: Sequence[str], task: str | None, where: str) -> str:
    """Choose between classification and regression from the target's texts.

    Classification: some text is not a number, or all are whole numbers, at most 20 different ones with four rows each
    on the average, or two.

    Arguments: `texts`, one per row; `task`, "classification", "regression", or None to choose; `where`, the beginning
    of error messages.
    Errors: `DataError` for regression on text, for many numbers mixed with text, for a single class, or for as many as
    there are rows.

    >>> from chainrule.cli._target import decide_task
    >>> decide_task(["b", "a", "b"], None, "file"), decide_task(["1.5", "2"], None, "file")
    ('classification', 'regression')
    """
    counts = Counter(texts)
    names = set(class_names(list(counts)).values())
    numbers = parse_numbers(list(counts))
    if task is None:
        if isinstance(numbers, str):
            plain = [text for text in counts if PLAIN.fullmatch(text)]
            if len(plain) > MAX_CLASSES and len(plain) > len(names) / 2 and not _codes(counts):
                raise DataError(
                    f"{where}: the target has {len(plain)} different numbers, but also {numbers!r}; pass --task"
                )
            task = "classification"
        else:
            whole = bool((numbers.values == np.floor(numbers.values)).all())
            few = len(names) <= MAX_CLASSES and (len(names) <= 2 or len(texts) >= _ROWS_PER_CLASS * len(names))
            task = "classification" if whole and few else "regression"
    if task == "regression" and isinstance(numbers, str):
        raise DataError(f"{where}: regression requires numbers, found {numbers!r}")
    if task == "classification" and len(names) == len(texts) > 2:
        hint = "" if isinstance(parse_dates(list(counts)), str) else "; dates are no target, convert them to numbers"
        raise DataError(
            f"{where}: every row has another text ({texts[0][:40]!r}, ...); there is nothing to learn{hint}"
        )
    if len(names) < 2:
        raise DataError(
            f"{where}: the target has only one value, {min(names, default='none')!r}; there is nothing to learn"
        )
    return task


def _codes(texts: Any) -> bool:
    """Whether all texts are digits, with leading zeros or more than a number holds: not quantities."""
    return all(PLAIN.fullmatch(text) for text in texts)


def read_target(
    column: Column,
    lines: npt.NDArray[np.int64],
    task: str | None,
    missing: Sequence[str],
    where: str,
    drop: bool | None,
) -> Target:
    """The targets of the rows that have one.

    Arguments: `column`, the file's texts; `lines`, of the rows; `task` as in `decide_task`; `missing`, texts that stand
    for a missing value; `where`, the file; `drop`, whether rows without a target are left out, with a note (default:
    unless the task is declared).
    Errors: as `decide_task`; `DataError` with the lines of the rows without a target, if they are not left out.
    """
    texts = column.values.tolist()
    marks = set(missing)
    absent = np.array([text is None or text in marks for text in texts], dtype=bool)
    notes: tuple[str, ...] = ()
    if absent.any():
        rows = np.flatnonzero(absent)
        found = ", ".join(str(lines[row]) for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
        what = f"{len(rows)} of {len(texts)} rows have a missing target (empty, NA or the like; lines {found})"
        if drop is False or (drop is None and task is not None):
            raise DataError(f"{where}, column {column.name!r}: {what}; --drop-missing leaves them out")
        notes = (f"{what}; left out",)
    kept = np.flatnonzero(~absent)
    if not len(texts):
        raise DataError(f"{where}: no data after the header")
    if not len(kept):
        raise DataError(f"{where}, column {column.name!r}: no row has a target")
    own = [texts[row] for row in kept.tolist()]
    task = decide_task(own, task, f"{where}, column {column.name!r}")
    if task == "regression":
        y: npt.NDArray[Any] = Column(column.name, np.array(own, dtype=object)).numbers()
        if not np.isfinite(y).all():
            row = int(np.flatnonzero(~np.isfinite(y))[0])
            raise DataError(f"{where}, line {lines[kept[row]]}, column {column.name!r}: {own[row]!r} is not finite")
    else:
        names = class_names(sorted(set(own)))
        y = np.array([names[text] for text in own], dtype=object)
    return Target(column.name, task, y, kept, notes)


def sorted_classes(y: npt.NDArray[Any]) -> tuple[str, ...]:
    """The different class names: by value if all are numbers, otherwise as texts.

    >>> import numpy as np
    >>> from chainrule.cli._target import sorted_classes
    >>> sorted_classes(np.array(["10", "9"], object)), sorted_classes(np.array(["b", "10"], object))
    (('9', '10'), ('10', 'b'))
    """
    names = sorted(set(y.tolist()))
    if all(map(PLAIN.fullmatch, names)):
        from decimal import Decimal

        return tuple(sorted(names, key=lambda name: (Decimal(name), name)))
    return tuple(names)
