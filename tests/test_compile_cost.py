"""The cost of compilation: time to trace and plan, memory of the plan, no allocation in later calls."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases import random_nets
from chainrule import nn
from chainrule.compiler.build import CompiledProgram
from chainrule.compiler.jit import Compiled
from chainrule.compiler.memory import Allocation, arrange
from chainrule.compiler.reuse import PLANNED
from native import FLAGS, FOLDER
from support import fresh_interpreter as fresh

# Time.


def chain(layers: int, width: int = 16, rows: int = 32) -> tuple[Callable[..., Any], tuple[Any, Any]]:
    """A training step of a net with `layers` linear layers, and its arguments."""
    draw = cr.random.Generator(seed=layers)
    parts = [part for _ in range(layers) for part in (nn.Linear(width, width, generator=draw), nn.Tanh())]
    model = nn.Sequential(*parts)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step(x: Any, labels: Any) -> cr.Tensor:
        optimizer.zero_grad()
        loss = cr.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step, (draw.normal((rows, width)), draw.permutation(rows) % width)


def seconds(layers: int) -> float:
    """CPU time to trace and plan; from 250 layers on it includes planning of row blocks."""
    step, arguments = chain(layers, rows=64)
    PLANNED.clear()
    begun = time.process_time()
    Compiled(step).plan_of(*arguments)
    return time.process_time() - begun


def least(sizes: tuple[int, ...], good: Callable[[list[float]], bool]) -> list[float]:
    """The least of a few measurements for each size, interleaved; more of them until they are good."""
    best = [float("inf")] * len(sizes)
    for _ in range(12):
        best = [min(known, seconds(n)) for known, n in zip(best, sizes, strict=True)]
        if good(best):
            break
    return best


@pytest.mark.alone
def test_a_net_of_ten_layers_is_planned_in_20_ms() -> None:
    (found,) = least((10,), lambda best: best[0] < 0.02)
    assert found < 0.02


@pytest.mark.alone
def test_planning_takes_time_by_the_number_of_layers() -> None:
    def growth(best: list[float]) -> float:
        return max(best[1] / best[0], best[2] / best[1])

    best = least((250, 500, 1000), lambda best: best[2] < 2.0 and growth(best) < 2.6)
    assert best[2] < 2.0
    assert growth(best) < 2.6


# Memory.


def irregular(layers: int) -> tuple[Callable[..., Any], tuple[Any, Any]]:
    """Widths and activations of all kinds, so that no block of memory fits the next layer."""
    rng = np.random.default_rng(layers)
    widths = [12, *(int(n) for n in rng.integers(3, 90, layers - 1)), 5]
    draw = cr.random.Generator(seed=7)
    linears = [nn.Linear(a, b, generator=draw) for a, b in pairwise(widths)]
    kinds = rng.integers(0, 4, layers)
    optimizer = cr.optim.SGD([p for linear in linears for p in linear.parameters()], lr=0.01, momentum=0.9)

    def step(x: Any, labels: Any) -> cr.Tensor:
        optimizer.zero_grad()
        h = x
        for linear, kind in zip(linears, kinds, strict=True):
            h = linear(h)
            h = (cr.relu(h), cr.tanh(h) * cr.sigmoid(h), cr.concatenate([h, -h], 1)[:, : h.shape[1]], h)[kind]
        loss = cr.cross_entropy(h, labels)
        loss.backward()
        optimizer.step()
        return loss

    return step, (draw.normal((50, 12)), draw.permutation(50) % 5)


def plans() -> Iterator[tuple[str, CompiledProgram]]:
    for seed in range(0, 520, 3):
        net = random_nets.make(seed)
        for micro_batch in (None, 7):
            yield f"net {seed}, {micro_batch}", Compiled(net.step, micro_batch).plan_of(net.batches[0]).built
    for layers, width, rows in ((3, 784, 128), (4, 512, 2000), (10, 64, 64), (300, 16, 32)):
        step, arguments = chain(layers, width, rows)
        yield f"{layers} layers of {width}, {rows} rows", Compiled(step).plan_of(*arguments).built
    for layers in (10, 100, 300):
        step, arguments = irregular(layers)
        yield f"{layers} irregular layers", Compiled(step).plan_of(*arguments).built


def lifetimes(built: CompiledProgram) -> dict[int, tuple[int, int]]:
    """First and last position that uses a temporary; whatever outlives a block of rows is alive in all of the loop."""
    blocks = built.blocks
    code = [*blocks.before, *blocks.loop, *blocks.after]
    begin, end = len(blocks.before), len(blocks.before) + len(blocks.loop)
    found: dict[int, tuple[int, int]] = {}
    for at, instr in enumerate(code):
        for v in instr.uses():
            first, last = found.get(v, (at, at))
            if begin <= at < end and built.block_rows < blocks.rows and not blocks.per_block(v):
                first, last = min(first, begin), max(last, end - 1)
            found[v] = (min(first, at), max(last, at))
    return found


def test_plans_use_little_memory_and_no_byte_twice() -> None:
    for what, built in plans():
        assert built.arena_bytes == built.program.arena_bytes
        assert built.arena_bytes <= 1.2 * built.live_bytes, what
        alive = lifetimes(built)
        size = {v: n * built.values[v].spec.dtype.itemsize for v, n in zip(built.temporaries, built.sizes, strict=True)}
        at = dict(zip(built.temporaries, built.offsets, strict=True))
        by_offset = sorted(built.temporaries, key=lambda v: at[v])
        for i, v in enumerate(by_offset):
            assert at[v] % 64 == 0 and at[v] + size[v] <= built.arena_bytes, what
            for w in by_offset[i + 1 :]:
                if at[w] >= at[v] + size[v]:
                    break
                # One instruction may overwrite the input that it reads last.
                together = min(alive[v][1], alive[w][1]) - max(alive[v][0], alive[w][0])
                heir = together == 0 and (at[v], size[v]) == (at[w], size[w])
                assert together < 0 or heir, f"{what}: {v} and {w} overlap"


def test_the_bound_is_what_is_alive() -> None:
    """Without sharing it is the sum; the sum alive at once where each value dies before the next but one."""
    step, arguments = chain(40)
    built = Compiled(step).plan_of(*arguments).built
    activations = 40 * 32 * 16 * 4  # saved for the gradient
    assert activations <= built.live_bytes <= 1.2 * activations
    predict = Compiled(cr.no_grad()(chain_forward(40))).plan_of(arguments[0]).built
    assert predict.live_bytes <= 2 * 32 * 16 * 4


def chain_forward(layers: int) -> Callable[[Any], cr.Tensor]:
    model = nn.Sequential(*[nn.Linear(16, 16, generator=cr.random.Generator(seed=i)) for i in range(layers)])
    return lambda x: model(x)


@pytest.mark.parametrize("seed", range(20))
def test_blocks_of_random_times(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    first = np.sort(rng.integers(0, 40, n))
    blocks = [Allocation(int(s) * 64, int(f), int(f + d)) for s, f, d in zip(
        rng.integers(0, 9, n) ** 2, first, rng.integers(0, 12, n), strict=True
    )]  # fmt: skip
    most = max(sum(b.size for b in blocks if b.first <= t <= b.last) for t in range(60))
    offsets, size = arrange(blocks, most)
    assert most <= size <= 1.3 * most
    for i, (a, x) in enumerate(zip(blocks, offsets, strict=True)):
        assert x >= 0 and x + a.size <= size
        for b, y in zip(blocks[:i], offsets[:i], strict=True):
            apart = a.last < b.first or b.last < a.first or x + a.size <= y or y + b.size <= x
            assert apart or a.size * b.size == 0


# Allocations.

COUNTING = """
import ctypes, os
import numpy as np
import chainrule as cr
from chainrule import _core, nn
from chainrule.compiler.jit import Compiled
import test_compile_cost as cost

