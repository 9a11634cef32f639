"""Saturation of a model's layers: where derivatives vanish, gradients do not propagate."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.mode import grad_mode
from .._util.text_table import text_table
from ..autodiff._sweeps import enable_grad, no_grad, reverse_sweep
from ..nn import Module
from ..nn._evaluate import evaluating, input_dtype, to_model_input
from ..nn._record_calls import Call, record_module_calls
from ..ops._op import OPS
from ..train._dataset import convert
from ._derivatives import is_elementwise, local, reverse
from ._nodes import Node, collect
from ._text import norm, number, shape_text

__all__ = ["LayerReport", "Saturation", "report"]

# Activation functions: these, and the ops with their own gradient kernel except for elementary functions.
_ACTIVATIONS = ("prelu", "sign", "heaviside")
_ELEMENTARY = ("exp", "expm1", "log", "log1p", "sqrt")


@dataclass
class LayerReport:
    """Statistics of a layer's output over all rows.

    `path` and `kind`: name inside the model, and class (or op, if the model calls it as a function); `shape` of the
    output; `mean` and `mean_abs` of its values; for an elementwise layer, `vanishing`, the share of derivatives below
    the threshold, and `dead` of `units`, the number of units with derivative 0 in every row (None for other layers);
    `gradient`, the norm of the loss's gradient with respect to the output, and `parameters`, with respect to each
    parameter (None and empty without a loss).
    """

    path: str
    kind: str
    shape: tuple[int, ...]
    mean: float
    mean_abs: float
    vanishing: float | None
    dead: int | None
    units: int
    gradient: float | None = None
    parameters: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Path and class."""
        return f"{self.path} {self.kind}".strip()


