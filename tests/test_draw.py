"""Random integers, choices and orders: the bits of docs/arithmetic.md, their distribution, refusals."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from reference import words

Generator = cr.random.Generator


@pytest.mark.parametrize(("low", "high"), [(0, 10), (-5, 6), (-(2**63), 2**63 - 1), (2**62, 2**63 - 1), (3, 4)])
def test_integers(low: int, high: int) -> None:
    for seed, stream in ((0, 0), (7, 3), (2**64 - 1, 2**40)):
        w = words(seed, stream, 2 * 33).tolist()
        expected = [low + (((w[2 * i] + (w[2 * i + 1] << 32)) * (high - low)) >> 64) for i in range(33)]
        assert Generator(seed, stream).integers(33, low, high).tolist() == expected
        assert cr.randint(low, high, (11, 3), generator=Generator(seed, stream)).flatten().tolist() == expected
    assert Generator(1).integers((0, 3), 5).shape == (0, 3)


def test_all_integers_are_as_frequent() -> None:
    counts = np.bincount(Generator(3).integers(60_000, 6), minlength=6)
    assert (abs(counts - 10_000) < 400).all()  # 4 standard deviations


def test_spellings_of_randint() -> None:
    assert cr.randint(5, (2, 3)).dtype == np.int64
    assert cr.randint(2, 5, 4, dtype="float32").dtype == np.float32
    assert cr.randint_like(cr.zeros(2, 3), 5).dtype == np.float32
    assert cr.randint(0, 5, size=(2,)).shape == (2,)


def test_bernoulli() -> None:
    p = np.array([0.0, 0.25, 0.5, 1.0])
    drawn = cr.bernoulli(np.tile(p, (10_000, 1)), generator=Generator(5))
    assert drawn.dtype == np.float64
    assert np.allclose(drawn.numpy().mean(0), p, atol=0.02)
    assert set(drawn.numpy().reshape(-1).tolist()) == {0.0, 1.0}
    assert cr.bernoulli(cr.nn.Parameter([0.5])).requires_grad is False


@pytest.mark.parametrize("replacement", [True, False])
def test_multinomial(replacement: bool) -> None:
    weights = np.tile([1.0, 0.0, 3.0, 6.0], (20_000, 1))
    drawn = cr.multinomial(weights, 2, replacement, generator=Generator(6)).numpy()
    assert drawn.shape == (20_000, 2)
    assert np.allclose(np.bincount(drawn[:, 0], minlength=4) / 20_000, [0.1, 0, 0.3, 0.6], atol=0.015)
    assert 1 not in drawn
    if not replacement:
        assert (drawn[:, 0] != drawn[:, 1]).all()
        second = drawn[drawn[:, 0] == 3, 1]  # among what is left, in proportion
        assert np.allclose(np.bincount(second, minlength=4) / len(second), [0.25, 0, 0.75, 0], atol=0.02)
    else:
        assert np.allclose(np.bincount(drawn[:, 1], minlength=4) / 20_000, [0.1, 0, 0.3, 0.6], atol=0.015)


def test_orders() -> None:
    rows = np.arange(12.0).reshape(6, 2)
    order = Generator(8).permutation(6)
    assert cr.randperm(6, generator=Generator(8)).tolist() == order.tolist()
    assert cr.permutation(6, generator=Generator(8)).tolist() == order.tolist()
    assert cr.permutation(rows, generator=Generator(8)).tolist() == rows[order].tolist()
    assert Generator(8).permutation(rows).tolist() == rows[order].tolist()
    shuffled, items = rows.copy(), list("abcdef")
    Generator(8).shuffle(shuffled)
    Generator(8).shuffle(items)
    assert shuffled.tolist() == rows[order].tolist()
    assert items == [list("abcdef")[i] for i in order]
    x = cr.tensor(rows, requires_grad=True)
    (cr.permutation(x, generator=Generator(8)) * np.arange(6.0)[:, None]).sum().backward()
    assert x.grad is not None
    assert x.grad.numpy()[order, 0].tolist() == list(range(6))


def test_each_draw_takes_the_next_stream() -> None:
    generator = Generator(9)
    draws: list[Callable[[], Any]] = [
        lambda: generator.integers(3, 5),
        lambda: cr.bernoulli([0.5], generator=generator),
        lambda: cr.multinomial([0.5, 0.5], 1, generator=generator),
        lambda: cr.randperm(4, generator=generator),
    ]
    for i, draw in enumerate(draws):
        assert generator.stream == i
        draw()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.randint(5, 5, (2,)), ValueError, "integers: expected low < high"),
        (lambda: cr.randint(0, 2**63, (2,)), ValueError, "integers: expected low < high from -2**63 to 2**63 - 1"),
        (lambda: cr.randint(5), TypeError, "randint: expected a shape"),
        (lambda: cr.randint(0, 1.5, (2,)), TypeError, "integers: low and high must be integers"),
        (lambda: cr.bernoulli([1.5]), ValueError, "bernoulli: probabilities must be from 0 to 1"),
        (lambda: cr.bernoulli([np.nan]), ValueError, "bernoulli: probabilities must be from 0 to 1"),
        (lambda: cr.multinomial([0.0, 0.0], 1), ValueError, "multinomial: weights must be finite, not negative, and"),
        (lambda: cr.multinomial([-1.0, 2.0], 1), ValueError, "multinomial: weights must be finite, not negative"),
        (lambda: cr.multinomial([1.0, 0.0], 2), ValueError, "multinomial: 2 samples without replacement of 1 classes"),
        (lambda: cr.multinomial(1.0, 2), ValueError, "multinomial: expected weights (classes,) or (rows, classes)"),
        (lambda: Generator().shuffle((1, 2)), TypeError, "shuffle: expected an array or a list, got tuple"),
        (lambda: cr.compile(lambda: cr.randint(5, (2,)))(), cr.CompileError, "random: numbers drawn inside a compiled"),
    ],
)
def test_refusals(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()
