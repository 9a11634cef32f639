"""Arrays of any layout give public functions the bits of their contiguous copy, and are not written to."""

from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import chainrule as cr
from chainrule import nn
from reference import assert_same_bits
from reference.bits import Array
from support.variants import ISAS, force_level

Record = Callable[[str, object], None]  # pytest's record_property
FLOATS = ("<f4", "<f8")
PATTERN = 0xA5  # of the memory around an array


def surrounded(shape: tuple[int, ...], dtype: Any, offset: int = 64) -> tuple[Array, Array]:
    """An array at that offset in memory of bytes, and that memory."""
    memory = np.full(int(np.prod(shape)) * np.dtype(dtype).itemsize + offset + 64, PATTERN, np.uint8)
    end = memory.size - 64
    return memory[offset:end].view(np.uint8).view(np.dtype(dtype)).reshape(shape), memory


def strided(steps: Callable[[int], int], offset: int = 64) -> Callable[[Array], tuple[Array, Array]]:
    """Every steps(axis)th element along each axis, backwards where it is negative."""

    def layout(x: Array) -> tuple[Array, Array]:
        wide = tuple(n * abs(steps(axis)) for axis, n in enumerate(x.shape))
        base, memory = surrounded(wide, x.dtype, offset)
        view = base[(*(slice(None, None, steps(axis)) for axis in range(x.ndim)), ...)]
        view[...] = x
        return view, memory

    return layout


def fortran(x: Array) -> tuple[Array, Array]:
    base, memory = surrounded(x.shape[::-1], x.dtype)
    base[...] = x.T
    return base.T, memory


def rolled_axes(x: Array) -> tuple[Array, Array]:
    """The first axis is the last in memory."""
    order = (*range(1, x.ndim), 0) if x.ndim else ()
    base, memory = surrounded(tuple(x.shape[i] for i in order), x.dtype)
    base[...] = np.transpose(x, order)
    return np.transpose(base, np.argsort(order)) if x.ndim else base, memory


def repeated(axes: Callable[[int], bool]) -> Callable[[Array], tuple[Array, Array]]:
    """Strides of 0 along these axes: all elements are the first."""

    def layout(x: Array) -> tuple[Array, Array]:
        first = x[(*(slice(0, 1) if axes(i) else slice(None) for i in range(x.ndim)), ...)]
        base, memory = surrounded(first.shape, x.dtype)
        base[...] = first
        return np.broadcast_to(base, x.shape), memory

    return layout


def swapped(x: Array) -> tuple[Array, Array]:
    base, memory = surrounded(x.shape, x.dtype.newbyteorder(">"))
    base[...] = x
    return base, memory


def field_of_records(x: Array) -> tuple[Array, Array]:
    base, memory = surrounded(x.shape, np.dtype([("tag", "i1"), ("x", x.dtype)]))
    base["x"] = x
    return base["x"], memory


def read_only(x: Array) -> tuple[Array, Array]:
    base, memory = surrounded(x.shape, x.dtype)
    base[...] = x
    base.flags.writeable = False
    return base, memory


def extra_axis(x: Array) -> tuple[Array, Array]:
    """An axis of length 1 with a stride of its own is dropped again."""
    view, memory = strided(lambda axis: 1 + 2 * (axis == 0))(x[None])
    return view[0], memory


class Own(np.ndarray):
    """A subclass that changes nothing."""


LAYOUTS: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "C": strided(lambda axis: 1),
    "Fortran": fortran,
    "axes rolled": rolled_axes,
    "backwards": strided(lambda axis: -1),
    "first axis backwards": strided(lambda axis: -1 if axis == 0 else 1),
    "gaps": strided(lambda axis: 2),
    "gaps in the first axis": strided(lambda axis: 3 if axis == 0 else 1),
    "gaps in later axes": strided(lambda axis: 1 if axis == 0 else 2),
    "gaps backwards": strided(lambda axis: -3 + axis % 2),
    "misaligned": strided(lambda axis: 1, offset=65),
    "misaligned with gaps": strided(lambda axis: 2, offset=67),
    "half an element off": strided(lambda axis: -1, offset=66),
    "repeated": repeated(lambda axis: True),
    "first axis repeated": repeated(lambda axis: axis == 0),
    "later axes repeated": repeated(lambda axis: axis > 0),
    "bytes swapped": swapped,
    "field of records": field_of_records,
    "read-only": read_only,
    "extra axis": extra_axis,
    "subclass": lambda x: (lambda view, memory: (view.view(Own), memory))(*strided(lambda axis: 1)(x)),
}

