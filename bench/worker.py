"""A process of one framework: ``python -m bench.worker FRAMEWORK --threads N --cpus 0,1``.

It reads one JSON request a line on stdin and answers one JSON line on stdout:

    {"do": "prepare", "name": NAME}          -> {"error": largest error, "form": the fastest, "left_out": {form: why}}
                                                or {"skip": why, "failed": bool}
    {"do": "time", "seconds": S}             -> {"samples": [seconds of one step, ...]}
    {"do": "accuracy"}                       -> {"accuracy": share}  of a training run
    {"do": "peak", "seconds": S}             -> {"gflops": rate of one core, or null}

The first line it writes is {"version": ...} or {"missing": why}.
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

SAMPLE_SECONDS = 0.5e-3  # long against the clock, short against a time slice of the scheduler
MOST_STEPS = 200  # in one sample of a call that is reset: velocities must stay above the subnormals
CHOICE_SECONDS = 2e-3  # of a turn when a form is chosen


class WrongAnswerError(Exception):
    """An answer that is too far from the truth."""


@contextlib.contextmanager
def private_stdout() -> Iterator[TextIO]:
    """Our answers on the real stdout; whatever a library prints goes to stderr."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        yield answers


class Timed:
    """A call that gave the right answer, and how many of it make a sample."""

    def __init__(self, call: Call, form: str, error: float) -> None:
        self.call, self.form, self.error = call, form, error
        # The call spelled out as a statement, so that nothing but the call is inside the loop.
        names = {f"a{i}": value for i, value in enumerate(call.args)}
        keywords = {f"k_{key}": value for key, value in call.kwargs.items()}
        arguments = [*names, *(f"{key}=k_{key}" for key in call.kwargs)]
        scope = {"function": call.function, **names, **keywords}
        self.timer = timeit.Timer(f"function({', '.join(arguments)})", globals=scope)
        with call.context():
            self.number = self._calibrate()

    def _sample(self, number: int) -> float:
        """Seconds that `number` calls take."""
        if self.call.reset is not None:
            self.call.reset()
        return self.timer.timeit(number)

    def _calibrate(self) -> int:
        number, most = 1, max(1, MOST_STEPS // self.call.steps) if self.call.reset else 1_000_000
        self._sample(1)
        while number < most and (taken := self._sample(number)) < SAMPLE_SECONDS:
            number = min(most, max(2 * number, int(number * SAMPLE_SECONDS / max(taken, 1e-9))))
        return number

    def samples(self, seconds: float) -> list[float]:
        """Seconds of one step, for about `seconds`, at least one, after a warm-up of up to a tenth of that.

        A call of many steps needs no warm-up.
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
    """The runner, and the case it has prepared last."""

    def __init__(self, runner: Any) -> None:
        self.runner = runner
        self.case: Any = None
        self.data: dict[str, Any] = {}
        self.timed: Timed | None = None

    def prepare(self, name: str, thorough: bool = True, file: str | None = None) -> dict[str, Any]:
        """Build the case in every form, compare the answers with the truth, choose the fastest form."""
        from bench import problems
        from bench.cases import BY_NAME
        from bench.runners.base import NotOfferedError

        self.timed, self.case = None, BY_NAME[name]
        self.runner.thorough = thorough
        left_out: dict[str, str] = {}
        try:
            self.data = problems.inputs(self.case) if file is None else problems.load(file)
            forms = self.runner.prepare(self.case, self.data)
            truth = problems.truth(self.case, self.data)
        except NotOfferedError as reason:
            return {"skip": str(reason), "failed": False}
        except Exception as failure:
            return {"skip": _text(failure), "failed": True}
        ready = []
        for form, build in forms.items():
            try:
                ready.append(self._checked(form, build(), truth))
            except Exception as failure:
                left_out[form] = _text(failure)
        if not ready:
            return {"skip": "; ".join(left_out.values()), "failed": True}
        self.timed = fastest(ready)
        return {"error": self.timed.error, "form": self.timed.form, "left_out": left_out}

    def _checked(self, form: str, call: Call, truth: list[Any]) -> Timed:
        from bench import problems

        with call.context():
            if call.reset is None:
                call()
            error = problems.error(self.case, call.answer(), truth)
        if not error <= problems.tolerance(self.case):
            raise WrongAnswerError(f"WRONG ANSWER, off by {error:.1e}")
        return Timed(call, form, error)

    def time(self, seconds: float) -> dict[str, Any]:
        assert self.timed is not None
        return {"samples": self.timed.samples(seconds)}

    def accuracy(self) -> dict[str, Any]:
        """The share of the rows held out on which the net, as the last call has left it, is right."""
        from bench import problems

        assert self.timed is not None
        assert self.timed.call.trained is not None
        return {"accuracy": problems.accuracy(self.case, self.timed.call.trained(), self.data)}

    def peak(self, seconds: float) -> dict[str, Any]:
        return {"gflops": self.runner.peak(seconds)}


def fastest(ready: list[Timed]) -> Timed:
    """The one with the best time in a few short turns."""
    if len(ready) == 1:
        return ready[0]
    best = [float("inf")] * len(ready)
    for _ in range(3):
        best = [min(known, *timed.samples(CHOICE_SECONDS)) for known, timed in zip(best, ready, strict=True)]
    return ready[best.index(min(best))]


def _text(failure: Exception) -> str:
    """The first line of an error, named unless it is a wrong answer."""
    name = "" if isinstance(failure, WrongAnswerError) else f"{type(failure).__name__}: "
    return f"{name}{failure}".splitlines()[0][:200]


def load(framework: str, threads: int) -> Any:
    """The runner of a framework; ImportError if it, or something it needs, is not installed."""
    _, name = RUNNERS[framework]
    return getattr(importlib.import_module(f"bench.runners.{framework}"), name)(threads)


def serve(framework: str, threads: int, answers: TextIO) -> None:
    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        runner = load(framework, threads)
    except Exception as failure:
        answer({"missing": f"{type(failure).__name__}: {failure}".splitlines()[0]})
        return
    answer({"version": runner.version()})
    worker = Worker(runner)
    for line in sys.stdin:
        request = json.loads(line)
        answer(getattr(worker, request.pop("do"))(**request))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("framework", choices=RUNNERS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpus", default="")
    options = parser.parse_args()
    if options.cpus and hasattr(os, "sched_setaffinity"):
        # Before any import of a framework: some size their thread pools by the CPUs they may use.
        os.sched_setaffinity(0, {int(cpu) for cpu in options.cpus.split(",")})
    with private_stdout() as answers:
        serve(options.framework, options.threads, answers)


if __name__ == "__main__":
    main()
