"""sum, mean, max, min, argmax over any axes.

The order of a sum depends only on the reduced axes: a lane sum if they include the last axis, else one ascending chain.
"""

import numpy as np

from .bits import Array

LANES = 16
CHUNK = 4096
Axis = int | tuple[int, ...] | None


@np.errstate(all="ignore")
def chain_sum(sequence: Array) -> Array:
    """``s = +0; s = s + x`` ascending over the last axis."""
    s = np.zeros(sequence.shape[:-1], sequence.dtype)
    for i in range(sequence.shape[-1]):
        s = s + sequence[..., i]
    return np.asarray(s)


@np.errstate(all="ignore")
def lane_sum(sequence: Array) -> Array:
    """Over the last axis: chunks of 4096; element i to lane i mod 16; lanes folded 16-8-4-2-1; chunks in order."""
    leading, n = sequence.shape[:-1], sequence.shape[-1]
    if n == 0:
        return np.zeros(leading, sequence.dtype)
    chunks = -(-n // CHUNK)
    rows = CHUNK // LANES if chunks > 1 else -(-n // LANES)
    # Lanes start at +0 and are therefore never -0, so padding the last row with +0 does not change the result.
    filled = np.zeros((*leading, chunks * rows * LANES), sequence.dtype)
    filled[..., :n] = sequence
    filled = filled.reshape(*leading, chunks, rows, LANES)
    lanes = np.zeros((*leading, chunks, LANES), sequence.dtype)
    for row in range(rows):
        lanes += filled[..., row, :]
    for half in (8, 4, 2, 1):
        lanes = lanes[..., :half] + lanes[..., half:]
    total = lanes[..., 0, 0]
    for chunk in range(1, chunks):
        total = total + lanes[..., chunk, 0]
    return np.asarray(total)


def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """The sum over `axis` (None = all axes); a 0-d tensor counts as one reduced last axis."""
    x = np.asarray(x)
    axes = normalise(x.ndim, axis)
    last = x.ndim == 0 or x.ndim - 1 in axes
    total = lane_sum(sequences(x, axes)) if last else chain_sum(sequences(x, axes))
    return total.reshape(result_shape(x.shape, axes, keepdims))


def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """``sum / n``, n rounded to the dtype of x."""
    x = np.asarray(x)
    n = sequences(x, normalise(x.ndim, axis)).shape[-1]
    with np.errstate(all="ignore"):
        return np.asarray(sum(x, axis, keepdims) / x.dtype.type(n))


def max(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """The maximum; NaN if any element is NaN; +0 is larger than -0; ValueError without elements."""
    return _extreme(np.asarray(x), axis, keepdims, largest=True)


def min(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """The minimum; NaN if any element is NaN; -0 is smaller than +0; ValueError without elements."""
    return _extreme(np.asarray(x), axis, keepdims, largest=False)


def argmax(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """First index (int64) of the maximum or of the first NaN, in the C-order sequence of the reduced elements.

    +0 and -0 compare equal here: the first of them is the maximum.
    """
    x = np.asarray(x)
    axes = normalise(x.ndim, axis)
    rows = sequences(x, axes)
    if rows.shape[-1] == 0:
        raise ValueError("argmax: no elements")
    nan = np.isnan(rows)
    largest = np.where(nan, x.dtype.type(-np.inf), rows).max(-1, keepdims=True)
    is_maximum = np.where(nan.any(-1, keepdims=True), nan, rows == largest)
    first = np.asarray(is_maximum.argmax(-1), np.int64)
    return first.reshape(result_shape(x.shape, axes, keepdims))


def _extreme(x: Array, axis: Axis, keepdims: bool, largest: bool) -> Array:
    axes = normalise(x.ndim, axis)
    rows = sequences(x, axes)
    if rows.shape[-1] == 0:
        raise ValueError(f"{'max' if largest else 'min'}: no elements")
    value = np.asarray(rows.max(-1) if largest else rows.min(-1))
    zero = rows == 0
    has_preferred_zero = (zero & (np.signbit(rows) != largest)).any(-1)  # +0 for max, -0 for min
    zero_value = np.where(has_preferred_zero == largest, x.dtype.type(0.0), x.dtype.type(-0.0))
    value = np.where(np.isnan(rows).any(-1), x.dtype.type(np.nan), np.where(value == 0, zero_value, value))
    return value.reshape(result_shape(x.shape, axes, keepdims))


def normalise(ndim: int, axis: Axis) -> tuple[int, ...]:
    """The reduced axes, ascending and nonnegative."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(a % ndim for a in ((axis,) if isinstance(axis, int) else axis)))


def sequences(x: Array, axes: tuple[int, ...]) -> Array:
    """x with its reduced axes merged, in C order, into one last axis after the remaining axes."""
    kept = [a for a in range(x.ndim) if a not in axes]
    n = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    return np.transpose(x, (*kept, *axes)).reshape(*(x.shape[a] for a in kept), n)


def result_shape(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """The shape after the reduction."""
    return tuple(1 if a in axes else n for a, n in enumerate(shape) if keepdims or a not in axes)
