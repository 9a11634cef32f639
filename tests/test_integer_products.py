"""Products and cumulative sums of int64 and bool tensors: NumPy's values and dtypes, eager and compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.jit import Compiled
from support.variants import every_setting
from test_integers import check, draw

PRODUCTS: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "rows": (cr.matmul, np.matmul, ((5, 7), (7, 3))),
    "long": (cr.matmul, np.matmul, ((3, 700), (700, 37))),
    "vectors": (cr.matmul, np.matmul, ((6,), (6,))),
    "vector and matrices": (cr.matmul, np.matmul, ((6,), (2, 6, 3))),
    "broadcast": (cr.matmul, np.matmul, ((2, 1, 3, 4), (5, 4, 2))),
    "nothing to sum": (cr.matmul, np.matmul, ((2, 0), (0, 3))),
    "no rows": (cr.matmul, np.matmul, ((0, 4), (4, 3))),
    "transposed": (lambda a, b: cr.matmul(a.T, b.T), lambda a, b: np.matmul(a.T, b.T), ((4, 3), (5, 4))),
    "dot": (cr.dot, np.dot, ((3, 4), (2, 4, 5))),
    "inner": (cr.inner, np.inner, ((3, 4), (2, 4))),
    "outer": (cr.outer, np.outer, ((3, 2), (4,))),
    "tensordot": (
        lambda a, b: cr.tensordot(a, b, ([1, 2], [1, 0])),
        lambda a, b: np.tensordot(a, b, ([1, 2], [1, 0])),
        ((2, 3, 4), (4, 3, 5)),
    ),
    **{
        f"einsum {subscripts}": (
            lambda *x, s=subscripts: cr.einsum(s, *x),
            lambda *x, s=subscripts: np.einsum(s, *x),
            shapes,
        )
        for subscripts, shapes in {
            "ij,jk->ik": ((3, 4), (4, 5)),
            "bij,bj->b": ((2, 3, 4), (2, 4)),
            "ii,j->j": ((3, 3), (4,)),
            "ij,k->": ((3, 4), (2,)),
            "...i,...i": ((2, 3, 4), (3, 4)),
        }.items()
    },
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name: str) -> None:
    """NumPy's values and dtypes, int64 modulo 2^64, of operands with any strides."""
    function, reference, shapes = PRODUCTS[name]
    compiled, rng = cr.compile(function), np.random.default_rng(5)
    for kinds in (("int", "int"), ("int", "bool"), ("bool", "int"), ("bool", "bool")):
        a, b = (draw(rng, shape, kind) for shape, kind in zip(shapes, kinds, strict=True))
        expected = reference(a, b)
        for setting in every_setting(threads=(1, 3)):
            check(function(cr.tensor(a), cr.tensor(b)), expected, f"{setting}, {kinds}")
            check(compiled(cr.tensor(a), cr.tensor(b)), expected, f"{setting}, {kinds}, compiled")
        check(function(cr.tensor(a), b), expected, "array")
        check(function(cr.tensor(np.repeat(a, 2, 0)[::2]), cr.tensor(b)), expected, "strides")


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("kind", ["int", "bool"])
def test_cumulative(name: str, kind: str) -> None:
    function, reference, rng = getattr(cr, name), getattr(np, name), np.random.default_rng(6)
    for shape, axis in (((), None), ((7,), 0), ((0,), 0), ((3, 0), 1), ((40, 3, 37), 1), ((40, 3), None), ((5, 6), -2)):
        x = draw(rng, shape, kind)
        compiled = cr.compile(lambda x, axis=axis: function(x, axis))
        for setting in every_setting(threads=(1, 3)):
            check(function(cr.tensor(x), axis), reference(x, axis), f"{setting}, {shape}")
            check(compiled(cr.tensor(x)), reference(x, axis), f"{setting}, {shape}, compiled")


def test_products_of_integers_within_a_step() -> None:
    """Beside floats, elementwise integers and in row blocks: no fused body, and no chain over blocks of rows."""
    rng = np.random.default_rng(7)
    x, codes = cr.tensor(rng.normal(size=(300, 4)).astype(np.float32)), cr.tensor(rng.integers(-9, 9, (300, 4)))
    weight = cr.nn.Parameter(rng.normal(size=(4, 4)).astype(np.float32))

    def step(x: cr.Tensor, codes: cr.Tensor) -> tuple[cr.Tensor, ...]:
        counts = (codes @ codes[:4] + 1) * codes
        loss = cr.sum(cr.square(x @ weight) * cr.astype(counts + cr.cumsum(codes, 1), x.dtype))
        return loss, cr.matmul(codes.T, counts), cr.grad(lambda w: cr.sum(x @ w * codes))(weight), counts > 3

    expected = [t.numpy() for t in step(x, codes)]
    for micro_batch in (None, 32):
        found = Compiled(step, micro_batch)(x, codes)
        assert [a.numpy().tobytes() for a in found] == [a.tobytes() for a in expected]


def test_products_that_are_refused() -> None:
    a, x = cr.tensor([[1, 2], [3, 4]]), cr.tensor([[0.5, 1.0], [1.0, 2.0]])
    for name in ("matmul", "dot", "inner", "outer", "tensordot"):
        with pytest.raises(TypeError, match=rf"^{name}: expected float32 or float64, got int64; convert with astype"):
            getattr(cr, name)(a, x)
    with pytest.raises(TypeError, match=r"^einsum: expected float32 or float64, got int64; convert with astype"):
        cr.einsum("ij,jk", x, a)
    with pytest.raises(TypeError, match=r"^linear: expected float32 or float64, got int64"):
        cr.linear(a, a)
    assert not cr.matmul(a, a).requires_grad
