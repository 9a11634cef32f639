"""Faults to seed into the sources: each names quick tests that must then fail.

A fault whose place has changed must be seeded anew, not dropped.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """In `file`, `old`, which occurs `times` times, becomes `new`; `tests` have to fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    times: int = 1
