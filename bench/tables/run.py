"""Run what is missing of tables, splits and contenders, keep it in a JSON file, and print the comparison."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from bench.tables.contenders import CONTENDERS

Results = dict[str, dict[str, dict[str, Any]]]  # table, contender, split: scores


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description=__doc__)
    parser.add_argument("folder", help="tables as CSV files, with tables.json")
    parser.add_argument("--tables", nargs="+", metavar="NAME", help="default: all of tables.json")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, metavar="NAME", help=", ".join(CONTENDERS))
    parser.add_argument("--splits", type=int, default=5, help="number of splits of each table (default: 5)")
    parser.add_argument("--results", metavar="FILE", help="JSON file: what is in it is not run again")
    parser.add_argument("--again", nargs="+", choices=CONTENDERS, default=[], metavar="NAME", help="run these again")
    options = parser.parse_args(argv)
    with open(os.path.join(options.folder, "tables.json"), encoding="utf-8") as file:
        described: dict[str, Any] = json.load(file)
    tables = options.tables or sorted(described, key=lambda name: described[name][2])
    unknown = [name for name in tables if name not in described]
    if unknown:
        parser.error(f"--tables: no table {', '.join(unknown)} in tables.json; it has {', '.join(described)}")
    contenders = options.contenders or [name for name, row in CONTENDERS.items() if row.by_default]
    results = _read(options.results)
    for table in tables:
        for contender in contenders:
            if contender in options.again:
                results.get(table, {}).pop(contender, None)
            _run(options, table, contender, results)
    from bench.tables.report import print_report

    print_report({name: described[name][1] for name in tables}, contenders, results, options.splits)
    return 0


def _read(path: str | None) -> Results:
    if path is None or not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        found: Results = json.load(file)
    return found


def _run(options: Any, table: str, contender: str, results: Results) -> None:
    """Run the splits that are not in the results yet; each is kept as soon as it is done."""
    done = results.setdefault(table, {}).setdefault(contender, {})
    missing = [str(i) for i in range(options.splits) if str(i) not in done]
    if not missing:
        return
    print(f"{table}: {contender} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "bench.tables.worker", options.folder, table, contender, ",".join(missing)]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **one}, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if not line.startswith("{"):
            continue  # what a peer prints
        scores = json.loads(line)
        done[str(scores.pop("split"))] = scores
        if options.results is not None:
            with open(options.results + ".new", "w", encoding="utf-8") as file:
                json.dump(results, file, indent=1)
            os.replace(options.results + ".new", options.results)
    if process.wait():
        print(f"{table}: {contender} failed with exit code {process.returncode}", file=sys.stderr)
