"""The parameters an optimizer takes, leaves, each once, and those that a step trains: all but the frozen ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.optimizers import CLASSES, Make, bits, each_optimizer, one_step, parameters
from chainrule.optim import SGD, Adam, AdamW

each_class = pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)


@each_class
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_bare_tensor(kind: Any, dtype: type) -> None:
    for bare in (cr.nn.Parameter(np.ones((2, 3), dtype)), cr.tensor(np.ones(3, dtype), requires_grad=True)):
        with pytest.raises(TypeError, match=rf"^{kind.__name__}: expected an iterable of parameters, got one tensor"):
            kind(bare)
    group = kind([{"params": cr.nn.Parameter(np.ones((3, 1), dtype))}])  # the one tensor of a group is no mistake
    assert len(group.params) == 1


NODES: dict[str, Callable[[cr.Tensor], cr.Tensor]] = {
    "product": lambda w: w * 2.0,
    "row": lambda w: w[0],
    "reshaped": lambda w: w.reshape(-1),
    "transposed": lambda w: w.T,
    "cast": lambda w: w.astype(np.float64),
    "compiled": cr.compile(lambda w: w + 1.0),
}


@each_class
@pytest.mark.parametrize("node", NODES)
def test_a_tensor_that_an_op_created(kind: Any, node: str) -> None:
    w = cr.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    other = cr.nn.Parameter([1.0])
    given: list[Any]
    for given in ([NODES[node](w)], [other, NODES[node](w)], [{"params": [other]}, {"params": NODES[node](w)}]):
        with pytest.raises(ValueError, match=rf"^{kind.__name__}: parameter .*was created by an op.*detach\(\)"):
            kind(given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [cr.nn.Linear(2, 1)], r"parameter 0 is not a tensor but Linear; pass model.parameters\(\)"),
        (lambda: cr.nn.Sequential(cr.nn.ReLU()), r"parameter 0 is not a tensor but ReLU; pass model.parameters\(\)"),
        (lambda: cr.nn.Linear(2, 1).named_parameters(), r"parameter 0 is not a tensor but tuple; .*named_parameters"),
        (lambda: cr.nn.Linear(2, 1), r"expected an iterable of parameters, got Linear; pass model.parameters\(\)"),
        (lambda: None, "expected an iterable of parameters, got NoneType"),
        (lambda: [{"params": None}], "expected an iterable of parameters, got NoneType"),
        (lambda: [np.ones(3)], "parameter 0 is not a tensor but ndarray"),
        (lambda: [cr.nn.Parameter([1.0]), None], "parameter 1 is not a tensor but NoneType"),
        (lambda: {"w": cr.nn.Parameter([1.0])}, "parameter 0 is not a tensor but str"),
        (lambda: [cr.nn.Buffer([1.0])], "parameter 0 is not a tensor with requires_grad=True"),
        (lambda: [cr.tensor([1, 2])], "parameter 0 is not a tensor with requires_grad=True"),
    ],
)
def test_what_is_no_parameter(make: Callable[[], Any], message: str) -> None:
    for kind in (SGD, Adam):
        with pytest.raises(TypeError, match=f"^{kind.__name__}: {message}"):
            kind(make())


@each_class
def test_duplicates_are_named(kind: Any) -> None:
    a, b = cr.nn.Parameter([1.0]), cr.nn.Parameter([1.0])
    model = cr.nn.Sequential(cr.nn.Linear(2, 2), cr.nn.Tanh())
    weight = model[0].weight  # type: ignore[attr-defined]
    cases: list[tuple[Any, str]] = [
        ([a, b, a], "parameter 0 and as parameter 2"),
        ([a, a], "parameter 0 and as parameter 1"),
        ([{"params": [b, a]}, {"params": a}], "parameter 1 of group 0 and as parameter 0 of group 1"),
        ([{"params": [a, b, b]}, {"params": []}], "parameter 1 of group 0 and as parameter 2 of group 0"),
        ([*model.parameters(), weight], "parameter 0 and as parameter 2"),
    ]
    for given, message in cases:
        with pytest.raises(ValueError, match=f"^{kind.__name__}: the same parameter appears twice, as {message}$"):
            kind(given)


@each_optimizer
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_frozen_parameters_rest_with_their_states(make: Make, compiled: bool) -> None:
    params = parameters()
    optimizer = make(params)

    def step() -> None:
        one_step(params, optimizer)

    run = cr.compile(step) if compiled else step
    for frozen in ((), (1,), (1, 2), (0,), (1, 2), ()):
        for i, p in enumerate(params):
            p.requires_grad = i not in frozen
        before, state = [p.numpy().copy() for p in params], optimizer.state_dict()
        run()
        after = optimizer.state_dict()
        for i, p in enumerate(params):
            assert np.array_equal(p.numpy(), before[i]) == (i in frozen)
            for name in state.keys() - {"groups"}:
                if i in frozen:
                    assert np.array_equal(after[name][i], state[name][i]), name


@each_optimizer
def test_a_frozen_parameter_with_an_old_gradient(make: Make) -> None:
    """As eager, as compiled: the step passes over it, whatever its `grad`."""
    params = parameters()
    optimizer = make(params)
    for p in params:
        p.grad = cr.tensor(np.full(p.shape, 0.5, np.float32))
    params[1].requires_grad = False
    before = params[1].numpy().copy()
    optimizer.step()
    cr.compile(optimizer.step)()
    assert np.array_equal(params[1].numpy(), before)
    params[1].requires_grad = True
    optimizer.step()
    assert not np.array_equal(params[1].numpy(), before)


@each_class
def test_frozen_from_the_start(kind: Any) -> None:
    bias = kind is not cr.optim.Muon  # which is for matrices only
    model = cr.nn.Sequential(cr.nn.Linear(2, 3, bias=bias), cr.nn.Tanh(), cr.nn.Linear(3, 1, bias=bias))
    for p in model[0].parameters():
        p.requires_grad = False
    optimizer = kind(model.parameters())
    x = cr.tensor(np.arange(8, dtype=np.float32).reshape(4, 2))

    def step() -> cr.Tensor:
        optimizer.zero_grad()
        loss = cr.mean(cr.square(model(x)))
        loss.backward()
        optimizer.step()
        return loss

    before = model.state_dict()
    step()
    after = model.state_dict()
    assert [np.array_equal(before[n], after[n]) for n in before] == [n[0] == "0" for n in before]
    for p in model[0].parameters():
        p.requires_grad = True
    step()
    assert not np.array_equal(model.state_dict()["0.weight"], before["0.weight"])


def _failing(calls: int) -> Callable[..., None]:
    """An executor's `update` that fails at a call."""
    from chainrule._util.mode import EAGER

    left = [calls]

    def update(*arguments: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise MemoryError("no memory")
        type(EAGER).update(EAGER, *arguments)

    return update


@pytest.mark.parametrize("kind", [Adam, AdamW, cr.optim.Adagrad])
@pytest.mark.parametrize("done", [0, 1, 2])
def test_an_error_within_a_step(kind: Any, done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameters before the error have made a step, the others none, and the step counts say so."""
    from chainrule._util import mode

    params = parameters()
    optimizer = kind(params)
    for p in params:
        p.grad = cr.tensor(np.full(p.shape, 0.5, np.float32))
    start = [p.numpy().copy() for p in params]
    failing = type("Failing", (mode.Eager,), {"update": staticmethod(_failing(done))})()
    monkeypatch.setattr(mode.grad_mode, "executor", failing)
    with pytest.raises(MemoryError):
        optimizer.step()
    monkeypatch.undo()
    moved = [not np.array_equal(p.numpy(), s) for p, s in zip(params, start, strict=True)]
    assert moved == [i < done for i in range(3)]
    assert [int(clock[0]) for clock in optimizer.state_dict()["clock"]] == [int(m) for m in moved]
    others = kind(copies := parameters())
    for p, c in zip(params, copies, strict=True):
        c.grad = p.grad
    for i, p in enumerate(params):
        p.grad = None if i < done else p.grad
    optimizer.step()
    others.step()
    assert bits(params) == bits(copies)
