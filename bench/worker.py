"""The worker process of one framework: ``python -m bench.worker FRAMEWORK --threads N --cpus 0,1``.

It reads JSON requests from stdin, one per line, and replies to each with a line of JSON on stdout:

    {"do": "prepare", "name": NAME} -> {"error": largest error, "variant": fastest, "failed_variants": {...: reason}}
                                       or {"skip": reason, "failed": bool}
    {"do": "time", "seconds": S}    -> {"samples": [seconds of one step, ...]}
    {"do": "accuracy"}              -> {"accuracy": fraction}  of a training run
    {"do": "peak", "seconds": S}    -> {"gflops": rate of one core, or null}

Its first line is {"version": ...} or {"missing": reason}.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
import timeit
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from bench.runners import RUNNERS

if TYPE_CHECKING:
    from bench.runners.base import Call

SAMPLE_SECONDS = 0.5e-3  # long compared with the clock's resolution, short compared with a scheduler time slice
MAX_STEPS = 200  # in one sample of a call with `reset`: velocities must stay above the subnormals
CHOICE_SECONDS = 2e-3  # of one round when the fastest variant is selected


class WrongAnswerError(Exception):
    """The error of an answer exceeds the tolerance."""


@contextlib.contextmanager
def private_stdout() -> Iterator[TextIO]:
    """The real stdout for replies; what libraries print to stdout goes to stderr."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)
        yield replies


class TimedCall:
    """A call whose answer was correct, and the number of calls per sample."""

    def __init__(self, call: Call, variant: str, error: float) -> None:
        self.call, self.variant, self.error = call, variant, error
        # The call is written out as a statement, so that the timed loop contains nothing else.
        names = {f"a{i}": value for i, value in enumerate(call.args)}
        keywords = {f"k_{key}": value for key, value in call.kwargs.items()}
        arguments = [*names, *(f"{key}=k_{key}" for key in call.kwargs)]
        scope = {"function": call.function, **names, **keywords}
        self.timer = timeit.Timer(f"function({', '.join(arguments)})", globals=scope)
        with call.context():
            self.number = self._calibrate()

    def _sample(self, number: int) -> float:
        """Seconds of `number` calls."""
        if self.call.reset is not None:
            self.call.reset()
        return self.timer.timeit(number)

    def _calibrate(self) -> int:
        number, limit = 1, max(1, MAX_STEPS // self.call.steps) if self.call.reset else 1_000_000
        self._sample(1)
        while number < limit and (taken := self._sample(number)) < SAMPLE_SECONDS:
            number = min(limit, max(2 * number, int(number * SAMPLE_SECONDS / max(taken, 1e-9))))
        return number

    def samples(self, seconds: float) -> list[float]:
        """Seconds per step in at least one sample, sampled for about `seconds` after a warm-up of a tenth of that.

        Calls of many steps need no warm-up.
        """
        samples: list[float] = []
        with self.call.context():
            spent = 0.0
            while self.call.steps == 1 and spent < 0.1 * seconds:
                spent += self._sample(self.number)
            spent = 0.0
            while not samples or spent < seconds:
                taken = self._sample(self.number)
                samples.append(taken / (self.number * self.call.steps))
                spent += taken
        return samples


class Worker:
    """The runner and the most recently prepared case."""

    def __init__(self, runner: Any) -> None:
        self.runner = runner
        self.case: Any = None
        self.data: dict[str, Any] = {}
        self.timed: TimedCall | None = None

    def prepare(self, name: str, thorough: bool = True, file: str | None = None) -> dict[str, Any]:
        """Build all variants of the case, check their answers, and select the fastest."""
        from bench import problems
        from bench.cases import BY_NAME
        from bench.runners.base import NotOfferedError

        self.timed, self.case = None, BY_NAME[name]
        self.runner.thorough = thorough
        failed_variants: dict[str, str] = {}
        try:
            self.data = problems.inputs(self.case) if file is None else problems.load(file)
            variants = self.runner.prepare(self.case, self.data)
            expected = problems.expected_answer(self.case, self.data)
        except NotOfferedError as reason:
            return {"skip": str(reason), "failed": False}
        except Exception as failure:
            return {"skip": _text(failure), "failed": True}
        ready = []
        for variant, build in variants.items():
            try:
                ready.append(self._check(variant, build(), expected))
            except Exception as failure:
                failed_variants[variant] = _text(failure)
        if not ready:
            return {"skip": "; ".join(failed_variants.values()), "failed": True}
        self.timed = fastest(ready)
        return {"error": self.timed.error, "variant": self.timed.variant, "failed_variants": failed_variants}

    def _check(self, variant: str, call: Call, expected: list[Any]) -> TimedCall:
        from bench import problems

        with call.context():
            if call.reset is None:
                call()
            error = problems.error(self.case, call.answer(), expected)
        if not error <= problems.tolerance(self.case):
            raise WrongAnswerError(f"WRONG ANSWER, off by {error:.1e}")
        return TimedCall(call, variant, error)

    def time(self, seconds: float) -> dict[str, Any]:
        assert self.timed is not None
        return {"samples": self.timed.samples(seconds)}

    def accuracy(self) -> dict[str, Any]:
        """The accuracy on the test rows of the net that the last call has trained."""
        from bench import problems

        assert self.timed is not None
        assert self.timed.call.trained is not None
        return {"accuracy": problems.accuracy(self.case, self.timed.call.trained(), self.data)}

    def peak(self, seconds: float) -> dict[str, Any]:
        return {"gflops": self.runner.peak(seconds)}


def fastest(ready: list[TimedCall]) -> TimedCall:
    """The one with the shortest sample in a few short rounds."""
    if len(ready) == 1:
        return ready[0]
    best = [float("inf")] * len(ready)
    for _ in range(3):
        best = [min(known, *timed.samples(CHOICE_SECONDS)) for known, timed in zip(best, ready, strict=True)]
    return ready[best.index(min(best))]


def _text(failure: Exception) -> str:
    """The first line of an error message, after the exception's name unless it is a wrong answer."""
    name = "" if isinstance(failure, WrongAnswerError) else f"{type(failure).__name__}: "
    return f"{name}{failure}".splitlines()[0][:200]


def load(framework: str, threads: int) -> Any:
    """The runner of a framework; ImportError if the framework or a dependency is not installed."""
    _, name = RUNNERS[framework]
    return getattr(importlib.import_module(f"bench.runners.{framework}"), name)(threads)


def serve(framework: str, threads: int, replies: TextIO) -> None:
    def reply(message: dict[str, Any]) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    try:
        runner = load(framework, threads)
    except Exception as failure:
        reply({"missing": f"{type(failure).__name__}: {failure}".splitlines()[0]})
        return
    reply({"version": runner.version()})
    worker = Worker(runner)
    for line in sys.stdin:
        request = json.loads(line)
        reply(getattr(worker, request.pop("do"))(**request))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("framework", choices=RUNNERS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpus", default="")
    options = parser.parse_args()
    if options.cpus and hasattr(os, "sched_setaffinity"):
        # Before any framework is imported: some size their thread pools by the affinity mask.
        os.sched_setaffinity(0, {int(cpu) for cpu in options.cpus.split(",")})
    with private_stdout() as replies:
        serve(options.framework, options.threads, replies)


if __name__ == "__main__":
    main()
