"""The command line: select cases, start a process per contender, check every answer, time in rounds, report."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import goals, machine, report
from bench.cases import CASES, DEFAULT_GROUPS, GROUPS, Case, select
from bench.contenders import OURS, Contender, WorkerError, WorkerProcess, contenders, start
from bench.results import Row, Timing, lost

PEAK_SECONDS = 2e-3
IDLE_LOAD = 0.5
PYTHONS_VARIABLE = "CHAINRULE_BENCH_PYTHON"


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    patterns = f"a group ({', '.join(GROUPS)}), part of a name, or all; default: {', '.join(DEFAULT_GROUPS)}"
    parser.add_argument("cases", nargs="*", metavar="CASE", help=patterns)
    parser.add_argument("--quick", action="store_true", help="fewer, shorter rounds, no heavy cases, no torch.compile")
    parser.add_argument("--threads", type=int, default=1, help="threads of every contender (1)")
    parser.add_argument("--isa", action="append", default=[], help="also time chainrule with this instruction set")
    parser.add_argument(
        "--own-threads", type=int, action="append", default=[], help="also time chainrule with N threads"
    )
    parser.add_argument(
        "--all-threads", type=int, action="append", default=[], help="also time all with N threads, in large cases"
    )
    parser.add_argument("--only", action="append", default=[], metavar="CONTENDER", help="exclude all others")
    parser.add_argument(
        "--python",
        action="append",
        default=os.environ.get(PYTHONS_VARIABLE, "").split(os.pathsep),
        help=f"another interpreter, for frameworks that this one does not have; also ${PYTHONS_VARIABLE}",
    )
    parser.add_argument(
        "--best", action="store_true", help="compare minima instead of medians: for a machine under load"
    )
    parser.add_argument("--rounds", type=int, help="rounds per case (5; quick: 3)")
    parser.add_argument("--seconds", type=float, help="time per contender and round (0.02; quick: 0.005)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to FILE")
    parser.add_argument("--goals", action="store_true", help="compare the results with the goals")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and exit")
    options = parser.parse_args(argv)
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.seconds = options.seconds or (0.005 if options.quick else 0.02)
    options.python = [sys.executable, *dict.fromkeys(filter(None, options.python))]
    return options


def start_all(
    selected: list[Contender], pythons: list[str], stack: ExitStack
) -> tuple[list[WorkerProcess], dict[str, str]]:
    """The processes of the installed contenders, and the reasons why others are missing."""
    workers, missing = [], {}
    for contender in selected:
        try:
            worker = start(contender, pythons)
        except WorkerError as reason:
            missing[contender.name] = str(reason)
        else:
            stack.callback(worker.close)
            workers.append(worker)
    return workers, missing


def measure(case: Case, workers: list[WorkerProcess], options: argparse.Namespace, file: str | None = None) -> Row:
    """Check every contender's answer, then time the correct ones in rounds; `file` has the data of a training run."""
    row = Row(case, options.best)
    ready: list[WorkerProcess] = []
    for worker in workers:
        if not worker.contender.takes_part(case):
            continue
        timing = row.timings[worker.contender.name] = prepare(case, worker, not options.quick, file)
        if timing.error is not None and not timing.note:
            ready.append(worker)
    samples: dict[str, list[float]] = {worker.contender.name: [] for worker in ready}
    peaks: dict[str, list[float]] = {worker.contender.name: [] for worker in ready}
    for _ in range(options.rounds):
        for worker in ready:
            name = worker.contender.name
            if worker.contender.is_ours and case.flops:
                peak = worker.request({"do": "peak", "seconds": PEAK_SECONDS})["gflops"]
                peaks[name] += [peak * worker.contender.threads] if peak else []
            samples[name] += worker.request({"do": "time", "seconds": options.seconds})["samples"]
    for name, times in samples.items():
        row.timings[name] = row.timings[name].measured(times, peaks[name])
    return row


def prepare(case: Case, worker: WorkerProcess, thorough: bool, file: str | None = None) -> Timing:
    """The error of the answer and the variant that is timed, or a note with the reason why none is timed."""
    reply = worker.request({"do": "prepare", "name": case.name, "thorough": thorough, "file": file})
    if "skip" in reply:
        return Timing(note=reply["skip"], failed=reply["failed"])
    return Timing(error=reply["error"], variant=reply["variant"], failed_variants=reply["failed_variants"])


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks; 2 for a bad argument, 1 if an answer was wrong, else 0."""
    options = arguments(argv)
    try:
        cases = select(options.cases, options.quick)
        selected = contenders(options.threads, options.isa, options.own_threads, options.all_threads, options.only)
    except ValueError as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(case.name for case in (cases if options.cases else CASES)))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds the stack below, which kills the stopped workers
    about = machine.describe()
    rows: list[Row] = []
    with ExitStack() as stack:
        workers, missing = start_all(selected, options.python, stack)
        present = [worker.contender for worker in workers]
        print_head(about, workers, missing)
        for group in dict.fromkeys(case.group for case in cases):
            group_rows = measure_all([case for case in cases if case.group == group], workers, options)
            rows += group_rows
            print(f"\n{report.table(group_rows, present)}", flush=True)
    for text in (report.notes(rows), report.losses(rows, present), goals.report(rows) if options.goals else ""):
        if text:
            print(f"\n{text}")
    if options.json:
        options.json.write_text(json.dumps(as_json(about, workers, missing, rows), indent=1) + "\n", encoding="utf-8")
    return int(any(timing.wrong for row in rows for timing in row.timings.values()))


def measure_all(cases: list[Case], workers: list[WorkerProcess], options: argparse.Namespace) -> list[Row]:
    rows = []
    for case in cases:
        show_progress(case.name)
        rows.append(measure(case, workers, options))
    show_progress("")
    return rows


def show_progress(text: str) -> None:
    """Show the case that is being measured, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def print_head(about: dict[str, Any], workers: list[WorkerProcess], missing: dict[str, str]) -> None:
    load = about["load"] or 0.0
    print(f"{about['processor']}, {about['usable_cpus']} of {about['cpus']} CPUs, load {load:.2f}")
    if load > IDLE_LOAD:
        print("  the machine is under load: compare with --best; multi-threaded results are unreliable")
    for worker in workers:
        print(f"  {worker.contender.name}: {worker.version}, {worker.contender.threads} thread(s)")
    for name, reason in missing.items():
        print(f"  {name}: not here ({reason})")


def as_json(
    about: dict[str, Any], workers: list[WorkerProcess], missing: dict[str, str], rows: list[Row]
) -> dict[str, Any]:
    """All results, with the machine and the versions."""
    peers = [worker.contender.name for worker in workers if not worker.contender.is_ours]
    return {
        "machine": about,
        "contenders": {w.contender.name: {**asdict(w.contender), "version": w.version} for w in workers},
        "missing": missing,
        "ours": OURS,
        "rows": [row.as_json() for row in rows],
        "lost": [{"case": case, "peer": peer, "ratio": ratio} for case, peer, ratio in lost(rows, peers)],
    }
