"""Arrays that kernels read repeatedly are aligned to cache lines."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule._util.arrays import aligned_full

LINE = 64


def begins_a_line(array: Any) -> bool:
    return array.size == 0 or array.ctypes.data % LINE == 0


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (5, 7), (1000, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_an_aligned_array_is_a_plain_one(shape: tuple[int, ...], dtype: str) -> None:
    for _ in range(20):  # NumPy's own begin with a line one time in four
        array = aligned_full(shape, np.dtype(dtype), 1)
        assert array.shape == shape and array.dtype == dtype
        assert array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
        assert begins_a_line(array) and (array == 1).all()


def test_parameters_and_states_begin_with_a_line() -> None:
    kept = []
    for n in range(1, 20):
        layer = cr.nn.Linear(n, n + 3, generator=cr.random.Generator(n))
        optimizer = cr.optim.Adam(layer.parameters())
        states = [state for group in optimizer.param_groups for states in group._states for state in states]
        assert len(states) == 4
        assert all(map(begins_a_line, [p.numpy() for p in layer.parameters()]))
        assert all(map(begins_a_line, states))
        kept.append((layer, states, np.zeros(n)))  # so that the next ones lie elsewhere


@pytest.mark.parametrize("rows", [2, 200])
def test_a_tensor_has_the_dtype_object_of_numpy(rows: int) -> None:
    """By which compiled calls recognise it: else each call takes ten times as long."""
    given = np.ones((rows, 20))
    for array in (given, given.astype(">f8"), pickle.loads(pickle.dumps(given)), given.astype(np.float32)):
        tensor = cr.tensor(array)
        assert tensor.numpy().dtype is np.dtype(tensor.dtype.type)
        doubled = cr.compile(lambda x: 2.0 * x)
        doubled(tensor)
        assert doubled._fast(tensor) is not NotImplemented


def test_large_tensors_begin_with_a_line() -> None:
    for n in range(1025, 1045):
        data = np.arange(n + 1, dtype=np.float32)[1:]
        t = cr.tensor(data)
        assert begins_a_line(t.numpy())
        np.testing.assert_array_equal(t.numpy(), data)
