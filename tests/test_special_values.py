"""NaN, infinities, signed zeros, subnormals, the largest: at every position of every length, as the reference says.

An elementwise array of length n takes its elements cyclically from a list of special and ordinary values, once for
each offset in the list, so that every value occurs at every position, body and tail. Rows of reductions and softmax are
ordinary but for one special value, one row for each position and value.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from cases.kernel_rows import KERNELS, Kernel, label
from chainrule import _core
from reference import assert_same_bits, special_values
from reference import reduce as reference_reduce
from reference import softmax_losses as reference_softmax
from reference.bits import Array, raw
from support.programs import (
    CODE,
    COMPARISONS,
    Float,
    blank,
    cross_entropy,
    cross_entropy_both,
    cross_entropy_grad,
    flat,
    reduce,
    rowwise,
    scalar_float64,
)
from support.variants import every_setting

LENGTHS = range(1, 68)
FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)
checked: dict[str, int] = {}


def circle(kernel: Kernel, dtype: Float) -> list[Array]:
    """Special and ordinary values; the inputs of a binary kernel meet in pairs of changing distance."""
    rng = np.random.default_rng(31)
    special = special_values(dtype)
    values = np.concatenate([special, rng.uniform(0.25, 3, special.size).astype(dtype)])
    return [rng.random(values.size) < 0.5 if d is None else rng.permutation(values) for d in kernel.domain]


@pytest.mark.parametrize("kernel", KERNELS, ids=label)
@each_dtype
def test_elementwise(kernel: Kernel, dtype: Float) -> None:
    values = circle(kernel, dtype)
    size = values[0].size
    places = (np.arange(size)[:, None] + np.arange(LENGTHS[-1])) % size  # row: start in the circle; column: position
    inputs = [v[places] for v in values]
    expected = raw(kernel.reference(*inputs))
    out_dtype = np.bool_ if kernel.name in COMPARISONS else dtype
    for setting in every_setting(threads=(1,)):
        for n in LENGTHS:
            out = blank((size, n), out_dtype)
            rows = [np.ascontiguousarray(x[:, :n]) for x in inputs]
            run_rows(kernel, n, out, rows)
            assert_same_bits(raw(out), expected[:, :n], f"{setting}, length {n}")
            count(f"{kernel.name} {np.dtype(dtype).name}", out.size)


def run_rows(kernel: Kernel, n: int, out: Array, inputs: list[Array]) -> None:
    """One call of the kernel per row: each row is a separate array of length n."""
    instr = flat(kernel.name, inputs[-1].dtype, 0, range(1, len(inputs) + 1), n, kernel.params)
    program = _core.Program([(CODE[x.dtype], (n,)) for x in (out, *inputs)], [], [], [instr.lower()])
    for rows in zip(out, *inputs, strict=True):
        program(*rows)


def count(what: str, n: int) -> None:
    checked[what] = checked.get(what, 0) + n


def extremes(dtype: Float) -> Array:
    """The special values without the ones near 1: for the rows of reductions."""
    values = special_values(dtype)
    limits = np.finfo(dtype)
    return np.asarray(values[~((np.abs(values) >= limits.eps) & (np.abs(values) < 2))])


def rows_with_one_special(n: int, dtype: Float) -> Array:
    """(positions * values, n): ordinary rows, each with one special value at one position."""
    special = extremes(dtype)
    rows = np.random.default_rng(n).uniform(-3, 3, (special.size * n, n)).astype(dtype)
    rows[np.arange(rows.shape[0]), np.arange(rows.shape[0]) % n] = np.repeat(special, n)
    return rows


Pair = tuple[Callable[..., Array], Callable[..., Array]]


def _reduction(name: str) -> Pair:
    in_numpy: Any = getattr(reference_reduce, name)
    return lambda x: reduce(name, x, 1), lambda x: np.asarray(in_numpy(x, 1))


def _rowwise(name: str) -> Pair:
    in_numpy: Any = getattr(reference_softmax, name)
    if not name.endswith("_grad"):
        return lambda x: rowwise(name, x), lambda x: np.asarray(in_numpy(x))
    return lambda x: _gradients(x, lambda y, g: rowwise(name, y, g)), lambda x: _gradients(x, in_numpy)


def _gradients(x: Array, function: Callable[[Array, Array], Array]) -> Array:
    """The special value in the saved output of the forward pass, then in the upstream gradient."""
    ordinary = np.random.default_rng(32).uniform(-2, 2, x.shape).astype(x.dtype)
    return np.stack([function(x, ordinary), function(ordinary, x)])


def _losses(x: Array, function: Callable[[Array, Array], Array]) -> Array:
    """The special value at the label of its row and beside it."""
    at = np.arange(x.shape[0])
    return np.stack([function(x, at % x.shape[1]), function(x, (at + 1) % x.shape[1])])


def _cross_entropy(run: Callable[..., Array], in_numpy: Callable[..., Array]) -> Pair:
    return lambda x: _losses(x, run), lambda x: _losses(x, lambda *a: in_numpy(*a, reduction="none"))


def _with_gradient(run: Callable[..., Array], in_numpy: Callable[..., Array]) -> Pair:
    def losses(x: Array, function: Callable[..., Array]) -> Array:
        g = np.resize(special_values(x.dtype.type)[::-1], x.shape[0])
        return _losses(x, lambda logits, labels: function(logits, labels, g))

    return lambda x: losses(x, run), lambda x: losses(x, in_numpy)


_gradient = partial(reference_softmax.cross_entropy_grad, reduction="none")


def _both(x: Array, labels: Array, g: Array) -> Array:
    return np.concatenate([_gradient(x, labels, g).ravel(), reference_softmax.cross_entropy(x, labels, "none")])


ROWS: dict[str, Pair] = {
    **{name: _reduction(name) for name in ("sum", "max", "min", "argmax")},
    **{name: _rowwise(name) for name in ("softmax", "log_softmax", "softmax_grad", "log_softmax_grad")},
    "cross_entropy": _cross_entropy(cross_entropy, reference_softmax.cross_entropy),
    "cross_entropy_grad": _with_gradient(cross_entropy_grad, _gradient),
    "cross_entropy_both": _with_gradient(cross_entropy_both, _both),
}


@pytest.mark.parametrize("name", ROWS)
@each_dtype
def test_rows(name: str, dtype: Float) -> None:
    run, in_numpy = ROWS[name]
    for n in LENGTHS:
        rows = rows_with_one_special(n, dtype)
        with scalar_float64():
            expected = in_numpy(rows)
        for setting in every_setting(threads=(1,)):
            assert_same_bits(run(rows), expected, f"{setting}, length {n}")
            count(f"{name} {np.dtype(dtype).name}", expected.size)


@each_dtype
@pytest.mark.parametrize("name", ["sum", "max", "min"])
def test_columns(name: str, dtype: Float) -> None:
    run: Any = reduce
    in_numpy: Any = getattr(reference_reduce, name)
    for n in LENGTHS:
        columns = np.ascontiguousarray(rows_with_one_special(n, dtype).T)
        expected = in_numpy(columns, 0)
        for setting in every_setting(threads=(1,)):
            assert_same_bits(run(name, columns, 0), expected, f"{setting}, length {n}")
            count(f"{name} of columns {np.dtype(dtype).name}", expected.size)


def test_a_million_checks_were_made(record_property: Callable[[str, object], None]) -> None:
    if len(checked) < 2 * (len(ROWS) + 3):
        pytest.skip("counts the checks of the tests above, which did not all run")
    record_property("special values", sum(checked.values()))
    assert sum(checked.values()) >= 1_000_000, checked
