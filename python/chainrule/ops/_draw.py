"""Random integers, choices and orders as tensors, from the streams of a generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.arrays import as_ndarray
from .._util.checks import check_integer, check_number, is_integer
from .._util.dtypes import FLOAT64, FLOATS, INT64, Array
from .._util.exports import own_names
from ..random import Generator, default_generator
from ._arithmetic import _float_dtype, add, div, equal, mul, neg, sub
from ._cast import astype
from ._create import _dtype, _like, _rounded, _shape
from ._cumulative import cumsum
from ._math import log, log1p
from ._names import Dim, by_dim
from ._operands import one
from ._order import topk
from ._reduce import argmax
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
) -> Tensor:
    """Random integers from low to high - 1, `randint(low, high, size)`, or below high, `randint(high, size)`.

    Arguments: `low` < `high`, integers; `size`, the shape, a tuple or an integer; `dtype`, int64 by default, or a float
    one; `generator`, a `cr.random.Generator` (default: the one that `cr.manual_seed` seeds).
    Errors: ValueError for an empty range; `cr.CompileError` in a compiled function, where the numbers would be
    constants. So for the other functions of this kind.

    >>> import chainrule as cr
    >>> cr.randint(10, (5,), generator=cr.random.Generator(seed=1)).tolist()
    [8, 7, 8, 6, 5]
    """
    if size is None:
        low, high, size = 0, low, high
    if size is None or high is None:
        raise TypeError("randint: expected a shape, randint(high, size) or randint(low, high, size)")
    source = default_generator() if generator is None else generator
    drawn = source.integers(_shape("randint", (size,)), low, high)
    kind = _dtype("randint", dtype, INT64)
    return Tensor._wrap(drawn) if kind == INT64 else _rounded(drawn.astype(FLOAT64), kind)


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

    Arguments: `p`, float probabilities of any shape; `generator` as `cr.randint`.
    Returns: a tensor of the shape and dtype of p, without gradient. Errors: ValueError for p out of range.

    >>> import chainrule as cr
    >>> cr.bernoulli([0.0, 1.0]).tolist()
    [0.0, 1.0]
    """
    chances = _probabilities("bernoulli", p)
    if not ((chances >= 0) & (chances <= 1)).all():
        raise ValueError("bernoulli: probabilities must be from 0 to 1")
    source = default_generator() if generator is None else generator
    return Tensor._wrap((source.uniform(chances.shape, dtype=FLOAT64) < chances).astype(chances.dtype))


def _probabilities(name: str, p: Any) -> Array:
    found = p.detach().numpy() if isinstance(p, Tensor) else as_ndarray(p, name)
    if found.dtype not in FLOATS:
        if found.dtype.kind not in "iub":
            raise TypeError(f"{name}: expected float probabilities, got {found.dtype}")
        found = found.astype(np.float32)
    return found if isinstance(p, (Tensor, np.ndarray)) or found.dtype != FLOAT64 else found.astype(np.float32)


