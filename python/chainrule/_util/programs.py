"""Cache of single-op programs, keyed by op, attributes, shapes and dtypes."""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["PROGRAMS", "cache_program", "clear_programs"]

T = TypeVar("T")

PROGRAMS: dict[Any, Any] = {}
_PROGRAMS_MAX = 4096  # bounds memory when shapes keep changing, as with ragged data


def cache_program(key: Any, program: T) -> T:
    """Store a program under its key and return it."""
    if len(PROGRAMS) >= _PROGRAMS_MAX:
        PROGRAMS.clear()
    PROGRAMS[key] = program
    return program


def clear_programs() -> None:
    """Empty the cache: programs hold kernels of the ISA level that was active when they were built."""
    PROGRAMS.clear()
