"""A train-save-load-predict script in which chosen allocations fail; run with tests/native/failing_malloc.c preloaded.

Each stage is run once for each of its allocations, and what it raised is counted: MemoryError is right. Afterwards the
model must be as before or as after the stage, and everything must work again. "once": one allocation fails, of anybody
but NumPy, or of a page. "persistent": all later ones of C++ and of a page fail; an interpreter that gets no memory for
its own objects cannot run an exception handler.
"""

from __future__ import annotations

import collections
import ctypes
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr

X = np.arange(96, dtype=np.float32).reshape(32, 3) / 96
Y = X[:, :2] * 2


class Stages:
    """The stages, with a model that each may change."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "m")
        self.checkpoint = os.path.join(folder, "c")
        self.table_path = os.path.join(folder, "t.csv")
        with open(self.table_path, "w") as file:
            file.write("a,b,c\n" + "".join(f"{i / 3},{'xyz'[i % 3]},{i % 2}\n" for i in range(300)))
        self.model = cr.nn.Sequential(
            cr.nn.Linear(3, 600, generator=cr.random.Generator(1)),
            cr.nn.Tanh(),
            cr.nn.Linear(600, 2, generator=cr.random.Generator(2)),
        )
        self.optimizer = cr.optim.Adam(self.model.parameters(), lr=0.01)

    def train(self) -> None:
        cr.fit(self.model, X, Y, loss=cr.nn.MSELoss(), optimizer=self.optimizer, epochs=2, batch_size=8, progress=False)

    def step(self) -> None:
        self.optimizer.zero_grad()
        cr.mse_loss(self.model(cr.tensor(X)), Y).backward()
        self.optimizer.step()

    def compiled(self) -> None:
        cr.compile(lambda x: cr.sum(cr.tanh(x @ x.T)))(cr.tensor(X))

    def convolution(self) -> None:
        cr.conv2d(np.ones((1, 2, 9, 9), np.float32), np.ones((3, 2, 3, 3), np.float32), padding=1)

    def save(self) -> None:
        cr.save(self.model, self.path)
        cr.save_checkpoint(self.checkpoint, model=self.model, optimizer=self.optimizer)

    def load(self) -> None:
        cr.load(self.path)
        cr.load_checkpoint(self.checkpoint, model=self.model, optimizer=self.optimizer)

    def table(self) -> None:
        cr.data.read_csv(self.table_path, target="c")

    def transform(self) -> None:
        cr.jvp(lambda x: cr.sum(cr.exp(x) * x), (cr.tensor(X),), (cr.tensor(X),))
        cr.hessian(lambda x: cr.sum(x**3))(cr.tensor(X[0]))

    def predict(self) -> None:
        self.model.predict(X)
        cr.Predictor(self.model)(X)


NAMES = ("step", "train", "compiled", "convolution", "transform", "table", "save", "load", "predict")


def sweep(name: str, sample: int, persistent: bool) -> tuple[collections.Counter[str], int]:
    """Fail allocations of a stage, at most `sample` of them: what came out, and how many points there were."""
    library = ctypes.CDLL(os.environ["LD_PRELOAD"])
    library.stop_failing.restype = ctypes.c_longlong
    library.fail_allocations.argtypes = (ctypes.c_longlong, ctypes.c_longlong, ctypes.c_int)
    found: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        stages = Stages(folder)
        for stage in NAMES:
            getattr(stages, stage)()  # imports and caches
        action: Callable[[], None] = getattr(stages, name)
        library.fail_allocations(-1, -1, persistent)
        action()
        points = int(library.stop_failing())
        numbers = range(0, points, max(1, points // sample))
        for number in numbers:
            before = values(stages)
            caught: Any = None
            library.fail_allocations(number, sys.maxsize if persistent else number + 1, persistent)
            try:
                action()
            except BaseException as error:
                library.stop_failing()
                caught = error
            library.stop_failing()
            found[kind_of(caught)] += 1
            del caught
            after = values(stages)
            if not all(np.isfinite(value).all() for value in after):
                found["values that are not finite"] += 1
            if name not in ("step", "train") and not same(before, after):
                found["a changed model"] += 1
            action()
            cr.load(stages.path)
    return found, len(numbers)


def kind_of(caught: BaseException | None) -> str:
    """The outcome of a run, in words."""
    if caught is None:
        return "completed"
    trace = caught.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else trace.tb_frame.f_code.co_filename
    in_numpy = any(f"{os.sep}{folder}{os.sep}" in where for folder in ("numpy", "data"))  # tables are read with NumPy
    if isinstance(caught, SystemError) and (in_numpy or "ufunc" in str(caught)):
        return "MemoryError"  # NumPy returns without an exception
    return type(caught).__name__ + ("" if isinstance(caught, MemoryError) else f": {caught}"[:200])


def values(stages: Stages) -> list[np.ndarray]:
    return list(stages.model.state_dict().values())


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def main() -> None:
    """Arguments: the stage, the number of points, whether all later allocations fail, too."""
    warnings.simplefilter("ignore")
    found, points = sweep(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "persistent")
    print(points)
    for key, count in sorted(found.items()):
        print(count, key)


if __name__ == "__main__":
    main()
