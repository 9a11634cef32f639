"""The table of public functions: their arguments and their NumPy reference. Tests iterate over it.

A new op is one row in `CASES`; elementwise and row-wise ops with a row in the reference are included.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from cases import axis_cases, composed_cases, image_cases, norm_cases, pair_cases, power_cases, sequence_cases
from cases.loss_cases import KINDS, PENALTIES, call, call_of_all, penalty, ways
from cases.op_layout import INDICES, MOVED
from cases.op_truths import COUNTS, ON_BITS, TRUTHS, divisions, truths
from reference import REFERENCE, ROWWISE, activations, linear, matmul, reduce
from reference.bits import Array
from reference.losses import loss
from reference.row import RowwiseRow
from reference.table import ORDINARY, Interval, Row
from support.programs import scalar_float64

Shape = tuple[int, ...]
GRADCHECK_MAX = 150  # elements: central differences cost two calls for each


@dataclass(frozen=True)
class Case:
    """One way to call a public function.

    function: of tensors; reference: of arrays, the same in NumPy
    shapes:   of the array arguments; domains: their intervals, None = bool
    """

    name: str
    shapes: tuple[Shape, ...]
    function: Callable[..., cr.Tensor]
    reference: Callable[..., Array]
    domains: tuple[Interval | None, ...]
    note: str = ""
    differentiable: bool = True

    def __str__(self) -> str:
        return "-".join(
            [self.name, *("x".join(map(str, s)) or "0d" for s in self.shapes), *([self.note] * bool(self.note))]
        )

    def inputs(self, dtype: type[np.floating[Any]], seed: int = 0) -> list[Array]:
        """Arguments inside the domains; no two values equal, none 0."""
        rng = np.random.default_rng(seed)
        return [
            np.asarray(rng.random(s) < 0.5) if d is None else np.asarray(rng.uniform(*d, s), dtype)
            for s, d in zip(self.shapes, self.domains, strict=True)
        ]

    def expected(self, *inputs: Array) -> Array:
        """The reference result; float64 functions are the scalar level's."""
        with scalar_float64(), np.errstate(all="ignore"):
            return np.asarray(self.reference(*inputs))

    @property
    def small(self) -> bool:
        """Whether gradients can be checked by differences: floats, few of them, at least one."""
        sizes = [int(np.prod(s)) for s, d in zip(self.shapes, self.domains, strict=True) if d is not None]
        return self.differentiable and all(sizes) and sum(sizes) <= GRADCHECK_MAX


def _case(
    name: str,
    shapes: Sequence[Shape],
    function: Callable[..., cr.Tensor],
    reference: Callable[..., Array],
    domain: Interval | None = ORDINARY,
    note: str = "",
    differentiable: bool = True,
) -> Case:
    return Case(name, tuple(shapes), function, reference, (domain,) * len(shapes), note, differentiable)


# Elementwise: the rows of the reference.

COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
WITHOUT_GRADIENT = (
    *COMPARISONS,
    *ON_BITS,
    *TRUTHS,
    *COUNTS,
    "argmax",
    *axis_cases.WITHOUT_GRADIENT,
    *composed_cases.WITHOUT_GRADIENT,
)
SHAPES: dict[int, tuple[tuple[Shape, ...], ...]] = {
    1: (((),), ((1,),), ((67,),), ((3, 1, 5),), ((2, 0, 3),)),
    2: (((), (7,)), ((5,), ()), ((4, 1), (1, 3)), ((2, 3, 4), (4,)), ((3, 1, 5), (2, 1)), ((19,), (19,)),
        ((0, 3), (1, 3))),
    3: (((4, 5), (4, 5), (4, 5)), ((5,), (4, 1), ()), ((3, 1, 1), (2, 1), (1, 7)), ((0,), (1,), ())),
}  # fmt: skip


def _elementwise(name: str, row: Row, word: str = "") -> Iterator[Case]:
    """A word chooses another row of the same function."""
    called: Mapping[str, str] = {"approximate": word} if word else {}
    for attributes in row.attributes:
        note = word + "".join(f"{value}" for value in attributes.values())
        for shapes in SHAPES[row.n_inputs]:
            function = partial(getattr(cr, name), **called, **attributes)
            reference = partial(row.value, **attributes)
            yield Case(name, shapes, function, reference, row.domain, note, name not in WITHOUT_GRADIENT)


