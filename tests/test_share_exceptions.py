"""An exception on any thread in any parallel region is the caller's; the core works on afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core, nn
from chainrule._util.programs import PROGRAMS
from chainrule.nn._predict_programs import trace
from support.variants import force_threads

THREADS = 3
X = cr.random.Generator(seed=1).normal((60, 7))
Y = (X[:, 0] > 0).astype(np.int64)


def net() -> tuple[nn.Module, cr.optim.Optimizer]:
    generator = cr.random.Generator(seed=2)
    model = nn.Sequential(
        nn.Linear(7, 40, generator=generator),
        nn.Tanh(),
        nn.Dropout(0.1, generator),
        nn.Linear(40, 3, generator=generator),
    )
    return model, cr.optim.Adam(model.parameters())


def images() -> tuple[nn.Module, cr.optim.Optimizer]:
    generator = cr.random.Generator(seed=2)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, generator=generator), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    return model, cr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


Call = tuple[_core.Program, Callable[[], Any]]


def step_call() -> Call:
    model, optimizer = net()

    @cr.compile
    def step(x: Any, y: Any) -> cr.Tensor:
        optimizer.zero_grad()
        loss = cr.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step(X, Y)
    step(X, Y)
    assert step._last is not None
    return step._last.built.program, lambda: step(X, Y)


def image_step() -> Call:
    model, optimizer = images()
    x = cr.random.Generator(seed=3).normal((20, 1, 10, 10))

    @cr.compile
    def step(x: Any) -> cr.Tensor:
        optimizer.zero_grad()
        loss = cr.sum(cr.square(model(x)))
        loss.backward()
        optimizer.step()
        return loss

    step(x)
    assert step._last is not None
    return step._last.built.program, lambda: step(x)


def forward_call() -> Call:
    model = net()[0].eval()
    run = cr.compile(lambda x: cr.softmax(model(x)))
    with cr.no_grad():
        run(X)
    assert run._last is not None

    def call() -> None:
        with cr.no_grad():
            run(X)

    return run._last.built.program, call


def epoch() -> Call:
    """Gathers the rows of each step."""
    model, optimizer = net()
    trainer = cr.Trainer(model, X, Y, loss=nn.CrossEntropyLoss(), optimizer=optimizer, batch_size=20, seed=0)
    trainer.run_epoch()
    assert trainer._compiled is not None
    assert trainer._compiled._last is not None
    return trainer._compiled._last.built.program, trainer.run_epoch


def micro_batches() -> Call:
    model, optimizer = net()
    options: dict[str, Any] = {"loss": nn.CrossEntropyLoss(), "optimizer": optimizer, "batch_size": 60, "seed": 0}
    trainer = cr.Trainer(model, X, Y, micro_batch=16, **options)
    trainer.run_epoch()
    assert trainer._compiled is not None
    assert trainer._compiled._last is not None
    return trainer._compiled._last.built.program, trainer.run_epoch


def prediction(rows: int) -> Callable[[], Call]:
    def build() -> Call:
        model = net()[0]
        programs = {}

        def make(count: int) -> _core.Program:
            programs[count] = trace(model, np.dtype(np.float32), np.dtype(np.float32), (count, 7)).built.program
            return programs[count]

        predict = _core.predict_function(make, None, 0, 0, (7,), (3,), 16)
        x = np.ascontiguousarray(np.resize(X, (rows, 7)))
        predict(x)
        return programs[min(rows, 16)], lambda: predict(x)

    return build


CALLS: dict[str, Callable[[], Call]] = {
    "step": step_call,
    "step of images": image_step,
    "forward": forward_call,
    "epoch": epoch,
    "epoch in micro-batches": micro_batches,
    "prediction of few rows": prediction(5),
    "prediction in blocks": prediction(64),
}


def instructions(program: _core.Program) -> Iterator[int]:
    count = 0
    while True:
        try:
            program.throw_in(count, -1)  # on no thread
        except IndexError:
            return
        yield count
        count += 1


def throws(call: Callable[[], Any], share: int) -> bool:
    try:
        call()
    except RuntimeError as error:
        return f"thrown by share {share}" in str(error)
    return False


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("threads", [1, THREADS])
def test_an_exception_in_every_region(name: str, threads: int, record_property: Callable[[str, object], None]) -> None:
    force_threads(threads)
    count = len(list(instructions(CALLS[name]()[0])))
    assert count > 0
    thrown = 0
    for instruction in range(count):
        for share in range(threads):
            program, call = CALLS[name]()
            program.throw_in(instruction, share)
            thrown += throws(call, share)  # unless the instruction has fewer shares
    assert thrown >= count - 3  # nearly all on share 0
    record_property("exceptions", thrown)
    assert _core.pool_meets(threads, 60.0)
    CALLS[name]()[1]()


@pytest.mark.parametrize("share", range(THREADS))
@pytest.mark.parametrize(
    "operation",
    [cr.exp, lambda x: cr.matmul(x, x), lambda x: cr.sum(x, axis=0), cr.softmax, lambda x: x + x, cr.argmax],
)
def test_an_eager_operation(operation: Callable[[cr.Tensor], cr.Tensor], share: int) -> None:
    force_threads(THREADS)
    x = cr.tensor(cr.random.Generator(seed=1).normal((300, 300)))
    cr.use_isa(cr.active_isa())  # drops the programs
    expected = operation(x).numpy().tobytes()
    list(PROGRAMS.values())[-1].throw_in(0, share)
    with pytest.raises(RuntimeError, match=f"thrown by share {share}"):
        operation(x)
    PROGRAMS.clear()
    assert operation(x).numpy().tobytes() == expected
