"""``python -m bench.sklearn_mlp``: the drop-ins beside scikit-learn's MLP, with the same parameters on the same rows.

Fits are interleaved, in float64 and float32; both estimators run the same number of epochs (`tol=0`). Printed are
medians and the spread (slowest / fastest), the ratios with their goals, the last loss and the held-out score of both.
Below a fit that misses its goal stands the bound: the ratio if matrix products ran at the FMA peak measured then, and
everything else took no time. Seconds are those of the CPU on one thread, which other work changes little.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

Options = dict[str, Any]
SAME, MIXED, ONE_ROW, ALL_ROWS = 3.0, 6.0, 20.0, 1.0  # how many times faster


@dataclass(frozen=True)
class Case:
    """Parameters of both estimators on a data set; `epochs` is `max_iter`."""

    data: str
    epochs: int
    options: Options = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The data set and what differs from the defaults."""
        shown = {key: value for key, value in self.options.items() if key != "solver"}
        words = [f"{_SHORT.get(key, key)}={value}".replace(" ", "") for key, value in shown.items()]
        return " ".join([self.data, self.options.get("solver", "adam"), *words])


_SHORT = {"hidden_layer_sizes": "hidden", "batch_size": "batch"}
CASES = (
    Case("digits", 100),
    Case("digits", 100, {"solver": "sgd", "learning_rate_init": 0.05}),
    Case("digits", 60, {"solver": "lbfgs"}),
    Case("digits", 30, {"batch_size": 32}),
    Case("digits", 50, {"hidden_layer_sizes": (50, 50), "activation": "tanh"}),
    Case("digits", 30, {"hidden_layer_sizes": (256, 128)}),
    Case("breast_cancer", 200),
    Case("breast_cancer", 200, {"solver": "sgd", "learning_rate_init": 0.05}),
    Case("breast_cancer", 100, {"solver": "lbfgs"}),
    Case("breast_cancer", 100, {"hidden_layer_sizes": (20,), "batch_size": 16, "activation": "logistic"}),
    Case("diabetes", 200),
    Case("diabetes", 200, {"solver": "sgd", "learning_rate_init": 0.01}),
    Case("diabetes", 200, {"solver": "lbfgs"}),
    Case("50000x54", 3),
    Case("50000x54", 3, {"solver": "sgd", "learning_rate_init": 0.05}),
    Case("50000x54", 5, {"solver": "lbfgs"}),
)


def main(argv: list[str] | None = None) -> int:
    """The command: 0 if every goal is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench.sklearn_mlp", description=__doc__)
    parser.add_argument("words", nargs="*", help="run the cases whose names contain all of these words, as: digits sgd")
    parser.add_argument("--repeats", type=int, default=5, help="fits of each estimator (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="threads of both (default: 1)")
    options = parser.parse_args(argv)
    cases = [case for case in CASES if all(word in case.name.split() for word in options.words)]
    if not cases:
        parser.error(f"no case has the words {' '.join(options.words)}; there are: {'; '.join(c.name for c in CASES)}")
    if "numpy" not in sys.modules:  # libraries read these once
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(options.threads)
    from bench.machine import describe

    machine = describe()
    print(f"{machine['processor']}, {options.threads} threads, load {machine['load']:.1f}, {machine['commit']}")
    print(_HEAD)
    lost = 0
    for case in cases:
        row, missed = measure(case, options.repeats, time.process_time if options.threads == 1 else time.perf_counter)
        print(row, flush=True)
        lost += missed
    print(f"goals: fit {SAME:g} times faster at the same dtype, {MIXED:g} in float32 against their float64,")
    print(f"one row predicted {ONE_ROW:g} times faster, all rows {ALL_ROWS:g}; {lost} LOST (marked *)")
    return int(lost > 0)


_FITS = (("float64", "float64", SAME), ("float32", "float32", SAME), ("float64", "float32", MIXED))  # theirs, ours
_COLUMNS = ("their ms", "f64", "f32", "f32/f64", "1 row", "all rows")
_HEAD = (
    f"{'case':52s}" + "".join(f"{name:>10s}" for name in _COLUMNS) + "  spread   loss ours/theirs   score ours/theirs"
)


def data_of(name: str) -> tuple[Any, Any, bool]:
    """Rows, target, whether it is classes; the columns scaled."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    if name == "50000x54":
        X, y = datasets.make_classification(
            50_000, 54, n_informative=20, n_classes=7, n_clusters_per_class=3, random_state=0
        )
    else:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    classes = name != "diabetes"
    return StandardScaler().fit_transform(X), y if classes else (y - y.mean()) / y.std(), classes


