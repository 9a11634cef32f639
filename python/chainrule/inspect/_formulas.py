"""Formulas of ops: the expression of a node, its partial derivatives, its symbol in drawings.

An op without a row here is shown by its name. In the formulas {0}, {1} are the arguments, {y} is the node, {a} are the
attributes, and ȳ is the upstream gradient (in rules that are not elementwise derivatives).
"""

from __future__ import annotations

from dataclasses import dataclass

from ._nodes import Node

__all__ = ["FORMULAS", "Formula", "expression", "partial", "symbol"]


@dataclass(frozen=True)
class Formula:
    """The expression, the gradient with respect to each argument, and the symbol in drawings."""

    text: str
    partials: tuple[str, ...]
    symbol: str


FORMULAS: dict[str, Formula] = {
    "add": Formula("{0} + {1}", ("1", "1"), "+"),
    "sub": Formula("{0} - {1}", ("1", "-1"), "-"),
    "mul": Formula("{0} * {1}", ("{1}", "{0}"), "*"),
    "div": Formula("{0} / {1}", ("1 / {1}", "-{y} / {1}"), "/"),
    "neg": Formula("-{0}", ("-1",), "*-1"),
    "abs": Formula("abs({0})", ("sign({0})",), "|x|"),
    "square": Formula("{0}**2", ("2 * {0}",), "x²"),
    "power": Formula("{0}**-{a[0]}", ("-{a[0]} * {y} / {0}",), "x**n"),
    "sqrt": Formula("sqrt({0})", ("1 / (2 * {y})",), "sqrt"),
    "exp": Formula("exp({0})", ("{y}",), "exp"),
    "expm1": Formula("expm1({0})", ("exp({0})",), "expm1"),
    "log": Formula("log({0})", ("1 / {0}",), "log"),
    "log1p": Formula("log1p({0})", ("1 / (1 + {0})",), "log1p"),
    "sin": Formula("sin({0})", ("cos({0})",), "sin"),
    "cos": Formula("cos({0})", ("-sin({0})",), "cos"),
    "tanh": Formula("tanh({0})", ("1 - {y}**2",), "tanh"),
    "sigmoid": Formula("sigmoid({0})", ("{y} * (1 - {y})",), "σ"),
    "softplus": Formula("softplus({0})", ("sigmoid({0})",), "softplus"),
    "relu": Formula("relu({0})", ("1 if {0} > 0 else 0",), "relu"),
    "leaky_relu": Formula("leaky_relu({0}, {a[0]:g})", ("1 if {0} > 0 else {a[0]:g}",), "leaky_relu"),
    "prelu": Formula("prelu({0}, {1})", ("1 if {0} > 0 else {1}", "min({0}, 0)"), "prelu"),
    "elu": Formula("elu({0}, {a[0]:g})", ("1 if {0} > 0 else {y} + {a[0]:g}",), "elu"),
    "softsign": Formula("softsign({0})", ("1 / (1 + abs({0}))**2",), "softsign"),
    "logsigmoid": Formula("logsigmoid({0})", ("1 - exp({y})",), "logsigmoid"),
    "clip": Formula("clip({0}, {a[0]:g}, {a[1]:g})", ("1 if {a[0]:g} <= {0} <= {a[1]:g} else 0",), "clip"),
    "hardtanh": Formula("hardtanh({0}, {a[0]:g}, {a[1]:g})", ("1 if {a[0]:g} < {0} < {a[1]:g} else 0",), "hardtanh"),
    "hardsigmoid": Formula("hardsigmoid({0}, {a[0]:g})", ("{a[0]:g} if 0 < {y} < 1 else 0",), "hardsigmoid"),
    "sign": Formula("sign({0})", ("0",), "sign"),
    "heaviside": Formula("heaviside({0}, {a[0]:g})", ("0",), "step"),
    "maximum": Formula("max({0}, {1})", ("1 if {0} >= {1} else 0", "1 if {0} < {1} else 0"), "max"),
    "minimum": Formula("min({0}, {1})", ("1 if {0} <= {1} else 0", "1 if {0} > {1} else 0"), "min"),
    "where": Formula("where({0}, {1}, {2})", ("", "1 if {0} else 0", "0 if {0} else 1"), "where"),
    "bce_with_logits": Formula("bce_with_logits({0}, {1})", ("sigmoid({0}) - {1}", "-{0}"), "bce_with_logits"),
    "sum": Formula("sum({0}, axis={a[0]})", ("ȳ for each element",), "sum"),
    "max": Formula("max({0}, axis={a[0]})", ("ȳ for the largest, else 0",), "max"),
    "min": Formula("min({0}, axis={a[0]})", ("ȳ for the smallest, else 0",), "min"),
    "reshape": Formula("reshape({0}, {a[0]})", ("reshape(ȳ)",), "reshape"),
    "transpose": Formula("transpose({0}, {a[0]})", ("transpose(ȳ)",), "transpose"),
    "broadcast_to": Formula("broadcast_to({0}, {a[0]})", ("sum(ȳ)",), "repeat"),
    "unfold": Formula("unfold({0})", ("fold(ȳ)",), "unfold"),
    "fold": Formula("fold({0})", ("unfold(ȳ)",), "fold"),
    "matmul_accumulate": Formula("sum({0}[i] @ {1}[i].T)", ("ȳ @ {1}[i]", "ȳ.T @ {0}[i]"), "@"),
    "softmax": Formula("softmax({0})", ("{y} * (ȳ - sum(ȳ * {y}))",), "softmax"),
    "log_softmax": Formula("log_softmax({0})", ("ȳ - exp({y}) * sum(ȳ)",), "log_softmax"),
    "cross_entropy": Formula("cross_entropy({0}, {1})", ("ȳ * (softmax({0}) - onehot({1}))",), "cross_entropy"),
}


