"""Trainings stopped by SIGINT and SIGKILL at random times, then continued on other threads and instruction sets.

Run in an interpreter of its own: `python random_stops.py STOPS SEED` prints how many stops fell where.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import chainrule as cr
from chainrule.train import _trainer
from support.resuming import Session
from support.variants import ISAS, force_level, force_threads

KINDS = ("adam", "plateau", "amsgrad", "momentum", "two generators", "callback with state", "accuracy", "micro-batches")
DRAWS = cr.random.Generator(seed=0)


def draw(n: int) -> int:
    """A random number below n."""
    return int(DRAWS.permutation(n)[0])


def train(kind: str, path: Path) -> dict[str, Any]:
    """Start or continue a training; the result when it is complete."""
    session = Session(kind, seed=17, compile=draw(4) == 0)
    if not path.exists():  # the first start has the initial weights of the reference
        session = Session(kind, compile=draw(4) == 0)
    session.fit(checkpoint=path, resume=True, batch_size=2)
    return session.result()


def killed(kind: str, path: Path, delay: float) -> bool:
    """Train in a forked process that SIGKILL ends after `delay` seconds; whether it was still running."""
    child = os.fork()
    if child == 0:
        try:
            train(kind, path)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0


def interrupted(kind: str, path: Path, delay: float) -> bool:
    """Train in this process until SIGINT after `delay` seconds; whether it was still running."""
    signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        train(kind, path)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    return False


def where(path: Path) -> str:
    """Where training stands in a checkpoint."""
    if not path.exists():
        return "before the first checkpoint"
    history = cr.History()
    cr.load_checkpoint(path, history=history)
    position = history._position
    return "within an epoch" if position.losses else "between epochs" if position.called is None else "in the callbacks"


def main(stops: int, seed: int) -> None:
    """Stop trainings until there were `stops` stops; every training ends with the bits of the uninterrupted one."""
    DRAWS.seed = seed
    _trainer._SECONDS = 0.0005  # between checks for Ctrl-C: these epochs are short
    expected, seconds = {}, {}
    for kind in KINDS:
        session = Session(kind, compile=False)
        begun = time.perf_counter()
        session.fit(batch_size=2)
        expected[kind], seconds[kind] = session.result(), 1.5 * (time.perf_counter() - begun)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        training = 0
        while sum(found.values()) < stops:
            training += 1
            kind, path = KINDS[training % len(KINDS)], Path(folder) / f"{training}"
            for _ in range(1 + draw(4)):
                force_level(ISAS[draw(len(ISAS))])
                force_threads(1 + draw(3))
                delay = (1 + draw(1000)) / 1000 * seconds[kind]
                kill = draw(2) == 1
                if (killed if kill else interrupted)(kind, path, delay):
                    found[f"{'SIGKILL' if kill else 'SIGINT'} {where(path)}"] += 1
            force_level(ISAS[draw(len(ISAS))])
            force_threads(1 + draw(3))
            result = train(kind, path)
            assert result == expected[kind], (training, kind)
    print(f"{sum(found.values())} stops of {training} trainings:")
    for name, count in sorted(found.items()):
        print(f"{count} {name}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