def measure(case: Case, repeats: int, clock: Callable[[], float]) -> tuple[str, int]:
    """A line of the table, and how many goals it misses."""
    import numpy as np
    import sklearn.neural_network as theirs
    from sklearn.model_selection import train_test_split

    import chainrule.sklearn as ours

    warnings.simplefilter("ignore")  # both stop at max_iter and say so
    X, y, classes = data_of(case.data)
    name = "MLPClassifier" if classes else "MLPRegressor"
    parts = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y if classes else None)
    options = {"max_iter": case.epochs, "tol": 0.0, "n_iter_no_change": np.inf, **case.options}
    if case.options.get("solver") == "lbfgs":
        options = {"max_iter": case.epochs, "tol": 1e-12, **case.options}
    seconds: dict[str, list[float]] = {}
    kept: dict[str, Any] = {}
    for turn in range(repeats + 1):  # the first is to warm up
        for dtype in ("float64", "float32"):
            rows, held = parts[0].astype(dtype), parts[1].astype(dtype)
            for who, module in (("theirs", theirs), ("ours", ours)):
                est = getattr(module, name)(random_state=turn, **options)
                key = f"{who} {dtype}"
                kept[key] = est
                for what, call in _calls(est, rows, parts[2], held).items():
                    begun = clock()
                    found = call()
                    spent = clock() - begun
                    if turn:
                        seconds.setdefault(f"{key} {what}", []).append(spent / found if what != "fit" else spent)
                if turn and dtype == "float64":
                    kept.setdefault(f"{who} losses", []).append(float(est.loss_))
                    kept.setdefault(f"{who} scores", []).append(float(est.score(held, parts[3])))
    middle = {key: median(values) for key, values in seconds.items()}
    line, missed = _line(case, middle, seconds, kept)
    if any(middle[f"theirs {theirs} fit"] / middle[f"ours {ours} fit"] < goal for theirs, ours, goal in _FITS):
        line += "\n" + _bounds(middle, kept["ours float64"], *parts[0].shape)
    return line, missed


def _calls(est: Any, rows: Any, target: Any, held: Any) -> dict[str, Any]:
    """What is timed; a prediction is repeated, and its call returns how often. The first ones compile: not timed."""

    def repeated(X: Any, times: int) -> int:
        for _ in range(times):
            est.predict(X)
        return times

    return {
        "fit": lambda: est.fit(rows, target),
        "first": lambda: repeated(held[:1], 3) and repeated(held, 3),
        "one row": lambda: repeated(held[:1], 100),
        "all rows": lambda: repeated(held, 5),
    }


def _line(
    case: Case, middle: dict[str, float], seconds: dict[str, list[float]], kept: dict[str, Any]
) -> tuple[str, int]:
    def ratio(what: str, theirs: str, ours: str) -> float:
        return middle[f"theirs {theirs} {what}"] / middle[f"ours {ours} {what}"]

    found = [
        *((ratio("fit", theirs, ours), goal) for theirs, ours, goal in _FITS),
        (ratio("one row", "float64", "float64"), ONE_ROW),
        (ratio("all rows", "float64", "float64"), ALL_ROWS),
    ]
    cells = "".join(f"{value:9.1f}{'*' if value < goal else ' '}" for value, goal in found)
    spread = max(max(values) / min(values) for key, values in seconds.items() if key.endswith("fit"))
    losses, scores = (
        "/".join(f"{median(kept[f'{who} {what}']):.4g}" for who in ("ours", "theirs")) for what in ("losses", "scores")
    )
    milliseconds = middle["theirs float64 fit"] * 1e3
    line = f"{case.name:52s}{milliseconds:10.1f}{cells}{spread:7.1f}   {losses:>16s}   {scores:>16s}"
    return line, sum(value < goal for value, goal in found)


def _bounds(middle: dict[str, float], fitted: Any, rows: int, features: int) -> str:
    """The ratios of fits whose time is that of the matrix products at the FMA peak."""
    from chainrule import _core

    sizes = [features, *(weight.shape[1] for weight in fitted.coefs_)]
    weights = [a * b for a, b in itertools.pairwise(sizes)]
    # Outputs and the gradients of weights, and, but for the first layer, of inputs. L-BFGS evaluates once more than it
    # iterates, at least.
    passes = fitted.n_iter_ + (fitted.solver == "lbfgs")
    flops = 2.0 * rows * passes * (3 * sum(weights) - weights[0])
    peaks = {"float32": _core.fma_peak(0.05)}
    peaks["float64"] = peaks["float32"] / 2
    cells = (f"{middle[f'theirs {theirs} fit'] / (flops / (peaks[ours] * 1e9)):9.1f} " for theirs, ours, _ in _FITS)
    name = f"  bound at {peaks['float32']:.0f} GFLOP/s in float32"
    return f"{name:62s}" + "".join(cells)


if __name__ == "__main__":
    raise SystemExit(main())
