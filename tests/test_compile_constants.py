"""Constants and objects among the arguments of compiled functions: told apart, followed or refused."""

from __future__ import annotations

import array
import datetime
import decimal
import enum
import itertools
import threading
import types
from collections import ChainMap, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from reference import assert_same_bits
from test_compile_trees import ONE, TWO, Batch, Pair, Plain, PlainSlots, Registered, by_key, by_name

# Constants.


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


@dataclass(frozen=True)
class Unit:
    name: str


NAN, OTHER_NAN = np.array([0x7FF8000000000000, 0x7FF8000000000001], np.uint64).view(np.float64)
# Values that are equal, or print alike, and still are not the same.
DISTINCT: dict[str, tuple[Any, Any]] = {
    "zeros": (0.0, -0.0),
    "1 and 1.0": (1, 1.0),
    "1 and True": (1, True),
    "1.0 and True": (1.0, True),
    "0 and False": (0, False),
    "bool of NumPy": (True, np.bool_(True)),
    "int64 and int": (1, np.int64(1)),
    "int64 and int32": (np.int64(1), np.int32(1)),
    "float32 and float64": (np.float32(0.5), np.float64(0.5)),
    "float and float64": (0.5, np.float64(0.5)),
    "zeros of NumPy": (np.float32(0.0), np.float32(-0.0)),
    "complex zeros": (complex(0.0, 0.0), complex(0.0, -0.0)),
    "complex and float": (1.0, complex(1.0)),
    "text and bytes": ("a", b"a"),
    "text of NumPy": ("a", np.str_("a")),
    "enum and number": (1, Level.LOW),
    "members": (Colour.RED, Colour.BLUE),
    "tuple and list": ((1,), [1]),
    "zeros in a tuple": ((0.0,), (-0.0,)),
    "1 and True in a list": ([1], [True]),
    "1 and True in a frozenset": (frozenset([1]), frozenset([True])),
    "zeros in a set": ({0.0}, {-0.0}),
    "set and frozenset": ({1}, frozenset([1])),
    "nested frozensets": (frozenset([frozenset([1])]), frozenset([frozenset([1.0])])),
    "tuple in a frozenset": (frozenset([(1, 2)]), frozenset([(1, 2.0)])),
    "keys": ({1: 5}, {True: 5}),
    "keys of zero": ({0.0: 5}, {-0.0: 5}),
    "order of keys": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "dict and OrderedDict": ({"a": 1}, OrderedDict(a=1)),
    "factory": (defaultdict(list, a=1), defaultdict(dict, a=1)),
    "length of a deque": (deque([1], maxlen=2), deque([1], maxlen=3)),
    "range": (range(0, 3, 2), range(0, 4, 2)),
    "slice": (slice(1), slice(True)),
    "decimal": (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
    "dtype": (np.dtype("float32"), np.dtype("float64")),
    "dtype and class": (np.dtype("float32"), np.float32),
    "time": (datetime.timedelta(1), datetime.timedelta(2)),
    "class": (int, float),
    "function": (cr.tanh, cr.sigmoid),
    "field": (Batch(1), Batch(1.0)),
    "name of a field": (types.SimpleNamespace(a=1), types.SimpleNamespace(b=1)),
    "data of a registered class": (Registered(1.0, "m"), Registered(1.0, "cm")),
    "None and Ellipsis": (None, ...),
    "None and nothing": ((None,), ()),
}


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", DISTINCT)
def test_other_constants_are_other_kinds(name: str, first: int) -> None:
    """The function sees the value that was passed; one trace for each."""
    pair = DISTINCT[name]
    seen: list[Any] = []
    step = cr.compile(lambda x, value: seen.append(value) or x * 2.0)
    for i in (first, 1 - first, first, 1 - first):
        step(ONE, pair[i])
    assert len(seen) == 2
    assert [type(value) for value in seen] == [type(pair[first]), type(pair[1 - first])]


SAME: dict[str, Callable[[], Any]] = {
    "float": lambda: float("2.5"),
    "large integer": lambda: int("123456789012345"),
    "nan": lambda: float("nan"),
    "nan of NumPy": lambda: np.float64("nan"),
    "text": lambda: "".join(["a", "bc"]),
    "bytes": lambda: bytes([1, 2, 3]),
    "tuple": lambda: tuple(map(float, (1, 2.5))),
    "set": lambda: {1, "a", 2.5},
    "frozenset": lambda: frozenset([1, (2, "a")]),
    "number of NumPy": lambda: np.float32(2.5),
    "complex": lambda: complex(1, -2),
    "range": lambda: range(1000, 2000),
    "dtype": lambda: np.dtype("f4"),
    "decimal": lambda: decimal.Decimal("1.5"),
    "date": lambda: datetime.date(2020, 1, 2),
    "dataclass": lambda: Batch(2.5),
    "namespace": lambda: types.SimpleNamespace(a=1),
    "slice": lambda: slice(1000, 2000),
    "registered": lambda: Registered(2.5, "m"),
    "bound method": lambda: "abc".upper,
    "partial function": lambda: partial(cr.mul, 2.5),
}


@pytest.mark.parametrize("make", SAME.values(), ids=SAME)
def test_equal_constants_are_one_kind(make: Callable[[], Any]) -> None:
    runs: list[int] = []

    def function(x: Any, value: Any) -> Any:
        runs.append(1)
        return x * 2.0

    step = cr.compile(function)
    if make is SAME["bound method"]:
        model = nn.Linear(2, 2)
        make = lambda: model.forward  # noqa: E731
    for _ in range(4):
        step(ONE, make())
    assert len(runs) == 1


def test_a_set_that_has_grown() -> None:
    options = {1, 2}
    step = cr.compile(lambda x, s: x * float(len(s)))
    first = step(ONE, options).numpy()
    options.add(3)
    assert_same_bits(step(ONE, options).numpy(), first / 2 * 3, "three")


# Objects.


CHANGING: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "object": (Plain, by_name),
    "object with slots": (PlainSlots, by_name),
    "object in a list": (lambda x: [Plain(x)], lambda b: b[0].x),
    "object in an object": (lambda x: Plain(Plain(x)), lambda b: b.x.x),
    "list in an object": (lambda x: Plain([x]), lambda b: b.x[0]),
    "ChainMap": (lambda x: ChainMap({"x": x}), by_key),
    "closure": (lambda x: lambda: x, lambda b: b()),
    "default": (lambda x: lambda y=x: y, lambda b: b()),
    "bound method": (lambda x: types.MethodType(lambda self: self.x, Plain(x)), lambda b: b()),
}


