"""Seeing it: a tensor's graph as tables, as a picture, as costs; and how saturated a model's layers are.

`_nodes.py` finds and names the nodes, `_derivatives.py` sweeps through them, `_tables.py` and `_cost.py` tabulate;
`_picture.py` says what is drawn, `_layout.py` where, `_svg.py` and `_dot.py` write it down. To give an op a formula and
a sign, add a row to `_formulas.py`. All that is loaded when it is first used: not for everyone who imports chainrule.
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
    """Return the graph behind a tensor, to print, draw and count.

    Arguments: `y`, a tensor that ops made from tensors that require a gradient, or several, or a function without
    arguments that computes it; `names`, tensors by name (others are x0, x1, ... for leaves, c0, ... for constants, ξ1,
    ... for what ops made; single constants without a name are shown where they are used); `model`, a module whose
    parameters and layers have their names (without it: the modules that the function calls); `gradient`, where the
    backward pass begins, of y's shape (default 1 for one element), or one for each of several.
    Returns: a `Graph`: `trace()`, `draw(path)`, `to_dot()`, `flops()`.
    Errors: TypeError for what is no tensor; ValueError for a tensor without history, names of tensors that y does not
    depend on; `CompileError` inside of a compiled function, where tensors have no values.

    For a function it is noted which layer makes which node. For a tensor that was computed before, layers are known by
    the parameters that nodes read: those without parameters are drawn as ops.

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
    """Report for each layer where derivatives vanish, which units are dead, and how large gradients are.

    The model runs once on all rows, in evaluation mode; no `grad` is touched. A unit is one element of a row's output.
    The derivative is that of the output's elements by the input's: σ'(z) = σ(z)(1 - σ(z)) for Sigmoid.

    Arguments: `model`; `X` (n, ...), some rows of data; `y` and `loss`, as for `cr.fit`, to see gradients, too;
    `threshold`, what counts as vanishing.
    Returns: a `Saturation`: printed, a table; `report["2"]`, the layer of that name; `plot(path)`.
    Errors: TypeError for a model that is no Module or data that are no numbers; ValueError for no rows, `y` without
    `loss` or the other way round; what the model and the loss raise.
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
