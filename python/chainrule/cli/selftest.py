"""A digest over matrix products, elementwise functions, reductions, random draws and a short training run.

Equal digests mean equal bits, for any number of threads and instruction set. Takes about 2 seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import nn, ops
from .._tensor import tensor
from .._util.dtypes import Array
from ..config import active_isa, get_num_threads, numerics_version
from ..data import load_digits
from ..optim import SGD
from ..random import Generator
from ..train._fit import fit

__all__ = ["EXPECTED", "digest", "report"]

# The digest of numerics version 2, equal on all machines: `chainrule selftest` prints it.
EXPECTED = "930ac974d269024f0895073415d58a26aaf0a8e016a7f2a4327f5b9953baae04"

_SEED = 20240229
_SHAPES = ((1, 1, 1), (1, 64, 10), (3, 7, 5), (17, 33, 9), (32, 64, 64), (65, 129, 257), (128, 784, 96), (257, 31, 1))
_UNARY = ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "sigmoid", "softplus", "relu", "leaky_relu", "square")
_BINARY = ("add", "sub", "mul", "div", "maximum", "minimum")
_REDUCTIONS = ("sum", "mean", "max", "min", "argmax")


def digest() -> str:
    """Compute the digest.

    Returns: 64 hexadecimal digits, the SHA-256 of all results with canonical NaNs.
    Errors: none.

    >>> import chainrule as cr
    >>> from chainrule.cli.selftest import digest
    >>> len(digest())
    64
    """
    state = hashlib.sha256()
    for part in (_products, _functions, _reductions, _draws, _training):
        for array in part():
            state.update(_canonical(array))
    return state.hexdigest()


def report(found: str) -> str:
    """Format the output line: numerics version, instruction set, threads, digest.

    >>> from chainrule.cli.selftest import report
    >>> report("ab12").split()[-2:]
    ['sha256', 'ab12']
    """
    where = f"isa {active_isa()} threads {get_num_threads()}"
    return f"chainrule selftest numerics {numerics_version} {where} sha256 {found}"


def _canonical(array: Array) -> bytes:
    """Little-endian bytes in C order, with canonical NaNs."""
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), array.dtype.type("nan"), array)
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _products() -> Iterator[Array]:
    for i, (m, k, n) in enumerate(_SHAPES):
        for dtype in (np.float32, np.float64):
            generator = Generator(_SEED, stream=2 * i)
            a = generator.normal((m, k), dtype=dtype)
            b = generator.normal((k, n), dtype=dtype)
            yield ops.matmul(a, b).numpy()
            yield ops.matmul(np.ascontiguousarray(a.T).T, np.ascontiguousarray(b.T).T).numpy()


def _bit_patterns(dtype: type[np.floating[Any]], count: int) -> Array:
    """Values of all magnitudes and signs: bit patterns in equal steps, and special values."""
    bits = np.uint32 if dtype is np.float32 else np.uint64
    step = 0x9E3779B97F4A7C15 >> (64 - 8 * np.dtype(bits).itemsize) | 1
    steps = np.arange(count, dtype=np.uint64) * np.uint64(step)  # wraps: an integer sequence over the whole range
    special = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, np.finfo(dtype).tiny], dtype=dtype)
    return np.concatenate([steps.astype(bits).view(dtype), special])


def _functions() -> Iterator[Array]:
    for dtype, count in ((np.float32, 1 << 17), (np.float64, 1 << 15)):
        anywhere = _bit_patterns(dtype, count)
        near = Generator(_SEED, stream=100).uniform((count,), low=-8.0, high=8.0, dtype=dtype)
        for x in (anywhere, near):
            for name in _UNARY:
                yield getattr(ops, name)(x).numpy()
            for name in _BINARY:
                yield getattr(ops, name)(x, x[::-1].copy()).numpy()


def _reductions() -> Iterator[Array]:
    for dtype in (np.float32, np.float64):
        x = Generator(_SEED, stream=200).normal((67, 5000), dtype=dtype)
        for name in _REDUCTIONS:
            for axis in (None, 0, 1):
                yield getattr(ops, name)(x, axis=axis).numpy()
        yield ops.softmax(x, axis=1).numpy()
        yield ops.log_softmax(x, axis=1).numpy()


def _draws() -> Iterator[Array]:
    generator = Generator(_SEED, stream=300)
    yield generator.uniform((1001,), low=-3.0, high=5.0)
    yield generator.normal((1001,), mean=1.0, std=2.0)
    yield generator.permutation(1001)


def _training() -> Iterator[Array]:
    X, y = load_digits()
    scaled = ops.div(tensor(X), tensor(np.float32(16.0))).numpy()
    for dtype, epochs in ((np.float32, 4), (np.float64, 2)):
        generator = Generator(_SEED)
        model = nn.Sequential(
            nn.Linear(64, 48, init="he", generator=generator, dtype=dtype),
            nn.ReLU(),
            nn.Linear(48, 24, generator=generator, dtype=dtype),
            nn.Tanh(),
            nn.Linear(24, 10, generator=generator, dtype=dtype),
        )
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
        history = fit(
            model, scaled, y, loss=nn.CrossEntropyLoss(), optimizer=optimizer,
            epochs=epochs, batch_size=50, seed=_SEED, progress=False,
        )  # fmt: skip
        yield np.array(history.loss)
        yield from model.state_dict().values()
        yield model.predict(scaled[:100])
