"""Layers and losses, in PyTorch's words.

One private file per kind. To add a layer: write a `Module` with `forward`, `config` (its constructor's arguments) and
an example in its docstring. What a file exports is public here; a new file is one more star import.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from .._util import exports as _exports
from ._activations import *
from ._attention import *
from ._bilinear import *
from ._composed import *
from ._containers import *
from ._conv import *
from ._distances import *
from ._dropout import *
from ._embedding import *
from ._linear import *
from ._loss_module import PenalizedLoss as PenalizedLoss
from ._losses import *
from ._module import Buffer as Buffer
from ._module import Module as Module
from ._module import Parameter as Parameter
from ._norm import *
from ._output import Output as Output
from ._output import loss_for as loss_for
from ._padding import *
from ._parameters import *
from ._periodic import *
from ._pool import *
from ._preprocessing.base import Standardize as Standardize
from ._preprocessing.base import fit_preprocessing as fit_preprocessing
from ._preprocessing.features import *
from ._preprocessing.one_hot import *
from ._preprocessing.pca import *
from ._recurrent import *
from ._registry import LAYERS as LAYERS
from ._registry import register_serializable as register_serializable
from ._resize import *
from ._shape import *
from ._transformer import *
from ._units import *

_PUBLIC = _exports.public_names(globals())

# All classes that a model file may name without being registered.
LAYERS.update(
    (name, kind)
    for name in _PUBLIC
    if isinstance(kind := globals()[name], type) and issubclass(kind, Module) and kind is not Module
)

if TYPE_CHECKING:
    from . import functional as functional
    from . import init as init
    from . import utils as utils
else:
    _ON_FIRST_USE = ("functional", "init", "utils")  # modules that no layer needs
    __all__ = ["LAYERS", *_PUBLIC, *_ON_FIRST_USE]

    def __getattr__(name: str) -> object:
        if name not in _ON_FIRST_USE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _import_module(f".{name}", __name__)  # which sets the attribute

    def __dir__() -> list[str]:
        return sorted({*globals(), *_ON_FIRST_USE})