def multinomial(
    probs: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Random indices of classes, each with a probability proportional to its weight, as `torch.multinomial`.

    With replacement, the first class whose cumulative weight is above u times their sum; without, the classes of the
    largest w / -log(1 - u), in this order, which is that of draws one after the other. All in float64.

    Arguments: `probs`, weights of shape (classes,) or (rows, classes), finite, not negative, not all 0;
    `num_samples`; `replacement`, whether a class may be drawn again; `generator` as `cr.randint`.
    Returns: int64 of shape (num_samples,) or (rows, num_samples).
    Errors: ValueError for other weights, and without replacement for fewer positive weights than samples.

    >>> import chainrule as cr
    >>> cr.multinomial([0.0, 1.0, 0.0], 2, replacement=True).tolist()
    [1, 1]
    """
    weights = _probabilities("multinomial", probs).astype(FLOAT64)
    count = check_integer("multinomial: num_samples", num_samples, 1)
    if weights.ndim not in (1, 2):
        raise ValueError(f"multinomial: expected weights (classes,) or (rows, classes), got shape {weights.shape}")
    positive = (weights > 0).sum(-1)
    if not (np.isfinite(weights) & (weights >= 0)).all() or (positive == 0).any():
        raise ValueError("multinomial: weights must be finite, not negative, and not all 0")
    if not replacement and (positive < count).any():
        raise ValueError(f"multinomial: {count} samples without replacement of {positive.min()} classes above 0")
    source = default_generator() if generator is None else generator
    rows = weights.reshape(-1, weights.shape[-1])
    rows = div(rows, rows.max(1, keepdims=True)).numpy()
    drawn = _with_replacement(rows, count, source) if replacement else _without_replacement(rows, count, source)
    return Tensor._wrap(np.ascontiguousarray(drawn).reshape(*weights.shape[:-1], count))


def _with_replacement(weights: Array, count: int, source: Generator) -> Array:
    sums = cumsum(weights, 1).numpy()
    levels = mul(source.uniform((len(weights), count), dtype=FLOAT64), sums[:, -1:]).numpy()
    last = weights.shape[1] - 1 - (weights[:, ::-1] > 0).argmax(1)  # where u times the sum is rounded to the sum
    found = [np.searchsorted(row, level, side="right") for row, level in zip(sums, levels, strict=True)]
    return np.minimum(np.stack(found), last[:, None]).astype(np.int64) if found else np.zeros(levels.shape, np.int64)


def _without_replacement(weights: Array, count: int, source: Generator) -> Array:
    waits = neg(log1p(neg(source.uniform(weights.shape, dtype=FLOAT64)))).numpy()
    keys = np.where(weights > 0, div(weights, np.where(waits > 0, waits, 2.0**-60)).numpy(), -1.0)
    return topk(keys, count, 1).indices.numpy()


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
    Errors: ValueError for tau; `cr.CompileError` in a compiled function.
    Source: Jang et al., Categorical reparameterization with Gumbel-softmax, 2017.

    >>> import chainrule as cr
    >>> cr.gumbel_softmax([0.0, 0.0, 0.0], hard=True, generator=cr.random.Generator(seed=1)).sum().item()
    1.0
    """
    axis, _ = by_dim("gumbel_softmax", names, axis, default=-1)
    scores = one(logits)
    _float_dtype("gumbel_softmax", [scores])
    source = default_generator() if generator is None else generator
    waits = neg(log1p(neg(source.uniform(scores.shape, dtype=FLOAT64)))).numpy()
    noise = neg(log(np.where(waits > 0, waits, 2.0**-60)))
    scaled = div(add(scores, astype(noise, scores.dtype)), check_number("gumbel_softmax: tau", tau, above=True))
    smooth = softmax(scaled, axis)
    if not hard:
        return smooth
    (at,) = axes_of("gumbel_softmax", axis, scores.ndim)
    classes = np.arange(scores.shape[at]).reshape([-1 if i == at else 1 for i in range(scores.ndim)])
    chosen = equal(argmax(smooth, at, True), classes)
    return add(sub(smooth, smooth.detach()), chosen)


def randperm(n: int, *, generator: Generator | None = None) -> Tensor:
    """A random permutation of 0 .. n-1, as int64.

    >>> import chainrule as cr
    >>> sorted(cr.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    source = default_generator() if generator is None else generator
    return Tensor._wrap(source.permutation(check_integer("randperm: n", n, 0)))


def permutation(x: Any, *, generator: Generator | None = None) -> Tensor:
    """A random permutation of 0 .. x-1, or the rows of x in random order, as `numpy.random.permutation`.

    Arguments: `x`, an integer, or a tensor, whose gradient follows the rows; `generator` as `cr.randint`.

    >>> import chainrule as cr
    >>> sorted(cr.permutation([3.0, 1.0, 2.0]).tolist())
    [1.0, 2.0, 3.0]
    """
    if is_integer(x):
        return randperm(x, generator=generator)
    from ._shape import take

    rows = one(x)
    if rows.ndim == 0:
        raise TypeError("permutation: expected an integer or a tensor with rows")
    return take(rows, randperm(rows.shape[0], generator=generator))


if not TYPE_CHECKING:
    __all__ = own_names(globals())
