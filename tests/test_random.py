"""Random draws have the reference's bits for any partition of a stream among threads."""

import numpy as np
import pytest

import chainrule as cr
from cases.kernel_rows import label
from chainrule._ir.records import Random
from reference import assert_same_bits
from reference import normal as reference_normal
from reference import permutation as reference_permutation
from reference import uniform as reference_uniform
from support.programs import Float, blank, execute, normal, permutation, scalar, uniform
from support.variants import every_setting

FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)
LENGTHS = (0, 1, 2, 3, 4, 5, 7, 15, 16, 17, 33, 255, 257, 769, 3001)
STREAMS = [(0, 0), (1, 0), (0, 1), (2**32 + 5, 2**32 + 9), (2**63 - 1, 2**63 - 1), (2**64 - 1, 2**64 - 1), (7, 2**33)]


@each_dtype
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 5.0), (0.1, 0.3), (1.0, 1.0000001), (-1e-3, 1e-3)])
def test_uniform(dtype: Float, low: float, high: float) -> None:
    expected = reference_uniform(81, 5, LENGTHS[-1], low, high, dtype)
    assert (expected >= dtype(low)).all()
    assert (expected < dtype(high)).all()
    for setting in every_setting():
        for n in LENGTHS:
            assert_same_bits(uniform(81, 5, n, dtype, low, high), expected[:n], f"{setting}, {n} elements")


@each_dtype
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (-2.5, 0.1), (100.0, 1e-3)])
def test_normal(dtype: Float, mean: float, std: float) -> None:
    expected = reference_normal(82, 6, LENGTHS[-1], mean, std, dtype, log=scalar("log"))
    for setting in every_setting():
        for n in LENGTHS:
            assert_same_bits(normal(82, 6, n, dtype, mean, std), expected[:n], f"{setting}, {n} elements")


@each_dtype
def test_normal_reaches_both_tails(dtype: Float) -> None:
    expected = reference_normal(83, 7, 200_000, dtype=dtype, log=scalar("log"))
    assert expected.min() < -4
    assert expected.max() > 4
    for setting in every_setting(threads=(1, 3)):
        assert_same_bits(normal(83, 7, 200_000, dtype), expected, setting)


@each_dtype
@pytest.mark.parametrize(("seed", "stream"), STREAMS)
def test_every_bit_of_seed_and_stream_counts(dtype: Float, seed: int, stream: int) -> None:
    expected = reference_uniform(seed, stream, 40, dtype=dtype)
    gaussian = reference_normal(seed, stream, 40, dtype=dtype, log=scalar("log"))
    for setting in every_setting(threads=(1, 2)):
        assert_same_bits(uniform(seed, stream, 40, dtype), expected, setting)
        assert_same_bits(normal(seed, stream, 40, dtype), gaussian, setting)


@each_dtype
def test_programs_draw_the_same(dtype: Float) -> None:
    seed, stream = 2**64 - 3, 11
    for setting in every_setting(threads=(1, 7)):
        out = blank((13, 77), dtype)
        execute("uniform", dtype, [out], [], Random(out.size, seed - 2**64, stream), [-1.0, 2.0])
        assert_same_bits(out, reference_uniform(seed, stream, out.shape, -1.0, 2.0, dtype), setting)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 257, 10_000])
def test_permutation(n: int) -> None:
    for seed, stream in STREAMS:
        expected = reference_permutation(seed, stream, n)
        assert_same_bits(np.sort(expected), np.arange(n))
        for setting in every_setting(threads=(1, 2)):
            assert_same_bits(permutation(seed, stream, n), expected, setting)


@each_dtype
def test_every_draw_of_a_generator_has_a_stream_of_its_own(dtype: Float) -> None:
    generator = cr.random.Generator(seed=81, stream=2**64 - 2)
    for stream in (2**64 - 2, 2**64 - 1, 0, 1):
        assert generator.stream == stream
        assert_same_bits(generator.uniform(9, -1.0, 2.0, dtype=dtype), uniform(81, stream, 9, dtype, -1.0, 2.0))
    assert_same_bits(generator.normal(9, 0.5, 2.0, dtype=dtype), normal(81, 2, 9, dtype, 0.5, 2.0))
    assert_same_bits(generator.permutation(9), permutation(81, 3, 9))
    assert generator.state_dict() == {"seed": 81, "stream": 4}
