"""Optimizers and learning rate schedules with PyTorch's names and formulas; a step reads each array once.

Every name that a file of this package exports is public here: a new optimizer needs no further entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._util import exports as _exports
from . import lr_scheduler as lr_scheduler
from ._adam import *
from ._adam_variants import *
from ._adaptive import *
from ._base import *
from ._clip import *
from ._lbfgs import *
from ._more_schedules import *
from ._muon import *
from ._plateau import *
from ._schedule_free import *
from ._schedules import *
from ._sgd import *
from ._step_schedule import *

if not TYPE_CHECKING:
    __all__ = _exports.public_names(globals())
