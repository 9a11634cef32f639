"""Normal, Bernoulli, Categorical, Uniform, Exponential, and several independent ones as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.exports import own_names
from ..ops._checks import raise_where
from ..ops._create import rand, randn
from ..ops._draw import bernoulli, multinomial
from ..ops._operands import one, pair
from ..random import Generator

Shape = tuple[int, ...]
_HALF_LOG_2_PI = 0.9189385332046727


class Distribution:
    """Base of the distributions: parameters of shape `batch_shape`, one distribution for each element.

    A sample has the shape sample_shape + batch_shape + event_shape; `event_shape` is () unless a single sample is a
    vector. Samples are drawn from the next stream of a `cr.random.Generator`, the same on every machine, in compiled
    functions at every run.

    >>> import chainrule as cr
    >>> cr.distributions.Normal([0.0, 1.0], 1.0).batch_shape
    (2,)
    """

    batch_shape: Shape = ()
    event_shape: Shape = ()

    def sample(self, sample_shape: Any = (), *, generator: Generator | None = None) -> Tensor:
        """Draw samples, without gradient.

        Arguments: `sample_shape`; `generator` (default: the one that `cr.manual_seed` seeds).
        """
        return self.rsample(sample_shape, generator=generator).detach()

    def rsample(self, sample_shape: Any = (), *, generator: Generator | None = None) -> Tensor:
        """Draw samples that are differentiable functions of the parameters."""
        raise NotImplementedError(f"{type(self).__name__}: its samples have no gradient; use sample and log_prob")

    def log_prob(self, value: Any) -> Tensor:
        """Return the logarithm of the density, or of the probability, at a value, of any shape that broadcasts."""
        raise NotImplementedError(f"{type(self).__name__}: a subclass must define log_prob")

    def entropy(self) -> Tensor:
        """Return the entropy in nats, of shape `batch_shape`."""
        raise NotImplementedError(f"{type(self).__name__}: a subclass must define entropy")

    def _shape(self, sample_shape: Any) -> Shape:
        given = (sample_shape,) if isinstance(sample_shape, (int, np.integer)) else tuple(sample_shape)
        return (*given, *self.batch_shape, *self.event_shape)


def _parameters(name: str, *values: Any) -> list[Tensor]:
    """Two parameters as float tensors of one shape."""
    a, b = pair(*values)
    if a.dtype.kind != "f":
        a, b = ops.astype(a, np.float32), ops.astype(b, np.float32)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(f"{name}: parameters of shapes {a.shape} and {b.shape} do not broadcast") from None
    return [ops.broadcast_to(x, shape) for x in (a, b)]


def _positive(name: str, what: str, x: Tensor) -> Tensor:
    _check(ops.greater(x, 0), f"{name}: {what} must be above 0")
    return x


def _check(right: Tensor, message: str) -> None:
    raise_where(ops.logical_not(right), lambda at: ValueError(message))


class Normal(Distribution):
    """Normal distribution of mean `loc` and standard deviation `scale`.

    log p(x) = -((x - loc) / scale)**2 / 2 - log(scale) - log(2 * pi) / 2.

    Arguments: `loc` and `scale`, floats or tensors whose shapes broadcast; scale above 0.
    Errors: ValueError for shapes, or a scale that is not above 0.

    >>> import chainrule as cr
    >>> normal = cr.distributions.Normal(0.0, 2.0)
    >>> round(normal.log_prob(2.0).item(), 4)
    -2.1121
    >>> normal.rsample((3,), generator=cr.random.Generator(seed=1)).shape
    (3,)
    """

    def __init__(self, loc: Any, scale: Any) -> None:
        self.loc, self.scale = _parameters("Normal", loc, scale)
        _positive("Normal", "scale", self.scale)
        self.batch_shape = self.loc.shape

    def rsample(self, sample_shape: Any = (), *, generator: Generator | None = None) -> Tensor:
        noise = randn(*self._shape(sample_shape), dtype=self.loc.dtype, generator=generator)
        return ops.add(self.loc, ops.mul(self.scale, noise))

    def log_prob(self, value: Any) -> Tensor:
        z = ops.div(ops.sub(value, self.loc), self.scale)
        return ops.sub(ops.mul(ops.square(z), -0.5), ops.add(ops.log(self.scale), _HALF_LOG_2_PI))

    def entropy(self) -> Tensor:
        return ops.add(ops.log(self.scale), 0.5 + _HALF_LOG_2_PI)


class Uniform(Distribution):
    """Uniform distribution on [low, high).

    Arguments: `low` < `high`, floats or tensors whose shapes broadcast.
    Errors: ValueError for shapes, or a low that is not below high.

    >>> import chainrule as cr
    >>> cr.distributions.Uniform(0.0, 4.0).log_prob([1.0, 5.0]).numpy().round(4)
    array([-1.3863,    -inf], dtype=float32)
    """

    def __init__(self, low: Any, high: Any) -> None:
        self.low, self.high = _parameters("Uniform", low, high)
        self.batch_shape = self.low.shape
        self._width = _positive("Uniform", "high - low", ops.sub(self.high, self.low))

    def rsample(self, sample_shape: Any = (), *, generator: Generator | None = None) -> Tensor:
        share = rand(*self._shape(sample_shape), dtype=self.low.dtype, generator=generator)
        return ops.add(self.low, ops.mul(self._width, share))

    def log_prob(self, value: Any) -> Tensor:
        x = pair(value, self.low)[0]
        density = ops.neg(ops.log(ops.add(self._width, ops.mul(x, 0.0))))
        inside = ops.where(ops.less(x, self.low), -np.inf, density)
        return ops.where(ops.less(x, self.high), inside, -np.inf)

    def entropy(self) -> Tensor:
        return ops.log(self._width)


class Exponential(Distribution):
    """Exponential distribution, log p(x) = log(rate) - rate * x for x of at least 0.

    Arguments: `rate`, a float or a tensor, above 0. Errors: ValueError for a rate that is not above 0.

    >>> import chainrule as cr
    >>> cr.distributions.Exponential(2.0).entropy().item()
    0.3068528175354004
    """

    def __init__(self, rate: Any) -> None:
        self.rate = _positive("Exponential", "rate", _parameters("Exponential", rate, 1.0)[0])
        self.batch_shape = self.rate.shape

    def rsample(self, sample_shape: Any = (), *, generator: Generator | None = None) -> Tensor:
        share = rand(*self._shape(sample_shape), dtype=self.rate.dtype, generator=generator)
        return ops.div(ops.neg(ops.log1p(ops.neg(share))), self.rate)

    def log_prob(self, value: Any) -> Tensor:
        x = pair(value, self.rate)[0]
        return ops.where(ops.less(x, 0), -np.inf, ops.sub(ops.log(self.rate), ops.mul(self.rate, x)))

    def entropy(self) -> Tensor:
        return ops.sub(1.0, ops.log(self.rate))


def _one_of(name: str, probs: Any, logits: Any) -> Tensor:
    if (probs is None) == (logits is None):
        raise ValueError(f"{name}: give either probs or logits")
    x = one(probs if logits is None else logits)
    x = x if x.dtype.kind == "f" else ops.astype(x, np.float32)
    if logits is None:
        _check(ops.greater_equal(x, 0), f"{name}: probs must be at least 0")
    return x


class Bernoulli(Distribution):
    """Distribution of 1 with probability p and 0 with 1 - p.

    Arguments: `probs`, p from 0 to 1, or `logits`, log(p / (1 - p)), a float or a tensor.
    Errors: ValueError unless one of them is given, or for p out of range.

    >>> import chainrule as cr
    >>> cr.distributions.Bernoulli(logits=[0.0, 1.0]).log_prob([1.0, 0.0]).numpy()
    array([-0.6931472, -1.3132617], dtype=float32)
    """

    def __init__(self, probs: Any = None, logits: Any = None) -> None:
        given = _one_of("Bernoulli", probs, logits)
        if logits is None:
            _check(ops.less_equal(given, 1), "Bernoulli: probs must be at most 1")
        self.logits = given if probs is None else ops.sub(ops.log(given), ops.log1p(ops.neg(given)))
        self.probs = ops.sigmoid(given) if probs is None else given
        self.batch_shape = given.shape

    def sample(self, sample_shape: Any = (), *, generator: Generator | None = None) -> Tensor:
        return bernoulli(ops.broadcast_to(self.probs, self._shape(sample_shape)).detach(), generator=generator)

    def log_prob(self, value: Any) -> Tensor:
        x = pair(value, self.logits)[0]
        shape = np.broadcast_shapes(x.shape, self.logits.shape)
        logits, x = ops.broadcast_to(self.logits, shape), ops.broadcast_to(x, shape)
        return ops.neg(ops.binary_cross_entropy_with_logits(logits, x, "none"))

    def entropy(self) -> Tensor:
        return ops.binary_cross_entropy_with_logits(self.logits, self.probs, "none")


class Categorical(Distribution):
    """Distribution of the classes 0 to K - 1.

    Arguments: `probs`, weights (..., K) that are divided by their sum, or `logits`, scores (..., K), of the softmax.
    Attributes: `probs`, and `logits`, their logarithms.
    Errors: ValueError unless one of them is given, for weights below 0, and for a shape without classes.

    >>> import chainrule as cr
    >>> categorical = cr.distributions.Categorical([0.25, 0.75])
    >>> categorical.log_prob(1).item()
    -0.28768208622932434
    >>> categorical.sample((2, 3), generator=cr.random.Generator(seed=1)).shape
    (2, 3)
    """

    def __init__(self, probs: Any = None, logits: Any = None) -> None:
        given = _one_of("Categorical", probs, logits)
        if given.ndim == 0 or given.shape[-1] == 0:
            raise ValueError(f"Categorical: expected a last axis of classes, got shape {given.shape}")
        if probs is None:
            self.logits, self.probs = ops.log_softmax(given), ops.softmax(given)
        else:
            self.probs = ops.div(given, ops.sum(given, -1, True))
            self.logits = ops.log(self.probs)
        self.batch_shape = given.shape[:-1]

    def sample(self, sample_shape: Any = (), *, generator: Generator | None = None) -> Tensor:
        shape, classes = self._shape(sample_shape), self.probs.shape[-1]
        rows = ops.reshape(self.probs.detach(), (-1, classes))
        count = int(np.prod(shape[: len(shape) - len(self.batch_shape)]))
        if 0 in shape:
            return Tensor._wrap(np.zeros(shape, np.int64))
        drawn = multinomial(rows, count, replacement=True, generator=generator)
        return ops.reshape(ops.transpose(drawn), shape)

    def log_prob(self, value: Any) -> Tensor:
        labels = (
            value if isinstance(value, Tensor) else Tensor._wrap(np.ascontiguousarray(value).reshape(np.shape(value)))
        )
        if labels.dtype.kind not in "iu":
            raise TypeError(f"Categorical: log_prob expects integers (classes), got {labels.dtype}")
        shape = np.broadcast_shapes(labels.shape, self.batch_shape)
        rows = ops.reshape(ops.broadcast_to(self.logits, (*shape, self.logits.shape[-1])), (-1, self.logits.shape[-1]))
        if labels.shape != shape:
            labels = ops.broadcast_to(labels, shape)
        return ops.reshape(ops.neg(ops.nll_loss(rows, ops.reshape(labels, (-1,)), "none")), shape)

    def entropy(self) -> Tensor:
        return ops.neg(ops.sum(_times(self.probs, self.logits), -1))


class Independent(Distribution):
    """Distributions along the last axes as one of vectors: log_prob and entropy are sums over them.

    `Independent(Normal(loc, scale), 1)` is the normal distribution with a diagonal covariance.

    Arguments: `base`, a distribution; `reinterpreted_batch_ndims`, the number of axes.
    Errors: ValueError for more axes than the base has.

    >>> import chainrule as cr
    >>> diagonal = cr.distributions.Independent(cr.distributions.Normal([0.0, 0.0], [1.0, 1.0]), 1)
    >>> round(diagonal.log_prob([0.0, 0.0]).item(), 4)
    -1.8379
    """

    def __init__(self, base: Distribution, reinterpreted_batch_ndims: int = 1) -> None:
        count = int(reinterpreted_batch_ndims)
        if not 0 <= count <= len(base.batch_shape):
            raise ValueError(f"Independent: {count} axes of a distribution of batch shape {base.batch_shape}")
        split = len(base.batch_shape) - count
        self.base, self._axes = base, tuple(range(-count, 0))
        self.batch_shape, self.event_shape = base.batch_shape[:split], base.batch_shape[split:] + base.event_shape

    def sample(self, sample_shape: Any = (), *, generator: Generator | None = None) -> Tensor:
        return self.base.sample(sample_shape, generator=generator)

    def rsample(self, sample_shape: Any = (), *, generator: Generator | None = None) -> Tensor:
        return self.base.rsample(sample_shape, generator=generator)

    def log_prob(self, value: Any) -> Tensor:
        return self._summed(self.base.log_prob(value))

    def entropy(self) -> Tensor:
        return self._summed(self.base.entropy())

    def _summed(self, x: Tensor) -> Tensor:
        return ops.sum(x, self._axes) if self._axes else x


class MultivariateNormal(Independent):
    """Normal distribution of vectors with a diagonal covariance, `Independent(Normal(loc, scale_diag), 1)`.

    Arguments: `loc`, means (..., d); `scale_diag`, standard deviations, above 0, whose shape broadcasts with it. A full
    covariance is not supported. Errors: as `cr.distributions.Normal`.

    >>> import chainrule as cr
    >>> cr.distributions.MultivariateNormal([0.0, 1.0], scale_diag=[1.0, 2.0]).sample().shape
    (2,)
    """

    def __init__(self, loc: Any, scale_diag: Any) -> None:
        super().__init__(Normal(loc, scale_diag), 1)


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Kullback-Leibler divergence of q from p, the mean of log(p(x) / q(x)) for x from p, in closed form.

    Arguments: `p` and `q`, of the same class: Normal, Bernoulli, Categorical, Exponential, Uniform, or Independent ones
    of those. Returns: a tensor of their batch shape. Errors: TypeError for other classes.

    >>> import chainrule as cr
    >>> normal = cr.distributions.Normal
    >>> cr.distributions.kl_divergence(normal(0.0, 1.0), normal(1.0, 1.0)).item()
    0.5
    """
    if isinstance(p, Independent) and isinstance(q, Independent) and p._axes == q._axes:
        return p._summed(kl_divergence(p.base, q.base))
    if isinstance(p, Normal) and isinstance(q, Normal):
        ratio = ops.div(p.scale, q.scale)
        distance = ops.square(ops.div(ops.sub(p.loc, q.loc), q.scale))
        spread = ops.sub(ops.sub(ops.square(ratio), 1.0), ops.mul(2.0, ops.log(ratio)))
        return ops.mul(0.5, ops.add(spread, distance))
    if isinstance(p, Bernoulli) and isinstance(q, Bernoulli):
        ones = ops.sub(ops.softplus(ops.neg(q.logits)), ops.softplus(ops.neg(p.logits)))
        zeros = ops.sub(ops.softplus(q.logits), ops.softplus(p.logits))
        return ops.add(_times(p.probs, ones), _times(ops.sub(1.0, p.probs), zeros))
    if isinstance(p, Categorical) and isinstance(q, Categorical):
        return ops.sum(_times(p.probs, ops.sub(p.logits, q.logits)), -1)
    if isinstance(p, Exponential) and isinstance(q, Exponential):
        ratio = ops.div(q.rate, p.rate)
        return ops.sub(ops.sub(ratio, 1.0), ops.log(ratio))
    if isinstance(p, Uniform) and isinstance(q, Uniform):
        found = ops.log(ops.div(q._width, p._width))
        return ops.where(ops.less(p.low, q.low), np.inf, ops.where(ops.greater(p.high, q.high), np.inf, found))
    raise TypeError(f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}")


def _times(p: Tensor, x: Tensor) -> Tensor:
    """p * x, 0 where p is 0."""
    none = ops.equal(p, 0)
    return ops.where(none, 0.0, ops.mul(p, ops.where(none, 0.0, x)))


if not TYPE_CHECKING:
    __all__ = own_names(globals())
