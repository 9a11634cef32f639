"""Graph inspection (tables of values and derivatives, drawings, costs) and saturation reports of models.

`_nodes.py` collects and names the nodes, `_derivatives.py` sweeps through them, `_tables.py` and `_cost.py` tabulate;
`_picture.py` builds the drawing, `_layout.py` positions its elements, `_svg.py` and `_dot.py` write it. To give an op a
formula and a symbol, add a row to `_formulas.py`. These modules are imported on first use, to keep `import chainrule`
fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .._tensor import Tensor
from ..nn import Module

if TYPE_CHECKING:
    from ._graph import Graph
    from ._saturation import Saturation

__all__ = ["graph", "saturation"]


def graph(
    y: Tensor | Sequence[Tensor] | Callable[[], Any],
    names: Mapping[str, Tensor] | None = None,
    *,
    model: Module | None = None,
    gradient: Any = None,
) -> Graph:
    """Return the computational graph of a tensor, to print, draw and count its costs.

    Arguments: `y`, the result of ops on tensors that require a gradient, or several such tensors, or a function without
    arguments that computes them; `names`, tensors by name (others are x0, x1, ... for leaves, c0, ... for constants,
    ξ1, ... for results of ops; scalar constants without a name are shown where they are used); `model`, a module whose
    parameters and layers have their names (default: the modules that the function calls); `gradient`, the upstream
    gradient at which the backward pass begins, of y's shape (default 1 for one element), or one for each of several.
    Returns: a `Graph`: `trace()`, `draw(path)`, `to_dot()`, `flops()`.
    Errors: TypeError for anything but tensors; ValueError for a tensor without a graph, and for names of tensors that y
    does not depend on; `CompileError` inside a compiled function, where tensors have no values.

    For a function, the calls of layers are recorded. For a tensor that was computed before, layers are recognized by
    the parameters that nodes read; layers without parameters are drawn as ops.

    >>> import chainrule as cr
    >>> x = cr.tensor([0.2, 0.4], requires_grad=True)
    >>> f = cr.sum(x * x)
    >>> cr.graph(f, {"x": x, "f": f}).gradient("x")
    array([0.4, 0.8], dtype=float32)
    """
    from ._graph import build

    return build(y, names, model, gradient)


def saturation(
    model: Module,
    X: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    threshold: float = 0.01,
) -> Saturation:
    """Report for each layer the share of vanishing derivatives, the dead units and the gradient norms.

    The model runs once on all rows, in evaluation mode; no `grad` changes. A unit is one element of a row's output.
    The derivative is the elementwise one of the output with respect to the input: σ'(z) = σ(z)(1 - σ(z)) for Sigmoid.

    Arguments: `model`; `X` (n, ...), some rows of data; `y` and `loss`, as for `cr.fit`, to report gradients as well;
    `threshold`, below which a derivative counts as vanishing.
    Returns: a `Saturation`: printed, a table; `report["2"]`, the layer of that name; `plot(path)`.
    Errors: TypeError if the model is not a Module or the data are not numeric; ValueError for no rows, `y` without
    `loss` or vice versa; any error of the model and the loss.
    Source: X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.

    >>> import chainrule as cr
    >>> print(cr.saturation(cr.nn.Sequential(cr.nn.ReLU(), cr.nn.Sigmoid()), [[-2.0, 9.0], [-1.0, 4.0]]))
    layer      output  mean    mean |a|  derivative < 0.01  dead units
    ---------  ------  ------  --------  -----------------  ----------
    0 ReLU     (2, 2)  3.25    3.25      50.0 %             1 of 2
    1 Sigmoid  (2, 2)  0.7455  0.7455    25.0 %             0 of 2
    """
    from ._saturation import report

    return report(model, X, y, loss, threshold)
