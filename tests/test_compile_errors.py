"""Operations that a compiled function does not support raise at their line, before anything changes."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule._util.mode import EAGER, grad_mode
from chainrule.compiler.jit import Compiled
from support import fresh_interpreter as fresh
from support.compile_session import Session, assert_equal, frozen
from support.variants import ISAS, force_level, force_threads

X = np.random.default_rng(12).standard_normal((4, 3)).astype(np.float32)
Function = Callable[[Session, cr.Tensor], Any]
OTHER: list[cr.Tensor] = []

# Functions that change the session, then perform the rejected operation in the line that ends with "# here".


def choice_by_value(s: Session, x: cr.Tensor) -> Any:
    if x.sum() > 0:  # here
        return x
    return -x


def loop_by_value(s: Session, x: cr.Tensor) -> Any:
    while cr.max(x) > 0.5:  # here
        x = x * 0.5
    return x


def assertion(s: Session, x: cr.Tensor) -> Any:
    assert x[0, 0] == x[0, 0]  # here
    return x


def number(s: Session, x: cr.Tensor) -> Any:
    return x * float(x.sum())  # here


def integer(s: Session, x: cr.Tensor) -> Any:
    return x * int(cr.argmax(x))  # here


def item(s: Session, x: cr.Tensor) -> Any:
    loss = s.loss(cr.concatenate([x, x[:, :1]], 1), s.labels[:4])
    return loss * loss.item()  # here


def to_list(s: Session, x: cr.Tensor) -> Any:
    return x.tolist()  # here


def to_numpy(s: Session, x: cr.Tensor) -> Any:
    return x.numpy() + 1.0  # here


def numpy_function(s: Session, x: cr.Tensor) -> Any:
    return np.spacing(x)  # here


def numpy_copy(s: Session, x: cr.Tensor) -> Any:
    return np.asarray(x * 2.0)  # here


def numpy_arithmetic(s: Session, x: cr.Tensor) -> Any:
    return np.nextafter(X, x)  # here


def as_index(s: Session, x: cr.Tensor) -> Any:
    return X[cr.argmax(x, 1)]  # here


def item_of_a_parameter(s: Session, x: cr.Tensor) -> Any:
    return x * s.model[0].bias[0].item()  # here


def numpy_of_a_parameter(s: Session, x: cr.Tensor) -> Any:
    return x * s.weight.numpy().max()  # here


def float_of_a_parameter(s: Session, x: cr.Tensor) -> Any:
    return x * float(s.weight[:1, :1])  # here


def choice_by_a_parameter(s: Session, x: cr.Tensor) -> Any:
    return x if s.model[2].bias[1] > 0 else -x  # here


def state_dict(s: Session, x: cr.Tensor) -> Any:
    return x * s.model.state_dict()["0.weight"][0, 0]  # here


def random_numbers(s: Session, x: cr.Tensor) -> Any:
    return x + cr.random.Generator(seed=1).normal((4, 3))  # here


def random_layer(s: Session, x: cr.Tensor) -> Any:
    return nn.Linear(3, 2)(x)  # here


def learning_rate(s: Session, x: cr.Tensor) -> Any:
    s.optimizer.lr = 0.5  # here
    return x


def optimizer_inside(s: Session, x: cr.Tensor) -> Any:
    cr.optim.SGD([s.weight], lr=0.1).step()  # here
    return x


def evaluation_mode(s: Session, x: cr.Tensor) -> Any:
    s.model.eval()  # here
    return x


def frozen_inside(s: Session, x: cr.Tensor) -> Any:
    s.weight.requires_grad = False  # here
    return x


def argument_overwritten(s: Session, x: cr.Tensor) -> Any:
    x.copy_(x * 2.0)  # here
    return x


def argument_under_a_view(s: Session, x: cr.Tensor) -> Any:
    x.reshape(-1).copy_(X.reshape(-1))  # here
    return x


def result_overwritten(s: Session, x: cr.Tensor) -> Any:
    y = x * 2.0
    y.copy_(x)  # here
    return y


def own_buffer_overwritten(s: Session, x: cr.Tensor) -> Any:
    buffer = cr.tensor(X)
    buffer.copy_(buffer + x)  # here
    return buffer


def tensor_of_another_trace(s: Session, x: cr.Tensor) -> Any:
    return x + OTHER[0]  # here


REFUSED: tuple[tuple[Function, str], ...] = (
    *((f, r"^compile: the value of a tensor \(.*\) is not known while the function is traced") for f in (
        choice_by_value, loop_by_value, assertion, number, integer, item, to_list, to_numpy, numpy_function, numpy_copy,
        numpy_arithmetic, as_index, item_of_a_parameter, numpy_of_a_parameter, float_of_a_parameter,
        choice_by_a_parameter, state_dict,
    )),
    (random_numbers, r"^random: numbers drawn inside a compiled function would be the same at every call"),
    (random_layer, r"^random: numbers drawn inside a compiled function would be the same at every call"),
    (learning_rate, r"^SGD: lr is changed inside a compiled function; change it outside"),
    (optimizer_inside, r"^SGD: created inside a compiled function"),
    (evaluation_mode, r"^train, eval: the mode is changed inside a compiled function; change it outside"),
    (frozen_inside, r"^compile: requires_grad of a captured tensor is changed"),
    (argument_overwritten, r"^compile: an argument cannot be overwritten"),
    (argument_under_a_view, r"^compile: an argument cannot be overwritten"),
    (result_overwritten, r"^compile: a tensor created inside the function cannot be overwritten"),
    (own_buffer_overwritten, r"^compile: a tensor created inside the function cannot be overwritten"),
    (tensor_of_another_trace, r"^compile: a tensor created while another function was traced is used"),
)  # fmt: skip


def line_of(function: Function) -> int:
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, line in enumerate(lines) if line.rstrip().endswith("# here"))


def everything(s: Session) -> list[Any]:
    """All that a step may change."""
    versions = [list(p._version) for p in s.model.parameters()]
    modes = [s.optimizer.lr, s.model.training, s.weight.requires_grad]
    return [s.weights(), s.velocity(), s.gradients(), versions, modes]


@pytest.mark.parametrize(("function", "message"), REFUSED, ids=[f.__name__ for f, _ in REFUSED])
def test_what_cannot_be_compiled(function: Function, message: str) -> None:
    s = Session(True)
    cr.compile(lambda x: OTHER.insert(0, x * 1.0))(X)
    for p in s.model.parameters():
        p.grad = cr.tensor(np.full(p.shape, 0.5, np.float32))
    fail = [True]

    @cr.compile
    def step(x: cr.Tensor) -> Any:
        loss = s.train(cr.concatenate([x, x[:, :1]], 1), s.labels[:4])
        return function(s, x) if fail else loss

    before, generator = everything(s), cr.random.default_generator()
    stream = generator.stream
    for _ in range(2):
        with pytest.raises(cr.CompileError, match=message) as error:
            step(X)
        assert_equal(everything(s), before, "after the error")
        assert (grad_mode.executor, grad_mode.enabled, generator.stream) == (EAGER, True, stream)
        name = re.search(r"\((\w+\.py):(\d+)\)", str(error.value))
        frames = [frame.lineno for frame in error.traceback if Path(frame.path).name == "test_compile_errors.py"]
        assert frames[-1] + 1 == line_of(function)
        if name is not None:
            assert name.groups() == ("test_compile_errors.py", str(line_of(function)))
        else:
            assert not str(error.value).startswith("compile: ")
    # A good call works.
    fail.clear()
    other = Session(False)
    expected = other.train(np.concatenate([X, X[:, :1]], 1), other.labels[:4])
    assert_equal(frozen(step(X)), frozen(expected), "the next call")
    assert_equal(s.weights(), other.weights(), "weights")


def test_what_can_be_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    """Printing, lengths, shapes, iteration, and values of tensors created inside."""

    @cr.compile
    def function(x: cr.Tensor) -> Any:
        print(x, x.dtype)
        rows = [row * (i + 1.0) for i, row in enumerate(x)]
        scale = cr.tensor([1.0, 2.0]).sum().item() + len(rows) + x.ndim + x.size
        return cr.stack(rows) * scale if x.shape[0] == len(x) else x

    expected = X * (np.arange(4, dtype=np.float32) + 1)[:, None] * np.float32(3 + 4 + 2 + 12)
    for _ in range(2):
        assert_equal(frozen(function(X)), expected, "rows")
    assert capsys.readouterr().out == "tensor(<traced (4, 3)>) float32\n"


@pytest.mark.parametrize("view", [lambda t: t, lambda t: t.detach(), lambda t: t.reshape(-1, 4)], ids=range(3))
def test_an_argument_that_is_also_captured(view: Callable[[cr.Tensor], cr.Tensor]) -> None:
    captured = cr.tensor(X)
    with pytest.raises(cr.CompileError, match=r"^compile: a tensor is both an argument and captured"):
        cr.compile(lambda x: x * 1.0 + captured.reshape(*x.shape))(view(captured))
    cr.compile(lambda x: x * 1.0 + captured)(captured.numpy().copy())


def test_a_traced_tensor_that_was_kept() -> None:
    kept: list[Any] = []

    @cr.compile
    def function(x: cr.Tensor) -> cr.Tensor:
        kept.append(cr.tanh(x))
        return kept[-1] * 2.0

    function(X)
    for use in (lambda t: t.numpy(), lambda t: t + 1.0, lambda t: float(t[0, 0]), lambda t: cr.sum(t), np.asarray):
        with pytest.raises(cr.CompileError, match=r"created inside a compiled|is not known while"):
            use(kept[0])
    assert repr(kept[0]) == "tensor(<traced (4, 3)>)"


def test_errors_of_the_function_itself() -> None:
    s = Session(True)
    before = everything(s)

    @cr.compile
    def step(x: Any, labels: Any) -> Any:
        s.train(x, labels)
        with cr.no_grad():
            raise ZeroDivisionError("from inside")

    with pytest.raises(ZeroDivisionError, match="from inside"):
        step(s.x, s.labels)
    assert_equal(everything(s), before, "after the error")
    assert (grad_mode.executor, cr.is_grad_enabled()) == (EAGER, True)


SHAPES: tuple[tuple[str, Callable[[Session, Any], Any]], ...] = (
    ("linear", lambda s, x: s.model(x[:, :3])),
    ("broadcast", lambda s, x: x + x[:, :3]),
    ("matmul", lambda s, x: x @ x),
    ("reshape", lambda s, x: x.reshape(5, -1)),
    ("axis", lambda s, x: cr.sum(x, 2)),
    ("concatenate", lambda s, x: cr.concatenate([x, x[:, :2]])),
    ("loss", lambda s, x: cr.mse_loss(x, x[:, 0])),
    ("labels", lambda s, x: cr.cross_entropy(x, cr.argmax(x, 0))),
    ("float labels", lambda s, x: cr.cross_entropy(x, x[:, 0])),
    ("dtypes", lambda s, x: cr.exp(x) + cr.exp(x).astype(np.float64)),
    ("index", lambda s, x: x[:, 4]),
    ("permutation", lambda s, x: x.transpose(0, 0)),
    ("backward", lambda s, x: s.model(x).backward()),
    ("no history", lambda s, x: cr.sum(x).backward()),
    ("copy", lambda s, x: s.weight.copy_(x)),
    ("empty", lambda s, x: cr.max(x[:0])),
    ("power", lambda s, x: x ** x[:, :3]),
    ("unknown word", lambda s, x: cr.mse_loss(x, x, reduction="product")),
    ("grad of a vector", lambda s, x: cr.grad(lambda z: z * 2.0)(x)),
    ("keyword", lambda s, x: cr.sum(x, axes=1)),  # type: ignore[call-arg]
)


@pytest.mark.parametrize("call", [call for _, call in SHAPES], ids=[name for name, _ in SHAPES])
def test_errors_of_ops_are_those_of_eager(call: Callable[[Session, Any], Any]) -> None:
    s = Session(True)
    with pytest.raises(Exception) as eager:
        call(s, cr.tensor(s.x))
    with pytest.raises(type(eager.value), match=f"^{re.escape(str(eager.value))}$"):
        cr.compile(lambda x: call(s, x))(s.x)


# Values that are out of range, found while a program runs.

CLASSES = 3
VALUES: dict[str, tuple[Callable[[Session, Any, Any], Any], Any]] = {
    "label": (lambda s, x, i: s.train(x, i), [0, 2, 1, 0, 3, 1, 2, 7, 0]),
    "negative label": (lambda s, x, i: s.train(x, i), [0, 2, 1, 0, 1, 1, 2, 1, -1]),
    "row": (lambda s, x, i: s.train(cr.take(x, i), s.labels), [0, 1, 2, 3, 4, 5, 6, 9, -10]),
    "negative row": (lambda s, x, i: s.train(cr.take(x, i), s.labels), [0, 1, 2, -10, 4, 5, 6, 9, -10]),
    "row of a matrix": (lambda s, x, i: s.weight[i] * 2.0, [[0, 1], [-4, 3], [2, 4], [0, 0], [5, 1]]),
    "label after an update": (
        lambda s, x, i: (s.train(x, s.labels), s.train(x * 2.0, i))[1], [0, 2, 1, 0, 3, 1, 2, 0, 0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("micro_batch", [None, 2, 4])
@pytest.mark.parametrize("name", VALUES)
def test_values_out_of_range(name: str, micro_batch: int | None) -> None:
    """The error of the eager function; weights, velocities, gradients and versions are as before."""
    call, wrong = VALUES[name]
    bad, good = np.asarray(wrong), np.asarray(wrong) * 0
    with pytest.raises((ValueError, IndexError)) as eager:
        call(Session(False), cr.tensor(Session(False).x), bad)
    for isa in ISAS:
        for threads in (1, 2, 3):
            force_level(isa)
            force_threads(threads)
            s, other = Session(True), Session(False)
            step = Compiled(lambda x, i, s=s: call(s, x, i), micro_batch)
            for order in ("before", "after"):
                for p in s.model.parameters():
                    p.grad = cr.tensor(np.full(p.shape, 0.5, np.float32))
                before = everything(s)
                with pytest.raises(type(eager.value), match=f"^{re.escape(str(eager.value))}$"):
                    step(s.x, bad)
                assert_equal(everything(s), before, f"{order} a good call, {isa}, {threads} threads")
                if order == "before":
                    assert_equal(frozen(step(s.x, good)), frozen(call(other, cr.tensor(other.x), good)), "a good call")
                    assert_equal(s.weights(), other.weights(), "weights")


def test_numpy_random_is_seen_where_the_function_is_the_first_to_use_it() -> None:
    code = (
        "import sys, numpy as np, chainrule as cr\nassert 'numpy.random' not in sys.modules\n"
        "try: cr.compile(lambda x: x * np.random.rand())(np.ones(3))\nexcept cr.CompileError as e: print(e)"
    )
    assert "drawn inside" in fresh.output(code)