allocations = ctypes.CDLL(os.environ["LD_PRELOAD"]).allocations
allocations.restype = ctypes.c_ulonglong
"""
CALLS = """
_core.set_num_threads({threads})
_core.set_min_parallel_work({work})
step, arguments = cost.{net}
step = Compiled(step, {micro_batch})
arguments = [{wrap}(a) for a in arguments]
def run(n):
    before = allocations()
    for _ in range(n):
        step(*arguments)
    return allocations() - before
run(300)
print(min(run(1000) for _ in range(4)), min(run(2000) for _ in range(4)))
"""
ROWS = """
_core.set_num_threads({threads})
_core.set_min_parallel_work({work})
step, (X, labels) = cost.{net}
rows = np.arange(len(X) * 2000, dtype=np.int64).reshape(2000, -1) % len(X)
from chainrule.ops._op import OPS, apply
X, labels = cr.tensor(X), cr.tensor(labels)
def by_rows(index):
    return step(*[apply(OPS["take"], (source, index)) for source in (X, labels)])
plan = Compiled(by_rows, {micro_batch}).plan_of(rows[0])
losses = np.empty(2000, np.float32)
def run(n):
    before = allocations()
    assert plan.run_rows(rows[:n], losses[:n], 0, 1e9) == n
    return allocations() - before
