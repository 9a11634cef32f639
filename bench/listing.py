"""The two-layer net of CS231n's twenty-line NumPy listing, compared with chainrule: ``python -m bench.listing``.

One process, one thread, also in NumPy's BLAS. All contenders start from the same data and weights; their losses are
compared first, then they are timed in alternating rounds. Times are thread CPU times, the median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import chainrule as cr
from chainrule import _core

N, D_IN, H, D_OUT = 64, 1000, 100, 10
RATE = 1e-4
FLOPS = 2 * N * D_IN * H + 2 * N * H * D_OUT + 2 * N * D_IN * H + 4 * N * H * D_OUT  # forward, backward
DATA_SEED = 49
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
LISTING = "NumPy, as printed, float64"

Data = tuple[npt.NDArray[np.float64], ...]


def draw(seed: int) -> Data:
    """x, y, w1, w2 from `randn`, in the order of the listing."""
    randn = np.random.RandomState(seed).randn
    return randn(N, D_IN), randn(N, D_OUT), randn(D_IN, H), randn(H, D_OUT)


def listing(data: Data, steps: int) -> list[float]:
    """The code as printed, except that it collects the losses."""
    x, y, w1, w2 = (a.copy() for a in data)
    losses = []
    for _ in range(steps):
        h = 1 / (1 + np.exp(-x.dot(w1)))
        y_pred = h.dot(w2)
        loss = np.square(y_pred - y).sum()
        losses.append(loss)

        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h.T.dot(grad_y_pred)
        grad_h = grad_y_pred.dot(w2.T)
        grad_w1 = x.T.dot(grad_h * h * (1 - h))

        w1 -= RATE * grad_w1
        w2 -= RATE * grad_w2
    return losses


def compact(data: Data, steps: int, dtype: npt.DTypeLike, compiled: bool) -> list[float]:
    """The same training with chainrule."""
    x, y = (cr.tensor(a, dtype) for a in data[:2])
    w1, w2 = (cr.nn.Parameter(a.astype(dtype)) for a in data[2:])
    optimizer = cr.optim.SGD([w1, w2], lr=RATE)

    def step(x, y):
        optimizer.zero_grad()
        loss = cr.mse_loss(cr.matmul(cr.sigmoid(cr.matmul(x, w1)), w2), y, reduction="sum")
        loss.backward()
        optimizer.step()
        return loss

    step = cr.compile(step) if compiled else step
    return [step(x, y).item() for _ in range(steps)]


def contenders(data: Data) -> dict[str, Callable[[int], list[float]]]:
    """Training functions by name, the listing first."""
    found: dict[str, Callable[[int], list[float]]] = {LISTING: lambda steps: listing(data, steps)}
    for dtype in (np.float64, np.float32):
        for compiled in (False, True):
            name = f"chainrule, {'compiled' if compiled else 'eager'}, {np.dtype(dtype)}"
            found[name] = lambda steps, d=dtype, c=compiled: compact(data, steps, d, c)
    return found


def products(data: Data) -> float:
    """Seconds of the five matrix products of a step in NumPy."""
    x, y, w1, w2 = data
    h = x.dot(w1)
    calls = (
        lambda: x.dot(w1),
        lambda: h.dot(w2),
        lambda: h.T.dot(y),
        lambda: y.dot(w2.T),
        lambda: x.T.dot(h),
    )

    def once(call: Callable[[], Any]) -> float:
        start = time.thread_time()
        for _ in range(20):
            call()
        return (time.thread_time() - start) / 20

    return sum(statistics.median(once(call) for _ in range(10)) for call in calls)


def main(argv: list[str] | None = None) -> int:
    """Compare the losses, time, and print; 1 if a loss differs from the listing's by more than 1e-4 (relative)."""
    parser = argparse.ArgumentParser(prog="python -m bench.listing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each contender (9)")
    parser.add_argument("--steps", type=int, default=200, help="steps per round (200)")
    options = parser.parse_args(argv)
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):  # NumPy's BLAS reads them when it is loaded
        arguments = [f"--rounds={options.rounds}", f"--steps={options.steps}"]
        command = [sys.executable, "-m", "bench.listing", *arguments]
        return subprocess.call(command, env={**os.environ, **dict.fromkeys(ONE_THREAD, "1")})
    cr.set_num_threads(1)
    data = draw(DATA_SEED)
    runs = contenders(data)
    losses = {name: run(options.steps) for name, run in runs.items()}
    expected = losses[LISTING]
    wrong = [name for name, found in losses.items() if not np.allclose(found, expected, rtol=1e-4, atol=0)]
    times: dict[str, list[float]] = {name: [] for name in runs}
    peaks = []
    for _ in range(options.rounds):
        peaks.append(_core.fma_peak(0.02))
        for name, run in runs.items():
            start = time.thread_time()
            run(options.steps)
            times[name].append((time.thread_time() - start) / options.steps)
    reference = statistics.median(times[LISTING])
    print(f"loss {expected[0]:.1f} -> {expected[-1]:.1f} in {options.steps} steps; times per step")
    for name, found in times.items():
        seconds = statistics.median(found)
        note = "; WRONG LOSSES" if name in wrong else ""
        print(f"{name:30} {1e6 * seconds:5.0f} us, {reference / seconds:4.2f} times the listing{note}")
    print(f"{'matrix products in NumPy':30} {1e6 * products(data):5.0f} us")
    for kind, share in (("float32", 1.0), ("float64", 0.5)):
        bound = FLOPS / (share * 1e9 * statistics.median(peaks))
        text = f"at the FMA peak, {kind}"
        print(f"{text:30} {1e6 * bound:5.0f} us, {reference / bound:4.2f} times: the upper bound")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
