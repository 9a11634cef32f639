"""Containers of arguments and results, and the objects among them: trees are read at every call, others refused."""

from __future__ import annotations

import types
from argparse import Namespace
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from reference import assert_same_bits

ONE, TWO = np.array([1.0, 2.0], np.float32), np.array([10.0, 20.0], np.float32)


@dataclass
class Batch:
    x: Any
    name: str = "batch"


@dataclass(frozen=True)
class Frozen:
    x: Any


@dataclass(slots=True)
class Slotted:
    x: Any


@dataclass
class Checked:
    """A dataclass whose constructor looks at values."""

    x: Any
    doubled: Any = field(init=False)

    def __post_init__(self) -> None:
        self.x = np.asarray(self.x)
        self.doubled = self.x * 2


@dataclass
class Derived(Batch):
    y: Any = 3.0


class Pair(NamedTuple):
    x: Any
    y: Any = 1.0


class OwnPair(namedtuple("OwnPair", "x y")):
    def __new__(cls, x: Any) -> Any:
        return super().__new__(cls, x, 5.0)


class OwnDict(dict):  # type: ignore[type-arg]
    def __init__(self, x: Any) -> None:
        super().__init__(x=x)
        self.extra = 2.0


class Protected(dict):  # type: ignore[type-arg]
    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("not to be changed")


class OwnList(list):  # type: ignore[type-arg]
    note = "of the class"


class OwnTuple(tuple):
    pass


class OwnSlots(list):  # type: ignore[type-arg]
    __slots__ = ("mark",)


class Attrs:
    """What attrs makes of a class, without attrs."""

    __attrs_attrs__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x


class Registered:
    def __init__(self, x: Any, unit: str) -> None:
        self.x, self.unit = x, unit


cr.register_tree_node(Registered, lambda r: ((r.x,), r.unit), lambda unit, children: Registered(children[0], unit))


def slots_list(x: Any) -> Any:
    made = OwnSlots([x])
    made.mark = np.float64(3.0)
    return made


def power(x: Any, exponent: float) -> Any:
    return x**exponent


def counter(x: Any) -> Any:
    return Counter(x=x)


# How to make a container, and how to read it.
by_key = lambda b: b["x"]  # noqa: E731
by_name = lambda b: b.x  # noqa: E731
by_index = lambda b: b[0]  # noqa: E731
CONTAINERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tuple": (lambda x: (x,), by_index),
    "list": (lambda x: [x], by_index),
    "dict": (lambda x: {"x": x}, by_key),
    "OrderedDict": (lambda x: OrderedDict(b=1.0, x=x), by_key),
    "defaultdict": (lambda x: defaultdict(list, x=x), by_key),
    "Counter": (counter, by_key),
    "dict subclass": (OwnDict, by_key),
    "dict subclass that is not to be changed": (lambda x: Protected(x=x), by_key),
    "list subclass": (lambda x: OwnList([x]), by_index),
    "list subclass with slots": (slots_list, by_index),
    "tuple subclass": (lambda x: OwnTuple([x]), by_index),
    "named tuple": (Pair, by_name),
    "named tuple with a constructor": (OwnPair, by_name),
    "deque": (lambda x: deque([x], maxlen=3), by_index),
    "UserDict": (lambda x: UserDict(x=x), by_key),
    "UserList": (lambda x: UserList([x]), by_index),
    "SimpleNamespace": (lambda x: types.SimpleNamespace(x=x, n=1), by_name),
    "argparse": (lambda x: Namespace(x=x), by_name),
    "mappingproxy": (lambda x: types.MappingProxyType({"x": x}), by_key),
    "dataclass": (Batch, by_name),
    "frozen dataclass": (Frozen, by_name),
    "dataclass with slots": (Slotted, by_name),
    "dataclass that looks at values": (Checked, by_name),
    "derived dataclass": (Derived, by_name),
    "attrs": (Attrs, by_name),
    "registered": (lambda x: Registered(x, "m"), by_name),
    "partial function": (lambda x: partial(cr.mul, x), lambda b: b(1.0)),
    "partial function with keywords": (lambda x: partial(power, exponent=1.0, x=x), lambda b: b()),
    "nested": (lambda x: {"a": [Batch((OrderedDict(x=x),))]}, lambda b: b["a"][0].x[0]["x"]),
    "beside constants": (lambda x: [x, "text", None, 3, 2.5, b"b", frozenset([1])], by_index),
    "numbers as keys": (lambda x: {0: 5, 1.5: x}, lambda b: b[1.5]),
}


@pytest.mark.parametrize(("make", "read"), CONTAINERS.values(), ids=CONTAINERS)
def test_arrays_in_containers_are_read_at_every_call(make: Any, read: Any) -> None:
    """Arrays, tensors, arrays that are overwritten; one trace for each kind."""
    runs: list[int] = []

    def function(b: Any) -> Any:
        runs.append(1)
        return cr.sum(read(b) * 2.0)

    step = cr.compile(function)
    assert [step(make(x)).item() for x in (ONE, TWO, ONE)] == [6.0, 60.0, 6.0]
    assert [step(make(cr.tensor(x))).item() for x in (ONE, TWO)] == [6.0, 60.0]
    x = ONE.copy()
    kept = make(x)
    assert step(kept).item() == 6.0
    x[:] = TWO
    assert step(kept).item() == 60.0
    assert len(runs) == 1


