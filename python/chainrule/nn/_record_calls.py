"""Which call of a module made which tensors; noted only inside of `noting_calls`, for pictures and reports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .._tensor import sequence_numbers

__all__ = ["Call", "noted", "noting_calls"]


@dataclass(frozen=True, eq=False)
class Call:
    """One call: the tensors that it made are those with numbers from `first` up to `end`."""

    module: Any  # a Module, which stands above this file
    inputs: tuple[Any, ...]
    output: Any
    first: int
    end: int
    outermost: bool  # no other noted call is around it
    innermost: bool  # no other noted call is inside of it


class _Noted(threading.local):
    """The calls that were finished in this thread, or None: nobody asks."""

    calls: list[Call] | None = None
    depth = 0

    def call(self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run a module's forward and note the call."""
        calls = self.calls
        assert calls is not None
        before, first = len(calls), next(sequence_numbers)
        self.depth += 1
        try:
            output = module.forward(*inputs, **options)
        finally:
            self.depth -= 1
        calls.append(Call(module, inputs, output, first, next(sequence_numbers), self.depth == 0, len(calls) == before))
        return output


noted = _Noted()


@contextmanager
def noting_calls() -> Iterator[list[Call]]:
    """Note the calls of modules that this thread makes inside the block, in the order in which they end."""
    before = noted.calls, noted.depth
    calls: list[Call] = []
    noted.calls, noted.depth = calls, 0
    try:
        yield calls
    finally:
        noted.calls, noted.depth = before