# Reductions.

AXES: tuple[tuple[Shape, Any], ...] = (
    ((3, 4, 5), None), ((3, 4, 5), 0), ((3, 4, 5), 1), ((3, 4, 5), 2), ((3, 4, 5), -2), ((3, 4, 5), (0, 1)),
    ((3, 4, 5), (0, 2)), ((3, 4, 5), (1, 2)), ((3, 4, 5), ()), ((67,), 0), ((67,), None), ((), None),
    ((5, 1, 7), (0, -1)),
    ((2, 3, 2, 3), (0, 2)), ((2, 3, 2, 3), (1, 3)), ((2, 8211), 1), ((2, 8211), None), ((8211, 2), 0), ((1, 1), 0),
)  # fmt: skip
EMPTY: tuple[tuple[Shape, Any], ...] = (((0,), None), ((3, 0), 1), ((0, 3), 0), ((0, 3), 1), ((2, 0, 3), (0, 2)))


def _reductions(name: str) -> Iterator[Case]:
    for shape, axis in AXES + (EMPTY if name in ("sum", "mean") else ()):
        if name == "argmax" and isinstance(axis, tuple):
            continue
        for keepdims in (False, True):
            options: Mapping[str, Any] = {"axis": axis, "keepdims": keepdims}
            function, reference = partial(getattr(cr, name), **options), partial(getattr(reduce, name), **options)
            note = f"axis {axis}" + " kept" * keepdims
            yield _case(name, [shape], function, reference, note=note, differentiable=name not in WITHOUT_GRADIENT)


def _maxout() -> Iterator[Case]:
    for shape, pieces, axis in (((3, 8), 2, -1), ((3, 6), 3, 1), ((6, 5), 2, 0), ((2, 4, 3), 4, -2), ((5,), 1, 0)):
        function = partial(cr.maxout, pieces=pieces, axis=axis)
        yield _case(
            "maxout", [shape], function, partial(activations.maxout, pieces=pieces, axis=axis), note=f"{pieces}"
        )


# Matrix products.

PRODUCTS: tuple[tuple[Shape, Shape], ...] = (
    ((3, 4), (4, 5)), ((1, 7), (7, 1)), ((4,), (4,)), ((4,), (4, 3)), ((3, 4), (4,)), ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 2)), ((2, 1, 3, 4), (3, 4, 2)), ((3, 4), (2, 4, 5)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,)),
    ((3, 0), (0, 2)), ((0, 3), (3, 2)), ((2, 0, 3), (3, 4)), ((33, 65), (65, 17)),
)  # fmt: skip
LAYERS: tuple[tuple[Shape, ...], ...] = (
    ((5, 4), (4, 3), (3,)), ((5, 4), (4, 3)), ((2, 3, 4), (4, 3), (3,)), ((4,), (4, 3), (3,)), ((0, 4), (4, 3), (3,)),
)  # fmt: skip

# Ops on rows: the rows of the reference.


def _rowwise(name: str, row: RowwiseRow) -> Iterator[Case]:
    for shape, axis in (((7,), 0), ((3, 5), -1), ((3, 5), 0), ((2, 3, 4), 1), ((3, 1), 1), ((0, 3), 1), ((2, 4099), 1)):
        function, reference = partial(getattr(cr, name), axis=axis), partial(row.value, axis=axis)
        yield _case(name, [shape], function, reference, row.domain, note=f"axis {axis}")


# Losses.


def _losses() -> Iterator[Case]:
    for name in KINDS:
        for shapes, domains, options, note in ways(name):
            function, reference = partial(call, name, **options), partial(loss, name=name, **options)
            yield Case(name, shapes, function, reference, domains, note)


def _pairs() -> Iterator[Case]:
    for name, shapes, function, reference, note in pair_cases.rows():
        yield _case(name, shapes, function, reference, note=note)


def _penalties() -> Iterator[Case]:
    for name, of in PENALTIES.items():
        for biases in (True, False):
            function, reference = partial(call_of_all, name, biases=biases), partial(penalty, of=of, biases=biases)
            yield _case(name, [(3, 4), (4,), (2, 1, 3)], function, reference, note="all" if biases else "weights")


