"""Arguments and results of compiled functions: arrays of every layout, trees, object identity across calls."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from support.compile_session import Scenario, Scenarios, Session, assert_equal, frozen, play_twice

X = np.random.default_rng(11).standard_normal((6, 5)).astype(np.float32)


def read_only(x: Any) -> Any:
    x = x.copy()
    x.flags.writeable = False
    return x


def unaligned(x: Any) -> Any:
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    assert not view.flags.aligned
    return view


class ArrayLike:
    """An object with an array conversion method."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.x, dtype=dtype)


class Subclass(np.ndarray[Any, Any]):
    """An array of another class."""


ARRAYS: dict[str, Any] = {
    "float64": X.astype(np.float64),
    "float16": X.astype(np.float16),
    "int8": (X * 10).astype(np.int8),
    "uint32": np.abs(X * 10).astype(np.uint32),
    "int64": (X * 10).astype(np.int64),
    "bool": X > 0,
    "big endian": X.astype(">f4"),
    "big endian integers": (X * 10).astype(">i2"),
    "columns first": np.asfortranarray(X),
    "every second": np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": X[::-1, ::-1],
    "repeated": np.broadcast_to(X[0], (6, 5)),
    "read-only": read_only(X),
    "unaligned": unaligned(X),
    "0-d": np.asarray(1.5),
    "0-d float32": np.asarray(1.5, np.float32),
    "empty": X[:0],
    "one row": X[:1],
    "array-like": ArrayLike(X),
    "subclass": X.view(Subclass),
    "masked": np.ma.masked_array(X),
    "tensor": cr.tensor(X),
    "list": X.tolist(),
    "list of lists of integers": [[1, 2], [3, 4]],
    "list of arrays": [X[0], X[1] * 2],
    "tuple": (1.5, -2.5),
    "number": 1.5,
    "integer": 3,
    "negative zero": -0.0,
    "NumPy number": np.float64(0.1),
    "NumPy integer": np.int32(7),
}


def as_float(x: Any) -> cr.Tensor:
    t = cr.tensor(x) if not isinstance(x, cr.Tensor) else x
    return t if t.dtype.kind == "f" else cr.where(t, 1.0, 0.0) if t.dtype == np.bool_ else t.astype(np.float64)


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_every_kind(kind: str) -> None:
    """As the eager function takes them: cr.tensor(x) inside is a tensor already where arrays are arguments."""
    given = ARRAYS[kind]
    if isinstance(given, (list, tuple)) and any(isinstance(item, np.ndarray) for item in given):
        function: Any = cr.stack  # a tree: its items are the arguments
    else:
        function = lambda x: as_float(x) * 2.0 + 1.0  # noqa: E731
    expected, compiled = function(given), cr.compile(function)
    for _ in range(2):
        got = compiled(given)
        assert_equal(frozen(got), frozen(expected), kind)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.asarray([1 + 2j]), "complex128"),
        (np.asarray(["a"]), "<U1"),
        (np.asarray([2**63], np.uint64), "uint64"),
        (np.asarray([None]), "object"),
        (np.asarray([1.5], np.longdouble), "longdouble|float128"),
    ],
)
def test_other_dtypes_are_refused_as_by_tensor(given: Any, message: str) -> None:
    with pytest.raises(TypeError, match=rf"^tensor: dtype ({message}) is not supported"):
        cr.compile(lambda x: x * 2.0)(given)


# Trees.


class Pair(NamedTuple):
    left: Any
    right: Any


scenario = Scenarios()


@scenario(traces=1)
def trees(s: Session) -> Any:
    def function(batch: Any, *rest: Any, **named: Any) -> Any:
        x, (y, pair) = batch["x"], batch["more"]
        return {
            "sum": x + y,
            "pair": Pair(pair.left * 2.0, [pair.right, rest[0]]),
            "nothing": None,
            "words": ("a", 1, 2.5),
            "empty": ([], (), {}),
            "named": named["z"] - x,
        }

    compiled = s.compile(function)
    for k in (1.0, 2.0):
        x = cr.tensor(s.x * k)
        yield compiled({"x": x, "more": [x * 2.0, Pair(x * 3.0, x * 4.0)]}, x * 5.0, z=x * 6.0)


@scenario(traces=4)
def the_structure_is_part_of_the_kind(s: Session) -> Any:
    compiled = s.compile(lambda pair: pair["a"] - pair["b"] if isinstance(pair, dict) else pair[0] + pair[1])
    x, y = cr.tensor(s.x), cr.tensor(s.x[::-1].copy())
    for _ in range(2):
        yield compiled((x, y)), compiled([x, y]), compiled({"a": x, "b": y}), compiled({"b": x, "a": y})


@scenario(traces=2)
def nothing_and_constants(s: Session) -> Any:
    nothing = s.compile(lambda x: None)
    constant = s.compile(lambda x: (cr.tensor([1.0, 2.0]), 3, cr.tensor([4.0]) * 2.0, cr.tensor([True]), x.shape))
    for _ in range(2):
        yield nothing(cr.tensor(s.x)), constant(cr.tensor(s.x))


