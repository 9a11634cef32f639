"""Who is timed and how: a framework, its environment and its threads; and the process that does the work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cases import Case
from bench.runners import RUNNERS

ROOT = Path(__file__).resolve().parent.parent
OURS = "chainrule"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# OpenBLAS does not choose the better of its kernels on every AMD processor (Haswell on Zen 5, SkylakeX on Zen 4).
OPENBLAS_CORES = ("SkylakeX", "Haswell")
MATRIX_GROUPS = ("matmul", "forward", "gradient", "eager", "step")
THREADED_GROUPS = ("matmul", "epoch", "step", "predict")  # where more threads can help,
THREADED_FLOPS = 5e6  # in cases of at least so many operations


@dataclass(frozen=True)
class Contender:
    """A column of the tables. It takes part in `groups` (empty: all), in cases of at least `least_flops`."""

    name: str
    framework: str
    threads: int
    environment: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    least_flops: float = 0.0

    @property
    def is_ours(self) -> bool:
        return self.framework == OURS

    def takes_part(self, case: Case) -> bool:
        return (not self.groups or case.group in self.groups) and case.flops >= self.least_flops


def contenders(
    threads: int, isas: list[str], own_threads: list[int], all_threads: list[int], only: list[str]
) -> list[Contender]:
    """All contenders, ours first: the best instruction set, then those forced, then other thread counts, then peers."""
    peers = [framework for framework in RUNNERS if framework != OURS]
    found = [Contender(OURS, OURS, threads)]
    found += [Contender(f"{OURS}-{isa}", OURS, threads, {"CHAINRULE_ISA": isa}) for isa in isas]
    found += [Contender(f"{OURS}{_suffix(n)}", OURS, n) for n in dict.fromkeys(own_threads + all_threads)]
    found += [Contender(framework, framework, threads) for framework in peers]
    found += [
        Contender(f"{framework}{_suffix(n)}", framework, n, groups=THREADED_GROUPS, least_flops=THREADED_FLOPS)
        for n in all_threads
        for framework in peers
        if framework != "sklearn"  # its threads are NumPy's
    ]
    found += [
        Contender(f"numpy-{core.lower()}", "numpy", threads, {"OPENBLAS_CORETYPE": core}, MATRIX_GROUPS)
        for core in OPENBLAS_CORES
    ]
    unknown = [name for name in only if name not in {c.name for c in found}]
    if unknown:
        raise ValueError(f"unknown contender {unknown[0]!r}; known: {', '.join(c.name for c in found)}")
    return [c for c in found if not only or c.name in only]


def _suffix(threads: int) -> str:
    return f"-{threads}threads"


def base_of(contender: str) -> str:
    """Whose time a contender's is compared with: ours, on as many threads where the name says how many."""
    name, dash, last = contender.rpartition("-")
    return f"{OURS}-{last}" if dash and last.endswith("threads") and name != OURS else OURS


class WorkerError(Exception):
    """The process of a contender is gone, or cannot do its work."""


class WorkerProcess:
    """The process of one contender. It is stopped when it is not its turn: no idle pool of threads may spin."""

    def __init__(self, contender: Contender, python: str) -> None:
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(contender.threads)) | contender.environment
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        command = [python, "-m", "bench.worker", contender.framework, "--threads", str(contender.threads)]
        command += ["--cpus", ",".join(map(str, cpus(contender.threads)))]
        self.contender = contender
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        try:
            first = self._read()
        except BaseException:
            self.close()
            raise
        if "missing" in first:
            self.close()
            raise WorkerError(first["missing"])
        self.version: str = first["version"]
        self._signal("SIGSTOP")

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request and wait for its answer; WorkerError if the process dies over it."""
        assert self.process.stdin is not None
        self._signal("SIGCONT")
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            return self._read()
        except BrokenPipeError:
            raise WorkerError(f"{self.contender.name} has ended") from None
        finally:
            self._signal("SIGSTOP")

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            self._signal("SIGCONT")
            said = self.process.stderr.read().strip().splitlines()
            raise WorkerError(said[-1] if said else f"{self.contender.name} has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _signal(self, name: str) -> None:
        number = getattr(signal, name, None)  # None where the system has no such signal
        if number is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def cpus(threads: int) -> list[int]:
    """The CPUs a worker is pinned to: the last `threads` of those this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))[-threads:]


def start(contender: Contender, pythons: list[str]) -> WorkerProcess:
    """Start a contender in the first Python that has its framework; WorkerError, with the first reason, if none has."""
    reasons = []
    for python in pythons:
        try:
            return WorkerProcess(contender, python)
        except (WorkerError, OSError) as failure:
            reasons.append(str(failure))
    raise WorkerError(reasons[0])
