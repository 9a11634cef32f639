"""Threads and processes: forked children work and never deadlock, Python threads do not disturb each other."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oracle
from chainrule import _core
from chainrule._ir.instruction import Instr
from reference import assert_same_bits
from support import fresh_interpreter as fresh
from support import short_training as training
from support.programs import Float, flat, matmul, one_matmul
from support.variants import force_level, force_threads

CHILDREN = 100
SECONDS = 20  # for a child that takes milliseconds


def values(shape: tuple[int, ...], dtype: Float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def work() -> str:
    """A product large enough for several threads, a short training run, predictions: one digest."""
    product = matmul(values((200, 150), np.float32, 1), values((150, 170), np.float32, 2))
    return f"{product.tobytes().hex()[:64]} {training.digest(dtypes=(np.float32,))}"


def in_a_child(expected: str) -> int:
    """The status of a forked child that works: 0 as expected, 1 other bits, 2 on several threads, which did not survive
    the fork; SIGALRM ends one that hangs."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        os._exit(1 if work() != expected else 2 if _core.get_num_threads() != 1 else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_many() -> None:
    """In a fresh process: children after work on several threads, some of them forked by another thread."""
    warnings.simplefilter("ignore", DeprecationWarning)  # Python dislikes forks of processes with threads: so they are
    force_threads(2)
    expected = work()

    def fork(count: int) -> None:
        for child in range(count):
            status = in_a_child(expected)
            assert status == 0, f"child {child}: status {status} ({-signal.SIGALRM}: it hung)"

    fork(CHILDREN - 20)
    run_together([lambda: fork(20)])
    assert work() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_children_predict_and_train() -> None:
    fresh.output("import test_threads; test_threads.fork_many()", timeout=CHILDREN * SECONDS)


def start_many(method: str) -> None:
    """In a fresh process: two workers of a pool started by `method` give the parent's digest."""
    warnings.simplefilter("ignore", DeprecationWarning)
    force_threads(2)
    expected = work()
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap_async(work, [()] * 4).get(timeout=60)
    assert found == [expected] * 4


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_of_processes(method: str) -> None:
    fresh.output(f"import test_threads; test_threads.start_many({method!r})")


