"""`model.predict` of several inputs: a compiled call of the model for blocks of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._util.errors import CompileError
from ..compiler.jit import Compiled
from . import _predict_cache as single
from ._evaluate import Model, dtype_of_part, evaluating
from ._inputs import call_with, map_parts, parts_of

__all__ = ["compile_several", "kind_of"]


def kind_of(rows: Any) -> Any:
    """What calls that share a program have in common: the names, dtypes and shapes of the inputs' rows."""
    return type(rows), *[(name, part.dtype, part.shape[1:]) for name, part in parts_of(rows)]


def compile_several(model: Model, owner: Callable[[], Any], rows: Any) -> tuple[Callable[[Any], Any], list[Any]]:
    """A compiled call of the model for inputs like these, and the owners of attributes that determined its trace.

    `owner` returns the model, which holds the call. Errors: CompileError if a row's outputs depend on other rows or
    differ from call to call; everything that the model raises.
    """

    def forward(x: Any) -> Any:
        return call_with(owner(), x)

    def checked(n: int, micro_batch: int | None) -> list[Any]:
        probe = map_parts(lambda part, _: np.zeros((n, *part.shape[1:]), dtype_of_part(model, part)), rows)
        with single.trace_lock(), evaluating(model):
            plan = Compiled(forward, micro_batch, watched=()).plan_of(probe)
        single.refuse_training(model, plan)
        outputs = len(plan.built.output_specs)
        if plan.results != list(range(outputs)) or any(s.shape[:1] != (n,) for s in plan.built.output_specs):
            raise CompileError("predict: an output is no array of one row for each row of the inputs")
        return single.check_plan(plan, micro_batch)

    guarded = checked(*single.probe_of(model))
    compiled, traced = Compiled(forward, watched=()), set[int]()

    def call(batch: Any) -> Any:
        n = len(parts_of(batch)[0][1])
        if n not in traced:
            with single.trace_lock():
                compiled.plan_of(batch)
            traced.add(n)
        return compiled(batch)

    return call, guarded
