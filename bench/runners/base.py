"""What the worker needs from a runner: `Call`, and `Runner` with one method per kind of case."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from bench.cases import Case
from bench.problems import Array, Inputs


class NotOfferedError(Exception):
    """This framework has no fair form of the case; the text says why."""


@dataclass
class Call:
    """One timed call, `function(*args, **kwargs)`.

    After one call `answer` gives the arrays to compare with the truth. `reset` goes before every timed sample, for
    calls that change their own inputs (training steps must neither converge nor decay into subnormals while they are
    timed). `context` is entered around checking and timing. A call that makes many steps says how many: figures are of
    one. `trained` gives the parameters that a run has ended with.
    """

    function: Callable[..., object]
    args: tuple[object, ...] = ()
    kwargs: dict[str, object] = field(default_factory=dict)
    _: KW_ONLY
    answer: Callable[[], list[Array]]
    reset: Callable[[], None] | None = None
    context: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext
    steps: int = 1
    trained: Callable[[], list[Array]] | None = None

    def __call__(self) -> object:
        return self.function(*self.args, **self.kwargs)


# Ways in which a framework can do the same thing, by name; each is built and checked, the fastest is timed.
Forms = dict[str, Callable[[], Call]]


class Runner:
    """A framework. A subclass names its module and defines a method per kind of case: (case, data) -> Call or Forms.

    `thorough` is False where forms that take long to build (compilers) are to be left out.
    """

    module = ""

    def __init__(self, threads: int) -> None:
        self.lib: Any = importlib.import_module(self.module)
        self.threads = threads
        self.thorough = True

    def version(self) -> str:
        return str(self.lib.__version__)

    def prepare(self, case: Case, data: Inputs) -> Forms:
        method = getattr(self, case.kind, None)
        if method is None:
            raise NotOfferedError(f"no {case.kind}")
        found: Call | Forms = method(case, data)
        return found if isinstance(found, dict) else {"": lambda: found}

    def peak(self, seconds: float) -> float | None:
        """GFLOP/s of one core in a register-only FMA loop on the instruction set in use; None where unknown."""
        return None