# Layout: the reference is NumPy itself.

ROWS = np.asarray([[2, -1, 2], [0, 0, 1]])


def _layout() -> Iterator[Case]:
    yield _case("reshape", [(3, 4)], lambda x: cr.reshape(x, (2, -1)), lambda x: x.reshape(2, -1))
    yield _case("reshape", [()], lambda x: cr.reshape(x, (1, 1)), lambda x: x.reshape(1, 1))
    yield _case("flatten", [(2, 3, 4)], lambda x: cr.flatten(x, 1), lambda x: x.reshape(2, 12))
    for axis, shape in ((-1, (2, 3, 4)), (-2, (2, 12)), (-3, (24,))):
        yield _case(
            "flatten", [(2, 3, 4)], partial(cr.flatten, start_axis=axis), lambda x, shape=shape: x.reshape(shape)
        )
    yield _case("transpose", [(2, 3, 4)], cr.transpose, np.transpose)
    for axes in ((1, 2, 0), (-1, 0, 1), (0, 2, 1)):
        yield _case(
            "transpose", [(2, 3, 4)], partial(cr.transpose, axes=axes), partial(np.transpose, axes=axes), note=f"{axes}"
        )
    for shape, wanted in (((3, 1), (2, 3, 4)), ((), (3,)), ((1, 4), (0, 4)), ((4,), (4,))):
        function, reference = partial(cr.broadcast_to, shape=wanted), partial(np.broadcast_to, shape=wanted)
        yield _case("broadcast_to", [shape], function, reference, note=f"{wanted}")
    for axis in (0, 1, -1):
        shapes = [tuple(2 + i if a == axis % 3 else 3 for a in range(3)) for i in range(3)]
        yield _case(
            "concatenate", shapes, lambda *x, a=axis: cr.concatenate(x, a), lambda *x, a=axis: np.concatenate(x, a)
        )
        yield _case(
            "stack", [(2, 3)] * 2, lambda *x, a=axis: cr.stack(x, a), lambda *x, a=axis: np.stack(x, a), note=f"{axis}"
        )
    for rows in ((3,), (3, 4), (3, 2, 2)):
        yield _case("take", [rows], lambda x: cr.take(x, ROWS), lambda x: x[ROWS])
    for index in INDICES:
        yield _case(
            "getitem", [(4, 5, 3)], lambda x, i=index: cr.ops.getitem(x, i), lambda x, i=index: x[i], note=f"{index}"
        )
    for rows, at in (((2, 3), 1), ((2, 3, 4), -1), ((3, 4), -2)):
        function, reference = partial(cr.take, indices=ROWS, axis=at), partial(np.take, indices=ROWS, axis=at)
        yield _case("take", [rows], function, reference, note=f"axis {at}")
    for name, shape, arguments in MOVED:
        function, reference = getattr(cr, name), getattr(np, name)
        yield _case(
            name,
            [shape],
            lambda x, f=function, a=arguments: f(x, *a),
            lambda x, f=reference, a=arguments: f(x, *a),
            note=f"{arguments}",
        )
    for i, places in ((0, 2), (1, [1, 3]), (3, [2, 2, 9])):
        function = lambda x, i=i, at=places: cr.split(x, at, -1)[i]  # noqa: E731
        yield _case("split", [(3, 4)], function, lambda x, i=i, at=places: np.split(x, at, -1)[i], note=f"{places}")
    for name in ("vstack", "hstack"):
        for shapes in ([(3,), (3,)], [(2, 3), (2, 3)]):
            function, reference = getattr(cr, name), getattr(np, name)
            yield _case(name, shapes, lambda *x, f=function: f(x), lambda *x, f=reference: f(x))
    for dtype in (np.float64, np.float32):
        yield _case(
            "astype", [(3, 4)], partial(cr.astype, dtype=dtype), lambda x, t=dtype: x.astype(t), note=dtype.__name__
        )


TRIANGLES = (((3, 4), 0), ((3, 4), 1), ((4, 3), -2), ((2, 3, 3), 0), ((2, 2), -5))


