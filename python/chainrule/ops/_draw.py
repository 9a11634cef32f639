"""Random integers, choices and orders as tensors, from the streams of a generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.arrays import as_ndarray
from .._util.checks import check_integer, check_number, is_integer
from .._util.device import check_device
from .._util.dtypes import FLOAT32, FLOAT64, FLOATS, INT64
from .._util.exports import own_names
from .._util.mode import grad_mode
from ..random import Generator, given_or_default
from ._arithmetic import (
    _float_dtype,
    add,
    div,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    minimum,
    mul,
    neg,
    sub,
    where,
)
from ._cast import astype
from ._checks import raise_where
from ._create import _dtype, _like, _shape
from ._cumulative import cumsum
from ._logic import isfinite, logical_and, logical_not
from ._math import log, log1p
from ._names import Dim, by_dim
from ._operands import one
from ._order import topk
from ._reduce import all, amax, argmax, count_nonzero
from ._shape import reshape, take
from ._softmax import softmax
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    dtype: npt.DTypeLike | None = None,
    generator: Generator | None = None,
    device: Any = None,
) -> Tensor:
    """Random integers from low to high - 1, `randint(low, high, size)`, or below high, `randint(high, size)`.

    Arguments: `low` < `high`, integers; `size`, the shape, a tuple or an integer; `dtype`, int64 by default, or a float
    one; `generator`, a `cr.random.Generator` (default: the one that `cr.manual_seed` seeds).
    Every call takes the next stream of the generator, and so does every run of a compiled function.
    Errors: ValueError for an empty range.

    >>> import chainrule as cr
    >>> cr.randint(10, (5,), generator=cr.random.Generator(seed=1)).tolist()
    [8, 7, 8, 6, 5]
    """
    check_device(device)
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None or high is None:
        raise TypeError("randint: expected a shape, randint(high, size) or randint(low, high, size)")
    source = given_or_default(generator)
    kind = _dtype("randint", dtype, INT64)
    drawn = Tensor._wrap(source._integers(_shape("randint", (size,)), low, high))
    return drawn if kind == INT64 else astype(astype(drawn, FLOAT64), kind)


def randint_like(
    x: Any, low: int, high: int | None = None, dtype: npt.DTypeLike | None = None, generator: Generator | None = None
) -> Tensor:
    """Random integers of the shape and dtype of a tensor or an array; see `cr.randint`.

    >>> import chainrule as cr
    >>> cr.randint_like(cr.zeros(2, 3), 10).shape
    (2, 3)
    """
    shape, kind = _like("randint_like", x, dtype)
    first, end = (0, low) if high is None else (low, high)
    return randint(first, end, shape, dtype=kind, generator=generator)


def bernoulli(p: Any, *, generator: Generator | None = None) -> Tensor:
    """Ones with probability p, zeros otherwise: 1 where a float64 number of [0, 1) is below p.

    Every call takes the next stream of the generator, and so does every run of a compiled function.

    Arguments: `p`, float probabilities of any shape; `generator` as `cr.randint`.
    Returns: a tensor of the shape and dtype of p, without gradient. Errors: ValueError for p out of range.

    >>> import chainrule as cr
    >>> cr.bernoulli([0.0, 1.0]).tolist()
    [0.0, 1.0]
    """
    chances = _probabilities("bernoulli", p)
    inside = logical_and(greater_equal(chances, 0), less_equal(chances, 1))
    raise_where(logical_not(inside), lambda at: ValueError("bernoulli: probabilities must be from 0 to 1"))
    return astype(less(_uniform(chances.shape, generator), astype(chances, FLOAT64)), chances.dtype)


def _uniform(shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    source = given_or_default(generator)
    return Tensor._wrap(source._uniform(shape, FLOAT64))


def _waits(shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    """Numbers of the exponential distribution, above 0."""
    waits = neg(log1p(neg(_uniform(shape, generator))))
    return where(greater(waits, 0), waits, 2.0**-60)


def _probabilities(name: str, p: Any) -> Tensor:
    """The probabilities, or weights, without gradient."""
    found = p.detach() if isinstance(p, Tensor) else as_ndarray(p, name)
    if found.dtype not in FLOATS and found.dtype.kind not in "iub":
        raise TypeError(f"{name}: expected float probabilities, got {found.dtype}")
    single = found.dtype not in FLOATS or not isinstance(p, (Tensor, np.ndarray))
    return astype(found if isinstance(found, Tensor) else Tensor(found), FLOAT32 if single else found.dtype)


def multinomial(
    probs: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Random indices of classes, each with a probability proportional to its weight, as `torch.multinomial`.

    With replacement, the first class whose cumulative weight is above u times their sum; without, the classes of the
    largest w / -log(1 - u), in this order, which is that of draws one after the other. All in float64.

    Arguments: `probs`, weights of shape (classes,) or (rows, classes), finite, not negative, not all 0;
    `num_samples`; `replacement`, whether a class may be drawn again; `generator` as `cr.randint`.
    Returns: int64 of shape (num_samples,) or (rows, num_samples), drawn anew by every run of a compiled function.
    Errors: ValueError for other weights, and without replacement for fewer positive weights than samples.

    >>> import chainrule as cr
    >>> cr.multinomial([0.0, 1.0, 0.0], 2, replacement=True).tolist()
    [1, 1]
    """
    weights = astype(_probabilities("multinomial", probs), FLOAT64)
    count = check_integer("multinomial: num_samples", num_samples, 1)
    if weights.ndim not in (1, 2):
        raise ValueError(f"multinomial: expected weights (classes,) or (rows, classes), got shape {weights.shape}")
    rows = reshape(weights, (weights.size // max(weights.shape[-1], 1), weights.shape[-1]))
    _check_weights(rows, 0 if replacement else count)
    rows = div(rows, amax(rows, 1, True))
    drawn = _with_replacement(rows, count, generator) if replacement else _without_replacement(rows, count, generator)
    return reshape(drawn, (*weights.shape[:-1], count))


def _check_weights(rows: Tensor, distinct: int) -> None:
    """Raise unless the weights are finite, not negative, and in each row at least one, and `distinct`, above 0."""
    allowed = logical_and(isfinite(rows), greater_equal(rows, 0))
    positive = count_nonzero(greater(rows, 0), 1)
    wrong = logical_not(logical_and(all(allowed, 1), greater(positive, 0)))
    raise_where(wrong, lambda at: ValueError("multinomial: weights must be finite, not negative, and not all 0"))

    def too_few(at: int, value: int) -> Exception:
        return ValueError(f"multinomial: {distinct} samples without replacement of {value} classes above 0")

    if distinct > rows.shape[1]:
        raise ValueError(f"multinomial: {distinct} samples without replacement of {rows.shape[1]} classes")
    if distinct:
        grad_mode.executor.check_index(positive, distinct, rows.shape[1] + 1, too_few)


def _with_replacement(weights: Tensor, count: int, generator: Generator | None) -> Tensor:
    n, classes = weights.shape
    sums = cumsum(weights, 1)
    levels = mul(_uniform((n, count), generator), sums[:, -1:])
    # Where u times the sum is rounded to the sum.
    last = amax(where(greater(weights, 0), np.arange(classes), 0), 1, True)
    if grad_mode.executor.has_values:  # the same count by bisection, without n * count * classes comparisons
        pairs = zip(sums.numpy(), levels.numpy(), strict=True)
        below = np.array([np.searchsorted(row, level, side="right") for row, level in pairs], np.int64)
        found = Tensor._wrap(below.reshape(n, count))
    else:
        found = count_nonzero(less_equal(reshape(sums, (n, 1, classes)), reshape(levels, (n, count, 1))), 2)
    return minimum(found, last)


def _without_replacement(weights: Tensor, count: int, generator: Generator | None) -> Tensor:
    keys = where(greater(weights, 0), div(weights, _waits(weights.shape, generator)), -1.0)
    return topk(keys, count, 1).indices


def gumbel_softmax(
    logits: Any,
    tau: float = 1.0,
    hard: bool = False,
    axis: int = -1,
    *,
    generator: Generator | None = None,
    **names: Unpack[Dim],
) -> Tensor:
    """Softmax of (logits + noise) / tau, the noise -log(-log(1 - u)): a smooth draw of one class along an axis.

    Arguments: `logits`, a float tensor; `tau`, above 0; `hard`, one-hot values with the gradient of the smooth ones;
    `axis`, also named `dim`; `generator` as `cr.randint`. Returns: a tensor of the shape of `logits`.
    Errors: ValueError for tau.
    Source: Jang et al., Categorical reparameterization with Gumbel-softmax, 2017.

    >>> import chainrule as cr
    >>> cr.gumbel_softmax([0.0, 0.0, 0.0], hard=True, generator=cr.random.Generator(seed=1)).sum().item()
    1.0
    """
    axis, _ = by_dim("gumbel_softmax", names, axis, default=-1)
    scores = one(logits)
    _float_dtype("gumbel_softmax", [scores])
    noise = neg(log(_waits(scores.shape, generator)))
    scaled = div(add(scores, astype(noise, scores.dtype)), check_number("gumbel_softmax: tau", tau, above=True))
    smooth = softmax(scaled, axis)
    if not hard:
        return smooth
    (at,) = axes_of("gumbel_softmax", axis, scores.ndim)
    classes = np.arange(scores.shape[at]).reshape([-1 if i == at else 1 for i in range(scores.ndim)])
    chosen = equal(argmax(smooth, at, True), classes)
    return add(sub(smooth, smooth.detach()), chosen)


def randperm(n: int, *, generator: Generator | None = None, device: Any = None) -> Tensor:
    """A random permutation of 0 .. n-1, as int64.

    >>> import chainrule as cr
    >>> sorted(cr.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    check_device(device)
    source = given_or_default(generator)
    return Tensor._wrap(source._permutation(check_integer("randperm: n", n, 0)))


def permutation(x: Any, *, generator: Generator | None = None) -> Tensor:
    """A random permutation of 0 .. x-1, or the rows of x in random order, as `numpy.random.permutation`.

    Arguments: `x`, an integer, or a tensor, whose gradient follows the rows; `generator` as `cr.randint`.

    >>> import chainrule as cr
    >>> sorted(cr.permutation([3.0, 1.0, 2.0]).tolist())
    [1.0, 2.0, 3.0]
    """
    if is_integer(x):
        return randperm(x, generator=generator)
    rows = one(x)
    if rows.ndim == 0:
        raise TypeError("permutation: expected an integer or a tensor with rows")
    return take(rows, randperm(rows.shape[0], generator=generator))


if not TYPE_CHECKING:
    __all__ = own_names(globals())
