"""Graph: the computational graph of tensors, for inspection."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.dtypes import Array
from .._util.files import write_atomic
from .._util.mode import grad_mode
from ..autodiff._sweeps import no_grad
from ..nn import Module
from ..nn._record_calls import Call, record_module_calls
from ._cost import Costs, costs
from ._derivatives import Step, local, reverse, tangents
from ._dot import to_dot
from ._formulas import partial
from ._nodes import Node, check_outputs, collect, layers_of_calls, layers_of_parameters, named
from ._picture import Picture, fits, picture
from ._svg import to_svg
from ._tables import Agreement, BackwardRow, ForwardRow, Tables

__all__ = ["Graph", "build"]


class Graph:
    """The nodes that tensors depend on, as `cr.graph` returns them: `nodes`, in topological order, inputs first.

    `graph["q"]` is the node of that name; a notebook shows a graph as a drawing.
    """

    def __init__(self, nodes: Sequence[Node], outputs: Sequence[Tensor], gradients: Sequence[Any]) -> None:
        self.nodes = list(nodes)
        by_number = {node.number: node for node in self.nodes}
        self.outputs = [by_number[t._number] for t in outputs]
        self._given = list(gradients)
        self._backward_result: tuple[dict[int, Tensor], list[Step]] | None = None

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(
            f"graph: no node is named {name!r}; available nodes: {', '.join(node.name for node in self.nodes)}"
        )

    def __repr__(self) -> str:
        ends = ", ".join(f"{node.name} {node.tensor.shape}" for node in self.outputs)
        return f"Graph({len(self.nodes)} nodes, to {ends})"

    def gradient(self, name: str) -> Array | None:
        """Return the gradient of the outputs with respect to a node, None without dependence; `grad` is unchanged.

        Errors: KeyError for the name; ValueError for an output of more than one element without `gradient=`.

        >>> import chainrule as cr
        >>> x = cr.tensor(3.0, requires_grad=True)
        >>> cr.graph(x * x, {"x": x}).gradient("x").item()
        6.0
        """
        found = self.backward_pass()[0].get(self[name].number)
        return None if found is None else found.numpy()

    def trace(self, wrt: Tensor | None = None, tangent: Any = None, digits: int | None = None) -> Tables:
        """Tabulate both passes: values; upstream gradients, local derivatives, their products, sums.

        With `wrt`, also forward mode: a column with every node's derivative d node / d wrt * tangent, and a last line
        with the derivative of the outputs by both modes.

        Arguments: `wrt`, a leaf of the graph; `tangent`, of its shape (default 1 for one element); `digits`,
        significant digits of the text (default 7 for float32, 10 for float64).
        Returns: `Tables`: printed, text; `forward` and `backward`, lists of rows.
        Errors: ValueError for an output of more than one element without `gradient=`, a `wrt` that is not a leaf of
        the graph, a tangent of another shape; RuntimeError if a value was overwritten after the forward pass.

        >>> import chainrule as cr
        >>> x, y = (cr.tensor(value, requires_grad=True) for value in (-2.0, 5.0))
        >>> cr.graph((x + y) * -4.0, {"x": x, "y": y}).trace()
        forward
        node  expression  value
        ----  ----------  -----
        x     leaf        -2
        y     leaf        5
        ξ1    x + y       3
        ξ2    ξ1 * (-4)   -12
        <BLANKLINE>
        backward
        node  upstream dξ2/dnode  input  local derivative  value  upstream * local  sum so far
        ----  ------------------  -----  ----------------  -----  ----------------  ----------
        ξ2    1                   ξ1     dξ2/dξ1 = (-4)    -4     -4                -4
        ξ1    -4                  x      dξ1/dx = 1        1      -4                -4
                                  y      dξ1/dy = 1        1      -4                -4
        """
        totals, steps = self.backward_pass()
        node_tangents: dict[int, Tensor] = {}
        agreement = None
        if wrt is not None:
            leaf = self._leaf(wrt)
            along = _seed(leaf, tangent, "trace: tangent")
            node_tangents = tangents(self.outputs, leaf.number, along)
            ends = [(g, node_tangents.get(number)) for number, g in self._seeds().items()]
            both = _inner(ends), _inner([(totals.get(leaf.number), along)])
            name = leaf.name if tangent is None else f"{leaf.name} * tangent"
            agreement = Agreement(name, *(np.asarray(value, wrt.dtype) for value in both))
        forward = [
            ForwardRow(node, node.value, node_tangents[node.number].numpy() if node.number in node_tangents else None)
            for node in self.nodes
        ]
        return Tables(forward, [self._row(step, totals) for step in steps], self._label(), agreement, digits)

    def flops(self) -> Costs:
        """Count operations and bytes of every node, forward and backward; nothing is computed.

        Returns: `Costs`: printed, a table; `forward`, `backward`, `bytes`, `backward_bytes`, sums; `rows`, by node.

        >>> import chainrule as cr
        >>> x, w = cr.tensor([[1.0, 2.0]], requires_grad=True), cr.tensor([[3.0], [4.0]], requires_grad=True)
        >>> costs = cr.graph(cr.sum(x @ w)).flops()
        >>> costs.rows[2].flops, costs.rows[2].backward_flops
        (4, 8)
        """
        check_outputs([node.tensor for node in self.outputs])
        seeds = {node.number: Tensor._wrap(np.ones(node.tensor.shape, node.tensor.dtype)) for node in self.outputs}
        return costs(self.nodes, seeds)

    def to_dot(self, by: str | None = None) -> str:
        """Return the graph in Graphviz's DOT language; `by` as in `draw`.

        >>> import chainrule as cr
        >>> x = cr.tensor(3.0, requires_grad=True)
        >>> cr.graph(x * x, {"x": x}).to_dot().splitlines()[0]
        'digraph {'
        """
        return to_dot(self._picture(by))

    def to_svg(self, by: str | None = None) -> str:
        """Return the drawing as SVG; `by` as in `draw`.

        >>> import chainrule as cr
        >>> x = cr.tensor(3.0, requires_grad=True)
        >>> cr.graph(x * x, {"x": x}).to_svg().startswith("<svg")
        True
        """
        return to_svg(self._picture(by))

    def _repr_svg_(self) -> str | None:
        """The drawing for a notebook; None if the graph is too large to draw, so that the notebook shows text."""
        return self.to_svg() if fits(self.nodes) else None

    def draw(self, path: str | os.PathLike[str], by: str | None = None) -> None:
        """Draw the graph, left to right: op nodes, above each edge the value (green), below it the gradient (red).

        If a value is used more than once, each use shows its contribution in red; their sum is the gradient.

        Arguments: `path`, of an .svg file; `by`: "op", one symbol for each node, or "module", one box for each layer,
        with the number of its parameters and the shape of its output (default: "module" for more than 100 nodes, if
        layers are known: see `cr.graph`). Without `gradient=`, no gradients are shown for an output of more than one
        element.
        Errors: ValueError for other extensions, an unknown `by`, or "module" if no layer is known; OSError if the file
        cannot be written (an existing file is unchanged then).

        >>> import os, tempfile
        >>> import chainrule as cr
        >>> x = cr.tensor(3.0, requires_grad=True)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cr.graph(x * x, {"x": x}).draw(os.path.join(folder, "square.svg"))
        ...     os.listdir(folder)
        ['square.svg']
        """
        if not os.fspath(path).lower().endswith(".svg"):
            raise ValueError(
                f"draw: expected a path that ends in .svg, got {os.fspath(path)!r}; "
                "for other formats, use Graphviz with to_dot()"
            )
        write_atomic(path, self.to_svg(by).encode())

    # Implementation.

    def backward_pass(self) -> tuple[dict[int, Tensor], list[Step]]:
        """Gradients by tensor number, and the steps that computed them; cached."""
        grad_mode.executor.forbid("graph: values are not known inside a compiled function; inspect the graph outside")
        if self._backward_result is None:
            totals, steps = self._seeds(), list[Step]()
            with no_grad():
                reverse(self.nodes, totals, steps.append)
            self._backward_result = totals, steps
        return self._backward_result

    def _picture(self, by: str | None) -> Picture:
        return picture(self.nodes, by, self.backward_pass if self.has_gradients() else None)

    def has_gradients(self) -> bool:
        """Whether the upstream gradient of every output is known."""
        return all(g is not None or node.tensor.size == 1 for node, g in zip(self.outputs, self._given, strict=True))

    def _seeds(self) -> dict[int, Tensor]:
        """The gradients of the outputs by tensor number."""
        seeds: dict[int, Tensor] = {}
        for node, given in zip(self.outputs, self._given, strict=True):
            g = _seed(node, given, "graph: gradient")
            with no_grad():
                seeds[node.number] = ops.add(seeds[node.number], g) if node.number in seeds else g
        return seeds

    def _leaf(self, wrt: Any) -> Node:
        for node in self.nodes:
            if node.tensor is wrt and node.kind == "leaf":
                return node
        raise ValueError(
            "trace: wrt is not a leaf of this graph; pass a tensor that requires a gradient and that it depends on"
        )

    def _label(self) -> str:
        names = [node.name for node in self.outputs]
        return names[0] if len(names) == 1 else f"({' + '.join(names)})"

    def _row(self, step: Step, totals: dict[int, Tensor]) -> BackwardRow:
        node, derivative = step.node, local(step.node, step.at)
        return BackwardRow(
            node,
            node.inputs[step.at],
            partial(node, step.at),
            None if derivative is None else derivative.numpy(),
            totals[node.number].numpy(),
            step.part.numpy(),
            step.total.numpy(),
        )


def _seed(node: Node, given: Any, what: str) -> Tensor:
    """The first gradient or tangent of a pass: the caller's, or 1 for a node of one element."""
    t = node.tensor
    if given is None:
        if t.size != 1:
            raise ValueError(f"{what}: {node.name} has more than one element; expected an array of its shape {t.shape}")
        return Tensor._wrap(np.ones(t.shape, t.dtype))
    g = Tensor(given, t.dtype)
    if g.shape != t.shape:
        raise ValueError(f"{what}: expected the shape {t.shape} of {node.name}, got {g.shape}")
    return g