def _operands(node: Node) -> list[str]:
    return [f"({x.name})" if x.kind == "literal" and x.name.startswith("-") else x.name for x in node.inputs]


def _matmul(node: Node) -> Formula:
    """The product and its gradient rules; attrs: which arguments are read transposed."""
    transposed = node.tensor._attrs
    a, b = (f"{{{i}}}.T" if swap else f"{{{i}}}" for i, swap in enumerate(transposed))
    a_back, b_back = (f"{{{i}}}" if swap else f"{{{i}}}.T" for i, swap in enumerate(transposed))
    by_a = f"{b} @ ȳ.T" if transposed[0] else f"ȳ @ {b_back}"
    by_b = f"ȳ.T @ {a}" if transposed[1] else f"{a_back} @ ȳ"
    return Formula(f"{a} @ {b}", (by_a, by_b), "@")


def _batched_matmul(node: Node) -> Formula:
    """The product of one matrix with each of a batch; attrs: whether it is read transposed."""
    if node.tensor._attrs[0]:
        return Formula("{0}.T @ {1}[i]", ("sum({1}[i] @ ȳ[i].T)", "{0} @ ȳ[i]"), "@")
    return Formula("{0} @ {1}[i]", ("sum(ȳ[i] @ {1}[i].T)", "{0}.T @ ȳ[i]"), "@")


_BY_ATTRIBUTES = {"matmul": _matmul, "batched_matmul": _batched_matmul}


def _formula(node: Node) -> Formula | None:
    build = _BY_ATTRIBUTES.get(node.op)
    return FORMULAS.get(node.op) if build is None else build(node)


def expression(node: Node) -> str:
    """An op node as an expression of its inputs, `1 + ξ2`; for others their kind."""
    if node.kind != "op":
        return node.kind
    formula, names = _formula(node), _operands(node)
    if formula is None:
        return f"{node.op}({', '.join(names)})"
    return formula.text.format(*names, a=node.tensor._attrs)


def partial(node: Node, i: int) -> str:
    """The derivative of the node with respect to input i, or its gradient rule if the op is not elementwise."""
    formula, names = _formula(node), _operands(node)
    if formula is None or i >= len(formula.partials):
        return f"{node.op}'({', '.join(names)})"
    return formula.partials[i].format(*names, y=node.name, a=node.tensor._attrs)


def symbol(node: Node) -> str:
    """The symbol of the node in drawings: `*`, `+1`, `1/x`."""
    formula = _formula(node)
    text = node.op if formula is None else formula.symbol
    literals = [x.kind == "literal" for x in node.inputs]
    if not any(literals):
        return text
    if node.op == "mul":
        return text + node.inputs[literals.index(True)].name
    parts = [name if literal else "x" for name, literal in zip(_operands(node), literals, strict=True)]
    if node.op == "add":
        return text + parts[literals.index(True)]
    if node.op in ("sub", "div"):
        return text + parts[1] if literals[1] else f"{parts[0]}{text}x"
    return f"{text}({', '.join(parts)})"
