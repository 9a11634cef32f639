"""Training, predicting, saving and loading in a loop: memory stays, tensors go, nothing uninitialised is read."""

import gc
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from support import fresh_interpreter as fresh

Record = Callable[[str, object], None]  # pytest's record_property
ROOT = Path(__file__).resolve().parent.parent


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def live_tensors() -> int:
    gc.collect()
    return sum(isinstance(thing, cr.Tensor) for thing in gc.get_objects())


def one_round(path: str, number: int) -> None:
    """A new model each time: an eager and a compiled step, predictions, a file written and read."""
    draw = cr.random.Generator(seed=number)
    model = nn.Sequential(
        nn.Linear(4, 6, generator=draw), nn.Tanh(), nn.Dropout(0.5, draw), nn.Linear(6, 2, generator=draw)
    )
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, labels = draw.normal((5, 4)), np.arange(5) % 2

    def step(x: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = cr.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    step(cr.tensor(x), cr.tensor(labels))
    cr.compile(step)(x, labels)
    model.predict(x)
    cr.grad(lambda w: cr.sum(cr.square(cr.matmul(x, w))))(np.ones((4, 2), np.float32))
    if number % 10 == 0:  # syncing a file to disk takes its time
        cr.save(model, path)
        cr.load(path).predict(x)


def loop(folder: str, warm_up: int, rounds: int) -> None:
    """In a fresh process: prints the growth in KiB after the warm-up, and the tensors left."""
    path = os.path.join(folder, "m")
    importlib.import_module("chainrule.optim")  # with constants, on first use
    before = live_tensors()
    for number in range(warm_up):
        one_round(path, number)
    gc.collect()
    start = resident_kib()
    for number in range(rounds):
        one_round(path, number)
    gc.collect()
    print(resident_kib() - start, live_tensors() - before)


def check(folder: Path, warm_up: int, rounds: int, record: Record) -> None:
    shown = fresh.output(f"import test_leaks; test_leaks.loop({str(folder)!r}, {warm_up}, {rounds})", timeout=1500)
    growth, left = map(int, shown.split())
    record("rounds", rounds)
    record("KiB of growth", growth)
    assert left == 0
    assert growth <= 1024


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_some_rounds(tmp_path: Path, record_property: Record) -> None:
    check(tmp_path, 200, 400, record_property)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_many_rounds(tmp_path: Path, record_property: Record) -> None:
    # Caches and tables of bounded size grow during the first 8,000 rounds, at last by 1.6 MiB; nothing after that.
    check(tmp_path, 10_000, 20_000, record_property)


# Small tests of every family of kernels, of programs and of the bindings.
UNDER_VALGRIND = (
    "test_arrays.py::test_refused_by_matmul test_arrays.py::test_an_empty_array_may_lie_anywhere "
    "test_matmul.py::test_equals_the_reference test_matmul.py::test_empty_sums_are_positive_zero "
    "test_program.py test_batches.py::test_micro_batches"
)


# CPython reads uninitialised digits of its integers and beyond the ends of strings; so it does without chainrule.
OF_CPYTHON = re.compile(r"/(libpython|python|libc[.-]|libm[.-]|ld-linux|vgpreload)[^/]*$")


def errors_of_extensions(report: Path) -> list[str]:
    """What memcheck reports with a frame, of the error or of where its memory comes from, in another library.

    With XML it always lists what Python has not freed at its end, too.
    """
    return [
        ElementTree.tostring(error, encoding="unicode")
        for error in ElementTree.parse(report).getroot().iter("error")
        if not error.findtext("kind", "").startswith("Leak_")
        and any(frame.text and not OF_CPYTHON.search(frame.text) for frame in error.iter("obj"))
    ]


def under_valgrind(report: Path, *words: str) -> str:
    """What Python prints."""
    checker = [
        "valgrind",
        "--track-origins=yes",
        "--xml=yes",
        f"--xml-file={report}",
        sys.executable,
    ]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONMALLOC": "malloc"}
    done = subprocess.run([*checker, *words], cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_valgrind(tmp_path: Path, record_property: Record) -> None:
    """memcheck sees reads of uninitialised memory, which sanitizers do not; it knows no AVX-512."""
    report = tmp_path / "report.xml"
    branch = "import chainrule as cr, numpy as np; print(cr.tensor(np.empty(1000)).sum().item() > 0)"
    under_valgrind(report, "-c", branch)
    assert errors_of_extensions(report) != []
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-o", "timeout=0"]
    printed = under_valgrind(report, "-m", "pytest", *options, *(f"tests/{node}" for node in UNDER_VALGRIND.split()))
    assert errors_of_extensions(report) == []
    passed = int(printed.rsplit(" passed", 1)[0].split()[-1])
    record_property("tests under valgrind", passed)
