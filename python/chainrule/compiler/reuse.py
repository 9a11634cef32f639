"""Programs planned once: a trace equal to an earlier one takes over its fusions, row blocks and memory plan.

The fits of a cross-validation, say, trace the same program of other arrays. Planning is half of the time of a trace,
and depends on its instructions, the shapes of its values, which arrays share memory, and the elements of constants.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from typing import Any, Protocol, TypeVar

from .._ir.values import Value
from .._util.dtypes import Array, Spec
from .dataflow import owner
from .trace import Trace

__all__ = ["PLANNED", "recall", "remember", "signature"]

_MAX_PLANNED = 128  # programs that are remembered
_MAX_INSTRUCTIONS = 400  # of each: larger ones take too much memory
_MAX_CONSTANTS = 1 << 16  # bytes


class Planned(Protocol):
    """A program with its plan: `build.CompiledProgram`."""

    values: list[Value]
    errors: dict[int, Any]

    def load(self) -> None:
        """Create the program of the core."""


P = TypeVar("P", bound=Planned)

PLANNED: dict[Hashable, tuple[Any, list[tuple[Value, int | None]]]] = {}


def signature(trace: Trace, outputs: Sequence[tuple[int, Spec]], micro_batch: int | None) -> Hashable | None:
    """Equal for traces that are planned alike; None for those that are not remembered."""
    arrays = [value.array for value in trace.values if value.constant and value.array is not None]
    if len(trace.code) > _MAX_INSTRUCTIONS or sum(array.nbytes for array in arrays) > _MAX_CONSTANTS:
        return None
    owners: dict[int, int] = {}
    return (
        tuple(
            [
                # Reals by their text, which tells -0.0 from 0.0.
                (i.name, i.dtype, tuple(i.outs), tuple(i.ins), i.record, repr(i.reals) if len(i.reals) else "")
                for i in trace.code
            ]
        ),
        tuple(
            [
                (v.spec, None)
                if v.array is None
                else (v.spec, owners.setdefault(id(owner(v)), len(owners)), v.array.tobytes() if v.constant else None)
                for v in trace.values
            ]
        ),
        tuple(trace.inputs),
        tuple(outputs),
        tuple([check.instr.outs[0] for check in trace.checks]),
        micro_batch,
    )


def remember(key: Hashable, built: Planned, count: int) -> None:
    """Keep what was planned for a trace that had `count` values before; not its arrays, but for constants."""
    known = {id(value.array): i for i, value in enumerate(built.values[:count]) if value.array is not None}
    added: list[tuple[Value, int | None]] = []
    for value in built.values[count:]:
        source = known.get(id(value.array))
        kept = None if source is not None else value.array
        added.append((Value(value.spec, kept, value.constant), source))
    plan = copy.copy(built)
    for name in ("program", "values", "errors"):
        del vars(plan)[name]
    if len(PLANNED) >= _MAX_PLANNED:
        PLANNED.clear()
    PLANNED[key] = plan, added


def recall(kind: type[P], key: Hashable, trace: Trace, errors: dict[int, Any]) -> P | None:
    """The program, of this class, of a trace that was planned before, with the arrays of this trace."""
    found = PLANNED.get(key)
    if found is None:
        return None
    plan, added = found
    arrays: list[Array | None] = [value.array for value in trace.values]
    values = [
        *trace.values,
        *(Value(v.spec, v.array if source is None else arrays[source], v.constant) for v, source in added),
    ]
    program: P = copy.copy(plan)
    program.values, program.errors = values, errors
    program.load()
    return program