run(300)
print(min(run(1000) for _ in range(4)), min(run(2000) for _ in range(4)))
"""
NETS: dict[str, dict[str, Any]] = {
    "small": {"net": "chain(2, 8, 4)"},
    "tensors": {"net": "chain(2, 8, 4)", "wrap": "cr.tensor"},
    "many slots": {"net": "chain(30, 8, 4)"},
    "two threads": {"net": "chain(3, 32, 64)", "threads": 2, "work": 0},
    "blocks of rows": {"net": "chain(3, 16, 50)", "micro_batch": 16},
    "blocks of rows, two threads": {"net": "chain(3, 16, 50)", "micro_batch": 16, "threads": 2, "work": 0},
    "large results": {"net": "forward(64, 100)"},
}


def forward(width: int, rows: int) -> tuple[Callable[..., Any], tuple[Any, Any]]:
    """A step without an update that returns two arrays."""
    model = nn.Linear(width, width, generator=cr.random.Generator(seed=1))
    x = cr.random.Generator(seed=2).normal((rows, width))
    return cr.no_grad()(lambda x, y: (model(x), cr.tanh(x) * y)), (x, x * np.float32(2))


@pytest.fixture(scope="module")
def counter() -> Iterator[str]:
    """The library that counts, to be preloaded."""
    compiler = os.environ.get("CC", "cc").split()
    if sys.platform != "linux" or shutil.which(compiler[0]) is None:
        pytest.skip("needs Linux and a C compiler")
    with tempfile.TemporaryDirectory(prefix="counter-") as folder:
        shared = str(Path(folder) / "allocations.so")
        source = str(FOLDER / "allocations.c")
        subprocess.run([*compiler, *FLAGS, source, "-o", shared, "-ldl"], check=True)
        yield shared


CASES = [("calls", name) for name in NETS] + [
    ("rows", name) for name in NETS if name not in ("tensors", "large results")
]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_no_allocation_in_steady_state(counter: str, kind: str, name: str) -> None:
    """A thousand more calls allocate no memory: results reuse the memory of earlier ones.

    The minimum of four counts: occasionally a waking thread or the garbage collector allocates.
    """
    options = {"threads": 1, "work": 30000, "micro_batch": None, "wrap": "", **NETS[name]}
    code = (CALLS if kind == "calls" else ROWS).format(**options)
    found = fresh.output(COUNTING + code, LD_PRELOAD=counter)
    thousand, two_thousand = (int(n) for n in found.split())
    results = 2 if name == "large results" else 0  # memory that is the caller's, beyond NumPy's cache of small arrays
    assert two_thousand - thousand == 1000 * results
    if kind == "calls":  # by rows: a few for the call itself
        assert thousand == 1000 * results


def test_the_counter_counts(counter: str) -> None:
    code = (
        COUNTING + "before = allocations()\nkept = [np.empty(10000) for _ in range(50)]\nprint(allocations() - before)"
    )
    assert 50 <= int(fresh.output(code, LD_PRELOAD=counter)) < 100
