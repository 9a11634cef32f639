"""Every kind of index that NumPy has: values, gradients, compiled; indices that are tensors."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from reference.bits import Array


def random_index(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Integers, slices, None, Ellipsis, integer arrays that broadcast, and masks."""
    parts: list[Any] = []
    axis, length, arrays = 0, int(rng.integers(1, 4)), False
    while axis < len(shape):
        n, kind = shape[axis], rng.integers(7)
        if kind == 0 and axis + 1 < len(shape) and not arrays:
            mask = rng.random(shape[axis : axis + 2]) < 0.5
            parts.append(mask)
            length, axis, arrays = int(mask.sum()), axis + 1, True
        elif kind <= 2:
            index = rng.integers(-n, n, length if kind == 1 else 1)
            parts.append(index if rng.integers(2) else index.tolist())
            arrays = True
        elif kind == 3:
            parts.append(int(rng.integers(-n, n)))
        else:
            parts.append(slice(None, None, (1, -1, 2)[kind - 4]))
        axis += 1
        if rng.random() < 0.15:
            parts.append(None)
        if rng.random() < 0.15:
            break
    if rng.random() < 0.3 and len(parts) < len(shape):
        parts.append(...)
    return tuple(parts)


def gradient(x: Array, index: Any, g: Array) -> Array:
    result = np.zeros_like(x)
    np.add.at(result, index, g)
    return result


def test_random_indices() -> None:
    rng, kinds = np.random.default_rng(0), set()
    for _ in range(600):
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 5)))
        x, index = rng.standard_normal(shape), random_index(rng, shape)
        kinds.add(tuple(type(part) for part in index))
        t = cr.tensor(x, requires_grad=True)
        y, expected = t[index], x[index]
        assert y.shape == expected.shape, index
        assert np.array_equal(y.detach().numpy(), expected)
        assert np.array_equal(cr.compile(lambda t, i=index: t[i])(x).numpy(), expected)
        if y.size:
            g = rng.standard_normal(y.shape)
            y.backward(g)
            assert t.grad is not None
            np.testing.assert_allclose(t.grad.numpy(), gradient(x, index, g), rtol=1e-14, atol=1e-15)
    assert len(kinds) > 100


def test_derivatives_of_any_order() -> None:
    x = np.arange(1.0, 13.0).reshape(3, 4) / 8
    mask = np.arange(12).reshape(3, 4) % 2 == 0
    for index in (mask, ([0, 0, 2], [1, 1, 3]), (slice(None), [3, 3, 0]), (mask[:, 0], slice(1, 3))):
        f = lambda x, i=index: cr.sum(cr.square(x[i]) * cr.exp(x[i]))  # noqa: E731
        assert cr.gradcheck(f, (x,), order=2)


def test_tensors_as_indices() -> None:
    x = cr.tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    values = x.detach().numpy()
    rows, columns = cr.tensor([2, 0]), cr.tensor([1, 3])
    assert x[rows].tolist() == values[[2, 0]].tolist()
    assert x[rows, columns].tolist() == values[[2, 0], [1, 3]].tolist()
    assert x[:, columns].tolist() == values[:, [1, 3]].tolist()
    assert x[x > 4.0].tolist() == values[values > 4].tolist()
    assert x[np.arange(3), x.argmax(1)].tolist() == [3.0, 7.0, 11.0]


def test_in_compiled_functions() -> None:
    x, index = np.arange(12.0).reshape(3, 4), np.array([1, -1, 0])
    row_of = cr.compile(lambda x, i: x[np.arange(3), i])
    assert row_of(x, index).tolist() == x[np.arange(3), index].tolist()
    gradient_of = cr.compile(cr.grad(lambda x, i: cr.sum(cr.square(x[np.arange(3), i]))))
    assert gradient_of(x, index).tolist() == gradient(x, (np.arange(3), index), 2 * x[np.arange(3), index]).tolist()
    assert cr.compile(lambda x, i: x[i])(x, index).tolist() == x[index].tolist()
    assert cr.compile(lambda x, i: x[:, i])(x, index).tolist() == x[:, index].tolist()
    greedy = cr.compile(lambda x: x[np.arange(len(x)), x.argmax(1)])
    assert greedy(x).tolist() == x.max(1).tolist()
    with pytest.raises(IndexError, match="4 at position"):
        row_of(x, np.array([0, 4, 0]))
    for call in (lambda x, i: x[x > 3.0], lambda x, i: x[i, 1:]):
        with pytest.raises(cr.CompileError, match=r"^index: "):
            cr.compile(call)(x, index)


def test_a_selected_element_gets_the_sum_of_the_gradients() -> None:
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    (x[[0, 0, 1, 0]] * [1.0, 2.0, 4.0, 8.0]).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [11.0, 4.0]
