"""Random calls of NumPy's functions that have an op: each works on arrays and on tensors."""

from typing import Any

import numpy as np

from cases import numpy_composed, numpy_formulas, numpy_masks
from cases.numpy_draws import Call, Draw
from cases.numpy_draws import some_shape as _shape
from cases.numpy_draws import values as _values
from reference.bits import Array


def _one(name: str, low: float = -2.0, high: float = 2.0) -> Draw:
    """An elementwise function of one array."""
    return lambda rng: ([_values(rng, _shape(rng), low, high)], getattr(np, name))


def _two(name: str, low: float = -2.0, high: float = 2.0) -> Draw:
    """An elementwise function of two broadcastable arrays, or of an array and a number from either side."""

    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        function, shape = getattr(np, name), _shape(rng)
        a = _values(rng, shape, low, high)
        way = rng.integers(4)
        if way == 0:
            return [a], lambda x: function(x, 1.25)
        if way == 1:
            return [a], lambda x: function(np.float64(-0.75 if low < 0 else 0.75), x)
        other = tuple(1 if rng.random() < 0.3 else n for n in shape)[rng.integers(len(shape) + 1) :]
        b = np.asarray(_values(rng, other, low, high) + 0.0071)
        return ([a, b], function) if way == 2 else ([b, a], function)

    return draw


def _power(rng: np.random.Generator) -> tuple[list[Array], Call]:
    n = [-2, -1, 0, 1, 2, 3, 5, 0.5, 1.5, -0.3][rng.integers(10)]
    if rng.random() < 0.4:
        return _two("power", 0.5, 2.0)(rng)
    return [_values(rng, _shape(rng), 0.5, 2.0)], lambda x: np.power(x, n)


def _axis(rng: np.random.Generator, ndim: int, several: bool = True) -> Any:
    """None, an axis from either end, or a tuple of axes."""
    way = rng.integers(3)
    if way == 0 or ndim == 0:
        return None
    chosen = [int(i) for i in rng.permutation(ndim)[: rng.integers(1, ndim + 1)]]
    return int(chosen[0]) - ndim if way == 1 or not several else tuple(chosen)


def _reduction(name: str, several: bool = True) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a = _values(rng, _shape(rng))
        axis, keep = _axis(rng, a.ndim, several), bool(rng.integers(2))
        return [a], lambda x: getattr(np, name)(x, axis=axis, keepdims=keep)

    return draw


