"""The cost of a graph: operations and bytes per node; the backward pass costs two forward passes."""

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule._util.mode import Eager
from chainrule.inspect._cost import Costs


def leaf(*shape: int) -> cr.Tensor:
    return cr.tensor(np.linspace(-1.0, 1.5, int(np.prod(shape)), dtype=np.float32).reshape(shape), requires_grad=True)


def listing(x: cr.Tensor) -> cr.Tensor:
    """Rows 20 and 49: the net of the 20-line training, 64 rows, 1000-100-10, squared error."""
    w1, w2 = leaf(1000, 100), leaf(100, 10)
    h = 1.0 / (1.0 + cr.exp(-(x @ w1)))
    return cr.sum(cr.square(h @ w2 - cr.tensor(np.full((64, 10), 0.25, np.float32))))


def of_products(costs: Costs) -> tuple[int, int]:
    rows = [row for row in costs.rows if row.node.op == "matmul"]
    return sum(row.flops for row in rows), sum(row.backward_flops for row in rows)


def net(widths: list[int], rows: int = 32) -> tuple[int, int]:
    h = leaf(rows, widths[0])
    for n, m in pairwise(widths):
        h = cr.tanh(h @ leaf(n, m))
    return of_products(cr.graph(cr.sum(h)).flops())


def test_row_49_the_products_of_the_listing() -> None:
    """Forward 12.93 M, backward 13.06 M: the gradient of the data is not computed."""
    data = cr.tensor(leaf(64, 1000).numpy())
    assert of_products(cr.graph(listing(data)).flops()) == (12_928_000, 13_056_000)


def test_row_20_backward_costs_two_forwards_where_all_gradients_are_wanted() -> None:
    costs = cr.graph(listing(leaf(64, 1000))).flops()
    assert of_products(costs) == (12_928_000, 2 * 12_928_000)
    assert costs.backward / costs.forward == pytest.approx(2, abs=0.01)


def test_row_20_linear_in_layers_and_quadratic_in_units() -> None:
    assert net([16] * 5) == (2 * net([16] * 3)[0], 2 * net([16] * 3)[1])
    assert net([32] * 4) == (4 * net([16] * 4)[0], 4 * net([16] * 4)[1])
    assert net([16] * 2)[0] == 2 * 32 * 16 * 16  # a multiply-add for each weight and row


def test_forward_is_what_compile_counts() -> None:
    model = cr.nn.Sequential(cr.nn.Linear(7, 12), cr.nn.Tanh(), cr.nn.Linear(12, 3), cr.nn.Softmax())
    compiled = cr.compile(lambda x: cr.sum(cr.square(model(x))))
    x = cr.tensor(leaf(5, 7).numpy())
    compiled(x)
    found = re.search(r"instructions, (\d+) flop", compiled.program)
    assert found is not None
    assert cr.graph(cr.sum(cr.square(model(x)))).flops().forward == int(found[1]) > 0


def test_bytes_are_those_of_operands_and_results() -> None:
    x, w, b = leaf(4, 6), leaf(6, 5), leaf(5)
    rows = {row.node.op: row for row in cr.graph(cr.sum(x @ w + b)).flops().rows}
    assert rows["matmul"].bytes == 4 * (4 * 6 + 6 * 5 + 4 * 5)
    assert rows["matmul"].backward_bytes == 4 * 2 * (4 * 6 + 6 * 5 + 4 * 5)
    assert rows["add"].bytes == 4 * (4 * 5 + 5 + 4 * 5)
    assert rows["add"].backward_bytes == 4 * (4 * 5 + 5)  # the sum over rows
    costs = cr.graph(cr.sum(x @ w + b)).flops()
    assert costs.bytes == sum(row.bytes for row in costs.rows)
    assert costs.backward_bytes == sum(row.backward_bytes for row in costs.rows)


def test_sums_at_branches_count_and_reshapes_do_not() -> None:
    x = leaf(2, 3)
    costs = cr.graph(cr.sum(cr.reshape(x, (3, 2)) * cr.exp(cr.reshape(x, (3, 2))))).flops()
    by_op = [(row.node.op, row.flops, row.backward_flops) for row in costs.rows if row.node.kind == "op"]
    # Newest first: exp's reshape passes its gradient on, the other's is added to it.
    assert by_op == [("reshape", 0, 6), ("reshape", 0, 0), ("exp", 6, 6), ("mul", 6, 12), ("sum", 6, 0)]


def test_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = cr.graph(listing(leaf(64, 1000)))
    expected = graph.flops().backward

    def run(eager: Eager, op: Any, *rest: Any) -> Any:
        raise AssertionError(f"{op.name} runs")

    monkeypatch.setattr(Eager, "apply", run)
    assert graph.flops().backward == expected


def test_as_text() -> None:
    x, w = leaf(2, 3), leaf(3, 4)
    assert str(cr.graph(cr.sum(x @ w), {"x": x, "w": w}).flops()) == (
        "node  expression            shape   flop  backward flop  bytes  backward bytes\n"
        "----  --------------------  ------  ----  -------------  -----  --------------\n"
        "ξ1    x @ w                 (2, 4)  48    96             104    208\n"
        "ξ2    sum(ξ1, axis=(0, 1))  ()      8     0              36     36\n"
        "      all                           56    96             140    244\n"
        "backward / forward: 1.714 flop"
    )


def test_a_compiled_call_says_where_its_count_is() -> None:
    x = leaf(2, 3)
    costs = cr.graph(cr.sum(cr.compile(lambda x: cr.tanh(x) * x)(x))).flops()
    assert str(costs).endswith("\n?: not an op of the table; see the compiled function's .program")
    assert [row.known for row in costs.rows] == [True, False, True]
    assert costs.rows[1].backward_flops > 0
