"""Gradients of the public functions by the formulas of docs/arithmetic.md, in NumPy, for the cases of op_cases."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from cases import composed_cases
from cases.loss_cases import KINDS, PENALTIES, penalty_grad
from cases.op_cases import CASES, Case
from cases.pair_cases import NAMES as PAIRS
from reference import REFERENCE, ROWWISE, activations, attention, conv, linear_grad, matmul, recurrent, reduce
from reference.bits import Array
from reference.elementary_pairs import GRADIENTS1, GRADIENTS2
from reference.losses import loss_grad
from reference.row import RowwiseRow
from support.programs import scalar_float64

Reference = Callable[[Case, Sequence[Array], Array, Array], Sequence[Array | None]]  # case, inputs, output, gradient
COMPOSED = (  # the gradients are those of their parts
    *PAIRS,
    *(name for name in composed_cases.NAMES if name not in composed_cases.WITHOUT_GRADIENT),
    *("power", "polygamma", "reciprocal", "divmod", "tensordot", "inner", "dot", "outer", "einsum", "cov", "corrcoef"),
    *("trace", "var", "std", "norm", "logsumexp", "median", "quantile", "prod", "cumsum", "cumprod", "amax", "amin"),
    *("cummax", "cummin"),
    *("scatter_add", "meshgrid", "pad"),
    "scaled_dot_product_attention",
    *("conv1d", "conv_transpose1d", "conv_transpose2d"),
    *("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"),
)


def gradients(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array | None]:
    """The gradient of each argument, in its shape; None for a condition."""
    with scalar_float64(), np.errstate(all="ignore"):
        found = REFERENCES[case.name](case, inputs, y, g)
        return [None if d is None else unbroadcast(d, x.shape) for d, x in zip(found, inputs, strict=True)]


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """One sum over the axes along which an argument was repeated."""
    extra = g.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and g.shape[extra + i] != 1))
    return reduce.sum(g, axes).reshape(shape) if g.shape != shape else g


def _options(case: Case) -> dict[str, Any]:
    """The arguments of the case besides arrays."""
    return dict(case.reference.keywords) if isinstance(case.reference, partial) else {}


def _elementwise(name: str) -> Reference:
    row = REFERENCE[name]

    def reference(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
        assert row.gradient is not None
        return [row.gradient(y if row.kept == "y" else inputs[0], g, **_options(case))]

    return reference


def _softplus(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
    """With beta and threshold by the parts: x * beta, softplus, / beta, and where."""
    options, gradient = _options(case), REFERENCE["softplus"].gradient
    assert gradient is not None
    (x,), zero = inputs, g.dtype.type(0)
    if not options:
        return [gradient(x, g)]
    beta, threshold = g.dtype.type(options["beta"]), options["threshold"]
    replaced = np.zeros(x.shape, np.bool_) if threshold is None else x * beta > g.dtype.type(threshold)
    found = gradient(np.asarray(x * beta), np.asarray(np.where(replaced, zero, g) / beta)) * beta
    return [found + np.where(replaced, g, zero)]


def _made_of_ops(name: str) -> Reference:
    return lambda case, x, y, g: [GRADIENTS1[name](g, y, x[0])]


def _pairwise(by_a: Callable[..., Array], by_b: Callable[..., Array]) -> Reference:
    return lambda case, x, y, g: [by_a(g, y, *x), by_b(g, y, *x)]


def _choice(first_wins: Callable[[Array, Array], Array]) -> Reference:
    """maximum and minimum: a tie goes to the first; the inputs of the cases hold no NaN."""

    def reference(case: Case, x: Sequence[Array], y: Array, g: Array) -> list[Array]:
        zero = g.dtype.type(0)
        return [np.where(first_wins(*x), g, zero), np.where(first_wins(*x), zero, g)]

    return reference


def _spread(case: Case, x: Array, g: Array) -> Array:
    """g along the reduced axes again."""
    axes = reduce.normalise(x.ndim, _options(case)["axis"])
    return np.broadcast_to(g.reshape(reduce.result_shape(x.shape, axes, True)), x.shape)


def _mean(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
    (x,) = inputs
    count = x.size // g.size if g.size else 0
    return [_spread(case, x, np.asarray(g / g.dtype.type(count)))]


def _extreme(pick: Callable[..., Array]) -> Reference:
    """To the first of equal extremes, in C order of the reduced elements."""

    def reference(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
        (x,) = inputs
        axes = reduce.normalise(x.ndim, _options(case)["axis"])
        positions = reduce.sequences(np.arange(x.size).reshape(x.shape), axes)
        chosen = np.take_along_axis(positions, pick(reduce.sequences(x, axes), -1)[..., None], -1)
        result = np.zeros(x.size, x.dtype)
        result[chosen.reshape(-1)] = g.reshape(-1)
        return [result.reshape(x.shape)]

    return reference


def _matmul(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
    a, b = inputs
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    g = g.reshape(*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
    if right.ndim == 2:
        rows = left.reshape(int(np.prod(left.shape[:-1])), left.shape[-1])
        by_left, by_right = matmul(g, right.T), matmul(rows.T, g.reshape(len(rows), right.shape[-1]))
    else:
        by_left, by_right = matmul(g, np.swapaxes(right, -1, -2)), matmul(np.swapaxes(left, -1, -2), g)
    return [unbroadcast(d, x.shape).reshape(o.shape) for d, x, o in zip((by_left, by_right), (left, right), inputs)]  # noqa: B905


def _linear(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
    x, weight = inputs[:2]
    found = linear_grad(np.atleast_2d(x), weight, np.atleast_2d(g))
    return [found[0].reshape(x.shape), *found[1:]][: len(inputs)]


def _conv2d(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
    return list(conv.conv2d_grad(*inputs[:2], g, **_options(case)))[: len(inputs)]


def _unfold(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
    return [conv.fold(g, inputs[0].shape[2:], **_options(case))]


def _fold(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
    return [conv.unfold(g, **{name: value for name, value in _options(case).items() if name != "image"})]


def _pool(gradient: Callable[..., Array]) -> Reference:
    return lambda case, x, y, g: [gradient(x[0], g, **_options(case))]


def _rowwise(row: RowwiseRow) -> Reference:
    return lambda case, x, y, g: [row.gradient(y if row.kept == "y" else x[0], g, **_options(case))]


def _loss(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> Sequence[Array]:
    return loss_grad(*inputs, g=g, **_options(case))[: len(inputs)]


def _recurrent(case: Case, x: Sequence[Array], y: Array, g: Array) -> list[Array]:
    options = _options(case)
    kind, part = options.pop("kind"), options.pop("part", 0)
    more = x[3] if len(x) > 3 else None
    return recurrent.states_grad(kind, *x[:3], more, None if part else g, g if part else None, **options)


def _self_attention(case: Case, x: Sequence[Array], y: Array, g: Array) -> list[Array]:
    return [attention.self_attention_grad(x[0], None, g, **_options(case))]


def _penalty(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array | None]:
    return penalty_grad(inputs, g, case.name, _options(case)["biases"])


def _moved(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
    """Ops that move elements: each gradient is accumulated at its source, in ascending order."""
    ends = np.cumsum([x.size for x in inputs])
    sources = [np.arange(e - x.size, e).reshape(x.shape) for e, x in zip(ends, inputs, strict=True)]
    result = np.zeros(ends[-1], g.dtype)
    np.add.at(result, case.reference(*sources).reshape(-1), g.reshape(-1))
    return [result[s.reshape(-1)].reshape(s.shape) for s in sources]


def _moved_by_value(case: Case, inputs: Sequence[Array], y: Array, g: Array) -> list[Array]:
    """The same for ops that look at values or put constants in between: the elements of an input are all different."""
    (x,) = inputs
    order = np.argsort(x, axis=None)
    at = np.searchsorted(x.reshape(-1)[order], y.reshape(-1)).clip(0, x.size - 1)
    found = x.reshape(-1)[order][at] == y.reshape(-1)
    result = np.zeros(x.size, g.dtype)
    np.add.at(result, order[at][found], g.reshape(-1)[found])
    return [result.reshape(x.shape)]


MOVES = (
    *("reshape", "flatten", "transpose", "concatenate", "stack", "take", "getitem", "expand_dims", "squeeze"),
    *("swapaxes", "moveaxis", "flip", "roll", "repeat", "tile", "split", "vstack", "hstack", "diagonal"),
    *("sort", "topk", "take_along_axis", "put_along_axis", "masked_fill", "masked_select", "pad", "ravel", "diag"),
    *("chunk", "unbind", "meshgrid", "gather", "scatter"),
)
REFERENCES: dict[str, Reference] = {
    "add": _pairwise(lambda g, y, a, b: g, lambda g, y, a, b: g),
    "sub": _pairwise(lambda g, y, a, b: g, lambda g, y, a, b: -g),
    "mul": _pairwise(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    "div": _pairwise(lambda g, y, a, b: g / b, lambda g, y, a, b: -(g * (y / b))),
    "maximum": _choice(np.greater_equal),
    "minimum": _choice(np.less_equal),
    "where": lambda case, x, y, g: [None, np.where(x[0], g, g.dtype.type(0)), np.where(x[0], g.dtype.type(0), g)],
    "neg": lambda case, x, y, g: [-g],
    "abs": lambda case, x, y, g: [np.where(x[0] > 0, g, np.where(x[0] < 0, -g, x[0] * 0))],
    "square": lambda case, x, y, g: [g * (x[0] + x[0])],
    **{name: _elementwise(name) for name, row in REFERENCE.items() if row.gradient is not None and name in CASES},
    **{name: _made_of_ops(name) for name in GRADIENTS1},
    **{name: _pairwise(*both) for name, both in GRADIENTS2.items()},
    "softplus": _softplus,
    "swish": _elementwise("silu"),
    "gelu": lambda case, x, y, g: _elementwise(f"gelu{'_tanh' * (case.note == 'tanh')}")(case, x, y, g),
    "prelu": _pairwise(
        lambda g, y, x, w: np.where(x > 0, g, w * g), lambda g, y, x, w: g * np.minimum(x, x.dtype.type(0))
    ),
    "floor_divide": _pairwise(lambda g, y, a, b: np.zeros_like(y), lambda g, y, a, b: np.zeros_like(y)),
    "remainder": _pairwise(lambda g, y, a, b: g, lambda g, y, a, b: -(g * np.floor_divide(a, b))),
    "fmod": _pairwise(lambda g, y, a, b: g, lambda g, y, a, b: -(g * np.rint((a - y) / b))),
    **dict.fromkeys(
        ("sign", "heaviside", "floor", "ceil", "trunc", "round"), lambda case, x, y, g: [np.zeros_like(x[0])]
    ),
    "maxout": lambda case, x, y, g: [activations.maxout_grad(x[0], g, **_options(case))],
    "sum": lambda case, x, y, g: [_spread(case, x[0], g)],
    "mean": _mean,
    "max": _extreme(np.argmax),
    "min": _extreme(np.argmin),
    "matmul": _matmul,
    "linear": _linear,
    "conv2d": _conv2d,
    "unfold": _unfold,
    "fold": _fold,
    "max_pool2d": _pool(conv.max_pool2d_grad),
    "avg_pool2d": _pool(conv.avg_pool2d_grad),
    **{name: _rowwise(row) for name, row in ROWWISE.items()},
    **dict.fromkeys(KINDS, _loss),
    **dict.fromkeys(PENALTIES, _penalty),
    **dict.fromkeys(set(MOVES) - {"meshgrid", "pad"}, _moved),
    **dict.fromkeys(("sort", "topk", "diag", "masked_fill"), _moved_by_value),
    **dict.fromkeys(("tril", "triu"), lambda case, x, y, g: [case.reference(g)]),
    **dict.fromkeys(("rnn", "gru", "lstm"), _recurrent),
    "self_attention": _self_attention,
    "broadcast_to": lambda case, x, y, g: [g],
    "astype": lambda case, x, y, g: [g.astype(x[0].dtype)],
}
