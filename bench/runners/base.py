"""The interface between worker and runners: `Call`, and `Runner` with one method per kind of case."""

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
    """The framework does not support the case, or not with comparable work; the message is the reason."""


@dataclass
class Call:
    """One timed call, `function(*args, **kwargs)`.

    After one call `answer` returns the arrays to compare with the expected answer. `reset` runs before every timed
    sample, for calls that change their own inputs (training steps must neither converge nor decay into subnormals while
    they are timed). `context` is entered around checking and timing. `steps` is the number of training steps of the
    call; results are per step. `trained` returns the final parameters of a training run.
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


# Alternative implementations of a case in one framework, by name; each is built and checked, the fastest is timed.
Variants = dict[str, Callable[[], Call]]


class Runner:
    """A framework. A subclass names its module and defines a method per kind of case: (case, data) -> Call or Variants.

    `thorough` is False to exclude variants that take long to build (compilers).
    """

    module = ""

    def __init__(self, threads: int) -> None:
        self.lib: Any = importlib.import_module(self.module)
        self.threads = threads
        self.thorough = True

    def version(self) -> str:
        return str(self.lib.__version__)

    def prepare(self, case: Case, data: Inputs) -> Variants:
        method = getattr(self, case.kind, None)
        if method is None:
            raise NotOfferedError(f"no {case.kind}")
        found: Call | Variants = method(case, data)
        return found if isinstance(found, dict) else {"": lambda: found}

    def peak(self, seconds: float) -> float | None:
        """GFLOP/s of one core in a register-only FMA loop with the active instruction set; None if unknown."""
        return None
