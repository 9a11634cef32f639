"""Random numbers: Philox4x32-10 (Salmon et al., 2011) and the distributions computed from its words."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .bits import Array
from .elementary import Function
from .elementary import log as elementary_log
from .fma import fma
from .quantile import ppnd16

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)

Shape = int | tuple[int, ...]


def philox4x32(counter: Array, key: tuple[int, int]) -> Array:
    """Ten rounds on counters (..., 4) of 32-bit words under one key; returns uint32 (..., 4)."""
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter, np.uint64), -1, 0)
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ np.uint64(k0), p1 & LOW, (p0 >> HALF) ^ c3 ^ np.uint64(k1), p0 & LOW
        k0, k1 = (k0 + WEYL[0]) % 2**32, (k1 + WEYL[1]) % 2**32
    return np.stack([c0, c1, c2, c3], -1).astype(np.uint32)


def words(seed: int, stream: int, count: int) -> Array:
    """The first `count` words of a stream, uint32: word i is word i mod 4 of block i div 4."""
    block = np.arange(-(-count // 4), dtype=np.uint64)
    stream_words = [np.full_like(block, w) for w in _halves(stream)]
    counter = np.stack([block & LOW, block >> HALF, *stream_words], -1)
    return philox4x32(counter, _halves(seed)).reshape(-1)[:count]


def uniform(
    seed: int,
    stream: int,
    shape: Shape,
    low: float = 0.0,
    high: float = 1.0,
    dtype: npt.DTypeLike = np.float32,
) -> Array:
    """``fma(u, high - low, low)``, u in [0, 1) with 24 (float32) or 53 bits; results equal to `high` become `low`."""
    dtype = np.dtype(dtype)
    lower, upper = np.asarray(low, dtype), np.asarray(high, dtype)
    u = _unit(seed, stream, int(np.prod(shape)), dtype)
    with np.errstate(all="ignore"):
        x = fma(u, np.asarray(upper - lower), lower)
    return np.where(x == upper, lower, x).reshape(shape)


def normal(
    seed: int,
    stream: int,
    shape: Shape,
    mean: float = 0.0,
    std: float = 1.0,
    dtype: npt.DTypeLike = np.float32,
    log: Function = elementary_log,
) -> Array:
    """``fma(z, std, mean)``, z the normal quantile (AS 241) of ``u = (k + 0.5) * 2^-52``, rounded to `dtype`.

    log: the float64 logarithm; a test against the kernels passes theirs, as its bits are defined by cpp/math.
    """
    n = int(np.prod(shape))
    w = words(seed, stream, 2 * n).astype(np.uint64)
    k = (w[0::2] >> np.uint64(6)) * np.uint64(2**26) + (w[1::2] >> np.uint64(6))
    u = (k.astype(np.float64) + 0.5) * 2.0**-52
    z = ppnd16(u, log).astype(dtype)
    return fma(z, np.asarray(std, z.dtype), np.asarray(mean, z.dtype)).reshape(shape)


def bernoulli(seed: int, stream: int, shape: Shape, p: float, value: float, dtype: npt.DTypeLike = np.float32) -> Array:
    """0 where word i is below ``floor(p * 2^32)``, else `value`."""
    is_zero = words(seed, stream, int(np.prod(shape))).astype(np.uint64) < np.uint64(int(p * 2.0**32))
    return np.where(is_zero, 0, value).astype(dtype).reshape(shape)


def permutation(seed: int, stream: int, n: int) -> Array:
    """Fisher-Yates from the end of 0 .. n-1, int64: ``j = (r * (i + 1)) >> 64`` with a 64-bit r per step."""
    w = words(seed, stream, 2 * max(n - 1, 0)).tolist()
    result = list(range(n))
    for i in range(n - 1, 0, -1):
        t = n - 1 - i
        j = ((w[2 * t] + (w[2 * t + 1] << 32)) * (i + 1)) >> 64
        result[i], result[j] = result[j], result[i]
    return np.asarray(result, np.int64)


def _unit(seed: int, stream: int, n: int, dtype: np.dtype[Any]) -> Array:
    if dtype == np.float32:
        return (words(seed, stream, n) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    w = words(seed, stream, 2 * n).astype(np.uint64)
    k = (w[0::2] >> np.uint64(5)) * np.uint64(2**26) + (w[1::2] >> np.uint64(6))
    return np.asarray(k.astype(np.float64) * 2.0**-53)


def _halves(number: int) -> tuple[int, int]:
    return number & 0xFFFFFFFF, number >> 32