def _reduce_of(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a = _values(rng, _shape(rng, low=1))
        axis, keep = _axis(rng, a.ndim), bool(rng.integers(2))
        if rng.integers(2):
            return [a], lambda x: getattr(np, name).reduce(x)
        return [a], lambda x: getattr(np, name).reduce(x, axis=axis, keepdims=keep)

    return draw


def _matmul(rng: np.random.Generator) -> tuple[list[Array], Call]:
    m, k, n, batch = (int(i) for i in rng.integers(1, 4, 4))
    shapes = [((m, k), (k, n)), ((k,), (k, n)), ((m, k), (k,)), ((k,), (k,)), ((batch, m, k), (batch, k, n))]
    a, b = shapes[rng.integers(5)]
    return [_values(rng, a), _values(rng, b)], (np.matmul if rng.integers(2) else lambda x, y: x @ y)


def _dot(rng: np.random.Generator) -> tuple[list[Array], Call]:
    m, k, n, p = (int(i) for i in rng.integers(1, 4, 4))
    shapes = [
        ((m, k), (k, n)), ((k,), (k,)), ((m, k), (k,)), ((), (k,)), ((m, n), ()), ((p, m, k), (k, n)),
        ((m, k), (p, k, n)), ((p, m, k), (n, k, 2)), ((k,), (p, k, n)),
    ]  # fmt: skip
    a, b = shapes[rng.integers(len(shapes))]
    return [_values(rng, a), _values(rng, b)], np.dot


def _vdot(rng: np.random.Generator) -> tuple[list[Array], Call]:
    shape = _shape(rng)
    return [_values(rng, shape), _values(rng, shape)], np.vdot


def _inner(rng: np.random.Generator) -> tuple[list[Array], Call]:
    k = int(rng.integers(1, 4))
    a, b = (*_shape(rng, high=2), k), (*_shape(rng, high=2), k)
    return [_values(rng, () if rng.random() < 0.1 else a), _values(rng, b)], np.inner


def _outer(rng: np.random.Generator) -> tuple[list[Array], Call]:
    return [_values(rng, _shape(rng, high=2)), _values(rng, _shape(rng, high=2))], np.outer


def _tensordot(rng: np.random.Generator) -> tuple[list[Array], Call]:
    way = rng.integers(4)
    shapes, axes = [
        (((2, 3), (3, 4)), 1), (((2, 3, 4), (3, 4, 2)), 2), (((2,), (3,)), 0),
        (((2, 3, 4), (4, 2, 5)), ([0, -1], [1, 0])),
    ][way]  # fmt: skip
    return [_values(rng, s) for s in shapes], lambda x, y: np.tensordot(x, y, axes=axes)


def _where(rng: np.random.Generator) -> tuple[list[Array], Call]:
    shape = _shape(rng)
    a, b = _values(rng, shape), np.asarray(_values(rng, shape) + 0.0071)
    chosen = rng.random(shape) < 0.5
    way = rng.integers(3)
    if way == 0:
        return [a, b], lambda x, y: np.where(chosen, x, y)
    return ([a], lambda x: np.where(x > 0, x, 0.0)) if way == 1 else ([a, b], lambda x, y: np.where(x < y, 2.0, y))


def _clip(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, _shape(rng))
    low, high = np.asarray(_values(rng, a.shape, -1.0, -0.5) + 0.0071), np.float64(0.987)
    way = rng.integers(4)
    if way == 0:
        return [a], lambda x: np.clip(x, -0.6543, 0.987)
    if way == 1:
        return [a], lambda x: np.clip(x, None, high)
    return ([a, low], lambda x, y: np.clip(x, y, 0.987)) if way == 2 else ([a], lambda x: np.clip(x, a_min=0, a_max=1))


def _reshape(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, _shape(rng, low=1))
    wanted = [(-1,), -1, (1, -1), a.shape[::-1], (a.size, 1)][rng.integers(5)]
    return [a], lambda x: np.reshape(x, wanted)


def _moved(name: str) -> Draw:
    """transpose, swapaxes, moveaxis and what takes no option."""

    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a = _values(rng, _shape(rng, low=2))
        i, j = (int(n) for n in rng.integers(-a.ndim, a.ndim, 2))
        order = tuple(int(n) for n in rng.permutation(a.ndim))
        function = getattr(np, name)
        if name in ("transpose", "permute_dims"):
            return [a], (lambda x: function(x, order)) if rng.integers(2) else function
        if name == "moveaxis" and rng.integers(2):
            return [a], lambda x: function(x, [0, 1], [-1, 0])
        return [a], lambda x: function(x, i, j)

    return draw


def _plain(name: str, low: int = 0, high: int = 3) -> Draw:
    return lambda rng: ([_values(rng, _shape(rng, low, high))], getattr(np, name))


def _expand(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, _shape(rng))
    axis = [0, -1, (0, -1), a.ndim][rng.integers(4)]
    return [a], lambda x: np.expand_dims(x, axis)


def _squeeze(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, (1, int(rng.integers(1, 4)), 1))
    axis = [None, 0, -1, (0, 2)][rng.integers(4)]
    return [a], lambda x: np.squeeze(x, axis=axis)


def _broadcast_to(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, _shape(rng, high=2))
    shape = (2, *a.shape)
    return ([_values(rng, ())], lambda x: np.broadcast_to(x, 3)) if rng.integers(3) == 0 else (
        [a], lambda x: np.broadcast_to(x, shape)
    )  # fmt: skip


def _flip(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, _shape(rng, low=1))
    axis = _axis(rng, a.ndim)
    return [a], lambda x: np.flip(x, axis)


def _joined(name: str) -> Draw:
    """Functions of several arrays."""

    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        shape = _shape(rng, low=1)
        a, b, constant = (_values(rng, shape) for _ in range(3))
        axis, function = int(rng.integers(-len(shape), len(shape))), getattr(np, name)
        way = rng.integers(4)
        if name in ("concatenate", "concat", "stack"):
            if way == 0:
                return [a, b], lambda x, y: function((x, constant, y), axis=axis)
            if way == 1 and name != "stack":
                return [a, b], lambda x, y: function([x, y], None)
            return [a, b], lambda x, y: function([x, y], axis)
        if name == "append":
            return [a, b], (lambda x, y: function(x, y)) if way < 2 else lambda x, y: function(x, y, axis)
        if name == "column_stack" and len(shape) > 2:
            a, b = _values(rng, (2, 3)), _values(rng, (2,))
        return [a, b], lambda x, y: function([x, y])

    return draw


def _take(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, _shape(rng, low=1))
    axis = _axis(rng, a.ndim, several=False)
    length = a.size if axis is None else a.shape[axis]
    index = rng.integers(-length, length, _shape(rng, low=0, high=2))
    return [a], lambda x: np.take(x, index, axis=axis)


def _rearranged(name: str) -> Draw:
    """Functions that move elements, with options."""

    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a = _values(rng, _shape(rng, low=2))
        i, j = (int(n) for n in rng.permutation(a.ndim)[:2])
        n, way, function = int(rng.integers(0, 3)), int(rng.integers(3)), getattr(np, name)
        arguments: tuple[Any, ...] = {
            "roll": ((n + 1,), (-n, i), ((n, 5), (i, j)))[way],
            "repeat": ((n,), (n + 1, i), (rng.integers(0, 3, a.shape[i]), j if a.shape[i] == a.shape[j] else i))[way],
            "tile": ((n + 1,), ((2, n),), ((2, 1, 1, 1),))[way],
            "diagonal": ((), (n - 1,), (n - 1, i, j))[way],
            "tril": (n - 1,),
            "triu": (n - 1,),
            "split": (a.shape[i] if way else [1, 1 + n], i),
        }[name]
        if name == "split":
            return [a], lambda x: function(x, *arguments)[-1]
        return [a], lambda x: function(x, *arguments)

    return draw


def _like(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a, kind = _values(rng, _shape(rng)), [None, np.float32, np.int64][rng.integers(3)]
        return [a], lambda x: getattr(np, name)(x, dtype=kind)

    return draw


def _spread(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a = _values(rng, (*_shape(rng, high=2), 3))
        options: dict[str, Any] = {"axis": [None, -1][rng.integers(2)], "keepdims": bool(rng.integers(2))}
        if rng.integers(2):
            options["ddof"] = 1
        return [a], lambda x: getattr(np, name)(x, **options)

    return draw


def _quantiles(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a, q = _values(rng, _shape(rng)), [0.3, 0.77, [0.0, 0.4, 1.0]][rng.integers(3)]
        level = np.multiply(q, 100) if name == "percentile" else q
        axis, keep, method = _axis(rng, a.ndim), bool(rng.integers(2)), ["linear", "lower", "midpoint"][rng.integers(3)]
        if a.ndim == 0:
            a = a.reshape(1)
        return [a], lambda x: getattr(np, name)(x, level, axis=axis, keepdims=keep, method=method)

    return draw


def _line(name: str) -> Draw:
    """Functions of one axis, or of the flattened array."""

    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a = _values(rng, _shape(rng, low=1))
        axis = _axis(rng, a.ndim, several=False)
        return [a], lambda x: getattr(np, name)(x, axis=axis)

    return draw


def _along_axis(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, _shape(rng, low=1))
    axis = int(rng.integers(-a.ndim, a.ndim))
    shape = [*a.shape]
    shape[axis] = 2
    index = rng.integers(-a.shape[axis], a.shape[axis], shape)
    return [a], lambda x: np.take_along_axis(x, index, axis)


def _pad(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, (int(rng.integers(1, 4)), int(rng.integers(2, 4))))
    mode = ["constant", "edge", "symmetric", "wrap"][rng.integers(4)]
    width = [1, (0, 2), ((1, 0), (2, 1))][rng.integers(3)]
    return [a], lambda x: np.pad(x, width, mode)


def _einsum(rng: np.random.Generator) -> tuple[list[Array], Call]:
    text, *shapes = [
        ("ij,jk->ik", (2, 3), (3, 4)), ("ij,ij", (2, 3), (2, 3)), ("...ij->...ji", (2, 3, 2)), ("ii", (3, 3)),
        ("bi,bij,bj->b", (2, 2), (2, 2, 3), (2, 3)),
    ][rng.integers(5)]  # fmt: skip
    return [_values(rng, shape) for shape in shapes], lambda *x: np.einsum(text, *x)


def _variables(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a, by_row = _values(rng, (3, 4)), bool(rng.integers(2))
        return [a], lambda x: getattr(np, name)(x, rowvar=by_row)

    return draw


def _diagonals(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a, k = _values(rng, (3, 4) if name == "trace" or rng.integers(2) else (3,)), int(rng.integers(-2, 3))
        return [a], lambda x: getattr(np, name)(x, k)

    return draw


def _vector_norm(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, _shape(rng, low=1))
    order = [None, 1, 2, 3, np.inf, -np.inf][rng.integers(6)]
    axis = int(rng.integers(-a.ndim, a.ndim))
    return [a], lambda x: np.linalg.norm(x, order, axis)


def _grid(rng: np.random.Generator) -> tuple[list[Array], Call]:
    way = ["xy", "ij"][rng.integers(2)]
    return [_values(rng, (2,)), _values(rng, (3,))], lambda x, y: np.meshgrid(x, y, indexing=way)[0]


def _size(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = _values(rng, _shape(rng, low=1))
    axis = _axis(rng, a.ndim, several=False)
    return [a], lambda x: np.size(x, axis)


CALLS: dict[str, Draw] = {
    **{name: _one(name) for name in (
        "absolute", "arcsinh", "arctan", "ceil", "cos", "cosh", "exp", "exp2", "expm1", "fabs", "fix", "floor",
        "isfinite", "isinf", "isnan", "negative", "positive", "rint", "sign", "sin", "sinh", "square", "tanh", "trunc",
    )},
    **{name: _one(name, 0.25, 3.0) for name in (
        "cbrt", "log", "log10", "log1p", "log2", "reciprocal", "sqrt",
    )},
    **{name: _one(name, -0.9, 0.9) for name in ("arccos", "arcsin", "arctanh", "tan")},
    "arccosh": _one("arccosh", 1.25, 4.0),
    **{name: _two(name) for name in (
        "add", "arctan2", "divide", "equal", "floor_divide", "fmod", "greater", "greater_equal", "hypot", "less",
        "less_equal", "logaddexp", "logaddexp2", "maximum", "minimum", "multiply", "not_equal", "remainder", "subtract",
    )},
    **numpy_masks.CALLS,
    **numpy_formulas.CALLS,
    **numpy_composed.CALLS,
    **{name: _one(name) for name in ("deg2rad", "degrees", "nan_to_num", "rad2deg", "radians", "sinc")},
    **{name: _two(name) for name in ("copysign", "fmax", "fmin")},
    **{name: _reduction(name) for name in ("amax", "amin", "max", "mean", "min", "sum")},
    **{name: _reduction(name, several=False) for name in ("argmax", "argmin")},
    **{f"{name}.reduce": _reduce_of(name) for name in ("add", "maximum", "minimum")},
    **{name: _moved(name) for name in ("moveaxis", "permute_dims", "swapaxes", "transpose")},
    **{name: _plain(name) for name in ("atleast_1d", "atleast_2d", "atleast_3d", "ndim", "ravel", "shape")},
    "fliplr": _plain("fliplr", low=2),
    "flipud": _plain("flipud", low=1),
    "matrix_transpose": _plain("matrix_transpose", low=2),
    **{name: _joined(name) for name in (
        "append", "column_stack", "concat", "concatenate", "dstack", "hstack", "row_stack", "stack", "vstack",
    )},
    **{name: _rearranged(name) for name in ("diagonal", "repeat", "roll", "split", "tile", "tril", "triu")},
    **{name: _like(name) for name in ("ones_like", "zeros_like")},
    **{name: _reduction(name) for name in ("median", "prod", "ptp")},
    **{name: _spread(name) for name in ("std", "var")},
    **{name: _quantiles(name) for name in ("percentile", "quantile")},
    **{name: _line(name) for name in ("argsort", "cumprod", "cumsum", "sort")},
    **{name: _variables(name) for name in ("corrcoef", "cov")},
    **{name: _diagonals(name) for name in ("diag", "trace")},
    "multiply.reduce": _reduce_of("multiply"),
    "take_along_axis": _along_axis, "pad": _pad, "einsum": _einsum, "meshgrid": _grid, "linalg.norm": _vector_norm,
    "broadcast_to": _broadcast_to, "clip": _clip, "dot": _dot, "expand_dims": _expand, "flip": _flip,
    "heaviside": lambda rng: ([_values(rng, _shape(rng))], lambda x: np.heaviside(x, 0.5)),
    "inner": _inner, "matmul": _matmul, "outer": _outer, "power": _power, "reshape": _reshape, "size": _size,
    "squeeze": _squeeze, "take": _take, "tensordot": _tensordot, "vdot": _vdot, "where": _where,
}  # fmt: skip
