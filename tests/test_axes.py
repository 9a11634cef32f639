"""Order, indices and cumulation along axes: special values, every instruction set, refusals, gradients at corners."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule._ir.records import Gather, Order, Scan, Scatter
from reference import assert_same_bits, axes
from reference.bits import Array
from support.programs import Float, blank, execute
from support.variants import every_setting

FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS)
SPECIAL = [3.0, np.nan, -0.0, 0.0, -np.inf, np.inf, 1e-42, -1e-42, -3.0, 3.0, np.nan, 0.0]


def values(shape: tuple[int, ...], dtype: Float, seed: int = 3) -> Array:
    """Magnitudes from 2^-20 to 2^20: another order of a sum gives other bits."""
    rng = np.random.default_rng(seed)
    return np.ldexp(rng.standard_normal(shape), rng.integers(-20, 20, shape)).astype(dtype)


class TestInstructions:
    @each_dtype
    def test_order(self, dtype: Float) -> None:
        rng = np.random.default_rng(5)
        cases = [
            np.array([SPECIAL, SPECIAL[::-1]], dtype),
            rng.integers(-3, 3, (7, 50)).astype(dtype),
            values((3, 1000), dtype),
            np.zeros((0, 4), dtype),
            np.zeros((4, 0), dtype),
        ]
        for x in cases:
            # NumPy sorts -0 and NaN alike, but for the order of -0 and +0, which is stable, too.
            expected = np.argsort(x, axis=1, kind="stable")
            numbers = np.where(np.isnan(x), np.inf, np.sign(x) * np.abs(x))
            descending = np.lexsort((np.broadcast_to(np.arange(x.shape[1]), x.shape), -numbers, ~np.isnan(x)))
            for setting in every_setting():
                for down, wanted in ((0, expected), (1, descending)):
                    out = blank(x.shape, np.int64)
                    execute("argsort", dtype, [out], [x], Order(*x.shape, down))
                    assert_same_bits(out, np.asarray(wanted), f"{setting}, {x.shape}, descending {down}")

    @pytest.mark.parametrize("dtype", [np.int64, np.bool_])
    def test_order_of_other_dtypes(self, dtype: Any) -> None:
        x = np.array([[-(2**63), 5, 2**63 - 1, 0, 5, -1]]).astype(dtype)
        assert cr.argsort(x).tolist() == np.argsort(x, kind="stable").tolist()
        assert cr.sort(x).tolist() == np.sort(x).tolist()

    @each_dtype
    @pytest.mark.parametrize("reverse", [False, True])
    def test_recurrences(self, dtype: Float, reverse: bool) -> None:
        for shape in [(1, 37, 1), (5, 19, 1), (1, 40, 33), (3, 7, 131), (2, 1, 5), (2, 0, 3), (0, 4, 2)]:
            a, b = values(shape, dtype, 4), values(shape, dtype, 5)
            with np.errstate(over="ignore", invalid="ignore"):
                expected = axes.recurrence(a, b, 1, reverse)
                sums = axes.recurrence(np.ones_like(a), b, 1, reverse)
            for setting in every_setting():
                out, total = blank(shape, dtype), blank(shape, dtype)
                execute("recurrence", dtype, [out], [a, b], Scan(*shape, int(reverse)))
                execute("cumsum", dtype, [total], [b], Scan(*shape, int(reverse)))
                assert_same_bits(out, expected, f"{setting}, {shape}")
                assert_same_bits(total, sums, f"{setting}, {shape}")

    @each_dtype
    def test_several_picks_of_a_row(self, dtype: Float) -> None:
        x, g = values((9, 21), dtype), values((9, 40), dtype)
        index = np.random.default_rng(6).integers(0, 21, (9, 40))
        added, laid = np.zeros((9, 21), dtype), np.tile(np.arange(21), (9, 1))
        for i, j in np.ndindex(index.shape):
            added[i, index[i, j]] += g[i, j]
            laid[i, index[i, j]] = 21 + j
        for setting in every_setting():
            picked, sums, places = blank((9, 40), dtype), blank((9, 21), dtype), blank((9, 21), np.int64)
            execute("gather", dtype, [picked], [x, index], Gather(9, 21, 40))
            execute("scatter", dtype, [sums], [g, index], Scatter(9, 21, 40))
            execute("overlay", np.int64, [places], [index], Scatter(9, 21, 40))
            assert_same_bits(picked, np.take_along_axis(x, index, 1), setting)
            assert_same_bits(sums, added, setting)
            assert_same_bits(places, laid, setting)


class TestGradientsAtCorners:
    @pytest.mark.parametrize("zeros", [(), (1,), (0, 2), (0, 1, 2)])
    def test_products_with_zeros(self, zeros: tuple[int, ...]) -> None:
        x = np.array([0.5, -1.5, 2.0, 3.0])
        x[list(zeros)] = 0
        expected = [np.prod(np.delete(x, i)) for i in range(4)]
        assert np.allclose(cr.grad(cr.prod)(x).numpy(), expected)
        assert cr.gradcheck(cr.grad(cr.prod), (x,))
        assert cr.gradcheck(cr.grad(lambda x: cr.sum(cr.cumprod(x) * [1.0, -2.0, 0.5, 3.0])), (x,))

    @pytest.mark.parametrize("order", [1, 2, 2.5, 3, np.inf])
    def test_norms_at_0(self, order: float) -> None:
        assert cr.grad(lambda x: cr.norm(x, order))(np.zeros(3)).tolist() == [0, 0, 0]
        x = np.array([[0.0, 0.0], [3.0, -4.0]])
        assert np.isfinite(cr.grad(lambda x: cr.sum(cr.norm(x, order, axis=1)))(x).numpy()).all()

    @each_dtype
    def test_norms_of_any_size(self, dtype: Float) -> None:
        largest = float(np.finfo(dtype).max) / 8
        for scale in (largest, 1.0, float(np.finfo(dtype).tiny) * 8):
            x = (np.array([3.0, -4.0]) * (scale / 4)).astype(dtype)
            assert np.isclose(cr.norm(x).item() / scale, 1.25)
            assert np.allclose(cr.grad(cr.norm)(x).numpy(), [0.6, -0.8])
        both = np.array([[largest, largest], [1e-30, 1e-30]], dtype)
        assert np.allclose(cr.norm(both, axis=1).numpy() / both[:, 0], np.sqrt(2))

    def test_deviation_of_equal_values(self) -> None:
        assert cr.grad(cr.std)(np.full(4, 0.1)).tolist() == [0, 0, 0, 0]
        x = np.float32(1e4) + np.arange(5, dtype=np.float32)
        assert cr.var(x).item() == 2.0  # by sums of squares 0 or worse

    def test_logsumexp_of_special_values(self) -> None:
        inf = np.inf
        for x, expected in (([1e3, 1e3], 1e3 + np.log(2)), ([-inf, -inf], -inf), ([inf, 0.0], inf), ([], -inf)):
            assert cr.logsumexp(np.array(x)).item() == expected
        assert cr.grad(cr.logsumexp)(np.array([0.0, -inf])).tolist() == [1.0, 0.0]
        assert cr.logsumexp([0.0, -30.0]).item() == pytest.approx(np.exp(-30.0), rel=1e-6)

    def test_ties_go_to_the_first(self) -> None:
        x = np.array([2.0, 1.0, 2.0])
        assert cr.grad(lambda x: cr.topk(x, 1).values[0])(x).tolist() == [1, 0, 0]
        assert cr.argsort(x, descending=True).tolist() == [0, 2, 1]

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
    def test_cumulative_extremes(self, dtype: Any) -> None:
        """Of equal elements the last one counts, of several NaN, too."""
        x = np.random.default_rng(1).integers(-3, 3, (3, 37, 2)).astype(dtype)
        if dtype != np.int64:
            x[1, 20:22, 0] = np.nan
        for name, ufunc in (("cummax", np.maximum), ("cummin", np.minimum)):
            for axis in (0, 1, -1):
                values, index = getattr(cr, name)(x, dim=axis)
                assert_same_bits(values.numpy(), ufunc.accumulate(x, axis))
                assert_same_bits(np.take_along_axis(x, index.numpy(), axis), values.numpy())
                k = np.arange(x.shape[axis]).reshape([-1 if i == axis % 3 else 1 for i in range(3)])
                new = (x == values.numpy()) | np.isnan(x)
                assert_same_bits(index.numpy(), np.maximum.accumulate(np.where(new, k, 0), axis))
        assert cr.cummax(cr.zeros(2, 0), 1).indices.shape == (2, 0)

    def test_the_last_of_equal_indices_counts(self) -> None:
        x, new = np.zeros((1, 2)), np.array([[3.0, 5.0]])
        f = lambda x, s: cr.sum(cr.scatter(x, 1, [[1, 1]], s) * [[1.0, 10.0]])  # noqa: E731
        assert cr.scatter(x, 1, [[1, 1]], new).tolist() == [[0, 5]]
        assert [g.tolist() for g in cr.grad(f, (0, 1))(x, new)] == [[[1, 0]], [[0, 10]]]

    def test_bounds_of_clip_get_the_gradient(self) -> None:
        x, low, high = np.array([-2.0, 0.5, 3.0, 1.0]), np.full(4, -1.0), np.array([1.0, 1.0, 1.0, 1.0])
        by = cr.grad(lambda *a: cr.sum(cr.clip(*a)), (0, 1, 2))(x, low, high)
        assert [g.tolist() for g in by] == [[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]]


class TestCompiled:
    def test_indices_that_a_program_computes(self) -> None:
        q = values((6, 4), np.float32)

        def f(q: cr.Tensor) -> cr.Tensor:
            best = cr.argsort(q, 1, descending=True)
            top = cr.take_along_axis(q, best[:, :2], 1)
            filled = cr.put_along_axis(q, cr.argmax(q, 1, keepdims=True), 0.0, 1)
            return cr.sum(top) + cr.sum(cr.square(filled)) + cr.sum(cr.one_hot(cr.argmax(q, 1), 4, np.float32) * q)

        eager, compiled = cr.grad(f), cr.compile(cr.grad(f))
        for _ in range(2):
            assert_same_bits(compiled(q).numpy(), eager(q).numpy())
            q = -q

    def test_an_index_out_of_range_is_found_when_the_program_runs(self) -> None:
        f = cr.compile(lambda x, i: cr.gather(x, 1, i))
        x = cr.tensor(values((2, 3), np.float32))
        assert f(x, cr.tensor([[0], [2]])).shape == (2, 1)
        with pytest.raises(IndexError, match=r"gather: 3 at position \(1, 0\) is out of range for 3"):
            f(x, cr.tensor([[0], [3]]))

    def test_labels_need_a_number_of_classes(self) -> None:
        with pytest.raises(cr.CompileError, match="one_hot: in a compiled function"):
            cr.compile(cr.one_hot)(cr.tensor([0, 1]))


class TestSpellings:
    x = np.arange(24.0).reshape(2, 3, 4)

    def test_pad_of_functional(self) -> None:
        assert F.pad(self.x, (1, 2)).shape == (2, 3, 7)
        assert np.array_equal(F.pad(self.x, (0, 1, 2, 0), value=5.0), np.pad(self.x, ((0, 0), (2, 0), (0, 1)),
                              constant_values=5.0))  # fmt: skip
        assert np.array_equal(F.pad(self.x, (-1, 1, 1, -1), "replicate"), np.pad(self.x[:, :2, 1:],
                              ((0, 0), (1, 0), (0, 1)), "edge"))  # fmt: skip

    def test_methods(self) -> None:
        t = cr.tensor(self.x)
        assert t.var(dim=1, unbiased=True).shape == t.std(dim=1, correction=0).shape == (2, 4)
        assert t.norm(dim=-1, keepdim=True).shape == (2, 3, 1)
        assert t.topk(2, dim=1).indices.tolist() == cr.argsort(t, 1, descending=True)[:, :2].tolist()
        assert t.masked_fill(t > 3, 0.0).max().item() == 3
        assert t.amax(dim=(0, 1)).tolist() == [20, 21, 22, 23]

    def test_divisors(self) -> None:
        for options in ({"ddof": 1}, {"correction": 1}, {"unbiased": True}):
            assert np.allclose(cr.var(self.x, **options).numpy(), self.x.var(ddof=1))
        assert np.allclose(cr.var(self.x, unbiased=False).numpy(), self.x.var())


X = cr.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: cr.var(X, dim=1), TypeError, "var: with dim, PyTorch divides by n - 1, NumPy by n; write correction=1"),
    (lambda: cr.std(X, ddof=1, correction=1), TypeError, "std: ddof, correction and unbiased are the same argument"),
    (lambda: cr.topk(X, 4), ValueError, "topk: k = 4 is more than the 3 elements along axis -1 of (2, 3)"),
    (lambda: cr.topk(X, -1), ValueError, "topk: k must be at least 0, got -1"),
    (lambda: cr.norm(X, "nuc"), ValueError, "norm: expected ord 2, another positive number, inf, -inf, 0 or 'fro'"),
    (lambda: cr.norm(X, 2, p=2), TypeError, "norm: ord and p are the same argument, given twice"),
    (lambda: cr.take_along_axis(X, [0]), ValueError, "take_along_axis: the indices (1,) must have as many axes as x"),
    (lambda: cr.take_along_axis(X, [[3]]), IndexError, "take_along_axis: 3 at position (0, 0) is out of range for 3"),
    (
        lambda: cr.gather(X, 1, [[0]] * 3),
        ValueError,
        "gather: the indices (3, 1) are longer than x (2, 3) outside",
    ),
    (lambda: cr.gather(X, 1), TypeError, "gather: expected an axis and indices, gather(x, axis, index)"),
    (lambda: cr.scatter(X, 1, [[0, 1]], [[1.0]]), ValueError, "scatter: the indices (1, 2) are longer than src (1, 1)"),
    (lambda: cr.one_hot([-1], 3), IndexError, "one_hot: labels must not be negative"),
    (lambda: cr.one_hot([3], 3), IndexError, "one_hot: 3 at position (0,) is out of range for 3"),
    (lambda: cr.one_hot([0.5], 3), TypeError, "one_hot: expected integers, got float"),
    (lambda: cr.masked_fill(X, X > 2, [1.0]), ValueError, "masked_fill: expected a number as value, got shape (1,)"),
    (lambda: cr.quantile(X, 1.5), ValueError, "quantile: q must be from 0 to 1, got 1.5"),
    (lambda: cr.quantile(X, 0.5, method="best"), ValueError, "quantile: expected the method linear, lower"),
    (lambda: cr.median(cr.zeros(0)), ValueError, "median: expected at least one value, got shape (0,)"),
    (lambda: cr.pad(X, (1, 1, 2, 2)), ValueError, "pad: expected pad_width (before, after) for each of the 2 axes"),
    (lambda: cr.pad(X, 1, "mirror"), ValueError, "pad: expected the mode constant, edge"),
    (lambda: cr.pad(X, -1), ValueError, "pad: pad_width must not be negative, got -1; slices take elements away"),
    (lambda: cr.pad(cr.zeros(0), 1, "edge"), ValueError, "pad: axis 0 of shape (0,) has no elements to repeat"),
    (lambda: F.pad(X, (1, 1, 1)), ValueError, "pad: expected pairs of integers for at most 2 axes, got (1, 1, 1)"),
    (lambda: F.pad(X, (-2, -2)), ValueError, "pad: (-2, -2) takes away more elements than shape (2, 3) has"),
    (lambda: cr.einsum("ij,jk", X), ValueError, "einsum: 'ij,jk' is for 2 operands, got 1"),
    (lambda: cr.einsum("ijk", X), ValueError, "einsum: 'ijk' in 'ijk' is for 3 axes, the operand has 2"),
    (lambda: cr.einsum("ij,jk", X, X), ValueError, "einsum: the lengths of an axis differ in 'ij,jk' of shapes"),
    (lambda: cr.einsum("ij->ii", X), ValueError, "einsum: the output of 'ij->ii' must have letters of the operands"),
    (lambda: cr.einsum("i+", X), ValueError, "einsum: expected letters, ',', '...' and '->', got 'i+'"),
    (lambda: cr.diag(cr.zeros(1, 1, 1)), ValueError, "diag: expected one axis or two, got shape (1, 1, 1)"),
    (lambda: cr.cummax(X > 0, 1), TypeError, "cummax: expected numbers, got bool"),
    (lambda: cr.cummin(X, 2), ValueError, "cummin: axis 2 is out of range for 2 dimensions"),
    (lambda: cr.cumsum(X, 2), ValueError, "cumsum: axis 2 is out of range for 2 dimensions"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_refusals(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()


EINSUMS = ("ij,jk,kl->il", "i,ij,j", "abc,cd,de,ea->b", "...i,...j,ij->...", "ii,jj,ij->ij", "ab,ab,ab->a", "ij,,j->i")


@pytest.mark.parametrize("text", EINSUMS)
def test_einsum_of_several_operands(text: str) -> None:
    rng = np.random.default_rng(7)
    lengths = dict(zip("abcdeijkl", (2, 3, 4, 2, 3, 3, 3, 3, 2), strict=True))
    terms = text.split("->")[0].split(",")
    shapes = [(2,) * term.count("...") + tuple(lengths[c] for c in term if c != ".") for term in terms]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    expected = np.einsum(text, *arrays)
    paths = (True, False, "optimal", np.einsum_path(text, *arrays)[0], ["einsum_path", (0, 1)])
    for optimize in paths:
        assert np.allclose(cr.einsum(text, *arrays, optimize=optimize).numpy(), expected)
    assert cr.gradcheck(lambda *x: cr.einsum(text, *x), arrays)


def test_einsum_of_lists_of_numbers() -> None:
    x, y = np.ones((2, 3)), np.arange(12.0).reshape(3, 4)
    assert np.array_equal(cr.einsum(x, [0, 1], y, [1, 2], [2, 0]), np.einsum(x, [0, 1], y, [1, 2], [2, 0]))
    assert np.array_equal(cr.einsum(y, [..., 0]), np.einsum(y, [..., 0]))
