"""Compiled equals eager, bit for bit, over random nets: results, weights, gradients, velocities after each step."""

from itertools import product

import numpy as np
import pytest

import chainrule as cr
from cases import random_nets
from cases.random_nets import Net
from chainrule import _core
from chainrule._ir.instruction import Instr
from chainrule._ir.table import ELEMENTWISE
from chainrule.compiler.jit import Compiled
from reference import assert_same_bits
from reference.bits import Array
from support.variants import ISAS, every_setting, force_level, force_threads, restored

NETS = 520
THREADS = (1, 2, 3)
SETTINGS = list(product(ISAS, THREADS))
MICRO_BATCHES = (1, 2, 3, 5, 8, 16, 17, 64)
State = dict[str, Array | None]


def compare(net: Net, state: State, expected: State, what: str) -> None:
    assert state.keys() == expected.keys()
    for name, wanted in expected.items():
        got = state[name]
        if name.startswith("grad ") and net.drops_grad:
            assert got is None, f"{what}, {name}: an update used it up; it should be None"
        elif wanted is None or got is None:
            assert wanted is got, f"{what}, {name}: {got} instead of {wanted}"
        else:
            assert_same_bits(got, wanted, f"{what}, {name}")


def check(seed: int, settings: list[tuple[str, int]], micro_batch: int | None) -> None:
    """Train one net eagerly, and a second one compiled, in each setting."""
    eager, net = random_nets.make(seed), random_nets.make(seed)
    expected = list(eager.train(eager.step))
    step = Compiled(net.step, micro_batch)
    for isa, threads in settings:
        force_level(isa)
        force_threads(threads)
        what = f"net {seed} ({net.kind.__name__}, {net.loss.__name__}), {isa}, {threads} threads, blocks {micro_batch}"
        with net.restored():
            for call, state in enumerate(net.train(step)):
                compare(net, state, expected[call], f"{what}, call {call}")
    assert net.runs == net.expected_traces, f"net {seed}: traced {net.runs} times"


@pytest.mark.parametrize("seed", range(NETS))
def test_compiled_equals_eager(seed: int) -> None:
    """On the best level with one thread, and in another setting, in turn; large batches may go by blocks of rows."""
    check(seed, [SETTINGS[0], SETTINGS[1 + seed % (len(SETTINGS) - 1)]], None)


@pytest.mark.parametrize("seed", range(NETS))
def test_row_blocks_equal_eager(seed: int) -> None:
    check(seed, [SETTINGS[seed * 7 % len(SETTINGS)]], MICRO_BATCHES[seed % len(MICRO_BATCHES)])


@pytest.mark.full
@pytest.mark.parametrize("seed", range(NETS, 3 * NETS))
def test_other_nets_everywhere(seed: int) -> None:
    check(seed, SETTINGS, None)
    check(seed, SETTINGS[seed % 2 :: 2], MICRO_BATCHES[seed * 3 % len(MICRO_BATCHES)])


# That the nets are a net.


def names(code: list[Instr]) -> set[str]:
    return {instr.name for instr in code} | {part.name for instr in code for part in instr.body}


def test_the_nets_use_every_instruction() -> None:
    """Every instruction and fusion that programs can contain occurs in one of the nets."""
    seen: set[str] = set()
    looped = 0
    for seed in range(0, NETS, 2):
        net = random_nets.make(seed)
        micro_batch = MICRO_BATCHES[seed % len(MICRO_BATCHES)] if seed % 4 == 0 else None
        blocks = Compiled(net.step, micro_batch).plan_of(net.batches[0]).built.blocks
        seen |= names([*blocks.before, *blocks.loop, *blocks.after])
        looped += len(blocks.loop) > 0 and len(blocks.before) + len(blocks.after) > 0
    expected = {
        *ELEMENTWISE,
        *(name for name in _core.update_names() if not name.startswith("muon")),  # of matrices only: test_muon.py
        *("matmul", "gemm", "chain", "sum", "max", "min", "argmax", "softmax", "softmax_grad", "log_softmax"),
        *("log_softmax_grad", "cross_entropy", "cross_entropy_grad", "take", "index_add", "scatter", "copy", "fill"),
        *("cast", "check_index", "advance", "bernoulli", "draw_uniform", "draw_normal", "draw"),
    }
    assert sorted(expected - seen) == []
    assert looped > 5


def test_the_nets_compute_numbers() -> None:
    """Nearly all finite, and no two calls alike: equality could fail."""
    finite = changed = 0
    for seed in range(0, NETS, 2):
        net = random_nets.make(seed)
        states = [[a for a in state.values() if a is not None] for state in net.train(net.step)]
        finite += all(np.isfinite(a).all() for arrays in states for a in arrays)
        changed += not np.array_equal(states[0][0], states[1][0])
    assert finite > 0.97 * NETS / 2
    assert changed > 0.97 * NETS / 2


@pytest.mark.parametrize("batch", [1, 5, 70])
def test_weights_that_leave_the_caches(batch: int) -> None:
    """Large weights are prefetched while their gradient is computed: with fewer rows than that requires, and more."""
    draw = cr.random.Generator(seed=3)
    x, y = draw.normal((batch, 450)), draw.normal((batch, 3))
    with restored():
        expected: list[Array] = []
        for setting in every_setting(threads=(1, 2)):
            for compiles in (False, True) if not expected else (True,):
                draw = cr.random.Generator(seed=4)
                layers = [cr.nn.Linear(*sizes, generator=draw) for sizes in ((450, 410), (410, 333), (333, 3))]
                model = cr.nn.Sequential(layers[0], cr.nn.ReLU(), layers[1], cr.nn.Tanh(), layers[2])
                trainer = cr.Trainer(
                    model,
                    x,
                    y,
                    loss=cr.nn.MSELoss(),
                    optimizer=cr.optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
                    batch_size=batch,
                    compile=compiles,
                )
                for _ in range(3):
                    trainer.run_epoch()
                weights = [p.numpy().copy() for p in model.parameters()]
                for got, wanted in zip(weights, expected or weights, strict=True):
                    assert_same_bits(got, wanted, f"{setting}, compiled {compiles}, batch {batch}")
                expected = expected or weights
