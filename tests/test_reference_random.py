"""The reference's random numbers: published vectors, numbering of words, quantiles against mpmath, moments."""

import itertools

import mpmath
import numpy as np
import pytest

from reference import assert_same_bits, fma, normal, permutation, philox4x32, uniform, words
from reference.quantile import ppnd16

SEED, STREAM = 0x1234_5678_9ABC_DEF0, 2**32 + 7

# kat_vectors of Random123: counter, key, result.
KNOWN_ANSWERS = [
    ([0] * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        (0xA4093822, 0x299F31D0),
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_known_vectors(counter: list[int], key: tuple[int, int], expected: list[int]) -> None:
    assert_same_bits(philox4x32(np.asarray(counter, np.uint32), key), np.asarray(expected, np.uint32))


def test_words_are_numbered_by_seed_stream_and_block() -> None:
    got = words(SEED, STREAM, 11)
    for i in range(11):
        counter = np.asarray([i // 4, 0, 7, 1], np.uint32)
        assert got[i] == philox4x32(counter, (0x9ABCDEF0, 0x12345678))[i % 4]
    assert_same_bits(words(SEED, STREAM, 5), got[:5])
    assert words(SEED, STREAM, 0).size == 0


def test_uniform_is_made_of_the_high_bits() -> None:
    w = [int(v) for v in words(SEED, 3, 8)]
    assert_same_bits(uniform(SEED, 3, (2, 4)), np.asarray([(v >> 8) / 2**24 for v in w], np.float32).reshape(2, 4))
    doubles = [((w[i] >> 5) * 2**26 + (w[i + 1] >> 6)) / 2**53 for i in range(0, 8, 2)]
    assert_same_bits(uniform(SEED, 3, 4, dtype=np.float64), np.asarray(doubles))
    u = uniform(SEED, 3, 8)
    shifted = uniform(SEED, 3, 8, -0.3, 1.7)
    assert_same_bits(shifted, fma(u, np.float32(1.7) - np.float32(-0.3), np.float32(-0.3)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_stays_below_high(dtype: type[np.floating]) -> None:
    x = uniform(1, 0, 200_000, -2.0, 5.0, dtype)
    assert x.dtype == dtype and x.min() >= -2 and x.max() < 5
    assert abs(x.mean(dtype=np.float64) - 1.5) < 0.02 and abs(x.std(dtype=np.float64) - 7 / 12**0.5) < 0.02
    next_to_one = float(np.nextafter(dtype(1), dtype(2)))
    assert (uniform(1, 0, 1000, 1.0, next_to_one, dtype) == 1).all()
    assert (uniform(1, 0, 10, 3.0, 3.0, dtype) == 3).all()


def test_normal_quantile_is_accurate() -> None:
    u = np.concatenate([np.random.default_rng(1).random(300), [2.0**-53, 1e-12, 0.075, 0.925, 0.5, 1 - 2.0**-53]])
    with mpmath.workprec(200):
        exact = [float(mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)) for p in u.tolist()]
    np.testing.assert_allclose(ppnd16(u, np.log), exact, rtol=2e-15, atol=1e-17)


def test_normal() -> None:
    w = [int(v) for v in words(SEED, 4, 2)]
    u = ((w[0] >> 6) * 2**26 + (w[1] >> 6) + 0.5) / 2**52
    z = ppnd16(np.asarray([u]), np.log)
    assert_same_bits(normal(SEED, 4, 1, dtype=np.float64), z)
    assert_same_bits(normal(SEED, 4, 1, 3.0, 0.1), fma(z.astype(np.float32), np.float32(0.1), np.float32(3)))
    x = normal(SEED, 5, (400, 500))
    assert x.shape == (400, 500) and x.dtype == np.float32
    wide = x.astype(np.float64)
    moments = [wide.mean(), (wide**2).mean(), (wide**3).mean(), (wide**4).mean()]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.06)
    tails = normal(SEED, 5, 100) != normal(SEED, 5, 100, log=lambda v: np.log(v) * 4)
    assert_same_bits(tails, np.abs(normal(SEED, 5, 100)) > 1.4395)  # Phi(1.4395) = 0.925


def test_permutation_is_the_written_shuffle() -> None:
    for n in (0, 1, 2, 3, 100):
        assert_same_bits(np.sort(permutation(SEED, 9, n)), np.arange(n))
    w = [int(v) for v in words(SEED, 9, 4)]
    order = [0, 1, 2]
    first = ((w[0] + 2**32 * w[1]) * 3) >> 64
    order[2], order[first] = order[first], order[2]
    second = ((w[2] + 2**32 * w[3]) * 2) >> 64
    order[1], order[second] = order[second], order[1]
    assert permutation(SEED, 9, 3).tolist() == order


def test_permutations_are_equally_frequent() -> None:
    drawn = [tuple(permutation(5, stream, 3).tolist()) for stream in range(3000)]
    for order in itertools.permutations(range(3)):
        assert abs(drawn.count(order) - 500) < 90
