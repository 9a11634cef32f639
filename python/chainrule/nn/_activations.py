"""Activation layers: the ops of the same name as modules, and those with parameters, PReLU and Maxout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .. import ops
from .._tensor import Tensor, tensor
from .._util.checks import check_size
from .._util.exports import own_names
from ..ops._channels import prelu
from ..ops._names import by_dim
from ..random import Generator
from ._init import float_dtype
from ._linear import Linear
from ._module import Module, Parameter, Stored

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..ops._names import Dim


class ReLU(Module):
    """Rectified linear unit, y = x where x > 0, else 0; input and output of any one shape.

    Arguments: `inplace`, as in PyTorch, without effect here and in other layers: x always keeps its values.

    >>> import chainrule as cr
    >>> cr.nn.ReLU()(cr.tensor([-1.0, 2.0])).numpy()
    array([0., 2.], dtype=float32)
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(x)


class LeakyReLU(Module):
    """Leaky rectified linear unit, y = x where x > 0, else negative_slope * x; input and output of any one shape.

    Arguments: `negative_slope`, a number; `inplace`, see `ReLU`.

    >>> import chainrule as cr
    >>> cr.nn.LeakyReLU(0.5)(cr.tensor([-1.0, 2.0])).numpy()
    array([-0.5,  2. ], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope, self.inplace = float(negative_slope), bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, negative_slope=self.negative_slope)

    def config(self) -> dict[str, Any]:
        return {"negative_slope": self.negative_slope}


class Sigmoid(Module):
    """Logistic function, y = 1 / (1 + exp(-x)); input and output of any one shape.

    >>> import chainrule as cr
    >>> cr.nn.Sigmoid()(cr.tensor([0.0])).numpy()
    array([0.5], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent, y = tanh(x); input and output of any one shape.

    >>> import chainrule as cr
    >>> cr.nn.Tanh()(cr.tensor([0.0])).numpy()
    array([0.], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


class Softmax(Module):
    """Probabilities along an axis, y_i = exp(x_i) / sum_j exp(x_j).

    `CrossEntropyLoss` takes the scores before softmax; use this layer for models that output probabilities.

    Arguments: `axis`, also named `dim`, the axis that sums to 1.

    >>> import chainrule as cr
    >>> cr.nn.Softmax()(cr.tensor([[0.0, 0.0]])).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **names: Unpack[Dim]) -> None:
        self.axis = int(by_dim("Softmax", names, axis, default=-1)[0])

    def forward(self, x: Tensor) -> Tensor:
        return ops.softmax(x, axis=self.axis)

    def config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class ELU(Module):
    """Exponential linear unit, y = x where x > 0, else alpha * (exp(x) - 1); input and output of any one shape.

    Arguments: `alpha`, a number; `inplace`, see `ReLU`.

    >>> import chainrule as cr
    >>> cr.nn.ELU()(cr.tensor([-1.0, 2.0])).numpy()
    array([-0.63212055,  2.        ], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha, self.inplace = float(alpha), bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.elu(x, alpha=self.alpha)

    def config(self) -> dict[str, Any]:
        return {"alpha": self.alpha}


class SELU(Module):
    """Self-normalising unit, y = 1.0507 * elu(x, 1.67326); input and output of any one shape.

    Arguments: `inplace`, see `ReLU`.

    >>> import chainrule as cr
    >>> cr.nn.SELU()(cr.tensor([-1.0, 2.0])).numpy()
    array([-1.1113307,  2.101402 ], dtype=float32)
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.selu(x)


class SiLU(Module):
    """Sigmoid-weighted linear unit (swish), y = x * sigmoid(beta * x); input and output of any one shape.

    Arguments: `beta`, a number; `inplace`, see `ReLU`.

    >>> import chainrule as cr
    >>> cr.nn.SiLU()(cr.tensor([-1.0, 2.0])).numpy()
    array([-0.26894143,  1.7615942 ], dtype=float32)
    """

    def __init__(self, beta: float = 1.0, inplace: bool = False) -> None:
        self.beta, self.inplace = float(beta), bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.silu(x, beta=self.beta)

    def config(self) -> dict[str, Any]:
        return {"beta": self.beta}


class Mish(Module):
    """Smooth gate, y = x * tanh(softplus(x)); input and output of any one shape.

    Arguments: `inplace`, see `ReLU`.

    >>> import chainrule as cr
    >>> cr.nn.Mish()(cr.tensor([-1.0, 2.0])).numpy()
    array([-0.30340147,  1.943959  ], dtype=float32)
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.mish(x)


class GELU(Module):
    """Gaussian error linear unit, y = x / 2 * (1 + erf(x / sqrt(2))); input and output of any one shape.

    Arguments: `approximate`, "none" or "tanh", as `cr.gelu` takes it.

    >>> import chainrule as cr
    >>> cr.nn.GELU()(cr.tensor([-1.0, 2.0])).numpy()
    array([-0.15865526,  1.9544997 ], dtype=float32)
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return ops.gelu(x, self.approximate)

    def config(self) -> dict[str, Any]:
        return {"approximate": self.approximate}


class Hardtanh(Module):
    """Piecewise-linear tanh, y = min(max(x, min_val), max_val); input and output of any one shape.

    Arguments: `min_val` < `max_val`, numbers; `inplace`, see `ReLU`.

    >>> import chainrule as cr
    >>> cr.nn.Hardtanh()(cr.tensor([-2.0, 0.5])).numpy()
    array([-1. ,  0.5], dtype=float32)
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self.min_val, self.max_val, self.inplace = float(min_val), float(max_val), bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.hardtanh(x, self.min_val, self.max_val)

    def config(self) -> dict[str, Any]:
        return {"min_val": self.min_val, "max_val": self.max_val}


class Hardsigmoid(Module):
    """Piecewise-linear sigmoid, y = slope * x + 1/2 between 0 and 1; input and output of any one shape.

    Arguments: `slope`, a number; 1 gives the piecewise-linear unit; `inplace`, see `ReLU`.
    Errors: TypeError for a slope that is a bool: PyTorch's first argument is `inplace`.

    >>> import chainrule as cr
    >>> cr.nn.Hardsigmoid()(cr.tensor([0.0, 1.5])).numpy()
    array([0.5 , 0.75], dtype=float32)
    """

    def __init__(self, slope: float = 1 / 6, inplace: bool = False) -> None:
        if isinstance(slope, bool):
            raise TypeError("Hardsigmoid: slope must be a number, got bool; write inplace=...")
        self.slope, self.inplace = float(slope), bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.hardsigmoid(x, self.slope)

    def config(self) -> dict[str, Any]:
        return {"slope": self.slope}


class Softsign(Module):
    """Rational sigmoid, y = x / (1 + |x|); input and output of any one shape.

    >>> import chainrule as cr
    >>> cr.nn.Softsign()(cr.tensor([-1.0, 3.0])).numpy()
    array([-0.5 ,  0.75], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.softsign(x)


class LogSigmoid(Module):
    """Logarithm of the logistic function, y = -log(1 + exp(-x)); input and output of any one shape.

    >>> import chainrule as cr
    >>> cr.nn.LogSigmoid()(cr.tensor([0.0])).numpy()
    array([-0.6931472], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.logsigmoid(x)


class Sign(Module):
    """Sign, y = 1 above 0, -1 below, 0 at 0; its gradient is 0. Input and output of any one shape.

    >>> import chainrule as cr
    >>> cr.nn.Sign()(cr.tensor([-2.0, 0.0])).numpy()
    array([-1.,  0.], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.sign(x)


class Heaviside(Module):
    """Unit step, y = 1 above 0, 0 below, `value` at 0; its gradient is 0. Input and output of any one shape.

    Arguments: `value`, a number, usually 0, 0.5 or 1.

    >>> import chainrule as cr
    >>> cr.nn.Heaviside(1.0)(cr.tensor([-2.0, 0.0])).numpy()
    array([0., 1.], dtype=float32)
    """

    def __init__(self, value: float = 0.5) -> None:
        self.value = float(value)

    def forward(self, x: Tensor) -> Tensor:
        return ops.heaviside(x, self.value)

    def config(self) -> dict[str, Any]:
        return {"value": self.value}


class PReLU(Module):
    """Rectified linear unit with a trained slope, y = max(0, x) + weight * min(0, x).

    `weight` has shape (num_parameters,): one slope for all elements, or one for each feature or channel, axis 1 of x
    (axis 0 of a vector). Its initial value is `init`.

    Arguments: `num_parameters`, at least 1; `init`, a number; `dtype`, float32 or float64.
    Errors: ValueError for a size below 1, TypeError for another dtype; in a call, those of `F.prelu`.

    >>> import chainrule as cr
    >>> cr.nn.PReLU(2)(cr.tensor([[-1.0, 2.0], [-2.0, -4.0]])).numpy()
    array([[-0.25,  2.  ],
           [-0.5 , -1.  ]], dtype=float32)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: npt.DTypeLike | None = None) -> None:
        self.num_parameters, self.init = check_size("PReLU: num_parameters", num_parameters), float(init)
        kind = float_dtype("PReLU", dtype)
        self.weight = Parameter(ops.broadcast_to(tensor(self.init, dtype=kind), (self.num_parameters,)).numpy())

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> PReLU:
        stored("weight", (config.get("num_parameters"),))
        return cls(**config)

    def forward(self, x: Tensor) -> Tensor:
        return prelu(x, self.weight)

    def config(self) -> dict[str, Any]:
        return {"num_parameters": self.num_parameters, "init": self.init, "dtype": str(self.weight.dtype)}


class Maxout(Linear):
    """Largest of `pieces` linear functions for each output, y_j = max over p of (x @ weight + bias)_(pieces * j + p).

    `weight` has shape (in_features, out_features * pieces), `bias` (out_features * pieces,); they are initialized as in
    a `Linear` of these sizes. The gradient of a tie goes to the first piece. (Goodfellow et al., 2013)

    Arguments: `pieces`, at least 1; the others, input and errors are those of `Linear`.
    Output: shape (..., out_features).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.Maxout(4, 3, pieces=2)(np.ones((5, 4), np.float32)).shape
    (5, 3)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        pieces: int = 2,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        init: str = "glorot",
        generator: Generator | None = None,
    ) -> None:
        check_size("Maxout: in_features", in_features)
        outputs, count = check_size("Maxout: out_features", out_features), check_size("Maxout: pieces", pieces)
        super().__init__(in_features, outputs * count, bias, dtype, init, generator)
        self.out_features, self.pieces = outputs, count

    @classmethod
    def _stored_shape(cls, config: dict[str, Any]) -> tuple[Any, ...]:
        return config.get("in_features"), config.get("out_features", 0) * config.get("pieces", 0)

    def forward(self, x: Tensor) -> Tensor:
        return ops.maxout(super().forward(x), self.pieces)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "pieces": self.pieces}


if not TYPE_CHECKING:
    __all__ = own_names(globals())
