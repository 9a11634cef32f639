"""Predictor: the bits of model.predict for any number of rows, level and number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from support.variants import every_setting


def net(dtype: Any = np.float32) -> nn.Sequential:
    generator = cr.random.Generator(seed=21)
    return nn.Sequential(
        nn.Linear(5, 33, generator=generator, dtype=dtype),
        nn.Tanh(),
        nn.Linear(33, 7, generator=generator, dtype=dtype),
        nn.Softmax(),
    )


def rows(n: int, dtype: Any = np.float32) -> np.ndarray:
    return cr.random.Generator(seed=22).normal((n, 5), dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_number_of_rows(dtype: Any) -> None:
    model = net(dtype)
    expected = model.predict(rows(1300, dtype))
    predict = cr.Predictor(model)
    for setting in every_setting():
        for n in (0, 1, 2, 3, 17, 64, 255, 256, 257, 512, 1300):
            x = rows(1300, dtype)[:n]
            assert predict(x).tobytes() == expected[:n].tobytes(), (setting, n)
            out = np.full((n, 7), np.nan, dtype)
            assert predict(x, out=out) is out
            assert out.tobytes() == expected[:n].tobytes(), (setting, n)


def test_other_inputs_are_converted() -> None:
    model = net()
    predict = cr.Predictor(model)
    x = rows(9)
    expected = model.predict(x).tobytes()
    swapped = x.astype(x.dtype.newbyteorder())
    for given in (x.tolist(), np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], swapped, cr.tensor(x)):
        assert predict(given).tobytes() == expected
    assert predict(np.ones((2, 5), np.int64)).tobytes() == model.predict(np.ones((2, 5))).tobytes()


def test_parameters_are_read_at_every_call() -> None:
    model = net()
    predict = cr.Predictor(model)
    x = rows(3)
    before = predict(x)
    model.load_state_dict({name: value * 2 for name, value in model.state_dict().items()})
    assert predict(x).tobytes() == model.predict(x).tobytes() != before.tobytes()


@pytest.mark.parametrize("shape", [(5,), (3, 4), (3, 5, 1), ()])
def test_shapes_that_do_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"predict: x must have shape \(n, 5\)"):
        cr.Predictor(net())(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    "out",
    [np.zeros((3, 6), np.float32), np.zeros((2, 7), np.float32), np.zeros((3, 7)), np.zeros((7, 3), np.float32).T],
)
def test_an_out_that_does_not_fit(out: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"predict: out must be a C-contiguous float32 array of shape \(3, 7\)"):
        cr.Predictor(net())(rows(3), out=out)


def test_an_out_that_must_not_be_written() -> None:
    predict = cr.Predictor(net())
    out = np.zeros((3, 7), np.float32)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        predict(rows(3), out=out)
    memory = np.zeros(21, np.float32)
    with pytest.raises(ValueError, match="overlaps"):
        predict(memory[:15].reshape(3, 5), out=memory.reshape(3, 7))


def test_words_are_no_numbers() -> None:
    with pytest.raises(TypeError, match="predict: x must be real numbers"):
        cr.Predictor(net())([["a"] * 5])


def test_a_model_that_mixes_rows_is_rejected() -> None:
    class Total(nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return cr.sum(x, axis=0)

    with pytest.raises(ValueError, match="one row for each of 1 rows"):
        cr.Predictor(Total(), row_shape=(5,))


def test_rows_of_more_axes() -> None:
    model = nn.Sequential(nn.Flatten(), net())
    x = cr.random.Generator(seed=23).normal((4, 5, 1))
    assert cr.Predictor(model, row_shape=(5, 1))(x).tobytes() == model.predict(x).tobytes()


def test_without_features_a_shape_is_needed() -> None:
    with pytest.raises(ValueError, match="pass row_shape"):
        cr.Predictor(nn.Sequential(nn.Tanh()))
    with pytest.raises(TypeError, match="must be a Module"):
        cr.Predictor(np.tanh)  # type: ignore[arg-type]


def test_arguments_by_name() -> None:
    predict = cr.Predictor(net())
    out = np.empty((3, 7), np.float32)
    assert predict.predict(rows(3), out=out) is out
    assert predict.predict(rows(3), None).shape == (3, 7)
    with pytest.raises(TypeError, match="predict"):
        predict.predict()
    with pytest.raises(TypeError, match="predict"):
        predict.predict(rows(3), where=out)