def _inner(pairs: Sequence[tuple[Tensor | None, Tensor | None]]) -> float:
    """The sum of inner products."""
    with no_grad():
        return sum(float(ops.sum(ops.mul(a, b)).item()) for a, b in pairs if a is not None and b is not None)


def build(
    y: Tensor | Sequence[Tensor] | Callable[[], Any], names: Mapping[str, Tensor] | None, model: Any, gradient: Any
) -> Graph:
    """Implementation of `cr.graph`."""
    if model is not None and not isinstance(model, Module):
        raise TypeError(f"graph: model is {type(model).__name__}, expected a cr.nn.Module")
    if isinstance(y, Module):
        raise TypeError("graph: the output is a Module; pass its result, cr.graph(lambda: model(x))")
    calls: list[Call] = []
    result: Any = y
    if callable(y):
        with record_module_calls() as calls:
            result = y()
    several = isinstance(result, (tuple, list))
    outputs = list(result) if several else [result]
    if not outputs:
        raise ValueError("graph: expected at least one tensor")
    check_outputs(outputs)
    gradients = list(gradient) if several and gradient is not None else [gradient] * len(outputs)
    if len(gradients) != len(outputs):
        raise ValueError(f"graph: expected a gradient for each of {len(outputs)} outputs, got {len(gradients)}")
    modules = ([] if model is None else [model]) + [call.module for call in calls if call.outermost]
    nodes = collect(outputs, named(names, modules))
    present = {node.number for node in nodes}
    missing = [name for name, t in (names or {}).items() if t._number not in present]
    if missing:
        raise ValueError(f"graph: the output does not depend on {', '.join(map(repr, missing))}")
    if calls:
        layers_of_calls(nodes, calls, model)
    elif model is not None:
        layers_of_parameters(nodes, model)
    return Graph(nodes, outputs, gradients)
