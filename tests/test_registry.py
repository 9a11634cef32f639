"""Completeness: an op without reference, gradient, documentation or example fails here by name.

The tables are `cr.ops.OPS` (rows), `op_cases.CASES` (calls, references), `gradient_references.REFERENCES` (gradients),
`derivative_cases.CASES` (random calls for all derivatives), `kernel_rows.KERNELS` (elementwise kernels) and the names
of the core's kernels.
"""

import doctest
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.composed_cases import MOVED
from cases.derivative_cases import CASES as DERIVATIVES
from cases.gradient_references import COMPOSED, MOVES, REFERENCES
from cases.kernel_rows import KERNELS
from cases.layers import CALLABLE
from cases.op_cases import CASES, COMPARISONS, WITHOUT_GRADIENT
from chainrule import _core
from chainrule._util.mode import Eager
from chainrule.ops._op import OPS, Op, register

ROOT = Path(__file__).resolve().parent.parent
# Without the names of PyTorch for the same functions.
FUNCTIONS = [name for name in cr.ops.__all__ if name != "OPS" and getattr(cr.ops, name).__name__ == name]


def functions_with_gradient() -> list[str]:
    return [name for name in FUNCTIONS if name not in WITHOUT_GRADIENT]


def test_every_function_has_a_reference() -> None:
    assert sorted(set(FUNCTIONS) - set(CASES)) == [], "add a row to tests/cases/op_cases.py"
    assert sorted(set(CASES) - set(FUNCTIONS)) == [], "no public function of this name"


def test_every_function_has_a_gradient_formula() -> None:
    missing = set(functions_with_gradient()) - set(REFERENCES) - set(COMPOSED)
    assert sorted(missing) == [], "add a row to tests/cases/gradient_references.py"


def test_every_function_is_checked_by_differences() -> None:
    unchecked = [name for name in functions_with_gradient() if not any(case.small for case in CASES[name])]
    assert unchecked == [], "no small case in tests/cases/op_cases.py"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_an_example(name: str) -> None:
    examples = doctest.DocTestParser().get_examples(getattr(cr, name).__doc__ or "")
    call = "cr.tensor([" if name == "getitem" else f"cr.{name}("
    assert any(call in example.source and example.want for example in examples), f"{name}: no example in its docstring"


WITHOUT_ARITHMETIC = {
    *(*MOVES, "broadcast_to", "slice", "slice_grad", "gather", "scatter", "index_add", "tril", "triu"),
    *("overlay", "one_hot", "argsort"),
    *MOVED,
}
WORDS = {
    **{name: name.removesuffix("_run") for name in ("gru_run", "lstm_run", "attention_run")},
    "power": r"x\*\*n",
    "astype": "[Cc]ast",
    "bce_with_logits": "binary_cross_entropy_with_logits",
    "max_pool": "max_pool2d",
    **{f"convolution{kind}": "conv2d" for kind in ("", "_by_weight", "_by_images")},
    "max_pool_grad": "max_pool2d",
}


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, *OPS} - WITHOUT_ARITHMETIC - set(COMPARISONS)))
def test_arithmetic_is_written_down(name: str) -> None:
    text = (ROOT / "docs" / "arithmetic.md").read_text()
    word = WORDS.get(name, rf"\b{name.removesuffix('_grad')}\b")
    assert re.search(word, text), f"{name}: docs/arithmetic.md does not say how it is computed"


@cache
def covered_ops() -> tuple[frozenset[str], frozenset[tuple[str, int]]]:
    """Ops that run, and gradient rules that are used, when every small case is differentiated three times."""
    ops: set[str] = set()
    rules: set[tuple[str, int]] = set()
    run, gradient = Eager.apply, Op.gradient

    def watched_run(eager: Eager, op: Op, *rest: Any) -> Any:
        ops.add(op.name)
        return run(eager, op, *rest)

    def watched_gradient(op: Op, i: int, *rest: Any) -> Any:
        rules.add((op.name, i))
        return gradient(op, i, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Eager, "apply", watched_run)
        patch.setattr(Op, "gradient", watched_gradient)
        for cases in CASES.values():
            for case in cases:
                if not case.small:
                    case.function(*case.inputs(np.float64))
                    continue
                inputs = [cr.tensor(x, requires_grad=x.dtype.kind == "f") for x in case.inputs(np.float64)]
                total = cr.sum(cr.square(case.function(*inputs).astype(np.float64)))
                cr.backward(total)
                for _ in range(3):  # orders
                    for x in inputs:
                        x.grad = None
                    cr.backward(total, create_graph=True)
                    gradients = [cr.flatten(x.grad) for x in inputs if x.grad is not None]
                    total = cr.sum(cr.square(cr.concatenate(gradients)))
    return frozenset(ops), frozenset(rules)


def rules() -> Iterator[tuple[str, int]]:
    for name, op in OPS.items():
        for i, rule in enumerate(op.vjp):
            if rule is not None:
                yield name, i
        if op.variadic_vjp is not None:
            yield name, 0


def test_every_row_runs_in_the_cases() -> None:
    # reshape shares memory: its instruction is for programs, which nothing runs yet.
    assert sorted(set(OPS) - covered_ops()[0] - {"reshape"}) == [], "no case of tests/cases/op_cases.py runs these rows"


def test_every_gradient_rule_is_used_by_the_cases() -> None:
    assert sorted(set(rules()) - covered_ops()[1]) == [], "(row, argument): add a case to tests/cases/op_cases.py"


def test_every_gradient_rule_has_its_forward_rule() -> None:
    missing = [
        (name, i)
        for name, op in OPS.items()
        for i, rule in enumerate(op.vjp)
        if (rule is None) != (op.forward_rule(i) is None)
    ]
    assert missing == [], "(row, argument): no rule in `jvp` beside the one in `vjp`, or the other way round"
    by_one_rule = {name for name, op in OPS.items() if op.variadic_vjp is not None or op.joint_vjp is not None}
    assert by_one_rule == {name for name, op in OPS.items() if op.variadic_jvp is not None}


def test_every_row_function_and_layer_is_checked_on_random_calls() -> None:
    rows = {name for name, op in OPS.items() if op.differentiable}
    layers = {f"nn.{name}" for name in CALLABLE}
    missing = {*rows, *functions_with_gradient(), *layers} - set(DERIVATIVES)
    assert sorted(missing) == [], "add a row to tests/cases/derivative_cases.py"
    assert sorted(set(DERIVATIVES) - {*rows, *functions_with_gradient(), *layers}) == [], "nothing has this name"


def test_every_elementwise_kernel_has_a_reference_and_a_use() -> None:
    kernels = set(_core.elementwise_names())
    assert {"exp", "tanh_grad", "neg", "add", "less", "where", "bce_with_logits"} <= kernels
    assert sorted(kernels - {kernel.name for kernel in KERNELS}) == [], "add a row to tests/reference"
    assert sorted(kernels - set(OPS)) == [], "add a row to python/chainrule/ops"


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match=r"^register: op exp is already registered"):
        register(OPS["exp"])
