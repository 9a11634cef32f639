"""Checks of the arguments of optimizers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor
from .._util.dtypes import Array

__all__ = ["as_list", "check_names", "check_params", "check_switches", "signature"]

_IGNORED = ("foreach", "fused", "capturable")


def check_switches(name: str, switches: Mapping[str, Any]) -> None:
    """Accept PyTorch's switches between implementations of the same step; TypeError for any other argument.

    There is one implementation here: `foreach`, `fused` and `capturable` change nothing.
    """
    for key, value in switches.items():
        if key == "differentiable":
            if value:
                raise TypeError(
                    f"{name}: differentiable=True is not supported: steps are not recorded; write the step in ops"
                )
        elif key not in _IGNORED:
            raise TypeError(f"{name}: unexpected argument {key!r}")
        elif not isinstance(value, (bool, np.bool_, type(None))):
            raise TypeError(f"{name}: {key} must be True, False or None, got {value!r}")


def signature(array: Tensor | Array | None) -> str:
    return "None" if array is None else f"{array.dtype} {array.shape}"


def as_list(name: str, params: Any) -> list[Any]:
    if isinstance(params, Tensor):
        return [params]
    if not isinstance(params, Iterable):
        raise TypeError(f"{name}: expected an iterable of parameters, got {type(params).__name__}{advice(params)}")
    return list(params)


def check_names(where: str, names: Sequence[str], state: Mapping[str, Any]) -> None:
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"load_state_dict: {where}missing {', '.join(missing)}")


def check_params(name: str, groups: Sequence[Sequence[Any]]) -> None:
    """Raise unless all are different leaves that can be trained. Frozen ones are allowed if they are of a module."""
    seen: dict[int, str] = {}
    for number, group in enumerate(groups):
        for i, parameter in enumerate(group):
            where = f"parameter {len(seen)}" if len(groups) == 1 else f"parameter {i} of group {number}"
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name}: {where} is not a tensor but {type(parameter).__name__}{advice(parameter)}")
            if not parameter.is_leaf:
                raise ValueError(
                    f"{name}: {where}, {signature(parameter)}, was created by an op, and a step on it would train "
                    "nothing; pass the leaves that it is computed from, or detach() it and set requires_grad"
                )
            if not parameter.requires_grad and not parameter._learned:
                raise TypeError(f"{name}: {where} is not a tensor with requires_grad=True")
            if id(parameter) in seen:
                raise ValueError(f"{name}: the same parameter appears twice, as {seen[id(parameter)]} and as {where}")
            seen[id(parameter)] = where
    if not seen:
        raise ValueError(f"{name}: expected at least one parameter, got none")


def advice(given: Any) -> str:
    """What to write in place of something that is not a tensor, for errors."""
    if hasattr(given, "parameters"):
        return "; pass model.parameters()"
    return "; pass parameters() instead of named_parameters()" if isinstance(given, tuple) else ""
