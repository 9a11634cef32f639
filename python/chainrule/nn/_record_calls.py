"""Recording of module calls and the tensors that they create: for drawings and reports, only on request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._tensor import sequence_numbers

__all__ = ["Call", "call_recorder", "record_module_calls"]


class Call:
    """One call: it created the tensors with numbers from `first` up to, but not including, `end`.

    `module` is a Module, which is defined above this file; `outermost`: not inside another recorded call; `innermost`:
    has no recorded call inside.
    """

    __slots__ = ("end", "first", "innermost", "inputs", "module", "outermost", "output")

    def __init__(
        self,
        module: Any,
        inputs: tuple[Any, ...],
        output: Any,
        first: int,
        end: int,
        outermost: bool,
        innermost: bool,
    ) -> None:
        self.module, self.inputs, self.output = module, inputs, output
        self.first, self.end, self.outermost, self.innermost = first, end, outermost, innermost


class _CallRecorder(threading.local):
    """The finished calls of this thread, or None while calls are not recorded."""

    calls: list[Call] | None = None
    depth = 0

    def run(self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run a module's forward; record the call if calls are recorded."""
        return module.forward(*inputs, **options) if self.calls is None else self.call(module, inputs, options)

    def call(self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run a module's forward and record the call."""
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


call_recorder = _CallRecorder()


@contextmanager
def record_module_calls() -> Iterator[list[Call]]:
    """Record the module calls of this thread inside the block, in the order in which they end."""
    before = call_recorder.calls, call_recorder.depth
    calls: list[Call] = []
    call_recorder.calls, call_recorder.depth = calls, 0
    try:
        yield calls
    finally:
        call_recorder.calls, call_recorder.depth = before
