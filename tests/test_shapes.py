"""Broadcasting, indexing and movement of elements as in NumPy, over many random shapes; their errors."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import chainrule as cr
from reference import assert_same_bits, reduce
from reference.bits import Array

# The same examples in every run; a busy machine is no failure.
steady = settings(derandomize=True, deadline=None)
SHAPES = npst.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)


def numbered(shape: tuple[int, ...]) -> Array:
    """No two elements equal."""
    return np.arange(1, 1 + int(np.prod(shape)), dtype=np.float64).reshape(shape)


@steady
@given(npst.mutually_broadcastable_shapes(num_shapes=3, max_dims=5, max_side=4, min_side=0))
def test_broadcasting(shapes: npst.BroadcastableShapes) -> None:
    a, b, c = (numbered(s) + 0.25 * i for i, s in enumerate(shapes.input_shapes))
    assert_same_bits(cr.sub(a, b).numpy(), a - b)
    assert_same_bits(cr.where(a > 2, b, c).numpy(), np.where(a > 2, b, c))
    assert_same_bits(cr.broadcast_to(a, shapes.result_shape).numpy(), np.broadcast_to(a, shapes.result_shape))


@steady
@given(SHAPES, st.data())
def test_broadcasting_is_undone_in_the_gradient(shape: tuple[int, ...], data: st.DataObject) -> None:
    other = data.draw(npst.broadcastable_shapes(shape, max_dims=5, max_side=4, min_side=0))
    a, b = cr.tensor(numbered(shape), requires_grad=True), cr.tensor(numbered(other), requires_grad=True)
    y = a * b
    y.backward(np.ones(y.shape))
    assert a.grad is not None
    assert b.grad is not None
    # The sum over the repeated elements, by linearity: d y / d a summed against a is the sum of all of y.
    for t in (a, b):
        assert t.grad is not None
        assert t.grad.shape == t.shape
        assert np.isclose((t.grad.numpy() * t.numpy()).sum(), y.numpy().sum(), rtol=1e-12)


@steady
@given(SHAPES, st.data())
def test_transpose(shape: tuple[int, ...], data: st.DataObject) -> None:
    axes = data.draw(st.permutations(range(len(shape))))
    a = numbered(shape)
    assert_same_bits(cr.transpose(a, axes).numpy(), np.transpose(a, axes))
    assert_same_bits(cr.tensor(a).T.numpy(), a.T)


@steady
@given(SHAPES, st.data())
def test_basic_indices(shape: tuple[int, ...], data: st.DataObject) -> None:
    index = data.draw(npst.basic_indices(shape, allow_newaxis=True, max_dims=6))
    a = numbered(shape)
    t = cr.tensor(a, requires_grad=True)
    part = t[index]
    assert_same_bits(part.numpy(), np.asarray(a[index]))
    part.backward(np.full(part.shape, 2.0))
    expected = np.zeros_like(a)
    expected[index] = 2.0
    assert t.grad is not None
    assert_same_bits(t.grad.numpy(), expected)


@steady
@given(npst.array_shapes(min_dims=1, max_dims=4, max_side=4), st.data())
def test_rows_by_number(shape: tuple[int, ...], data: st.DataObject) -> None:
    wanted = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
    rows = data.draw(npst.arrays(np.int64, wanted, elements=st.integers(-shape[0], shape[0] - 1)))
    a = numbered(shape)
    t = cr.tensor(a, requires_grad=True)
    out = cr.take(t, rows)
    assert_same_bits(out.numpy(), a[rows])
    out.backward(numbered(out.shape))
    expected = np.zeros_like(a)
    np.add.at(expected, rows, numbered(out.shape))
    assert t.grad is not None
    assert_same_bits(t.grad.numpy(), expected)


@steady
@given(SHAPES, st.data())
def test_reductions_over_any_axes(shape: tuple[int, ...], data: st.DataObject) -> None:
    axes = data.draw(st.one_of(st.none(), npst.valid_tuple_axes(len(shape), min_size=0)))
    keep = data.draw(st.booleans())
    a = (numbered(shape) / 7).astype(np.float32)
    assert_same_bits(cr.sum(a, axes, keep).numpy(), reduce.sum(a, axes, keep))
    if a.size:
        assert_same_bits(cr.max(-a, axes, keep).numpy(), reduce.max(-a, axes, keep))


@steady
@given(st.integers(1, 4), npst.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=3), st.data())
def test_concatenate(count: int, shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    parts = [numbered(tuple(n if a == axis % len(shape) else m for a, m in enumerate(shape))) for n in lengths]
    assert_same_bits(cr.concatenate(parts, axis).numpy(), np.concatenate(parts, axis))
    assert_same_bits(cr.stack([numbered(shape)] * count, axis).numpy(), np.stack([numbered(shape)] * count, axis))


@pytest.mark.parametrize("dtype", [np.int64, np.bool_])
def test_other_dtypes_are_moved(dtype: type[np.generic]) -> None:
    a = (numbered((3, 4)) % 3).astype(dtype)
    t = cr.tensor(a)
    for moved, expected in (
        (t.T, a.T),
        (t[::-1, 1], a[::-1, 1]),
        (cr.take(t, [2, 0]), a[[2, 0]]),
        (cr.concatenate([t, t], 1), np.concatenate([a, a], 1)),
        (cr.broadcast_to(t, (2, 3, 4)), np.broadcast_to(a, (2, 3, 4))),
        (t.reshape(2, 6), a.reshape(2, 6)),
        (t.flatten(), a.reshape(-1)),
        (t.flatten(-1), a),
        (t.flatten(-2), a.reshape(*a.shape[:-2], -1)),
        (t.flatten(-a.ndim), a.reshape(-1)),
    ):
        assert_same_bits(moved.numpy(), expected)


def test_astype() -> None:
    assert_same_bits(cr.astype([0.1], np.float64).numpy(), np.asarray([np.float32(0.1)], np.float64))
    assert_same_bits(cr.astype(np.asarray([True, False]), np.float32).numpy(), np.asarray([1, 0], np.float32))
    x = cr.tensor([0.1], requires_grad=True)
    y = x.astype(np.float64)
    (y * np.asarray([0.1])).backward(np.ones(1))
    assert x.grad is not None
    assert_same_bits(x.grad.numpy(), np.asarray([0.1], np.float32))


ERRORS: list[tuple[Any, type[Exception], str]] = [
    (lambda x: x.reshape(4, 2), ValueError, r"^reshape: 6 elements of shape \(2, 3\) do not fit shape \(4, 2\)"),
    (lambda x: x.reshape(-1, -1), ValueError, r"^reshape: 6 elements of shape \(2, 3\) do not fit"),
    (lambda x: cr.transpose(x, (0, 0)), ValueError, r"^transpose: axis 0 is given twice"),
    (lambda x: cr.transpose(x, (0,)), ValueError, r"^transpose: axes \(0,\) are not a permutation of 2 axes"),
    (lambda x: cr.transpose(x, (0, 2)), ValueError, r"^transpose: axis 2 is out of range"),
    (lambda x: cr.broadcast_to(x, (3, 3)), ValueError, r"^broadcast_to: .*\(2, 3\).*\(3, 3\)"),
    (lambda x: cr.broadcast_to(x, (3,)), ValueError, r"^broadcast_to: .*\(2, 3\).*\(3,\)"),
    (lambda x: cr.broadcast_to(x[:1, :1], (-1, 1)), ValueError, r"^broadcast_to: lengths must not be negative"),
    (lambda x: x[2], IndexError, r"^index: .*2 is out of bounds.*\(shape \(2, 3\)\)"),
    (lambda x: x[0, 0, 0], IndexError, r"^index: too many indices.*\(shape \(2, 3\)\)"),
    (lambda x: x[1.0], TypeError, r"^index: expected integers, slices, None, \.\.\., integer arrays or masks, got"),
    (lambda x: x[True], TypeError, r"^index: expected integers"),
    (lambda x: x[[True, False, True]], IndexError, r"^index: boolean index did not match .* \(shape \(2, 3\)\)"),
    (lambda x: x[[0.5]], TypeError, r"^index: expected integers or a mask, got float64"),
    (lambda x: x[[0], [7]], IndexError, r"^index: index 7 is out of bounds .* \(shape \(2, 3\)\)"),
    (lambda x: x[[0, 1], [0, 1, 2]], IndexError, r"^index: shape mismatch"),
    (lambda x: x[cr.ones(2, 3)], TypeError, r"^take: expected integers, got float32"),
    (lambda x: x[cr.ones(2), 0], TypeError, r"^index: expected integers or a mask, got float32"),
    (lambda x: x[[0], "a"], TypeError, r"^index: expected integers, slices"),
    (lambda x: cr.take(x, [True, False]), TypeError, r"^take: expected integers, got bool"),
    (lambda x: cr.take(x, [0, 1, 2]), IndexError, r"^take: 2 at position \(2,\) is out of range for 2"),
    (lambda x: cr.take(x, [-3]), IndexError, r"^take: -3 at position \(0,\) is out of range for 2"),
    (lambda x: cr.take(x, [0.5]), TypeError, r"^take: expected integers, got float64"),
    (lambda x: cr.take(1.0, [0]), ValueError, r"^take: x has no rows: it is 0-d"),
    (lambda x: cr.concatenate([]), ValueError, r"^concatenate: expected at least one tensor"),
    (lambda x: cr.concatenate([x, x[0]]), ValueError, r"^concatenate: shapes \(2, 3\) and \(3,\) differ"),
    (lambda x: cr.concatenate([x, x.T]), ValueError, r"^concatenate: .*\(2, 3\) and \(3, 2\) differ outside axis 0"),
    (lambda x: cr.concatenate([x, x], 2), ValueError, r"^concatenate: axis 2 is out of range"),
    (lambda x: cr.concatenate([x, np.ones((2, 3))]), TypeError, r"^concatenate: .*float32 and float64"),
    (lambda x: cr.stack([]), ValueError, r"^stack: expected at least one tensor"),
    (lambda x: cr.stack([x, x.T]), ValueError, r"^stack: expected one shape, got \(2, 3\) and \(3, 2\)"),
    (lambda x: cr.stack([x, np.ones((2, 3))]), TypeError, r"^stack: expected one dtype"),
    (lambda x: cr.flatten(x, 3), ValueError, r"^flatten: start_axis 3 is out of range"),
    (lambda x: cr.flatten(x, -3), ValueError, r"^flatten: start_axis -3 is out of range"),
    (lambda x: cr.flatten(x, 1, 0), ValueError, r"^flatten: axes 1 to 0 are not in shape"),
    (lambda x: cr.flatten(x, 0, 2), ValueError, r"^flatten: axes 0 to 2 are not in shape"),
    (lambda x: cr.flatten(x, 1, start_dim=1), TypeError, r"^flatten: start_axis and start_dim"),
    (lambda x: cr.flatten(x, first=1), TypeError, r"^flatten: there is no argument 'first'"),
    (lambda x: x.astype(np.int32), TypeError, r"^astype: expected float32, float64, int64 or bool, got int32"),
    (lambda x: cr.matmul(x, x), ValueError, r"^matmul: a has 3 columns, b has 2 rows \(a: \(2, 3\), b: \(2, 3\)\)"),
    (lambda x: cr.matmul(x, x[0, :2]), ValueError, r"^matmul: a has 3 .*\(a: \(2, 3\), b: \(2,\)\)"),
    (lambda x: cr.matmul(x, 2.0), ValueError, r"^matmul: expected at least one axis.*use \* for scalars"),
    (lambda x: cr.matmul(np.ones((2, 3, 4)), np.ones((5, 4, 2))), ValueError, r"^matmul: .*do not broadcast"),
    (lambda x: cr.linear(x, x), ValueError, r"^linear: x has 3 features, weight expects 2 \(x: \(2, 3\), w"),
    (lambda x: cr.linear(x, x[0]), ValueError, r"^linear: weight must be \(in_features, .*got shape \(3,\)"),
    (lambda x: cr.linear(x, x.T, x[0]), ValueError, r"^linear: bias must have shape \(2,\), got \(3,\)"),
    (lambda x: cr.linear(x, x.T, cr.ones(2, dtype="float64")), TypeError, r"^linear: expected one dtype, got float32"),
    (lambda x: cr.softmax(1.0), ValueError, r"^softmax: x has no axes"),
    (lambda x: cr.log_softmax(1.0), ValueError, r"^log_softmax: x has no axes"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), ERRORS, ids=[m[1:40] for _, _, m in ERRORS])
def test_errors_begin_with_the_op_and_show_shapes(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(cr.tensor(numbered((2, 3)), dtype=np.float32))
