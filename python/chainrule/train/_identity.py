"""What identifies a training: a checkpoint is continued on the same data with the same options only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..nn import Module
from ..nn._inputs import parts_of
from ..optim import LRScheduler, ReduceLROnPlateau
from ._dataset import Dataset

__all__ = ["data_digest", "describe", "different", "options_of"]


def data_digest(rows: Dataset) -> str:
    """Return a SHA-256 over shapes, dtypes and values of inputs, targets and weights.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule.train._dataset import Dataset
    >>> from chainrule.train._identity import data_digest
    >>> x, y = cr.tensor(np.eye(2)), cr.tensor(np.arange(2))
    >>> data_digest(Dataset(x, y, cr.nn.ReLU())) == data_digest(Dataset(x, y, cr.nn.ReLU(), cr.tensor([1.0, 2.0])))
    False
    """
    digest = hashlib.sha256()
    for which, tensor in (part for source in (rows.x, rows.y, rows.weight) for part in parts_of(source)):
        if isinstance(tensor, Tensor):
            values = tensor.numpy()
            digest.update(f"{which}{values.dtype} {values.shape};".encode())
            plain = values.astype(values.dtype.newbyteorder("<"), order="C", copy=False)
            digest.update(plain.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def describe(function: Callable[..., Any]) -> str:
    """Describe a module by its layers and their options, another callable by its name; equal in every process.

    >>> import chainrule as cr
    >>> from chainrule.train._identity import describe
    >>> describe(cr.nn.Dropout(0.25)), describe(cr.cross_entropy)
    ('Dropout(p=0.25)', 'cross_entropy')
    """
    if isinstance(function, Module):
        return re.sub(r" at 0x[0-9a-fA-F]+", "", Module.__repr__(function))
    return str(getattr(function, "__qualname__", type(function).__name__))


def options_of(part: Any, name: str) -> dict[str, Any]:
    """Return the options of a schedule or a callback: its numbers, strings and bools that are not its state.

    >>> import chainrule as cr
    >>> from chainrule.train._identity import options_of
    >>> options_of(cr.optim.StepLR(cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5), step_size=2), "schedule")
    {'schedule': 'StepLR', 'schedule.step_size': 2, 'schedule.gamma': 0.1}
    """
    found: dict[str, Any] = {name: type(part).__name__}
    state = part.state_dict()
    for key, value in vars(part).items():
        if key.startswith("_") or key in state:
            continue
        items = value if isinstance(value, list) else [value]
        for i, item in enumerate(items):
            label = f"{name}.{key}" if items is not value else f"{name}.{key}[{i}]"
            if isinstance(item, (LRScheduler, ReduceLROnPlateau)):
                found |= options_of(item, label)
            elif item is None or isinstance(item, (bool, int, float, str)):
                found[label] = item
    return found


def different(saved: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Name the entries in which two sets of options differ, with both values; empty if there are none.

    >>> from chainrule.train._identity import different
    >>> different({"seed": 1, "shuffle": True}, {"seed": 2, "shuffle": True})
    'seed=1, got 2'
    """
    names = [name for name in {**saved, **own} if saved.get(name) != own.get(name)]
    return "; ".join(f"{name}={_short(saved.get(name))}, got {_short(own.get(name))}" for name in names)


def _short(value: Any) -> str:
    text = " ".join(repr(value).split()) if not isinstance(value, str) else " ".join(value.split())
    return text if len(text) <= 200 else f"{text[:200]}..."