@pytest.mark.parametrize(("make", "read"), CHANGING.values(), ids=CHANGING)
def test_arrays_in_other_objects_are_never_stale(make: Any, read: Any) -> None:
    step = cr.compile(lambda b: cr.sum(cr.mul(read(b), 2.0)))
    x = ONE.copy()
    kept = make(x)
    assert step(kept).item() == 6.0
    x[:] = TWO
    assert step(kept).item() == 60.0
    assert step(make(ONE)).item() == 6.0


def yielding() -> Any:
    yield ONE


REFUSED: dict[str, Callable[[], Any]] = {
    "generator": yielding,
    "iterator": lambda: iter([ONE]),
    "map": lambda: map(abs, [1.0]),
    "zip": lambda: zip([1], [2], strict=True),
    "enumerate": lambda: enumerate([1]),
    "count": itertools.count,
    "lock": threading.Lock,
    "tensor in a frozenset": lambda: frozenset([cr.tensor(ONE)]),
    "tensor in a set": lambda: {cr.tensor(ONE), 1},
    "tensor in a tuple in a frozenset": lambda: frozenset([(cr.tensor(ONE),)]),
    "bytearray": lambda: bytearray(b"abc"),
    "values of a dict": lambda: {"x": ONE}.values(),
    "items of a dict": lambda: {"x": ONE}.items(),
    "keys of a dict": lambda: {"x": ONE}.keys(),
    "generator in a list": lambda: [1.0, yielding()],
    "generator in a dict": lambda: {"a": yielding()},
    "generator in a dataclass": lambda: Batch(yielding()),
    "iterator in a named tuple": lambda: Pair(iter([1])),
    "array in the data of a registered class": lambda: Registered(1.0, ONE),  # type: ignore[arg-type]
    "pattern": lambda: __import__("re").compile("a"),
    "iterator over text": lambda: iter("abc"),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("named", [False, True])
def test_what_is_not_known_is_refused(make: Callable[[], Any], named: bool) -> None:
    step = cr.compile(lambda x, other: x * 2.0)
    with pytest.raises(cr.CompileError, match=r"^compile: argument '?(1|other)") as caught:
        _ = step(ONE, other=make()) if named else step(ONE, make())
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "given", [array.array("f", [1.0, 2.0]), memoryview(ONE), np.ma.masked_array(ONE)], ids=["array", "memory", "masked"]
)
def test_buffers_are_arrays(given: Any) -> None:
    step = cr.compile(lambda x: cr.sum(x * 2.0))
    assert step(given).item() == 6.0
    if not isinstance(given, np.ndarray):
        kept = given.tolist() if isinstance(given, array.array) else None
        if kept is not None:
            given[0] = 5.0
            assert step(given).item() == 14.0
            given[0] = 1.0


CHANGERS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "key set": (lambda: {"x": ONE}, lambda b: b.update(y=b["x"])),
    "entry replaced": (lambda: {"x": ONE}, lambda b: b.update(x=b["x"] * 2.0)),
    "key popped": (lambda: {"x": ONE, "k": 1}, lambda b: b.pop("k")),
    "appended": (lambda: [ONE], lambda b: b.append(1)),
    "item replaced": (lambda: [ONE, 1], lambda b: b.__setitem__(1, 2)),
    "sorted": (lambda: [3, 1, 2], lambda b: b.sort()),
    "attribute replaced": (lambda: Batch(ONE), lambda b: setattr(b, "x", b.x * 2.0)),
    "namespace": (lambda: types.SimpleNamespace(x=ONE), lambda b: setattr(b, "x", None)),
    "nested": (lambda: {"a": [ONE]}, lambda b: b["a"].clear()),
    "default made": (lambda: defaultdict(list, x=ONE), lambda b: b["new"]),
    "deque": (lambda: deque([ONE]), lambda b: b.append(1)),
}


@pytest.mark.parametrize(("make", "change"), CHANGERS.values(), ids=CHANGERS)
def test_changes_of_arguments_are_refused(make: Callable[[], Any], change: Callable[[Any], object]) -> None:
    def function(x: Any, b: Any) -> Any:
        change(b)
        return x * 2.0

    with pytest.raises(cr.CompileError, match=r"^compile: argument 1.* is changed inside the function"):
        cr.compile(function)(ONE, make())
