"""Threads and processes: forked children work and never hang, Python threads do not disturb each other."""

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fresh
import oracle
import training
from chainrule import _core
from programs import Float, matmul
from reference import assert_same_bits
from settings import force_level, force_threads

CHILDREN = 100
SECONDS = 20  # for a child that takes milliseconds


def values(shape: tuple[int, ...], dtype: Float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def work() -> str:
    """A product large enough for several threads, a short training run, predictions: one digest."""
    product = matmul(values((200, 150), np.float32, 1), values((150, 170), np.float32, 2))
    return f"{product.tobytes().hex()[:64]} {training.digest(dtypes=(np.float32,))}"


def in_a_child(expected: str) -> int:
    """The status of a forked child that works: 0 as expected, 1 other bits; SIGALRM ends one that hangs."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        os._exit(0 if work() == expected else 1)
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
    """Run the bodies in Python threads of their own; their exceptions are the test's."""
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
    (m, k), n = a.shape, b.shape[1]
    code: list[tuple[str, int, list[int], list[int], list[int], list[float]]] = [
        ("matmul", 0, [3], [0, 1], [0, m, n, k, k, 1, n, 1, n], []),
        ("matmul", 0, [2], [3, 3], [0, m, m, n, n, 1, 1, n, m], []),
    ]
    return _core.Program([(0, a.shape), (0, b.shape)], [(0, (m, m))], [(0, (m, n))], code)


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


def cpu_time() -> dict[str, int]:
    """Nanoseconds that each thread of this process has run."""
    return {task.name: int((task / "schedstat").read_text().split()[0]) for task in Path("/proc/self/task").iterdir()}


def shares(count: int, calls: Callable[[], object]) -> list[float]:
    """The part of the calls' processor time that each of the `count` busiest threads had, largest first."""
    force_threads(count)
    calls()  # the threads exist
    before = cpu_time()
    calls()
    used = sorted((time - before.get(task, 0) for task, time in cpu_time().items()), reverse=True)
    return [time / sum(used) for time in used[:count]]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's accounts of threads")
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_thread_does_its_share(count: int) -> None:
    force_level("scalar")  # slow: shares are large
    a, b = values((168, 200), np.float32, 5), values((200, 168), np.float32, 6)
    out = np.empty((168, 168), np.float32)
    program = two_products(a, b)
    for calls in (lambda: _core.matmul(a, b, out), lambda: program(a, b), lambda: _core.normal(1, 1, out, 0.0, 1.0)):
        assert min(shares(count, calls)) > 0.5 / count


def test_number_of_threads_is_checked() -> None:
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"set_num_threads: expected n >= 1, got {n}"):
            _core.set_num_threads(n)


def test_omp_num_threads_is_obeyed() -> None:
    show = "import chainrule as cr; print(cr.get_num_threads())"
    assert [fresh.output(show, OMP_NUM_THREADS=n) for n in ("1", "3")] == ["1", "3"]