def run_together(bodies: list[Callable[[], None]]) -> None:
    """Run each body in a Python thread; exceptions are raised in the test."""
    errors: list[BaseException] = []

    def guarded(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("count", [1, 2])
def test_python_threads_share_the_core(isa: str, count: int) -> None:
    force_threads(count)

    def body(seed: int) -> Callable[[], None]:
        a, b = values((17 + seed, 33), np.float32, seed), values((33, 29 + seed), np.float32, 100 + seed)
        expected = oracle.matmul(a, b)
        program = two_products(a, b)

        def run() -> None:
            for _ in range(60):
                assert_same_bits(matmul(a, b), expected)
                assert_same_bits(program(a, b), matmul(expected, expected.T))

        return run

    run_together([body(seed) for seed in range(6)])


def two_products(a: np.ndarray, b: np.ndarray) -> _core.Program:
    """(a b)(a b)' through a temporary."""
    m, n = a.shape[0], b.shape[1]
    code = [
        Instr("matmul", 0, [3], [0, 1], one_matmul(a.shape, b.shape)),
        Instr("matmul", 0, [2], [3, 3], one_matmul((m, n), (m, n), (False, True))),
    ]
    lowered = [instr.lower() for instr in code]
    return _core.Program([(0, a.shape), (0, b.shape)], [(0, (m, m))], [(0, (m, n))], lowered)


def test_training_in_several_python_threads() -> None:
    expected = work()

    def body() -> None:
        assert work() == expected

    run_together([body] * 4)


def test_other_python_threads_run_during_a_kernel() -> None:
    force_level("scalar")
    _core.set_num_threads(1)
    a, b, out = values((300, 300), np.float64, 3), values((300, 300), np.float64, 4), np.empty((300, 300))
    kernel = threading.Thread(target=_core.matmul, args=(a, b, out))
    kernel.start()
    turns = 0
    while kernel.is_alive():
        turns += 1
        time.sleep(0)
    assert turns > 100
    assert_same_bits(out, oracle.matmul(a, b))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_threads_come_together(count: int) -> None:
    assert _core.pool_meets(count, 60.0)


def test_a_second_caller_has_one_thread() -> None:
    def body() -> None:
        for _ in range(200):
            if not _core.pool_meets(2, 60.0):
                alone.append(True)

    alone: list[bool] = []
    run_together([body] * 4)
    assert len(alone) < 4 * 200  # somebody had the pool


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_an_exception_of_a_share_is_the_caller_s(threads: int) -> None:
    for phase in range(3):
        for share in range(threads):
            with pytest.raises(RuntimeError, match="thrown by a share"):
                _core.pool_throws(threads, 3, phase, share)
    assert _core.pool_throws(threads, 3, -1, -1) == 3 * threads
    assert _core.pool_meets(threads, 60.0)


def test_a_program_in_many_python_threads() -> None:
    force_threads(3)
    a, b = values((57, 33), np.float32, 1), values((33, 41), np.float32, 2)
    product = oracle.matmul(a, b)
    expected = oracle.matmul(product, product.T)
    program = two_products(a, b)

    def body() -> None:
        for _ in range(300):
            assert_same_bits(program(a, b), expected)

    run_together([body] * 8)


@pytest.mark.alone
def test_more_threads_than_cpus() -> None:
    """Waiting threads give their CPU to those that work: 8 threads take at most about as long as one."""
    a, b = values((256, 256), np.float32, 1), values((256, 256), np.float32, 2)
    program = two_products(a, b)

    def seconds(count: int) -> float:
        force_threads(count)
        start = time.perf_counter()
        for _ in range(20):
            program(a, b)
        return time.perf_counter() - start

    many, one = zip(*((seconds(8), seconds(1)) for _ in range(8)), strict=True)
    assert min(many) < 3 * min(one)


@pytest.mark.full
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ and its sanitizers")
@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_the_pool_under_sanitizers(sanitizer: str, tmp_path: Path) -> None:
    core = Path(__file__).parent.parent / "cpp"
    sources = [Path(__file__).parent / "native/pool_stress.cpp", *(core / "threads").glob("*.cpp")]
    flags = ["-O1", "-g", "-std=c++20", "-fopenmp", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", f"-I{core}"]
    program = tmp_path / "stress"
    subprocess.run(["g++", *flags, *map(str, sources), "-o", str(program)], check=True)
    done = subprocess.run([str(program), "10"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_programs_under_the_thread_sanitizer(tmp_path: Path) -> None:
    """All of program/, threads/ and the kernels, without suppressions and without OpenMP, which TSan does not know."""
    root = Path(__file__).parent.parent
    level = next(isa for isa in _core.available_isas() if isa in ("avx2", "neon", "scalar"))
    options = ["DIGEST=ON", "SANITIZE=thread", "OPENMP=OFF", f"LEVELS={level};scalar" if level != "scalar" else ""]
    configure = ["cmake", "-S", str(root), "-B", str(tmp_path), *(f"-DCHAINRULE_{o}" for o in options if o)]
    for command in (configure, ["cmake", "--build", str(tmp_path), "--target", "stress", "-j2"]):
        subprocess.run(command, check=True, capture_output=True, text=True)
    for isa in {level, "scalar"}:
        command = [str(tmp_path / "stress"), "15", isa]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "WARNING: ThreadSanitizer" not in done.stderr
        assert ", 0 wrong" in done.stdout


def test_phases_end_where_threads_must_wait() -> None:
    """Instructions of 1 and of `shares` threads in turn: threads that read results of others wait, others do not."""
    _core.set_min_parallel_work(10_000.0)
    large, small = 200_000, 64

    def neg(out: int, x: int, n: int) -> tuple[Any, ...]:
        return flat("neg", np.float32, out, [x], n).lower()

    def phases(code: list[Any], temporaries: list[int], offsets: list[int] | None = None) -> list[tuple[int, int]]:
        shapes = [(0, (n,)) for n in temporaries]
        arguments = ([(0, (large,)), (0, (small,))], [(0, (large,)), (0, (small,))], shapes, code)
        program = _core.Program(*arguments, [], offsets) if offsets else _core.Program(*arguments)
        return program.phases(3)

    # Slots: inputs 0 (large) and 1 (small), outputs 2 and 3, temporaries from 4.
    assert phases([neg(4, 1, small), neg(5, 4, small), neg(3, 5, small)], [small, small]) == [(0, 1)]
    assert phases([neg(4, 0, large), neg(2, 4, large)], [large]) == [(0, 3), (1, 3)]
    assert phases([neg(4, 0, large), neg(3, 1, small)], [large]) == [(0, 3)]
    assert phases([neg(4, 0, large), neg(3, 4, small)], [large]) == [(0, 3), (1, 1)]
    assert phases([neg(4, 0, large), neg(4, 0, large)], [large]) == [(0, 3), (1, 3)]
    assert phases([neg(4, 0, large), neg(5, 0, large)], [large, large]) == [(0, 3)]
    # The second temporary is in the first one's memory, or beside it.
    for offset, expected in ((large * 4 - 64, [(0, 3), (1, 3)]), (large * 4, [(0, 3)])):
        assert phases([neg(4, 0, large), neg(5, 0, large)], [large, large], [0, offset]) == expected
    # What one thread reads, several overwrite.
    assert phases([neg(4, 0, large), neg(3, 4, small), neg(4, 0, large)], [large]) == [(0, 3), (1, 1), (2, 3)]


def decide(choice: _core.PoolChoice, runs: int, alone: float, pool: float) -> tuple[list[bool], float]:
    """The choice, and its time relative to one thread."""
    chosen: list[bool] = []
    took = 0.0
    for _ in range(runs):
        chosen.append(choice.use_pool())
        took += pool if chosen[-1] else alone
        choice.took(chosen[-1], pool if chosen[-1] else alone)
    return chosen, took / (runs * alone)


def test_a_pool_that_is_faster_is_used() -> None:
    chosen, part = decide(_core.PoolChoice(), 2000, 2e6, 1.1e6)
    assert sum(chosen) > 1980
    assert part < 0.56


@pytest.mark.parametrize("slower", [1.1, 2.0, 10.0])
def test_a_pool_that_is_slower_is_left(slower: float) -> None:
    choice = _core.PoolChoice()
    chosen, _ = decide(choice, 100, 2e6, 2e6 * slower)
    assert sum(chosen) < 20
    chosen, part = decide(choice, 5000, 2e6, 2e6 * slower)
    assert 0 < sum(chosen) < 500
    assert part < 1.04


def test_a_neighbour_comes_and_goes() -> None:
    choice = _core.PoolChoice()
    decide(choice, 1000, 2e6, 1.1e6)
    chosen, part = decide(choice, 3000, 2e6, 11e6)
    assert not any(chosen[5:25])
    assert part < 1.05
    chosen, _ = decide(choice, 1000, 2e6, 1.1e6)
    assert sum(chosen[600:]) > 395  # a second at most


def test_hiccups_do_not_matter() -> None:
    choice = _core.PoolChoice()
    for _ in range(20):
        chosen, _ = decide(choice, 200, 2e6, 1.1e6)
        choice.took(True, 12e6)
    assert sum(chosen) > 198


def test_number_of_threads_is_checked() -> None:
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"set_num_threads: expected n >= 1, got {n}"):
            _core.set_num_threads(n)


@pytest.mark.parametrize("policy", ["active", "passive"])
def test_wait_policy_of_openmp_does_not_matter(policy: str) -> None:
    code = "import test_threads as t; t.force_threads(5); print(t.work())"
    assert fresh.output(code, OMP_WAIT_POLICY=policy) == work()


def test_omp_num_threads_is_obeyed() -> None:
    show = "import chainrule as cr; print(cr.get_num_threads())"
    assert [fresh.output(show, OMP_NUM_THREADS=n) for n in ("1", "3")] == ["1", "3"]
