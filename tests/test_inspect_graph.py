"""cr.graph: the values of the lecture notes by name, the tables as text, names, errors.

Row numbers refer to the table of contents of the lecture notes: 1-3, 5-7, 9, 15, 16, 21-23.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.inspect._formulas import expression
from chainrule.inspect._graph import Graph
from test_deep_graph import in_small_stack


def leaf(value: Any) -> cr.Tensor:
    return cr.tensor(value, dtype="float64", requires_grad=True)


def gradients(graph: Graph) -> dict[str, Any]:
    found = {node.name: graph.gradient(node.name) for node in graph}
    return {name: g.tolist() for name, g in found.items() if g is not None}


def values(graph: Graph) -> dict[str, Any]:
    return {node.name: node.value.tolist() for node in graph}


class TestNotes:
    @pytest.mark.parametrize(
        ("x", "y", "z", "expected"),
        [
            (-2.0, 5.0, -4.0, {"q": 3, "f": -12, "dx": -4, "dy": -4, "dz": 3, "dq": -4}),  # row 1
            (-1.0, 2.0, -3.0, {"q": 1, "f": -3, "dx": -3, "dy": -3, "dz": 1, "dq": -3}),  # row 2, the z of its numbers
            (-1.0, 2.0, 3.0, {"q": 1, "f": 3, "dx": 3, "dy": 3, "dz": 1, "dq": 3}),  # row 2, the z that is printed
        ],
    )
    def test_rows_1_and_2_sum_times_z(self, x: float, y: float, z: float, expected: dict[str, float]) -> None:
        leaves = {"x": leaf(x), "y": leaf(y), "z": leaf(z)}
        q = leaves["x"] + leaves["y"]
        f = q * leaves["z"]
        graph = cr.graph(f, {**leaves, "q": q, "f": f})
        found = {**values(graph), **{f"d{name}": g for name, g in gradients(graph).items()}}
        assert {name: found[name] for name in expected} == expected
        assert found["df"] == 1

    def test_row_3_sigmoid_neuron(self) -> None:
        given = {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0}
        leaves = {name: leaf(value) for name, value in given.items()}
        w0, x0, w1, x1, w2 = leaves.values()
        dot = w0 * x0 + w1 * x1 + w2
        minus = dot * -1.0
        e = cr.exp(minus)
        below = 1.0 + e
        f = 1.0 / below
        graph = cr.graph(f, {**leaves, "dot": dot, "minus": minus, "e": e, "below": below, "f": f})
        forward, backward = values(graph), gradients(graph)
        assert forward["dot"] == 1
        assert forward["e"] == pytest.approx(0.367879, abs=5e-7)
        assert forward["below"] == pytest.approx(1.367879, abs=5e-7)
        assert forward["f"] == pytest.approx(0.731059, abs=5e-7)
        expected = {"below": -0.534447, "e": -0.534447, "minus": -0.196612, "dot": 0.196612}
        expected |= {"w0": -0.196612, "x0": 0.393224, "w1": -0.393224, "x1": -0.589836, "w2": 0.196612}
        assert {name: backward[name] for name in expected} == pytest.approx(expected, abs=2e-6)
        # "[1] x [0.2] = 0.2, both inputs": the upstream gradient from the add.
        added = [row for row in graph.trace().backward if row.node.name == "dot"]
        assert [float(row.local) for row in added if row.local is not None] == [1, 1]
        assert [float(row.part) for row in added] == [float(row.upstream) for row in added]
        assert round(float(added[0].upstream), 1) == 0.2

    def test_row_5_the_sigmoid_gate_is_its_chain(self) -> None:
        one, other = leaf(1.0), leaf(1.0)
        fused = cr.graph(cr.sigmoid(one), {"z": one}).gradient("z")
        chain = cr.graph(1.0 / (1.0 + cr.exp(-other)), {"z": other}).gradient("z")
        assert fused == pytest.approx(chain, rel=1e-15)
        assert fused == pytest.approx(0.196612, abs=5e-7)

    def test_row_6_gates_distribute_route_and_switch(self) -> None:
        x, y = leaf(2.0), leaf(-5.0)
        for f, expected in ((x + y, (7, 7)), (cr.maximum(x, y), (7, 0)), (x * y, (-35, 14))):
            rows = cr.graph(f, gradient=7.0).trace().backward
            assert tuple(row.part.item() for row in rows) == expected
        tie = cr.maximum(x, leaf(2.0))
        assert [row.part.item() for row in cr.graph(tie).trace().backward] == [1, 0]  # to the first

    def test_row_7_gradients_add_up_at_branches(self) -> None:
        x = leaf(3.0)
        rows = cr.graph(x * x, {"x": x}).trace().backward
        assert [(row.part.item(), row.total.item()) for row in rows] == [(3, 3), (3, 6)]

    def test_row_9_squared_length_of_a_product(self) -> None:
        W, x = leaf([[0.1, 0.5], [-0.3, 0.8]]), leaf([0.2, 0.4])
        q = W @ x
        f = cr.sum(cr.square(q))
        graph = cr.graph(f, {"W": W, "x": x, "q": q, "f": f})
        forward, backward = values(graph), gradients(graph)
        assert forward["q"] == pytest.approx([0.22, 0.26])
        assert forward["f"] == pytest.approx(0.116)
        assert backward["q"] == pytest.approx([0.44, 0.52])
        assert np.array(backward["W"]) == pytest.approx(np.array([[0.088, 0.176], [0.104, 0.208]]))
        assert backward["x"] == pytest.approx([-0.112, 0.636])

    def test_row_15_chain_rule_in_several_variables(self) -> None:
        t = leaf(1.0)
        x, y = cr.cos(t), cr.square(t)
        f = y + cr.exp(x * y)
        graph = cr.graph(f, {"t": t, "x": x, "y": y, "f": f})
        assert graph["f"].value.item() == pytest.approx(2.716525700, abs=5e-10)
        by_t = graph.gradient("t")
        assert by_t is not None
        assert by_t.item() == pytest.approx(2.410479016, abs=5e-10)

    def test_row_16_squared_error_of_a_logistic_unit(self) -> None:
        w, b, x, t = leaf(0.75), leaf(-0.5), 1.25, 0.3
        z = w * x + b
        y = cr.sigmoid(z)
        L = 0.5 * cr.square(y - t)
        graph = cr.graph(L, {"w": w, "b": b, "z": z, "y": y, "L": L})
        found = gradients(graph)
        of_y = graph["y"].value.item() - t
        of_z = of_y * graph["y"].value.item() * (1 - graph["y"].value.item())
        expected = {"y": of_y, "z": of_z, "w": of_z * x, "b": of_z}
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-14)


def logistic() -> tuple[Graph, cr.Tensor]:
    """Rows 21 to 23: -log of 1 / (1 + exp(-W X)), ξ by ξ, at X = 3, W = 3."""
    W, minus_X = leaf(3.0), cr.tensor(-3.0, dtype="float64")
    return cr.graph(-cr.log(1.0 / (1.0 + cr.exp(minus_X * W))), {"W": W, "-X": minus_X}), W


GOLDEN = """\
forward
node  expression  value              d/dW
----  ----------  -----------------  -----------------
W     leaf        3                  1
-X    constant    -3                 0
ξ1    -X * W      -9                 -3
ξ2    exp(ξ1)     0.00012340980409   -0.00037022941226
ξ3    1 + ξ2      1.0001234098       -0.00037022941226
ξ4    1 / ξ3      0.99987660542      0.00037013804929
ξ5    log(ξ4)     -0.00012340218972  0.00037018372796
ξ6    -ξ5         0.00012340218972   -0.00037018372796