def _triangles() -> Iterator[Case]:
    for name in ("tril", "triu"):
        for shape, k in TRIANGLES:
            yield _case(name, [shape], partial(getattr(cr, name), k=k), partial(getattr(np, name), k=k), note=f"{k}")


# Products of other shapes: the reference is the matrix product.


def _tensordot(a: Array, b: Array, axes: tuple[Sequence[int], Sequence[int]]) -> Array:
    of_a, of_b = axes
    left, right = ([i for i in range(x.ndim) if i not in of] for x, of in ((a, of_a), (b, of_b)))
    n = int(np.prod([a.shape[i] for i in of_a]))
    rows, columns = a.transpose([*left, *of_a]).reshape(-1, n), b.transpose([*of_b, *right]).reshape(n, -1)
    return np.asarray(matmul(rows, columns)).reshape([a.shape[i] for i in left] + [b.shape[i] for i in right])


def _products() -> Iterator[Case]:
    for shapes, axes, pairs in (
        ([(2, 3, 4), (3, 4, 5)], 2, ([1, 2], [0, 1])),
        ([(2, 3, 4), (4, 3, 5)], ([1, 2], [1, 0]), ([1, 2], [1, 0])),
        ([(2, 3), (4, 2)], (0, -1), ([0], [1])),
        ([(2,), (3,)], 0, ([], [])),
    ):
        function, reference = partial(cr.tensordot, axes=axes), partial(_tensordot, axes=pairs)
        yield _case("tensordot", shapes, function, reference, note=f"{axes}")
    yield _case("inner", [(2, 3), (4, 3)], cr.inner, partial(_tensordot, axes=([1], [1])))
    yield _case("inner", [(), (2, 3)], cr.inner, np.multiply)
    yield _case("dot", [(2, 3), (2, 3, 4)], cr.dot, partial(_tensordot, axes=([1], [1])))
    yield _case("dot", [(2, 3), (3, 4)], cr.dot, matmul)
    yield _case("dot", [(2, 3), ()], cr.dot, np.multiply)
    yield _case("outer", [(2, 3), (4,)], cr.outer, lambda a, b: a.reshape(-1, 1) * b)


@dataclass(frozen=True)
class Table:
    """All cases, by public name."""

    cases: dict[str, list[Case]] = field(default_factory=dict)

    def add(self, cases: Iterator[Case]) -> None:
        for case in cases:
            self.cases.setdefault(case.name, []).append(case)


def _table() -> dict[str, list[Case]]:
    table = Table()
    for name, row in REFERENCE.items():
        table.add(_elementwise("gelu", row, "tanh") if name == "gelu_tanh" else _elementwise(name, row))
    table.add(_elementwise("swish", REFERENCE["silu"]))
    table.add(Case(*row) for row in divisions(SHAPES[2]))
    table.add(_case(*row, differentiable=False) for row in truths(SHAPES, AXES + EMPTY))
    table.add(Case(*row) for row in power_cases.rows(SHAPES))
    table.add(_maxout())
    for name in ("sum", "mean", "max", "min", "argmax"):
        table.add(_reductions(name))
    for name, rowwise in ROWWISE.items():
        table.add(_rowwise(name, rowwise))
    table.add(_case("matmul", shapes, cr.matmul, matmul) for shapes in PRODUCTS)
    table.add(_case("linear", shapes, cr.linear, linear) for shapes in LAYERS)
    table.add(_case(*row[:4], note=row[4]) for row in norm_cases.all_rows())
    table.add(_case(*row[:4], note=row[4]) for row in image_cases.all_rows())
    table.add(_losses())
    table.add(_penalties())
    table.add(_pairs())
    table.add(_layout())
    table.add(_triangles())
    table.add(_products())
    table.add(
        _case(row.name, row.shapes, row.function, row.reference, row.domain, row.note, row.differentiable)
        for row in composed_cases.rows()
    )
    table.add(
        _case(row.name, row.shapes, row.function, row.reference, note=row.note, differentiable=row.differentiable)
        for row in axis_cases.rows()
    )
    return table.cases


CASES = _table() | sequence_cases.cases(_case)
ALL = [case for cases in CASES.values() for case in cases]
