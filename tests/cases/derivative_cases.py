"""Random calls of everything that can be differentiated: rows of the op table, public functions, losses, layers.

`CASES` maps a name to a generator: rng -> (function of float64 tensors, arrays for them), of random shapes,
broadcasting and axes. tests/test_derivatives.py compares all derivatives of 200 calls of each with differences and
with each other; tests/test_registry.py reports rows of the op table without one. An elementwise op with a row in
`reference.table` is included, with its kinks.

Arguments must stay away from kinks and ties by more than `GAP`, which the steps of the differences do not cross.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from cases import derivative_axes, derivative_images, derivative_norms, derivative_sequences
from cases.composed_cases import RANDOM as COMPOSED
from cases.derivative_draws import (
    Call,
    Generator,
    Rng,
    Shape,
    apart,
    away,
    axes_of,
    broadcasting,
    distinct,
    draw,
    labelled,
    pick_one,
    some_shape,
)
from cases.derivative_layers import CASES as LAYERS
from cases.derivative_losses import CASES as LOSSES
from cases.op_cases import WITHOUT_GRADIENT
from cases.pair_cases import RANDOM as PAIRS
from chainrule.ops._op import OPS, apply
from reference import REFERENCE, ROWWISE
from reference.bits import Array
from reference.table import GRADIENTS, ORDINARY, Row


def kinks_of(name: str, options: dict[str, Any]) -> tuple[float, ...]:
    """The arguments at which an op with these options has a kink."""
    return REFERENCE[name].kinks(**options) if name in REFERENCE else ()


FLAT = WITHOUT_GRADIENT


# Elementwise ops, from the rows of the reference.


def elementwise(name: str, entry: Row, rng: Rng) -> Call:
    options = dict(pick_one(rng, entry.attributes))
    shapes = broadcasting(rng, entry.n_inputs)
    kinks = kinks_of(name, options)
    arrays = [draw(rng, s, d, kinks) for s, d in zip(shapes, entry.domain, strict=True) if d is not None]
    function = partial(cr.gelu, approximate="tanh") if name == "gelu_tanh" else getattr(cr, name)
    return partial(function, **options), arrays


def gradient_kernel(name: str, entry: Row, rng: Rng) -> Call:
    """`name_grad` of the saved value and the upstream gradient."""
    options = dict(pick_one(rng, entry.attributes))
    attrs = tuple(float(value) for value in options.values())
    assert entry.domain[0] is not None
    kinks = kinks_of(name, options)
    x, g = (
        draw(rng, shape, interval)
        for shape, interval in zip(broadcasting(rng, 2), (entry.domain[0], ORDINARY), strict=True)
    )
    if entry.kept == "y":
        x, kinks = (getattr(cr, name)(v, **options).numpy() for v in (x, np.asarray(kinks)))
    return row(f"{name}_grad", attrs=attrs), [away(x, kinks), g]


def row(name: str, attrs: Any = (), after: Sequence[Array] = ()) -> Callable[..., cr.Tensor]:
    """A row of the op table as a function of its float arguments; `after` them come indices."""
    return lambda *x: apply(OPS[name], (*x, *map(cr.tensor, after)), attrs)


def powers(rng: Rng) -> Call:
    """x ** y, or the kernel of a derivative."""
    n = int(rng.integers(0, 3))
    function = row("pow", attrs=(n,)) if n else cr.power
    base, exponent = broadcasting(rng, 2)
    return function, [draw(rng, base, (0.25, 4.0)), draw(rng, exponent)]


def polygamma(rng: Rng) -> Call:
    return partial(cr.polygamma, int(rng.integers(0, 4))), [draw(rng, broadcasting(rng, 1)[0], (0.5, 9.0))]


def choice(name: str, rng: Rng) -> Call:
    """maximum, minimum: nowhere equal."""
    return getattr(cr, name), apart(rng, broadcasting(rng, 2))


def division(name: str, rng: Rng) -> Call:
    """floor_divide, remainder, fmod: nowhere near an integer quotient."""
    shapes = broadcasting(rng, 2)
    b = draw(rng, shapes[1], (0.5, 2.0))
    quotients = rng.integers(-3, 3, shapes[0]) + rng.uniform(0.3, 0.7, shapes[0])
    if b.size > 1:
        b = np.full_like(b, b.flat[0])  # the quotient is that of one divisor
    a = np.asarray(quotients * b.flat[0]) if b.size else np.asarray(quotients)
    function = getattr(cr, name)
    return (lambda a, b: cr.add(*function(a, b))) if name == "divmod" else function, [a, b]


def where(rng: Rng) -> Call:
    c, a, b = broadcasting(rng, 3)
    condition = rng.random(c) < 0.5
    return lambda a, b: cr.where(condition, a, b), [draw(rng, a), draw(rng, b)]


# Reductions and products.


def reduction(name: str, rng: Rng) -> Call:
    x = distinct(rng, some_shape(rng))
    return partial(getattr(cr, name), axis=axes_of(rng, x.ndim), keepdims=bool(rng.integers(2))), [x]


def grouped(rng: Rng) -> Call:
    pieces = int(rng.integers(1, 4))
    shape = [*some_shape(rng, 1, 3, 6)]
    axis = int(rng.integers(-len(shape), len(shape)))
    shape[axis] *= pieces
    return lambda x: cr.maxout(x, pieces, axis), [distinct(rng, tuple(shape))]


def matmul(rng: Rng) -> Call:
    m, k, n = (int(i) for i in rng.integers(1, 4, 3))
    batches = broadcasting(rng, 2)
    a = (k,) if rng.random() < 0.2 else (*batches[0][-2:], m, k)
    b = (k,) if rng.random() < 0.2 else (k, n) if rng.random() < 0.4 else (*batches[1][-2:], k, n)
    return cr.matmul, [draw(rng, a), draw(rng, b)]


def linear(rng: Rng) -> Call:
    k, n = (int(i) for i in rng.integers(1, 4, 2))
    arrays = [draw(rng, (*some_shape(rng, 0, 2, 6), k)), draw(rng, (k, n)), draw(rng, (n,))]
    return cr.linear, arrays[: int(rng.integers(2, 4))]


# Softmax and its losses.


def along_an_axis(function: Callable[..., cr.Tensor], rng: Rng) -> Call:
    x = draw(rng, some_shape(rng, 1))
    return partial(function, axis=int(rng.integers(-x.ndim, x.ndim))), [x]


def rows_kernel(name: str, rng: Rng) -> Call:
    shape = some_shape(rng, 1)
    return row(name), [draw(rng, shape), draw(rng, shape)]


def cross_entropy_grad(rng: Rng) -> Call:
    scores, labels = labelled(rng)
    kernel = OPS["cross_entropy_grad"]
    return lambda x, g: apply(kernel, (x, cr.tensor(labels), g)), [scores, draw(rng, labels.shape)]


def logistic(name: str, rng: Rng) -> Call:
    return row(name), [draw(rng, shape) for shape in broadcasting(rng, 2)]


# Ops that move elements.


def reshaped(rng: Rng) -> Call:
    x = draw(rng, some_shape(rng))
    shape = [*x.shape, 1]
    rng.shuffle(shape)
    return lambda x: cr.reshape(x, shape), [x]


def flattened(rng: Rng) -> Call:
    x = draw(rng, some_shape(rng))
    return partial(cr.flatten, start_axis=int(rng.integers(0, x.ndim + 1))), [x]


def transposed(rng: Rng) -> Call:
    x = draw(rng, some_shape(rng, 2))
    return partial(cr.transpose, axes=[int(a) for a in rng.permutation(x.ndim)]), [x]


def broadcast(rng: Rng) -> Call:
    x = draw(rng, broadcasting(rng, 1)[0])
    wanted = (*rng.integers(1, 4, rng.integers(0, 3)), *[n if n > 1 else int(rng.integers(1, 4)) for n in x.shape])
    return lambda x: cr.broadcast_to(x, wanted), [x]


def joined(rng: Rng) -> Call:
    shape = some_shape(rng, 1, 3, 6)
    axis = int(rng.integers(-len(shape), len(shape)))
    shapes = [[int(rng.integers(1, 3)) if a == axis % len(shape) else n for a, n in enumerate(shape)] for _ in range(3)]
    return lambda *x: cr.concatenate(x, axis), [draw(rng, tuple(s)) for s in shapes[: rng.integers(1, 4)]]


def stacked(rng: Rng) -> Call:
    shape = some_shape(rng, 0, 3, 6)
    axis = int(rng.integers(-len(shape) - 1, len(shape) + 1))
    return lambda *x: cr.stack(x, axis), [draw(rng, shape) for _ in range(rng.integers(1, 4))]


def indices(rng: Rng, rows: int) -> Array:
    return np.asarray(rng.integers(0, rows, some_shape(rng, 0, 2, 6)))


def taken(rng: Rng) -> Call:
    x = draw(rng, some_shape(rng, 1, 3))
    index = indices(rng, len(x)) - len(x) * int(rng.integers(2))
    return lambda x: cr.take(x, index), [x]


def moved(name: str, rng: Rng) -> Call:
    """A function of NumPy that moves elements, with random axes."""
    x = draw(rng, some_shape(rng, 2))
    i, j = (int(a) for a in rng.permutation(x.ndim)[:2])
    n = int(rng.integers(0, 3))
    arguments: tuple[Any, ...] = {
        "swapaxes": (i, j),
        "moveaxis": (i, -1),
        "flip": pick_one(rng, ((), (i,), ((i, j),))),
        "roll": pick_one(rng, ((n,), (n, i), ((1, -1), (i, j)))),
        "repeat": pick_one(rng, ((n,), (n + 1, i), (rng.integers(0, 3, x.shape[i]), i))),
        "tile": (pick_one(rng, (n + 1, (2, 1), (2, 1, 1))),),
        "expand_dims": (pick_one(rng, (i, -1, (0, 2))),),
        "squeeze": (),
        "diagonal": (int(rng.integers(-1, 2)), i, j),
        "tril": (int(rng.integers(-1, 2)),),
        "triu": (int(rng.integers(-1, 2)),),
        "split": ([1, 1 + n], i),
    }[name]
    function = getattr(cr, name)
    if name == "split":
        return lambda x: function(x, *arguments)[pick_one(np.random.default_rng(n), (0, 1))], [x]
    return lambda x: function(x, *arguments), [x]


def side_by_side(name: str, rng: Rng) -> Call:
    shape = some_shape(rng, 1, 3, 6)
    return lambda *x: getattr(cr, name)(x), [draw(rng, shape) for _ in range(rng.integers(1, 4))]


def tensor_product(name: str, rng: Rng) -> Call:
    n = int(rng.integers(1, 4))
    a, b = draw(rng, (2, n)), draw(rng, (3, n) if name == "inner" else (n, 3))
    return partial(cr.tensordot, axes=1) if name == "tensordot" else getattr(cr, name), [a, b]


def index_added(rng: Rng) -> Call:
    index = indices(rng, 4)
    return row("index_add", attrs=(4,), after=[index]), [draw(rng, (*index.shape, *some_shape(rng, 0, 2, 4)))]


def indexed(rng: Rng) -> Call:
    x = draw(rng, some_shape(rng))
    parts: list[Any] = []
    for n in x.shape[: rng.integers(0, x.ndim + 1)]:
        if rng.random() < 0.2:
            parts.append(None)
        ends = [None if rng.random() < 0.3 else int(rng.integers(-n, n)) for _ in range(2)]
        parts.append(int(rng.integers(-n, n)) if rng.random() < 0.3 else slice(*ends, pick_one(rng, (None, -1, 2, -2))))
    return lambda x: cr.ops.getitem(x, tuple(parts)), [x]


def part(rng: Rng) -> tuple[Any, Shape, Shape]:
    """Attributes of slice and slice_grad: every second element of a row-wise part; both shapes."""
    whole = (int(rng.integers(2, 5)), int(rng.integers(3, 6)))
    shape = (whole[0] - 1, (whole[1] + 1) // 2)
    return (shape, (whole[1], 2), whole[1], whole), shape, whole


def sliced(rng: Rng) -> Call:
    attrs, _, whole = part(rng)
    return row("slice", attrs=attrs), [draw(rng, whole)]


def slice_gradient(rng: Rng) -> Call:
    attrs, shape, _ = part(rng)
    return row("slice_grad", attrs=attrs), [draw(rng, shape)]


def gathered(rng: Rng) -> Call:
    scores, labels = labelled(rng)
    return row("gather", after=[labels]), [scores]


def scattered(rng: Rng) -> Call:
    scores, labels = labelled(rng)
    return row("scatter", attrs=(scores.shape[1],), after=[labels]), [draw(rng, labels.shape)]


def cast(rng: Rng) -> Call:
    """To float32 and back: exact on numbers of few bits, so that differences see no steps."""
    x = rng.integers(-48, 48, some_shape(rng)) / 16
    return lambda x: cr.astype(cr.astype(x, np.float32), np.float64), [np.asarray(x)]


def _from_the_reference() -> Iterator[tuple[str, Generator]]:
    for name, entry in REFERENCE.items():
        if name not in FLAT:
            yield name, partial(elementwise, name, entry)
    for name, entry in GRADIENTS.items():
        yield name, partial(gradient_kernel, name.removesuffix("_grad"), entry)


CASES: dict[str, Generator] = {
    **dict(_from_the_reference()),
    "swish": partial(elementwise, "swish", REFERENCE["silu"]),
    "pow": powers,
    "polygamma": polygamma,
    "reciprocal": lambda rng: (cr.reciprocal, [draw(rng, broadcasting(rng, 1)[0], (0.25, 4.0))]),
    "maxout": grouped,
    "maximum": partial(choice, "maximum"),
    "minimum": partial(choice, "minimum"),
    "where": where,
    **{name: partial(division, name) for name in ("floor_divide", "remainder", "fmod", "divmod")},
    **{name: partial(reduction, name) for name in ("sum", "mean", "max", "min")},
    "matmul": matmul,
    "linear": linear,
    **derivative_images.CASES,
    **derivative_axes.CASES,
    **derivative_norms.CASES,
    **{name: partial(along_an_axis, getattr(cr, name)) for name in ROWWISE},
    **{f"{name}_grad": partial(rows_kernel, f"{name}_grad") for name in ROWWISE},
    "cross_entropy_grad": cross_entropy_grad,
    **{name: partial(logistic, name) for name in ("bce_with_logits", "bce_error")},
    "reshape": reshaped,
    "flatten": flattened,
    "transpose": transposed,
    "broadcast_to": broadcast,
    "concatenate": joined,
    "stack": stacked,
    "take": taken,
    **{
        name: partial(moved, name)
        for name in (
            "swapaxes",
            "moveaxis",
            "flip",
            "roll",
            "repeat",
            "tile",
            "expand_dims",
            "squeeze",
            "diagonal",
            "tril",
            "triu",
            "split",
        )
    },
    **{name: partial(side_by_side, name) for name in ("vstack", "hstack")},
    **{name: partial(tensor_product, name) for name in ("tensordot", "inner", "dot", "outer")},
    "index_add": index_added,
    "getitem": indexed,
    "slice": sliced,
    "slice_grad": slice_gradient,
    "gather": gathered,
    "scatter": scattered,
    "astype": cast,
    **derivative_sequences.CASES,
    **COMPOSED,
    **LAYERS,
    **LOSSES,
    **PAIRS,
}
