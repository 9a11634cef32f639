"""Contenders (a framework with its environment and thread count) and the worker processes that run them."""

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
# On some AMD processors OpenBLAS does not select its fastest kernels (Haswell on Zen 5, SkylakeX on Zen 4).
OPENBLAS_CORES = ("SkylakeX", "Haswell")
MATRIX_GROUPS = ("matmul", "forward", "gradient", "eager", "step")
# Peers run with more threads only where these can help: in these groups, in cases of at least so many operations.
THREADED_GROUPS = ("matmul", "epoch", "step", "predict")
THREADED_FLOPS = 5e6


@dataclass(frozen=True)
class Contender:
    """A column of the tables. It runs the cases of `groups` (empty: all) with at least `min_flops` operations."""

    name: str
    framework: str
    threads: int
    environment: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    min_flops: float = 0.0

    @property
    def is_ours(self) -> bool:
        return self.framework == OURS

    def takes_part(self, case: Case) -> bool:
        return (not self.groups or case.group in self.groups) and case.flops >= self.min_flops


def contenders(
    threads: int, isas: list[str], own_threads: list[int], all_threads: list[int], only: list[str]
) -> list[Contender]:
    """All contenders, ours first: with the best ISA, with forced ISAs, with other thread counts; then the peers."""
    peers = [framework for framework in RUNNERS if framework != OURS]
    found = [Contender(OURS, OURS, threads)]
    found += [Contender(f"{OURS}-{isa}", OURS, threads, {"CHAINRULE_ISA": isa}) for isa in isas]
    found += [Contender(f"{OURS}{_suffix(n)}", OURS, n) for n in dict.fromkeys(own_threads + all_threads)]
    found += [Contender(framework, framework, threads) for framework in peers]
    found += [
        Contender(f"{framework}{_suffix(n)}", framework, n, groups=THREADED_GROUPS, min_flops=THREADED_FLOPS)
        for n in all_threads
        for framework in peers
        if framework != "sklearn"  # only NumPy's BLAS uses threads there
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


def baseline_of(contender: str) -> str:
    """The contender to compare with: ours, with the same number of threads if the name states one."""
    name, dash, last = contender.rpartition("-")
    return f"{OURS}-{last}" if dash and last.endswith("threads") and name != OURS else OURS


class WorkerError(Exception):
    """The process of a contender cannot start or has died."""


class WorkerProcess:
    """The process of one contender, stopped between requests, so that no idle thread pool spins."""

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
            greeting = self._read()
        except BaseException:
            self.close()
            raise
        if "missing" in greeting:
            self.close()
            raise WorkerError(greeting["missing"])
        self.version: str = greeting["version"]
        self._signal("SIGSTOP")

    def request(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send one request and wait for the reply; WorkerError if the process dies."""
        assert self.process.stdin is not None
        self._signal("SIGCONT")
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
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
            errors = self.process.stderr.read().strip().splitlines()
            raise WorkerError(errors[-1] if errors else f"{self.contender.name} has ended")
        reply: dict[str, Any] = json.loads(line)
        return reply

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
    """The CPUs to which a worker is pinned: the last `threads` of this process's affinity mask."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))[-threads:]


def start(contender: Contender, pythons: list[str]) -> WorkerProcess:
    """Start a contender in the first Python with its framework; WorkerError with the first failure if none has it."""
    reasons = []
    for python in pythons:
        try:
            return WorkerProcess(contender, python)
        except (WorkerError, OSError) as failure:
            reasons.append(str(failure))
    raise WorkerError(reasons[0])