backward
node  upstream dξ6/dnode  input  local derivative    value             upstream * local   sum so far
----  ------------------  -----  ------------------  ----------------  -----------------  -----------------
ξ6    1                   ξ5     dξ6/dξ5 = -1        -1                -1                 -1
ξ5    -1                  ξ4     dξ5/dξ4 = 1 / ξ4    1.0001234098      -1.0001234098      -1.0001234098
ξ4    -1.0001234098       ξ3     dξ4/dξ3 = -ξ4 / ξ3  -0.99975322607    0.99987660542      0.99987660542
ξ3    0.99987660542       ξ2     dξ3/dξ2 = 1         1                 0.99987660542      0.99987660542
ξ2    0.99987660542       ξ1     dξ2/dξ1 = ξ2        0.00012340980409  0.00012339457599   0.00012339457599
ξ1    0.00012339457599    W      dξ1/dW = -X         -3                -0.00037018372796  -0.00037018372796

dξ6/dW: -0.00037018372796 forward, -0.00037018372796 backward"""


class TestRows21To23:
    def test_the_tables_as_text(self) -> None:
        graph, W = logistic()
        assert str(graph.trace(wrt=W, digits=11)) == GOLDEN

    def test_the_numbers_of_the_notes_and_the_right_sign(self) -> None:
        graph, W = logistic()
        tables = graph.trace(wrt=W)
        e, p = math.exp(-9), 1 / (1 + math.exp(-9))
        rows = {row.node.name: row for row in tables.forward}
        assert rows["ξ2"].value.item() == pytest.approx(1.2340980409e-4, rel=1e-10)
        assert rows["ξ3"].value.item() == pytest.approx(1.0001234098, rel=1e-10)
        assert rows["ξ4"].value.item() == pytest.approx(0.9998766054, rel=1e-10)
        assert rows["ξ6"].value.item() == pytest.approx(1.2340218972e-4, rel=1e-10)
        by_W = {name: None if row.tangent is None else row.tangent.item() for name, row in rows.items()}
        expected = {"ξ1": -3, "ξ2": -3 * e, "ξ3": -3 * e, "ξ4": 3 * e * p * p, "ξ5": 3 * e * p, "ξ6": -3 * e * p}
        assert {name: by_W[name] for name in expected} == pytest.approx(expected, rel=1e-14)
        local = {row.node.name: row.local.item() for row in tables.backward if row.local is not None}
        expected = {"ξ1": -3, "ξ2": e, "ξ3": 1, "ξ4": -p * p, "ξ5": 1 + e, "ξ6": -1}
        assert local == pytest.approx(expected, rel=1e-14)
        assert by_W["ξ6"] == pytest.approx(-0.000370183728, abs=5e-13)

    def test_both_modes_agree(self) -> None:
        graph, W = logistic()
        agreement = graph.trace(wrt=W).agreement
        assert agreement is not None
        assert agreement.forward == pytest.approx(agreement.backward, rel=1e-14)
        assert agreement.backward == graph.gradient("W")


class TestModes:
    """Forward and reverse mode must agree, on ops of every kind."""

    @pytest.mark.parametrize(
        "function",
        [
            lambda x: cr.matmul(x, cr.transpose(x)),
            lambda x: cr.softmax(x)[1:, ::2],
            lambda x: cr.concatenate([cr.tanh(x), cr.log_softmax(x, axis=0)], axis=1),
            lambda x: cr.take(x, [1, 0, 1]) * cr.mean(x, axis=0),
            lambda x: cr.max(x, axis=1) - cr.abs(x[:, 0]),
            lambda x: cr.cross_entropy(x, [2, 0], reduction="none"),
            lambda x: cr.where(x > 0, cr.exp(x), cr.broadcast_to(cr.min(x), x.shape)),
            lambda x: cr.compile(lambda z: cr.sigmoid(z) * z)(x),
            cr.custom_op("cube", lambda x: x * x * x, lambda g, out, x: g * 3.0 * x[0] * x[0]),
        ],
    )
    def test_they_agree_on_tensors(self, function: Callable[[cr.Tensor], cr.Tensor]) -> None:
        x = leaf([[0.3, -0.7, 1.1], [0.9, 0.2, -0.4]])
        y = function(x)
        weights = np.linspace(0.5, 1.5, y.size).reshape(y.shape)
        direction = np.array([[1.0, -0.5, 0.25], [0.75, 0.3, -1.25]])
        graph = cr.graph(y, {"x": x}, gradient=weights)
        agreement = graph.trace(wrt=x, tangent=direction).agreement
        assert agreement is not None
        assert agreement.forward == pytest.approx(agreement.backward, rel=1e-12)
        step = 1e-6
        ends = [function(cr.tensor(x.numpy() + sign * step * direction)).numpy() for sign in (1, -1)]
        assert agreement.forward == pytest.approx(((ends[0] - ends[1]) * weights).sum() / (2 * step), rel=1e-7)

    def test_local_derivatives_times_upstream_are_the_parts(self) -> None:
        x = leaf([0.3, -0.7])
        rows = cr.graph(cr.sum(cr.softmax(x) * cr.tensor([2.0, 5.0], dtype="float64")), {"x": x}).trace().backward
        assert [row.node.op for row in rows] == ["sum", "mul", "softmax"]
        jacobian = rows[2].local
        assert jacobian is not None
        assert jacobian.shape == (2, 2)  # a row for each output
        assert rows[2].part == pytest.approx(rows[2].upstream @ jacobian, rel=1e-14)
        assert rows[1].local is not None
        assert rows[1].part.tolist() == (rows[1].upstream * rows[1].local).tolist()

    def test_tensors_without_elements(self) -> None:
        x = leaf(np.ones((0, 3)))
        graph = cr.graph(cr.sum(cr.concatenate([x * 2.0, x], axis=1)), {"x": x})
        assert graph.gradient("x") is not None
        assert "Jacobian (0, 0), not formed" in str(graph.trace())
        assert graph.to_svg().count(">(0, 3)<") == 2  # x and its double
        assert graph.flops().forward == 0

    def test_grad_is_not_touched(self) -> None:
        x = leaf(2.0)
        y = x * x
        y.backward()
        before = x.grad
        cr.graph(y).trace(wrt=x)
        assert x.grad is before
        assert before is not None
        assert before.item() == 4

    def test_several_outputs_add_up(self) -> None:
        x = leaf(2.0)
        a, b = x * x, cr.exp(x)
        graph = cr.graph([a, b], {"x": x, "a": a, "b": b}, gradient=[3.0, 0.5])
        assert graph.gradient("x") == pytest.approx(12 + 0.5 * math.exp(2))
        text = str(graph.trace(wrt=x))
        assert "upstream d(a + b)/dnode" in text
        assert "d(a + b)/dx: 15.69452805 forward, 15.69452805 backward" in text


class TestNames:
    def test_without_names_things_are_numbered_by_kind(self) -> None:
        x, c, w = leaf(2.0), cr.tensor([1.0, 2.0], dtype="float64"), leaf(3.0)
        graph = cr.graph(x * c * w + 4.0)
        assert [(node.name, node.kind) for node in graph] == [
            ("x0", "leaf"), ("c0", "constant"), ("x1", "leaf"), ("ξ1", "op"), ("ξ2", "op"), ("ξ3", "op"),
        ]  # fmt: skip
        assert [expression(node) for node in graph][3:] == ["x0 * c0", "ξ1 * x1", "ξ2 + 4"]

    def test_numbers_leave_given_names_out(self) -> None:
        x, w = leaf(2.0), leaf(3.0)
        assert [node.name for node in cr.graph(x * w, {"x0": w})] == ["x1", "x0", "ξ1"]

    def test_parameters_have_their_names_in_the_model(self) -> None:
        model = cr.nn.Sequential(cr.nn.Linear(2, 3), cr.nn.Tanh(), cr.nn.Linear(3, 1))
        out = cr.sum(model(cr.tensor([[0.5, 1.5]])))
        names = [node.name for node in cr.graph(out, model=model) if node.kind == "leaf"]
        assert names == ["0.weight", "0.bias", "2.weight", "2.bias"]
        given = cr.graph(out, {"W": next(model.parameters())}, model=model)
        assert next(node.name for node in given if node.kind == "leaf") == "W"

    def test_two_models_have_names_of_their_own(self) -> None:
        one, other = cr.nn.Linear(2, 2), cr.nn.Linear(2, 1)
        graph = cr.graph(lambda: cr.sum(other(one(cr.tensor([[0.5, 1.5]])))))
        assert [node.name for node in graph if node.kind == "leaf"] == ["weight", "bias", "weight_2", "bias_2"]

    def test_nodes_by_name(self) -> None:
        x = leaf(2.0)
        graph = cr.graph(x * x, {"x": x})
        assert graph["x"].tensor is x
        assert repr(graph) == "Graph(2 nodes, to ξ1 ())"
        assert len(graph) == 2
        with pytest.raises(KeyError, match=r"no node is named 'y'; available nodes: x, ξ1"):
            graph["y"]


class TestErrors:
    def test_what_has_no_graph(self) -> None:
        x = leaf([1.0, 2.0])
        with pytest.raises(ValueError, match=r"^graph: the output \(2,\) has no graph"):
            cr.graph(x)
        with cr.no_grad(), pytest.raises(ValueError, match=r"no graph.*or gradients were disabled"):
            cr.graph(x * 2.0)
        with pytest.raises(ValueError, match=r"^graph: output 1 \(2,\) has no graph"):
            cr.graph([x * 2.0, x])
        with pytest.raises(ValueError, match=r"^graph: expected at least one tensor"):
            cr.graph([])

    def test_what_is_no_tensor(self) -> None:
        wrong: Any = np.ones(2)
        with pytest.raises(TypeError, match=r"^graph: the output is ndarray; expected a tensor"):
            cr.graph(wrong)
        with pytest.raises(TypeError, match=r"^graph: the output is a Module; pass its result"):
            cr.graph(cr.nn.Tanh())
        with pytest.raises(TypeError, match=r"^graph: model is str"):
            cr.graph(leaf(1.0) * 2.0, model="net")  # type: ignore[arg-type]

    def test_names_that_name_nothing(self) -> None:
        x, other = leaf(1.0), leaf(2.0)
        y = x * 3.0
        number: Any = 3.0
        with pytest.raises(TypeError, match=r"^graph: names\['three'\] is float, expected a tensor"):
            cr.graph(y, {"three": number})
        with pytest.raises(TypeError, match=r"^graph: names must be printable strings, got 'a\\nb'"):
            cr.graph(y, {"a\nb": x})
        with pytest.raises(ValueError, match=r"^graph: the output does not depend on 'other'"):
            cr.graph(y, {"x": x, "other": other})
        with pytest.raises(ValueError, match=r"^graph: 'a' and 'b' are names of one tensor"):
            cr.graph(y, {"a": x, "b": x})

    def test_gradients_and_tangents_that_do_not_fit(self) -> None:
        x = leaf([1.0, 2.0])
        graph = cr.graph(x * 3.0, {"x": x})
        with pytest.raises(ValueError, match=r"^graph: gradient: ξ1 has more than one element; .* \(2,\)"):
            graph.trace()
        with pytest.raises(ValueError, match=r"^graph: gradient: expected the shape \(2,\) of ξ1, got \(3,\)"):
            cr.graph(x * 3.0, gradient=[1.0, 2.0, 3.0]).trace()
        with pytest.raises(ValueError, match=r"^graph: expected a gradient for each of 2 outputs, got 1"):
            cr.graph([x * 3.0, x * 4.0], gradient=[[1.0, 2.0]])
        whole = cr.graph(cr.sum(x * 3.0), {"x": x})
        with pytest.raises(ValueError, match=r"^trace: tangent: x has more than one element"):
            whole.trace(wrt=x)
        with pytest.raises(ValueError, match=r"^trace: wrt is not a leaf of this graph"):
            whole.trace(wrt=leaf(1.0))
        with pytest.raises(KeyError, match="no node is named"):
            whole.gradient("y")

    def test_values_that_were_overwritten(self) -> None:
        x = leaf(1.0)
        graph = cr.graph(x * x)
        x.copy_(5.0)
        with pytest.raises(RuntimeError, match=r"argument 0 of mul .* was overwritten"):
            graph.trace()

    def test_inside_of_a_compiled_function(self) -> None:
        x = leaf([1.0, 2.0])
        outside = cr.graph(cr.sum(x * 3.0))

        def traced(argument: cr.Tensor) -> cr.Tensor:
            cr.graph(cr.sum(argument * x))
            return argument

        for function in (traced, lambda a: a * len(str(outside.trace())), lambda a: a * len(str(outside.flops()))):
            with pytest.raises(cr.CompileError, match=r"^graph: .*inside a compiled function"):
                cr.compile(function)(cr.tensor([3.0, 4.0], dtype="float64"))


@pytest.mark.parametrize("n", [4_000, pytest.param(20_000, marks=pytest.mark.full)])
def test_a_deep_graph_needs_no_recursion(n: int) -> None:
    def work() -> None:
        x = leaf(1.5)
        y = x
        for _ in range(n):
            y = (y + x) * 1.0
        graph = cr.graph(y, {"x": x})
        assert len(graph) == 2 * n + 1
        assert graph.gradient("x") == n + 1
        agreement = graph.trace(wrt=x).agreement
        assert agreement is not None
        assert agreement.forward == n + 1
        assert graph.flops().forward == 2 * n

    in_small_stack(work)
