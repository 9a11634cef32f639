"""`x[index] = value`, for every kind of index, and what would lose a gradient."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from reference.bits import assert_same_bits

A = np.random.default_rng(0).standard_normal((4, 5, 3)).astype(np.float32)
INDICES: dict[str, Any] = {
    "row": -1,
    "element": (0, 1, 2),
    "slices": (slice(1, 3), slice(None, None, 2)),
    "backwards": slice(None, None, -1),
    "last axis": (..., 0),
    "new axis": (slice(None), None, 1),
    "rows": [3, 0],
    "range": range(1, 3),
    "pairs": ([0, 1, 1], [1, 2, 2]),
    "mixed": (slice(None), [0, 2], 1),
    "mask": A > 0,
    "rows by a mask": A[:, 0, 0] > 0,
    "nothing": slice(2, 2),
    "all": ...,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
@pytest.mark.parametrize("name", INDICES)
def test_elements_are_numpys(name: str, dtype: Any) -> None:
    index, array = INDICES[name], (A * 3).astype(dtype)
    value = np.arange(array[index].size).reshape(array[index].shape).astype(dtype)
    rows = [value] if value.ndim == 0 or "mask" in name else [value, value[None]]  # NumPy refuses others there
    for given in (*rows, dtype(1), cr.tensor(value)):
        x, expected = cr.tensor(array), array.copy()
        x[index] = given
        expected[index] = np.asarray(given)
        assert_same_bits(x.numpy(), expected)
    x, expected = cr.tensor(array), array.copy()
    if dtype != np.bool_:
        x[index] += 2
        expected[index] += 2
        assert_same_bits(x.numpy(), expected)


def test_values_take_the_dtype() -> None:
    x, y = cr.zeros(3), cr.zeros(3, dtype="int64")
    x[0], x[1] = cr.tensor(3), np.float64(0.1)
    y[1] = True
    assert (x.tolist(), y.tolist()) == ([3.0, np.float32(0.1), 0.0], [0, 1, 0])
    with pytest.raises(TypeError, match="would drop fractions"):
        y[0] = 0.5


def test_parameters_and_captured_tensors_change() -> None:
    layer, count = nn.Linear(2, 3), cr.zeros(2)
    with cr.no_grad():
        layer.weight[:, 1] = 0.0
    assert not layer.weight.numpy()[:, 1].any()

    @cr.compile
    def step(x: cr.Tensor) -> cr.Tensor:
        with cr.no_grad():
            count[1] = count[1] + cr.sum(x)
        return x * 2.0

    step(cr.ones(3))
    step(cr.ones(3))
    assert count.tolist() == [0.0, 6.0]


def test_a_gradient_that_would_be_lost_is_refused() -> None:
    w, x = cr.tensor([1.0, 2.0], requires_grad=True), cr.zeros(2)
    refused: dict[str, Any] = {
        "of the tensor": lambda: w.__setitem__(0, 1.0),
        "of the value": lambda: x.__setitem__(0, w[0]),
        "of a result": lambda: (w * 2.0).__setitem__(0, 1.0),
        "of a summand": lambda: x.add_(w),
        "of a factor": lambda: x.mul_(w * 3.0),
    }
    for call in refused.values():
        with pytest.raises(RuntimeError, match="a gradient would be lost"):
            call()

    def f(w: cr.Tensor) -> cr.Tensor:
        x[0] = w
        return cr.sum(x)

    with pytest.raises(RuntimeError, match="derivative would be lost"):
        cr.grad(f)(2.0)
    with cr.no_grad():
        x[0] = w[1]
        x.add_(w)
    assert x.tolist() == [3.0, 2.0]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: x.__setitem__(5, 1.0), IndexError, "out of"),
        (lambda x: x.__setitem__(0, [1.0, 2.0]), ValueError, r"expected a value that broadcasts to \(5, 3\)"),
        (lambda x: x.__setitem__("a", 1.0), TypeError, "expected integers, slices"),
    ],
)
def test_refusals(call: Any, error: type[Exception], match: str) -> None:
    x = cr.tensor(A)
    with pytest.raises(error, match=match):
        call(x)
    assert_same_bits(x.numpy(), A)
