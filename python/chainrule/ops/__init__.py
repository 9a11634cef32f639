"""All ops as functions. `_op.py` says what an op is; each file registers its rows and defines public functions.

What a file exports is public here: a new op needs no line of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._util import exports as _exports
from ._activations import *
from ._arithmetic import *
from ._class_losses import *
from ._conv import *
from ._losses import *
from ._math import *
from ._matmul import *
from ._op import OPS as OPS
from ._penalties import *
from ._pool import *
from ._reduce import *
from ._shape import *
from ._softmax import *

if not TYPE_CHECKING:
    __all__ = ["OPS", *_exports.public_names(globals())]
