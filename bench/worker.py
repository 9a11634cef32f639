"""A process of one framework: ``python -m bench.worker FRAMEWORK --threads N --cpus 0,1``.

It reads one JSON request a line on stdin and answers one JSON line on stdout:

    {"do": "prepare", "name": NAME}          -> {"error": largest error}  or {"skip": why, "failed": bool}
    {"do": "time", "seconds": S}             -> {"samples": [seconds of one call, ...]}
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
from typing import Any, TextIO

from bench.runners import RUNNERS

SAMPLE_SECONDS = 0.5e-3  # long against the clock, short against a time slice of the scheduler
MOST_CALLS = 200  # in one sample of a call that is reset: velocities must stay above the subnormals


@contextlib.contextmanager
def private_stdout() -> Iterator[TextIO]:
    """Our answers on the real stdout; whatever a library prints goes to stderr."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        yield answers


class Worker:
    """The runner, and the case it has prepared last."""

    def __init__(self, runner: Any) -> None:
        self.runner = runner
        self.call: Any = None
        self.timer: timeit.Timer | None = None
        self.number = 1

    def prepare(self, name: str) -> dict[str, Any]:
        """Build the case, compare its answer with the truth, find out how many calls make a sample."""
        from bench import problems
        from bench.cases import BY_NAME
        from bench.runners.base import NotOfferedError

        case = BY_NAME[name]
        self.call = self.timer = None
        data = problems.inputs(case)
        try:
            self.call = self.runner.prepare(case, data)
            with self.call.context():
                self.call()
                error = problems.error(case, self.call.answer(), problems.truth(case, data))
        except NotOfferedError as reason:
            return {"skip": str(reason), "failed": False}
        except Exception as failure:
            return {"skip": f"{type(failure).__name__}: {failure}".splitlines()[0], "failed": True}
        self.timer = self._timer()
        with self.call.context():
            self.number = self._calibrate()
        return {"error": error}

    def _timer(self) -> timeit.Timer:
        """The call spelled out as a statement, so that nothing but the call is inside the loop."""
        names = {f"a{i}": value for i, value in enumerate(self.call.args)}
        keywords = {f"k_{key}": value for key, value in self.call.kwargs.items()}
        arguments = [*names, *(f"{key}=k_{key}" for key in self.call.kwargs)]
        scope = {"function": self.call.function, **names, **keywords}
        return timeit.Timer(f"function({', '.join(arguments)})", globals=scope)

    def _sample(self, number: int) -> float:
        assert self.timer is not None
        if self.call.reset is not None:
            self.call.reset()
        return self.timer.timeit(number) / number

    def _calibrate(self) -> int:
        number, most = 1, MOST_CALLS if self.call.reset else 1_000_000
        self._sample(1)
        while (each := self._sample(number)) * number < SAMPLE_SECONDS and number < most:
            number = min(most, max(2 * number, int(SAMPLE_SECONDS / max(each, 1e-9))))
        return number

    def time(self, seconds: float) -> dict[str, Any]:
        """Samples for about `seconds`, at least one, after a warm-up of up to a tenth of that."""
        samples: list[float] = []
        with self.call.context():
            spent = 0.0
            while spent < 0.1 * seconds:
                spent += self._sample(self.number) * self.number
            spent = 0.0
            while not samples or spent < seconds:
                samples.append(self._sample(self.number))
                spent += samples[-1] * self.number
        return {"samples": samples}

    def peak(self, seconds: float) -> dict[str, Any]:
        return {"gflops": self.runner.peak(seconds)}


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
