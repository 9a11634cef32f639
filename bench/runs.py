"""Complete training runs on real data, with the final accuracy: ``python -m bench.runs [FOLDER]``.

An epoch of Fashion-MNIST, and the training of `chainrule train` on the digits. All contenders start from the same
weights and use the same order of rows and the same learning rates, except scikit-learn, which shuffles on its own and
keeps the first epoch's rate.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from bench import machine, problems, report
from bench.cases import RUNS, Case
from bench.contenders import WorkerProcess, contenders
from bench.results import Row
from bench.run import PYTHONS_VARIABLE, as_json, measure, print_head, show_progress, start_all

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
INSTALL_HINT = "apt install dataset-fashion-mnist"
FRAMEWORKS = ("chainrule", "torch", "jax", "sklearn")
FASHION_RATE = 0.01  # as accurate after an epoch as 0.05, and rounding differences do not yet diverge


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.runs", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FASHION_MNIST, help=f"Fashion-MNIST ({FASHION_MNIST})")
    parser.add_argument("--threads", type=int, default=1, help="threads of every contender (1)")
    parser.add_argument("--only", action="append", default=[], metavar="CONTENDER", help="exclude all others")
    parser.add_argument(
        "--python",
        action="append",
        default=os.environ.get(PYTHONS_VARIABLE, "").split(os.pathsep),
        help=f"another interpreter, for frameworks that this one does not have; also ${PYTHONS_VARIABLE}",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds per run (3)")
    parser.add_argument(
        "--best", action="store_true", help="compare minima instead of medians: for a machine under load"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to FILE")
    options = parser.parse_args(argv)
    options.python = [sys.executable, *dict.fromkeys(filter(None, options.python))]
    options.only = options.only or list(FRAMEWORKS)
    options.seconds, options.quick = 0.0, False  # one training per round
    return options


def run_data(case: Case, folder: Path) -> problems.Inputs:
    """Rows, initial weights, row orders and rates of a run, as in chainrule; FileNotFoundError without files."""
    import chainrule as cr
    from chainrule.cli import task as training
    from chainrule.random import Generator

    p = case.params
    if case.name == "run digits":
        problem = training.digits_problem(holdout=0.2, seed=problems.SEED)
        rate = problem.defaults.lr
    else:
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder; to install the data: {INSTALL_HINT}")
        problem, rate = training.idx_problem(folder), FASHION_RATE
    options = training.Options(hidden=p["widths"][1:-1], epochs=p["epochs"], batch_size=p["batch"], lr=rate)
    (x, targets), (x_test, targets_test) = problem.train, problem.held_out
    with cr.no_grad():  # preprocessing is fitted, not trained: all contenders get preprocessed rows
        x, x_test = (cr.nn.Sequential(*problem.front)(cr.tensor(rows, np.float32)).numpy() for rows in (x, x_test))
    epochs = range(p["epochs"])
    return {
        "x": np.asarray(x, np.float32),
        "targets": np.asarray(targets, np.int64),
        "x_test": np.asarray(x_test, np.float32),
        "targets_test": targets_test,
        "parameters": [parameter.numpy() for parameter in training.build_model(problem, options).parameters()],
        "orders": np.stack([Generator(problems.SEED, problems.ORDER_STREAM + e).permutation(len(x)) for e in epochs]),
        "rates": [rate * (p["epochs"] - epoch) / p["epochs"] for epoch in epochs],
    }


def accuracies(row: Row, workers: list[WorkerProcess]) -> dict[str, float]:
    """The accuracies of the trained nets of this row on the test rows."""
    timed = [worker for worker in workers if row.seconds(worker.contender.name)]
    return {worker.contender.name: worker.request({"do": "accuracy"})["accuracy"] for worker in timed}


def table(row: Row, accuracy_by_name: dict[str, float], data: problems.Inputs) -> str:
    p = row.case.params
    title = (
        f"{row.case.name}: {'-'.join(map(str, p['widths']))}, {len(data['x'])} rows, batch {p['batch']}, "
        f"{p['epochs']} epoch(s); seconds; their time over ours; accuracy on {len(data['x_test'])} other rows"
    )
    lines = []
    for name, accuracy in accuracy_by_name.items():
        seconds, spread, ratio = row.seconds(name) or 0.0, row.timings[name].spread or 0.0, row.ratio(name)
        lines.append(
            [name, f"{seconds:.4g} +-{50 * spread:.0f}%", f"{ratio:.2f}" if ratio else "-", f"{100 * accuracy:.2f} %"]
        )
    return "\n".join([title, report.aligned(lines)] if lines else [title])


def main(argv: list[str] | None = None) -> int:
    """Run the trainings; 2 for a bad argument, 1 if an answer was wrong, else 0."""
    options = arguments(argv)
    try:
        selected = contenders(options.threads, [], [], [], options.only)
    except ValueError as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 2
    about = machine.describe()
    rows: list[Row] = []
    extra: dict[str, Any] = {"accuracy": {}}
    with ExitStack() as stack:
        workers, missing = start_all(selected, options.python, stack)
        print_head(about, workers, missing)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for case in RUNS:
            try:
                data = run_data(case, options.folder)
            except FileNotFoundError as reason:
                print(f"\n{case.name}: {reason}")
                continue
            file = folder / "data.npz"
            problems.save(file, data)
            show_progress(case.name)
            row = measure(case, workers, options, str(file))
            extra["accuracy"][case.name] = accuracies(row, workers)
            rows.append(row)
            show_progress("")
            print(f"\n{table(row, extra['accuracy'][case.name], data)}", flush=True)
        for text in (report.notes(rows), report.losses(rows, [worker.contender for worker in workers])):
            if text:
                print(f"\n{text}")
    if options.json:
        results = as_json(about, workers, missing, rows) | extra
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return int(any(timing.wrong for row in rows for timing in row.timings.values()))


if __name__ == "__main__":
    raise SystemExit(main())
