"""Optimizers and schedules, in PyTorch's words and formulas; a step is one pass over a parameter and its states.

What a file exports is public here: a new optimizer needs no line of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._util import exports as _exports
from ._adam import *
from ._adaptive import *
from ._base import *
from ._clip import *
from ._plateau import *
from ._schedules import *
from ._sgd import *

if not TYPE_CHECKING:
    __all__ = _exports.public_names(globals())
