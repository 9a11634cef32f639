"""The end of the interpreter while threads are inside of operations, and interpreters beside the main one."""

from __future__ import annotations

import sys

import pytest

from support import fresh_interpreter as fresh

DAEMONS = """
import threading, time, warnings
import numpy as np
import chainrule as cr
from chainrule import _core, nn
cr.set_num_threads({threads})
_core.set_min_parallel_work(0)
X = cr.random.Generator(seed=1).normal((1000, 60))
Y = (X[:, 0] > 0).astype(np.int64)
def net():
    return nn.Sequential(nn.Linear(60, 200), nn.Tanh(), nn.Dropout(0.1), nn.Linear(200, 2))
model = net()
predictor = cr.Predictor(model)
def fit():
    m = net()
    cr.fit(m, X, Y, loss=nn.CrossEntropyLoss(), optimizer=cr.optim.Adam(m.parameters()), epochs=1, batch_size=200)
@cr.compile
def total(x):
    return cr.sum(cr.exp(x))
OPERATIONS = dict(
    matmul=lambda: cr.matmul(X.T, X),
    exp=lambda: cr.exp(cr.tensor(X)),
    predict=lambda: model.predict(X),
    new_models=lambda: cr.Predictor(net())(X),
    Predictor=lambda: predictor(X),
    compiled=lambda: total(X),
    fit=fit,
    normal=lambda: cr.random.Generator(seed=0).normal((200000,)),
    eager=lambda: net()(cr.tensor(X)),
    core=lambda: _core.fma_peak(0.001),
)
OPERATIONS["all"] = lambda: [f() for name, f in OPERATIONS.items() if name != "all"]
begun = threading.Semaphore(0)
def run():
    OPERATIONS[{name!r}]()
    begun.release()
    while True:
        OPERATIONS[{name!r}]()
for _ in range(4):
    threading.Thread(target=run, daemon=True).start()
for _ in range(4):
    assert begun.acquire(timeout=100)
"""
NAMES = ["matmul", "exp", "predict", "new_models", "Predictor", "compiled", "fit", "normal", "eager", "core", "all"]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_daemon_threads(name: str, threads: int) -> None:
    done = fresh.python(DAEMONS.format(threads=threads, name=name))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("attempt", range(5))
def test_daemon_threads_again(name: str, attempt: int) -> None:
    done = fresh.python(DAEMONS.format(threads=2, name=name) + f"\ntime.sleep(0.01 * {attempt})")
    assert (done.returncode, done.stderr) == (0, "")


LEGACY = """
import _xxsubinterpreters as s
i = s.create(isolated=False) if {legacy} else s.create()
try:
    s.run_string(i, {code!r})
except s.RunFailedError as error:
    print(error)
s.destroy(i)  # Python ends its main thread at exit if an interpreter with buffered output is left, and NumPy's go on
"""
IMPORTS = """
import warnings
warnings.simplefilter("ignore")
try:
    import chainrule
except ImportError as error:
    print("ImportError", error)
"""


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the module has another name")
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("first", ["", "import chainrule as cr, numpy as np; cr.exp(np.ones(3))\n"])
def test_import_in_a_subinterpreter(first: str, legacy: bool) -> None:
    """An ImportError that says so; what is imported in the main interpreter works before and after."""
    after = "import chainrule as cr; print(float(cr.sum(cr.tensor([1.0, 2.0]))))"
    found = fresh.output(first + LEGACY.format(code=IMPORTS, legacy=legacy) + after, timeout=60)
    assert "ImportError" in found
    assert found.endswith("3.0")
