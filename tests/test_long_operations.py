"""Ctrl-C during one long operation: it ends soon, and what it was to change is as before."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core, nn
from support.variants import force_level

pytestmark = pytest.mark.alone

LATENCY = 0.2  # seconds
ATTEMPTS = 3  # other processes may take the CPUs for a while


def interrupted(operation: Callable[[], Any], delay: float = 0.15) -> float | None:
    """Seconds from Ctrl-C to the KeyboardInterrupt; None if the operation ended before."""
    sent = [0.0]

    def send() -> None:
        sent[0] = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(delay, send)
    timer.start()
    try:
        operation()
        timer.cancel()
        timer.join()
        time.sleep(0.01)  # a signal that came at the end
    except KeyboardInterrupt:
        return time.perf_counter() - sent[0]
    finally:
        timer.join()
    return None


def ends_soon(operation: Callable[[], Any]) -> None:
    found = [interrupted(operation) for _ in range(ATTEMPTS)]
    assert None not in found, f"the operation is too short for this test: {found}"
    assert min(seconds for seconds in found if seconds is not None) < LATENCY, found


def numbers(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return (
        np.full(shape, 0.5, dtype) if np.prod(shape) > 1e7 else cr.random.Generator(seed=1).normal(shape, dtype=dtype)
    )


def product(m: int, k: int, n: int, dtype: type = np.float32) -> Callable[[], Any]:
    a, b = cr.tensor(numbers(m, k, dtype=dtype)), cr.tensor(numbers(k, n, dtype=dtype))
    return lambda: a @ b


def elementwise(name: str, count: int, dtype: type = np.float32) -> Callable[[], Any]:
    x, function = cr.tensor(numbers(count, dtype=dtype)), getattr(cr, name)

    def run() -> None:
        for _ in range(1):
            function(x)

    return run


def wide_net() -> tuple[nn.Module, cr.optim.Optimizer]:
    generator = cr.random.Generator(seed=2)
    model = nn.Sequential(
        nn.Linear(1500, 1500, generator=generator),
        nn.Tanh(),
        nn.Dropout(0.2, generator),
        nn.Linear(1500, 10, generator=generator),
    )
    return model, cr.optim.Adam(model.parameters(), lr=1e-3)


OPERATIONS: dict[str, Callable[[], Callable[[], Any]]] = {
    "square product": lambda: product(4000, 4000, 4000),
    "float64 product": lambda: product(3000, 3000, 3000, np.float64),
    "tall product": lambda: product(200_000, 300, 300),
    "wide product": lambda: product(300, 300, 200_000),
    "deep product": lambda: product(64, 2_000_000, 100),
    "outer product": lambda: product(16_000, 64, 8_000),
    "batched product": lambda: batched(256, 400),
    "transposed product": lambda: transposed(3500),
    "exp": lambda: elementwise("exp", 10**9 // 8),
    "erf, float64": lambda: elementwise("erf", 10**9 // 16, np.float64),
    "tanh, float64": lambda: elementwise("tanh", 10**9 // 16, np.float64),
    "normal numbers": lambda: lambda: cr.random.Generator(seed=0).normal((60_000_000,)),
    "softmax": lambda: rows_of(lambda x: cr.softmax(x)),
    "convolution": lambda: convolution(),
    "predict": lambda: prediction(False),
    "Predictor": lambda: prediction(True),
    "core product": lambda: core_product(4000),
}


def batched(count: int, n: int) -> Callable[[], Any]:
    a = cr.tensor(numbers(count, n, n))
    return lambda: cr.matmul(a, a)


def transposed(n: int) -> Callable[[], Any]:
    a = cr.tensor(numbers(n, n))
    return lambda: cr.matmul(a.T, a)


def rows_of(function: Callable[[cr.Tensor], Any]) -> Callable[[], Any]:
    x = cr.tensor(numbers(1_000_000, 100))

    def run() -> None:
        for _ in range(20):
            function(x)

    return run


def convolution() -> Callable[[], Any]:
    layer = nn.Conv2d(64, 128, 3, generator=cr.random.Generator(seed=0))
    x = cr.tensor(numbers(32, 64, 64, 64))

    def run() -> None:
        with cr.no_grad():
            layer(x)

    return run


def prediction(bound: bool) -> Callable[[], Any]:
    model = wide_net()[0]
    x = numbers(60_000, 1500)
    predict = cr.Predictor(model) if bound else model.predict
    predict(x[:1000])
    return lambda: predict(x)


def core_product(n: int) -> Callable[[], Any]:
    a, out = numbers(n, n), np.empty((n, n), np.float32)
    return lambda: _core.matmul(a, a, out)


@pytest.mark.full
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_ends_soon(name: str) -> None:
    ends_soon(OPERATIONS[name]())


def test_a_product_ends_soon() -> None:
    ends_soon(OPERATIONS["square product"]())


@pytest.mark.parametrize("isa", _core.available_isas())
def test_a_product_on_every_level(isa: str) -> None:
    force_level(isa)
    ends_soon(product(4000, 4000, 4000))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_product_on_threads(threads: int) -> None:
    cr.set_num_threads(threads)
    ends_soon(product(4500, 4500, 4500))


# A step on 20,000 rows of a net of 1500 columns: two seconds.
STEP_X = numbers(20_000, 1500)
STEP_Y = (STEP_X[:, 0] > 0).astype(np.int64)


def state(model: nn.Module, optimizer: cr.optim.Optimizer) -> bytes:
    parts = [value.tobytes() for value in model.state_dict().values()]
    found = optimizer.state_dict()
    arrays = [array for name, value in found.items() if name != "groups" for array in value if array is not None]
    return b"".join([*parts, *(array.tobytes() for array in arrays)])


def test_a_compiled_step_is_undone() -> None:
    """Weights, states of the optimizer and of the generator are those before the step; training goes on as alone."""

    def build() -> tuple[nn.Module, cr.optim.Optimizer, Any]:
        model, optimizer = wide_net()

        @cr.compile
        def step(x: Any, y: Any) -> cr.Tensor:
            optimizer.zero_grad()
            loss = cr.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return model, optimizer, step

    model, optimizer, step = build()
    step(STEP_X, STEP_Y)
    first = state(model, optimizer)
    step(STEP_X, STEP_Y)
    second = state(model, optimizer)
    model, optimizer, step = build()
    step(STEP_X, STEP_Y)
    found = []
    for delay in (0.05, 0.15, 0.3):
        seconds = interrupted(lambda: step(STEP_X, STEP_Y), delay)
        if seconds is None:
            pytest.skip("the step is too short here")
        found.append(seconds)
        assert state(model, optimizer) == first
    assert min(found) < LATENCY, found
    step(STEP_X, STEP_Y)
    assert state(model, optimizer) == second


@pytest.mark.parametrize("by_hand", [True, False])
def test_fit_stops_before_the_step(by_hand: bool) -> None:
    def trainer() -> tuple[nn.Module, cr.optim.Optimizer, cr.Trainer]:
        model, optimizer = wide_net()
        loss = nn.CrossEntropyLoss()
        found = cr.Trainer(model, STEP_X, STEP_Y, loss=loss, optimizer=optimizer, batch_size=None, seed=0)
        return model, optimizer, found

    model, optimizer, training = trainer()
    states = [state(model, optimizer)]
    for _ in range(2):
        training.run_epoch()
        states.append(state(model, optimizer))
    model, optimizer, training = trainer()
    if by_hand:
        seconds = interrupted(lambda: [training.run_epoch() for _ in range(2)], 0.3)
    else:
        seconds = interrupted(
            lambda: cr.fit(
                model, STEP_X, STEP_Y, loss=nn.CrossEntropyLoss(), optimizer=optimizer, batch_size=None, epochs=2,
                seed=0, progress=False,
            ),
            0.3,
        )  # fmt: skip
    if seconds is None:
        pytest.skip("the steps are too short here")
    assert state(model, optimizer) in states[:2]


def test_a_handler_that_returns_does_not_stop_an_operation() -> None:
    calls = []
    before = signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        a = cr.tensor(numbers(2000, 2000))
        expected = (a @ a).numpy().tobytes()
        found = []

        def run() -> None:
            end = time.perf_counter() + 0.5
            while time.perf_counter() < end:
                found.append((a @ a).numpy().tobytes() == expected)

        assert interrupted(run, 0.1) is None
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == [signal.SIGINT]
    assert all(found)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_bits_of_a_product_that_can_be_stopped() -> None:
    """In the main thread it is done in blocks, in another one as a whole."""
    for m, k, n in ((1500, 1500, 1500), (7, 90_000, 1200), (40_000, 200, 65), (300, 70_000, 300)):
        for dtype in (np.float32, np.float64):
            a = cr.random.Generator(seed=1).normal((m, k), dtype=dtype)
            b = cr.random.Generator(seed=2).normal((k, n), dtype=dtype)
            found = [(cr.tensor(a) @ cr.tensor(b)).numpy().tobytes()]

            def other(a: np.ndarray = a, b: np.ndarray = b, found: list[bytes] = found) -> None:
                found.append((cr.tensor(a) @ cr.tensor(b)).numpy().tobytes())

            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            assert found[0] == found[1]
