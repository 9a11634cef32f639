"""Initial values of weights, by PyTorch's names and formulas: each function overwrites a tensor and returns it.

A weight of two axes has the layout of `Linear`, (in, out): its fan in is the first length, its fan out the second one.
Longer shapes are those of convolutions, (out, in, ...): fan in is in * the size of the window, fan out is out * that.

Draws come from `generator`, a `cr.random.Generator`, by default the one that `cr.manual_seed` seeds. Bounds and
standard deviations are computed in float64 and the values rounded once to the tensor's dtype.

>>> import chainrule as cr
>>> layer = cr.nn.Linear(64, 10)
>>> cr.nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu").shape
(64, 10)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_number
from .._util.dtypes import FLOATS
from .._util.mode import grad_mode
from ..random import Generator, given_or_default

__all__ = [
    "calculate_gain",
    "constant_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Array = npt.NDArray[Any]


def _checked(name: str, tensor: Any, axes: int = 0) -> Tensor:
    if not isinstance(tensor, Tensor) or tensor.dtype not in FLOATS:
        kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise TypeError(f"{name}: expected a float32 or float64 tensor, got {kind}")
    if tensor.ndim < axes:
        raise ValueError(f"{name}: expected a tensor of at least {axes} axes, got shape {tensor.shape}")
    grad_mode.executor.forbid(f"{name}: a weight is initialised inside a compiled function; do it outside")
    return tensor


def _number(name: str, value: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {value}")
    return number


def _float64(value: float) -> Tensor:
    return Tensor(np.float64(value))


def _ratio_root(a: float, b: float) -> float:
    """sqrt(a / b), in any floating-point mode of the caller."""
    return float(ops.sqrt(ops.div(_float64(a), _float64(b))).item())


def _times(a: float, b: float) -> float:
    return float(ops.mul(_float64(a), _float64(b)).item())


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from [a, b).

    Errors: TypeError unless the tensor is of a float dtype, ValueError for a > b. The same holds for all below.

    >>> import chainrule as cr
    >>> bool((cr.nn.init.uniform_(cr.zeros(100), -0.5, 0.5).numpy() < 0.5).all())
    True
    """
    low, high = _number("uniform_: a", a), _number("uniform_: b", b)
    if low > high:
        raise ValueError(f"uniform_: a {a} is above b {b}")
    target = _checked("uniform_", tensor)
    return target.copy_(given_or_default(generator).uniform(target.shape, low=low, high=high, dtype=target.dtype))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from the normal distribution of this mean and standard deviation.

    >>> import chainrule as cr
    >>> cr.nn.init.normal_(cr.zeros(2, 3), std=0.0).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    center, width = _number("normal_: mean", mean), check_number("normal_: std", std)
    target = _checked("normal_", tensor)
    return target.copy_(given_or_default(generator).normal(target.shape, mean=center, std=width, dtype=target.dtype))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Draw from the normal distribution restricted to [a, b], which are values, not numbers of standard deviations.

    Proposals are drawn until all are accepted: from the normal distribution where [a, b] holds much of it, else from
    the uniform one with probability exp((m*m - z*z) / 2) for z = (x - mean) / std and m the smallest abs(z) in [a, b].

    Errors: ValueError for a >= b or std <= 0.

    >>> import chainrule as cr
    >>> bool((abs(cr.nn.init.trunc_normal_(cr.zeros(1000), std=0.02, a=-0.04, b=0.04).numpy()) <= 0.04).all())
    True
    """
    numbers = [_number(f"trunc_normal_: {key}", value) for key, value in (("mean", mean), ("a", a), ("b", b))]
    center, width, low, high = numbers[0], check_number("trunc_normal_: std", std, above=True), numbers[1], numbers[2]
    if low >= high:
        raise ValueError(f"trunc_normal_: a {a} is not below b {b}")
    target, source = _checked("trunc_normal_", tensor), given_or_default(generator)
    ends = ops.div(ops.sub(Tensor(np.array([low, high])), center), width).numpy()
    values = np.empty(target.size, np.float64)
    missing = np.arange(target.size)
    while missing.size:
        z, accepted = _proposals(missing.size, float(ends[0]), float(ends[1]), source)
        values[missing[accepted]] = z[accepted]
        missing = missing[~accepted]
    scaled = ops.add(ops.mul(Tensor(values), width), center).numpy().reshape(target.shape)
    return target.copy_(np.clip(scaled, low, high))


def _proposals(n: int, low: float, high: float, source: Generator) -> tuple[Array, Array]:
    """Standard normal numbers in [low, high], and which of them are accepted."""
    if low <= 0.0 <= high and high - low > 2.0:
        z = source.normal(n, dtype=np.float64)
        return z, (z >= low) & (z <= high)
    nearest = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    if nearest > 0.0:  # behind 40 / nearest the density is below e^-40 of that at the near end
        reach = 40.0 / nearest
        low, high = (low, min(high, low + reach)) if low > 0.0 else (max(low, high - reach), high)
    z, u = source.uniform(n, low=low, high=high, dtype=np.float64), source.uniform(n, dtype=np.float64)
    exponent = ops.mul(ops.sub(nearest * nearest, ops.square(Tensor(z))), 0.5)
    return z, u < ops.exp(exponent).numpy()


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    >>> import chainrule as cr
    >>> cr.nn.init.constant_(cr.zeros(2), 0.25).tolist()
    [0.25, 0.25]
    """
    target = _checked("constant_", tensor)
    return target.copy_(np.full(target.shape, float(val), np.float64))


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity: 1 on the diagonal, 0 elsewhere.

    >>> import chainrule as cr
    >>> cr.nn.init.eye_(cr.zeros(2, 3)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    target = _checked("eye_", tensor)
    if target.ndim != 2:
        raise ValueError(f"eye_: expected a matrix, got shape {target.shape}")
    return target.copy_(np.eye(*target.shape, dtype=np.float64))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a layer before this activation function draws its weights wider.

    1 for "linear", "identity", "sigmoid" and convolutions ("conv2d" and so on), 5/3 for "tanh", sqrt(2) for "relu",
    sqrt(2 / (1 + param**2)) for "leaky_relu" (param: its slope, 0.01), 3/4 for "selu".

    Errors: ValueError for another name.

    >>> import chainrule as cr
    >>> cr.nn.init.calculate_gain("relu")
    1.4142135623730951
    """
    ones = ("linear", "identity", "sigmoid", *(f"conv{kind}{d}d" for kind in ("", "_transpose") for d in (1, 2, 3)))
    if nonlinearity in ones:
        return 1.0
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else _number("calculate_gain: param", param)
        return _ratio_root(2.0, 1.0 + slope * slope)
    gains = {"tanh": 5.0 / 3.0, "relu": _ratio_root(2.0, 1.0), "selu": 0.75}
    if nonlinearity not in gains:
        raise ValueError(
            f"calculate_gain: unknown nonlinearity {nonlinearity!r}, expected one of {', '.join(gains)}, "
            "leaky_relu, linear, sigmoid"
        )
    return gains[nonlinearity]


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """Fan in and fan out."""
    shape = _checked(name, tensor, 2).shape
    if len(shape) == 2:
        return shape[0], shape[1]
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from [-b, b), b = gain * sqrt(6 / (fan_in + fan_out)).

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010.
    """
    bound = _times(check_number("xavier_uniform_: gain", gain), _ratio_root(6.0, sum(_fans("xavier_uniform_", tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from N(0, std^2), std = gain * sqrt(2 / (fan_in + fan_out)); source as `xavier_uniform_`."""
    std = _times(check_number("xavier_normal_: gain", gain), _ratio_root(2.0, sum(_fans("xavier_normal_", tensor))))
    return normal_(tensor, 0.0, std, generator)


def _kaiming(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> tuple[float, float]:
    """The gain and the fan."""
    fans = _fans(name, tensor)
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode must be fan_in or fan_out, got {mode!r}")
    return calculate_gain(nonlinearity, a), float(fans[mode == "fan_out"])


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw from [-b, b), b = gain * sqrt(3 / fan), with the gain of the nonlinearity (a: the slope of a leaky relu).

    Arguments: `mode`, "fan_in" or "fan_out"; `nonlinearity`, as in `calculate_gain`.
    Source: He et al., Delving deep into rectifiers, ICCV 2015.

    >>> import chainrule as cr
    >>> bool((abs(cr.nn.init.kaiming_uniform_(cr.zeros(6, 50), nonlinearity="relu").numpy()) <= 1).all())
    True
    """
    gain, fan = _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    bound = _times(gain, _ratio_root(3.0, fan)) if fan else 0.0
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw from N(0, std^2), std = gain / sqrt(fan); otherwise as `kaiming_uniform_`."""
    gain, fan = _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, _times(gain, _ratio_root(1.0, fan)) if fan else 0.0, generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with `gain` times a random matrix whose rows or columns, the fewer of them, are orthonormal.

    Longer shapes are matrices of the first axis and all others. The matrix is that of a QR decomposition of normal
    numbers, with a positive diagonal of R.

    Source: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning, ICLR 2014.

    >>> import chainrule as cr
    >>> w = cr.nn.init.orthogonal_(cr.zeros(3, 5))
    >>> (w @ w.T).numpy().round(5) + 0
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    target, factor = _checked("orthogonal_", tensor, 2), _number("orthogonal_: gain", gain)
    if target.size == 0:
        return target
    rows = target.shape[0]
    columns = target.size // rows
    vectors = given_or_default(generator).normal((min(rows, columns), max(rows, columns)), dtype=np.float64)
    found = ops.mul(_orthonormal(vectors), factor)
    matrix = found if rows <= columns else ops.transpose(found)
    return target.copy_(ops.reshape(matrix, target.shape).numpy())


def _orthonormal(vectors: Array) -> Tensor:
    """Orthonormal rows that span what the rows so far span (Gram and Schmidt, twice, so that rounding leaves none)."""
    rows = np.zeros_like(vectors)
    for i, vector in enumerate(vectors):
        before, v = Tensor._wrap(rows[:i]), Tensor(vector)
        for _ in range(2):
            v = ops.sub(v, ops.matmul(ops.matmul(before, v), before))
        rows[i] = ops.div(v, ops.sqrt(ops.sum(ops.square(v)))).numpy()
    return Tensor(rows)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Draw a matrix from N(0, std^2), and set the fraction `sparsity`, rounded up, of the weights of each input to 0.

    An input is a row: the layout of `Linear` is (in, out).

    Source: Martens, Deep learning via Hessian-free optimization, ICML 2010.

    >>> import chainrule as cr
    >>> (cr.nn.init.sparse_(cr.zeros(3, 10), 0.25).numpy() == 0).sum(axis=1).tolist()
    [3, 3, 3]
    """
    target, source = _checked("sparse_", tensor), given_or_default(generator)
    fraction = check_number("sparse_: sparsity", sparsity, maximum=1)
    if target.ndim != 2:
        raise ValueError(f"sparse_: expected a matrix, got shape {target.shape}")
    values = np.array(source.normal(target.shape, std=check_number("sparse_: std", std), dtype=np.float64))
    zeros = math.ceil(fraction * target.shape[1])
    for row in values:
        row[source.permutation(len(row))[:zeros]] = 0
    return target.copy_(values)