@scenario(traces=1)
def no_arguments(s: Session) -> Any:
    compiled = s.compile(lambda: cr.sum(s.weight * 2.0))
    for _ in range(2):
        yield compiled()
        s.weight.copy_(s.weight * 3.0)


@scenario(traces=1)
def every_dtype(s: Session) -> Any:
    def function(x: Any, n: Any, b: Any) -> Any:
        return x > 0.5, cr.argmax(x, 1), n[::-1], b.reshape(3, 1), n.astype(np.float64), x.astype(np.float64), x, b

    compiled = s.compile(function)
    for k in range(2):
        x, n = cr.tensor(s.x + k), cr.tensor([5, -1, 2**40 + k])
        yield compiled(x, n, cr.tensor([True, False, k == 1]))


@scenario(traces=1)
def one_value_returned_in_many_ways(s: Session) -> Any:
    def function(x: Any) -> Any:
        y = cr.tanh(x)
        return y, y, y.reshape(-1), [y.reshape(4, 9)], y.detach(), x, x.reshape(-1), y * 1.0

    compiled = s.compile(function)
    for k in range(2):
        yield compiled(cr.tensor(s.x + k))


@pytest.mark.parametrize(("play", "traces"), scenario.table, ids=scenario.names)
def test_compiled_does_what_eager_does(play: Scenario, traces: int) -> None:
    play_twice(play, traces)


# New objects and identical objects across calls.


def owners(result: Any) -> list[Any]:
    """The array that owns the memory, of each tensor."""
    found = []
    for t in result:
        array = t._data
        while array.base is not None:
            array = array.base
        found.append(id(array))
    return found


def test_results_are_new_at_each_call() -> None:
    weight = cr.tensor([2.0, 3.0])

    @cr.compile
    def function(x: Any) -> Any:
        y = x * weight
        return y, y, y.reshape(2, 1), x, x.reshape(-1), weight * 1.0, cr.tensor([1.0, 2.0]), cr.tensor([4.0]) + 1.0

    x = cr.tensor([5.0, 7.0])
    kept = [function(x) for _ in range(3)]
    before = [frozen(result) for result in kept]
    memory = [owner for result in kept for owner in owners(result)]
    assert len(set(memory)) == len(memory)
    assert not set(memory) & set(owners([x, weight]))
    for result in kept[0]:
        result.copy_(result.numpy() * 0.0 - 1.0)
    assert_equal([frozen(result) for result in kept[1:]], before[1:], "results of later calls")
    assert_equal(frozen(function(x)), before[0], "the next result")


def test_tensors_from_outside_are_returned_as_they_are() -> None:
    weight, note = nn.Parameter([2.0]), object()
    compiled = cr.compile(lambda x: (weight, note, x * weight, [weight]))
    for _ in range(2):
        first, second, _, (third,) = compiled(cr.tensor([1.0]))
        assert first is weight and second is note and third is weight


def test_gradients_that_an_update_used_up_are_dropped() -> None:
    s = Session(True)
    unused = nn.Parameter([1.0])
    unused.grad = kept = cr.tensor([3.0])
    step = cr.compile(s.train)
    for p in s.model.parameters():
        p.grad = cr.tensor(np.full(p.shape, 9.0, np.float32))
    for _ in range(3):
        step(s.x, s.labels)
        assert s.gradients() == [None] * 4
        s.weight.grad = cr.tensor(np.full(s.weight.shape, 9.0, np.float32))  # forgotten by zero_grad, as eagerly
    assert unused.grad is kept


def test_gradients_are_new_at_each_call() -> None:
    s = Session(True)

    def function(x: Any, labels: Any) -> Any:
        s.optimizer.zero_grad()
        return s.backward(x, labels)

    step = cr.compile(function)
    step(s.x, s.labels)
    first, values = s.weight.grad, s.gradients()[0]
    step(s.x * 2.0, s.labels)
    assert s.weight.grad is not first
    assert_equal(frozen(first), values, "the first gradient")
    assert first is not None and first.shape == s.weight.shape and first.is_leaf and not first.requires_grad


def test_metadata_of_the_function() -> None:
    @cr.compile
    def documented(x: Any) -> Any:
        """What it does."""
        return x * 2.0

    assert (documented.__name__, documented.__doc__) == ("documented", "What it does.")
    with pytest.raises(ValueError, match=r"^compile: no program exists before the first call"):
        _ = documented.program
    documented(X)
    assert "mul" in documented.program


def test_calls_from_many_threads() -> None:
    """First calls at the same time, several shapes, on one compiled function."""
    s = Session(True)
    predict = cr.compile(cr.no_grad()(lambda x: cr.softmax(s.model(x))))
    rows = [1 + i % 4 for i in range(200)]
    expected = {n: s.model(cr.tensor(s.x[:n])).softmax().numpy() for n in set(rows)}

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: predict(s.x[:n] * 1.0).numpy(), rows))
    for n, result in zip(rows, results, strict=True):
        assert_equal(result, expected[n], f"{n} rows")
