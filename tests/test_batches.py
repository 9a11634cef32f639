"""A row's prediction does not depend on its batch; micro-batches train as the whole batch does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from reference import assert_same_bits
from support.variants import ISAS, every_setting, force_level

Record = Callable[[str, object], None]  # pytest's record_property
LARGEST = 257


def perceptron(draw: cr.random.Generator, dtype: Any) -> nn.Module:
    layers = nn.Linear(11, 33, generator=draw, dtype=dtype), nn.GELU(), nn.Linear(33, 17, generator=draw, dtype=dtype)
    return nn.Sequential(*layers, nn.Softmax(), nn.Linear(17, 3, generator=draw, dtype=dtype))


def wide(draw: cr.random.Generator, dtype: Any) -> nn.Module:
    first, last = nn.Linear(11, 130, generator=draw, dtype=dtype), nn.Linear(130, 1, generator=draw, dtype=dtype)
    return nn.Sequential(first, nn.Tanh(), nn.Softmax(), last, nn.Sigmoid())


NETS = {"perceptron": perceptron, "wide": wide}
each_net = pytest.mark.parametrize("net", NETS)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def made(net: str, dtype: Any) -> tuple[Any, Any]:
    """The model and its rows."""
    draw = cr.random.Generator(seed=41)
    return NETS[net](draw, dtype).eval(), draw.normal((LARGEST, 11), dtype=dtype)


@each_net
@each_dtype
def test_rows_of_batches(net: str, dtype: Any, record_property: Record) -> None:
    model, rows = made(net, dtype)
    force_level(ISAS[-1])
    alone = np.concatenate([model.predict(rows[i : i + 1]) for i in range(LARGEST)])
    compared = 0
    for setting in every_setting(threads=(1, 3)):
        for size in range(1, LARGEST + 1, 1 if dtype is np.float32 else 5):
            first = size * 31 % (LARGEST - size + 1)
            part = slice(first, first + size)
            assert_same_bits(model.predict(rows[part]), alone[part], f"batch of {size}, {setting}")
            compared += size
    record_property("rows compared", compared)


@each_net
@each_dtype
def test_subsets_and_orders(net: str, dtype: Any, record_property: Record) -> None:
    model, rows = made(net, dtype)
    whole, rng, compared = model.predict(rows), np.random.default_rng(42), 0
    for case in range(1000):
        chosen = rng.permutation(LARGEST)[: rng.integers(1, LARGEST + 1)]
        given = rows[chosen] if case % 2 else np.asfortranarray(rows[chosen])
        assert_same_bits(model.predict(given), whole[chosen], f"case {case}")
        compared += chosen.size
    record_property("rows compared", compared)


def trained(dtype: Any, micro_batch: int | None) -> list[Any]:
    """Losses and weights after two epochs of batches of 64 rows, one of 40."""
    draw = cr.random.Generator(seed=43)
    model = nn.Sequential(
        nn.Linear(6, 19, generator=draw, dtype=dtype), nn.Tanh(), nn.Linear(19, 4, generator=draw, dtype=dtype)
    )
    x, labels = draw.normal((104, 6), dtype=dtype), draw.permutation(104) % 4
    history = cr.fit(
        model, x, labels, loss=nn.CrossEntropyLoss(), optimizer=cr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        epochs=2, batch_size=64, micro_batch=micro_batch, seed=44, progress=False,
    )  # fmt: skip
    return [np.array(history.loss), *model.state_dict().values()]


@each_dtype
def test_micro_batches(dtype: Any, record_property: Record) -> None:
    """Blocks of 1 to 63 rows; those that do not divide the batch leave a smaller one."""
    expected = trained(dtype, None)
    for size in range(1, 64):
        for found, wanted in zip(trained(dtype, size), expected, strict=True):
            assert_same_bits(found, wanted, f"blocks of {size} rows")
    record_property("splits", 63)
