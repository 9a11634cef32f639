"""Graphs as text: formulas of ops against computed values, formatting of numbers and tables, the docs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule._util.text_table import cells, text_table
from chainrule.inspect._formulas import FORMULAS, expression, partial, symbol
from chainrule.inspect._text import array_text, number
from support import fresh_interpreter as fresh
from support import pictures


def leaf(value: Any) -> cr.Tensor:
    return cr.tensor(value, dtype="float64", requires_grad=True)


class TestFormulas:
    SCOPE = {  # noqa: RUF012
        "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "tanh": np.tanh,
        "sin": np.sin, "cos": np.cos,
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "softplus": lambda x: np.log1p(np.exp(x)), "sign": np.sign,
        "relu": lambda x: max(x, 0.0), "leaky_relu": lambda x, s: x if x > 0 else s * x, "abs": abs, "max": max,
        "inf": np.inf, "prelu": lambda x, s: x if x > 0 else s * x, "elu": lambda x, s: x if x > 0 else s * np.expm1(x),
        "softsign": lambda x: x / (1 + abs(x)), "logsigmoid": lambda x: -np.log1p(np.exp(-x)),
        "clip": lambda x, low, high: min(max(x, low), high), "hardtanh": lambda x, low, high: min(max(x, low), high),
        "hardsigmoid": lambda x, s: min(max(s * x + 0.5, 0.0), 1.0), "heaviside": np.heaviside,
        "min": min, "where": lambda c, a, b: a if c else b,
        "bce_with_logits": lambda x, t: (1 - t) * x + np.log1p(np.exp(-x)),
    }  # fmt: skip

    OPTIONS = {"clip": (-0.5, 0.6), "elu": (1.5,), "hardsigmoid": (0.25,), "hardtanh": (-0.8, 0.9), "power": (-3,)}  # noqa: RUF012

    def evaluate(self, text: str, **names: float) -> float:
        scope = {**self.SCOPE, **names}
        return float(eval(text, {"__builtins__": {}}, scope))

    @pytest.mark.parametrize(
        "name", [name for name, row in FORMULAS.items() if not any("ȳ" in p for p in row.partials)]
    )
    def test_expressions_and_derivatives_are_what_the_ops_compute(self, name: str) -> None:
        """The formulas are Python: evaluated, they are the node's value and the rules' derivatives."""
        a, b = leaf(0.7), leaf(0.4)
        function: Any = {"bce_with_logits": cr.binary_cross_entropy_with_logits}.get(name, getattr(cr, name, None))
        assert function is not None
        count = len(FORMULAS[name].partials)
        for first in (a,) if name in ("log", "log1p", "sqrt", "div") else (a, leaf(-0.6)):
            given = [first, b][:count]
            names = {"a": first, "b": b}
            if name == "where":
                y = cr.where(first > 0, first, b)
            elif name == "bce_with_logits":
                y = function(*given, reduction="none")
            else:
                y = function(*given, *self.OPTIONS.get(name, ()))
            graph = cr.graph(y, {k: v for k, v in names.items() if any(v is x for x in y._inputs)})
            node = graph.nodes[-1]
            assert node.op == name
            scope = {x.name: x.value.item() for x in graph.nodes}
            assert self.evaluate(expression(node).replace("True", "1"), **scope) == pytest.approx(node.value.item())
            for row in graph.trace().backward:
                assert row.local is not None
                assert self.evaluate(row.formula, **scope) == pytest.approx(row.local.item()), row.formula

    def test_products_say_what_is_transposed(self) -> None:
        x, W = leaf(np.arange(1.0, 7.0).reshape(2, 3)), leaf(np.arange(2.0, 8.0).reshape(3, 2))
        product = cr.graph(x @ W, {"x": x, "W": W}, gradient=np.ones((2, 2)))
        assert [row.formula for row in product.trace().backward] == ["ȳ @ W.T", "x.T @ ȳ"]
        seed = leaf([[1.0, -2.0], [0.5, 3.0]])
        cr.backward(x @ W, seed, create_graph=True)
        assert x.grad is not None
        again = cr.graph(x.grad, {"W": W, "seed": seed}, gradient=np.ones((2, 3)))
        assert expression(again.nodes[-1]) == "seed @ W.T"
        upstream, scope = np.ones((2, 3)), {"seed": seed.numpy(), "W": W.numpy()}
        for row in again.trace().backward:
            assert row.part.tolist() == eval(row.formula, {"ȳ": upstream, **scope}).tolist(), row.formula

    @pytest.mark.parametrize(
        ("build", "sign"),
        [
            (lambda x: x * -1.0, "*-1"),
            (lambda x: -1.0 * x, "*-1"),
            (lambda x: x + 1.0, "+1"),
            (lambda x: x + -1.0, "+(-1)"),
            (lambda x: 1.0 / x, "1/x"),
            (lambda x: x / 4.0, "/4"),
            (lambda x: 1.0 - x, "1-x"),
            (lambda x: x - 1.0, "-1"),
            (lambda x: cr.maximum(x, 0.5), "max(x, 0.5)"),
            (lambda x: x * x, "*"),
            (lambda x: cr.reshape(x, (1,)), "reshape"),
            (lambda x: cr.stack([x, x]), "concatenate"),
        ],
    )
    def test_signs_of_gates(self, build: Callable[[cr.Tensor], cr.Tensor], sign: str) -> None:
        assert symbol(cr.graph(build(leaf(2.5))).nodes[-1]) == sign

    def test_an_op_without_a_row_is_shown_by_its_name(self) -> None:
        x = leaf([[1.0, 2.0]])
        node = cr.graph(x[0], {"x": x}).nodes[-1]
        assert expression(node) == "slice(x)"
        assert partial(node, 0) == "slice'(x)"


class TestText:
    @pytest.mark.parametrize(
        ("values", "text"),
        [
            (np.float32(0.1), "0.1"),
            (np.float64(1 / 3), "0.3333333333"),
            (np.float32(-0.0), "0"),
            (np.array([[1.5, -2.0]]), "[[1.5, -2]]"),
            (np.array([3, 1]), "[3, 1]"),
            (np.arange(8), "(8,) int64"),
            (np.ones((0, 3)), "(0, 3) float64"),
            (np.full((2, 4), 0.25), "(2, 4) all 0.25"),
            (np.arange(7.0), "(7,) norm 9.5394, 0 to 6"),
            (np.float32(np.inf), "inf"),
        ],
    )
    def test_arrays(self, values: Any, text: str) -> None:
        assert array_text(np.asarray(values)) == text

    def test_not_a_number_is_shown(self) -> None:
        assert array_text(np.array([np.nan] * 7)) == "(7,) norm nan, nan to nan"

    def test_digits(self) -> None:
        assert number(np.float32(1 / 3), 3) == "0.333"

    def test_columns_are_aligned_by_cells(self) -> None:
        assert cells("ξ1") == 2
        assert cells("重み") == 4
        assert text_table(("a", "b"), [("重", "x"), ("ξ", "yy")]) == "a   b\n--  --\n重  x\nξ   yy"


def test_the_examples_in_docs_print_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (pictures.FOLDER.parent / "graphs.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", text, re.DOTALL)
    assert len(blocks) == 6
    monkeypatch.chdir(tmp_path)
    printed = fresh.output("".join(f"{code}print('end of block')\n" for code, _ in blocks)).split("end of block")
    assert [part.strip() for part in printed[:-1]] == [said.strip() for _, said in blocks]
    for name in ("neuron.svg", "two_layers.svg"):
        assert (tmp_path / name).read_text(encoding="utf-8") == pictures.drawn()[name]