class Saturation:
    """The layers in call order; printed, a table."""

    def __init__(self, layers: Sequence[LayerReport], threshold: float) -> None:
        self.layers, self.threshold = list(layers), threshold

    def __getitem__(self, path: str) -> LayerReport:
        for layer in self.layers:
            if layer.path == path:
                return layer
        paths = ", ".join(repr(layer.path) for layer in self.layers)
        raise KeyError(f"saturation: no layer {path!r}; available layers: {paths}")

    def __str__(self) -> str:
        head = ["layer", "output", "mean", "mean |a|", f"derivative < {self.threshold:g}", "dead units"]
        rows = [
            [
                layer.name,
                shape_text(layer.shape),
                number(layer.mean, 4),
                number(layer.mean_abs, 4),
                "" if layer.vanishing is None else f"{100 * layer.vanishing:.1f} %",
                "" if layer.dead is None else f"{layer.dead} of {layer.units}",
            ]
            for layer in self.layers
        ]
        if any(layer.gradient is not None for layer in self.layers):
            head += ["gradient by output", "by parameters"]
            for row, layer in zip(rows, self.layers, strict=True):
                row.append("" if layer.gradient is None else number(layer.gradient, 4))
                row.append(", ".join(f"{name} {number(value, 4)}" for name, value in layer.parameters.items()))
        return text_table(head, rows)

    __repr__ = __str__

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Plot the shares of vanishing derivatives and dead units by layer, and the norms of the gradients.

        Arguments: `path`, of a file in one of matplotlib's formats (.png, .svg, .pdf).
        Errors: ImportError without matplotlib (`pip install matplotlib`); any error of matplotlib for the path.

        >>> import os, tempfile
        >>> import chainrule as cr
        >>> report = cr.saturation(cr.nn.Sigmoid(), [[-9.0, 0.0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report.plot(os.path.join(folder, "saturation.png"))
        ...     os.listdir(folder)
        ['saturation.png']
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError("plot: matplotlib is not installed; run `pip install matplotlib`") from None
        elementwise = [layer for layer in self.layers if layer.vanishing is not None]
        with_gradient = [layer for layer in self.layers if layer.gradient is not None]
        figure = Figure(figsize=(max(5.0, 1.2 * len(self.layers)), 6.4 if with_gradient else 3.6), layout="constrained")
        shares = figure.add_subplot(2 if with_gradient else 1, 1, 1)
        _bars(
            shares,
            [layer.name for layer in elementwise],
            {
                f"derivatives < {self.threshold:g}": [100 * (layer.vanishing or 0.0) for layer in elementwise],
                "dead units": [100 * (layer.dead or 0) / max(layer.units, 1) for layer in elementwise],
            },
        )
        shares.set_ylabel("per cent")
        shares.set_ylim(0, 100)
        if with_gradient:
            norms = figure.add_subplot(2, 1, 2)
            names = list(dict.fromkeys(name for layer in with_gradient for name in layer.parameters))
            series = {"output": [layer.gradient or 0.0 for layer in with_gradient]}
            series |= {name: [layer.parameters.get(name, 0.0) for layer in with_gradient] for name in names}
            _bars(norms, [layer.name for layer in with_gradient], series)
            norms.set_ylabel("norm of the gradient by")
            if any(value > 0 for values in series.values() for value in values):
                norms.set_yscale("log")
        figure.savefig(path)


def _bars(axes: Any, names: Sequence[str], series: dict[str, list[float]]) -> None:
    """Grouped bars, one colour per series."""
    width = 0.8 / len(series)
    for i, (label, values) in enumerate(series.items()):
        axes.bar([at + (i - (len(series) - 1) / 2) * width for at in range(len(names))], values, width, label=label)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(series), frameon=False)


@dataclass(frozen=True, eq=False)
class _Layer:
    """The data of a layer's report; `derivative`: of each element of the output, or None."""

    path: str
    module: Module | None
    kind: str
    output: Tensor
    derivative: Tensor | None
    first: int  # tensor number, defines the order


def report(
    model: Any,
    X: npt.ArrayLike,
    y: npt.ArrayLike | None,
    loss: Callable[[Tensor, Tensor], Tensor] | None,
    threshold: float,
) -> Saturation:
    """Implementation of `cr.saturation`."""
    if not isinstance(model, Module):
        raise TypeError(f"saturation: model must be a Module, got {type(model).__name__}")
    grad_mode.executor.forbid("saturation: values are not known inside a compiled function; call it outside")
    if (y is None) != (loss is None):
        raise ValueError("saturation: gradients need both y and loss=")
    rows = None if y is None or loss is None else convert(model, X, y, loss, "saturation: ")
    x = to_model_input(X, input_dtype(model), "saturation: X")
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"saturation: X needs at least one row, its shape is {x.shape}")
    with evaluating(model), enable_grad():
        with record_module_calls() as calls:
            output = model(x)
        value = None if loss is None or rows is None else loss(output, rows.y)
        layers = list(_layers(model, calls, output))
    gradients = {} if value is None else _gradients(value)
    return Saturation([_report(layer, gradients, threshold) for layer in layers], threshold)


def _gradients(value: Tensor) -> dict[int, Tensor]:
    """The gradients of the loss by tensor number: of parameters and of the outputs of layers."""
    if not isinstance(value, Tensor) or value.size != 1:
        got = f"shape {value.shape}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"saturation: the loss must return a tensor of one element, got {got}")
    totals = {value._number: Tensor._wrap(np.ones(value.shape, value.dtype))}
    with no_grad():
        reverse(collect([value], {}), totals)
    return totals


def _layers(model: Module, calls: Sequence[Call], output: Tensor) -> Iterator[_Layer]:
    """Innermost calls of modules, and activation functions that modules call as ops, in order."""
    paths = {id(module): path for path, module in model.named_modules()}
    found = []
    for call in calls:
        if call.innermost and isinstance(call.output, Tensor) and call.output.dtype.kind == "f" and call.output.ndim:
            path = paths.get(id(call.module), "")
            kind = type(call.module).__name__
            found.append(_Layer(path, call.module, kind, call.output, _derivative(call), call.first))
    inner = [call for call in calls if call.innermost]
    for node in collect([output], {}):
        activation = node.op in _ACTIVATIONS or (f"{node.op}_grad" in OPS and node.op not in _ELEMENTARY)
        if activation and is_elementwise(node) and not any(call.first < node.number < call.end for call in inner):
            callers = [call for call in calls if call.first < node.number < call.end]
            path = paths.get(id(callers[0].module), "") if callers else ""
            found.append(_Layer(path, None, node.op, node.tensor, local(node, 0), node.number))
    yield from sorted(found, key=lambda layer: layer.first)


def _derivative(call: Call) -> Tensor | None:
    """The elementwise derivative of a layer's output with respect to its input; None for other layers."""
    source = call.inputs[0] if len(call.inputs) == 1 else None
    if not isinstance(source, Tensor) or source.dtype.kind != "f" or source.shape != call.output.shape:
        return None
    leaf = source.detach()
    leaf.requires_grad = True
    output = call.module.forward(leaf)
    nodes: list[Node] = collect([output], {})
    computed = [node for node in nodes if node.kind == "op"]
    if not computed or not all(node.tensor.shape == leaf.shape and is_elementwise(node) for node in computed):
        return None
    with no_grad():
        ones = Tensor._wrap(np.ones(output.shape, output.dtype))
        return reverse_sweep([output], [ones], {leaf._number}).get(leaf._number)


def _report(layer: _Layer, gradients: dict[int, Tensor], threshold: float) -> LayerReport:
    a, derivative = layer.output, layer.derivative
    vanishing = dead = None
    if derivative is not None:
        slopes = np.abs(derivative.numpy())
        vanishing = int(np.count_nonzero(slopes < threshold)) / slopes.size
        dead = int(np.count_nonzero((slopes == 0).all(axis=0)))
    with no_grad():
        mean, mean_abs = ops.mean(a).item(), ops.mean(ops.abs(a)).item()
    result = LayerReport(layer.path, layer.kind, a.shape, mean, mean_abs, vanishing, dead, a.size // a.shape[0])
    if gradients:
        found = gradients.get(a._number)
        result.gradient = None if found is None else norm(found.numpy())
        named = [] if layer.module is None else list(layer.module.named_parameters())
        result.parameters = {n: norm(gradients[p._number].numpy()) for n, p in named if p._number in gradients}
    return result