DRAW = cr.random.Generator(seed=61)
MODEL = {d: nn.Sequential(nn.Linear(3, 5, generator=DRAW, dtype=np.dtype(d).type), nn.Tanh()).eval() for d in FLOATS}
# What is done with an array x, and whether its last axis must have three elements.
CALLS: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "tensor": (cr.tensor, False),
    "exp": (cr.exp, False),
    "relu": (cr.relu, False),
    "add": (lambda x: cr.add(x, 1.5), False),
    "x times x": (lambda x: cr.mul(x, x), False),
    "operator": (lambda x: cr.tensor(x) - x, False),
    "sum": (cr.sum, False),
    "sum of columns": (lambda x: cr.sum(x, axis=0) if x.ndim else cr.sum(x), False),
    "reshape": (lambda x: cr.reshape(x, (-1,)), False),
    "matmul": (lambda x: cr.matmul(x, np.ones((3, 2), x.dtype)), True),
    "transposed matmul": (lambda x: cr.matmul(np.moveaxis(x, 0, -1), x) if x.ndim == 2 else cr.sum(x), True),
    "softmax": (lambda x: cr.softmax(x, axis=-1), True),
    "predict": (lambda x: MODEL[f"<f{x.dtype.itemsize}"].predict(x) if x.ndim == 2 else cr.neg(x), True),
    "gradient": (lambda x: cr.grad(lambda t: cr.sum(cr.tanh(t)))(x), False),
    "compiled": (cr.compile(lambda x: cr.sigmoid(x) * 2.0), False),
}


@st.composite
def arrays(draw: Any) -> tuple[str, str, Array]:
    """A layout, a call and contiguous values for them."""
    layout, call = draw(st.sampled_from(sorted(LAYOUTS))), draw(st.sampled_from(sorted(CALLS)))
    shape = tuple(draw(st.lists(st.integers(0, 6), max_size=3)))
    if CALLS[call][1]:
        shape = (*shape[:2], 3)
    seed = draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).standard_normal(shape)
    return layout, call, np.asarray(values, draw(st.sampled_from(FLOATS)))


def check(layout: str, call: str, x: Array) -> None:
    view, memory = LAYOUTS[layout](x)
    copy, before = np.array(view, dtype=x.dtype, order="C", subok=False), memory.copy()
    function = CALLS[call][0]
    found, expected = np.asarray(function(view)), np.asarray(function(copy))
    assert_same_bits(found, expected, f"{call} of {layout}, {x.shape} {x.dtype}")
    np.testing.assert_array_equal(memory, before)


def check_many(examples: int, seed: int) -> None:
    """Hypothesis' search, always the same."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(arrays())
    def search(case: tuple[str, str, Array]) -> None:
        check(*case)

    search()


def test_some_arrays(record_property: Record) -> None:
    check_many(400, seed=62)
    record_property("arrays", 400)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_call_takes_each_layout(layout: str, record_property: Record) -> None:
    rng = np.random.default_rng(63)
    shapes = [(), (3,), (5, 3), (2, 4, 3), (0, 3), (4, 0, 3), (1, 3)]
    for call, (_, three) in CALLS.items():
        for shape in shapes:
            if shape or not three:
                for dtype in FLOATS:
                    check(layout, call, np.asarray(rng.standard_normal(shape), dtype))
    record_property("arrays", len(CALLS) * len(shapes))


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:compile. <lambda> was traced 64 times")  # arrays of many shapes are the point here
@pytest.mark.parametrize("part", range(4))
def test_many_arrays(part: int, record_property: Record) -> None:
    force_level(ISAS[part % len(ISAS)])
    check_many(5_000, seed=70 + part)
    record_property("arrays", 5_000)