@pytest.mark.parametrize(("make", "read"), CONTAINERS.values(), ids=CONTAINERS)
def test_the_function_sees_the_same_classes(make: Any, read: Any) -> None:
    seen: list[Any] = []

    def function(b: Any, *, named: Any) -> Any:
        seen[:] = [type(b), type(named[0])]
        return read(b) + read(named[0])

    made = make(ONE)
    step = cr.compile(function)
    assert_same_bits(step(made, named=[made]).numpy(), ONE * 2, "value")
    assert seen == [type(made)] * 2


RESULTS = {name: pair for name, pair in CONTAINERS.items() if "partial" not in name and pair[0] is not Checked}


@pytest.mark.parametrize(("make", "read"), RESULTS.values(), ids=RESULTS)
def test_results_keep_their_classes(make: Any, read: Any) -> None:
    step = cr.compile(lambda x: make(x * 2.0))
    kept = []
    for x in (ONE, TWO, ONE):
        result = step(x)
        assert type(result) is type(make(x))
        assert_same_bits(read(result).numpy(), x * 2, "value")
        kept.append(result)
    assert len(set(map(id, kept))) == 3


def test_details_of_results() -> None:
    step = cr.compile(lambda x: (defaultdict(list, x=x), deque([x, 1], maxlen=7), OwnDict(x), slots_list(x), {1, 2}))
    for _ in range(2):
        default, queue, own, slots, numbers = step(ONE)
        assert default["missing"] == [] and queue.maxlen == 7 and own.extra == 2.0 and slots.mark == 3.0
        assert numbers == {1, 2}
        numbers.add(3)  # of this call only


@pytest.mark.parametrize(("make", "read"), RESULTS.values(), ids=RESULTS)
def test_transformations_of_functions_of_containers(make: Any, read: Any) -> None:
    """Reverse and forward mode, eager and compiled."""
    x = np.array([0.5, -1.5])

    def function(b: Any) -> Any:
        return cr.sum(read(b) ** 3)

    made = make(x)
    if not _only_floats(made):
        with pytest.raises(TypeError, match="can differentiate with respect to"):
            cr.grad(function)(made)
        return
    for f in (cr.grad(function), cr.compile(cr.grad(function))):
        gradient = f(made)
        assert type(gradient) is type(made)
        assert_same_bits(read(gradient).numpy(), 3 * x * x, "gradient")
    _, tangent = cr.jvp(function, (made,), (cr.grad(function)(made),))
    np.testing.assert_allclose(tangent.numpy(), np.sum((3 * x * x) ** 2), rtol=1e-12)


def _only_floats(tree: Any) -> bool:
    """Whether all leaves of a container are floats or arrays of them."""
    from chainrule._util.trees import flatten

    leaves: list[Any] = []
    flatten(tree, leaves, lambda leaf: isinstance(leaf, (np.ndarray, int, float, str, bytes, type(None), frozenset)))
    return all(isinstance(leaf, (float, np.ndarray)) or type(leaf) is int for leaf in leaves)


@pytest.mark.parametrize("name", ["dict", "dataclass", "named tuple", "OrderedDict", "nested"])
def test_derivatives_of_compiled_functions_of_containers(name: str) -> None:
    make, read = CONTAINERS[name]
    step = cr.compile(lambda b: cr.sum(cr.square(read(b))))
    for values in (ONE, TWO):
        x = cr.tensor(values, requires_grad=True)
        step(make(x)).backward()
        assert x.grad is not None
        assert_same_bits(x.grad.numpy(), values * 2, "gradient")


# Results that are refused, and registration.


class Plain:
    """A class that nothing is known of."""

    def __init__(self, x: Any) -> None:
        self.x = x


class PlainSlots:
    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x


HELD: dict[str, Callable[[Any], Any]] = {
    "object": Plain,
    "object with slots": PlainSlots,
    "set": lambda t: {t},
    "frozenset": lambda t: frozenset([t]),
    "closure": lambda t: lambda: t,
    "object in a list": lambda t: [1, Plain(t)],
    "object in an object": lambda t: Plain([Plain(t)]),
    "generator": lambda t: (i for i in [t]),
    "iterator": lambda t: iter([t]),
    "map": lambda t: map(cr.exp, [t]),
    "zip": lambda t: zip([t], [t], strict=True),
    "bound method": lambda t: types.MethodType(lambda self: self, Plain(t)),
    "ChainMap": lambda t: ChainMap({"x": t}),
}


@pytest.mark.parametrize("make", HELD.values(), ids=HELD)
def test_results_that_hide_tensors_are_refused(make: Callable[[Any], Any]) -> None:
    with pytest.raises(cr.CompileError, match=r"^compile: the result.* (holds a tensor|is an iterator)"):
        cr.compile(lambda x: make(x * 2.0))(ONE)


def test_registration() -> None:
    class Polar:
        def __init__(self, r: Any, phi: Any) -> None:
            self.r, self.phi = r, phi

    cr.register_tree_node(Polar, lambda p: ((p.r, p.phi), None), lambda _, parts: Polar(*parts))
    step = cr.compile(lambda p: Polar(p.r * 2.0, p.phi))
    for x in (ONE, TWO):
        result = step(Polar(x, 0.5))
        assert type(result) is Polar and result.phi == 0.5
        assert_same_bits(result.r.numpy(), x * 2, "r")
    with pytest.raises(ValueError, match=r"^register_tree_node: Polar is registered already"):
        cr.register_tree_node(Polar, lambda p: ((), None), lambda _, parts: Polar(1, 2))
    with pytest.raises(TypeError, match=r"^register_tree_node: expected a class, got int"):
        cr.register_tree_node(3, lambda p: ((), None), lambda _, parts: 3)  # type: ignore[arg-type]
