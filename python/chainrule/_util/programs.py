"""Programs of single ops, kept by what they were built for: the next call of the same kind finds its own."""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["PROGRAMS", "clear_programs", "keep_program"]

T = TypeVar("T")

PROGRAMS: dict[Any, Any] = {}
_PROGRAMS_MAX = 4096  # shapes that vary without end (ragged data) must not fill the memory


def keep_program(key: Any, program: T) -> T:
    """Keep a program for the next call with this key, and return it."""
    if len(PROGRAMS) >= _PROGRAMS_MAX:
        PROGRAMS.clear()
    PROGRAMS[key] = program
    return program


def clear_programs() -> None:
    """Forget all programs: they hold kernels of the ISA level that was active when they were built."""
    PROGRAMS.clear()
