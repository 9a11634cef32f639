"""All ops as functions. `_op.py` defines the op table; each file registers its rows and defines public functions.

All public names of the files are exported here, so a new op needs no entry in this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._util import exports as _exports
from ._activations import *
from ._aliases import *
from ._along import *
from ._arithmetic import *
from ._attention import *
from ._cast import *
from ._class_losses import *
from ._composed import *
from ._conv import *
from ._convolve import *
from ._cumulative import *
from ._distances import *
from ._einsum import *
from ._elementary import *
from ._getitem import *
from ._logic import *
from ._losses import *
from ._math import *
from ._matmul import *
from ._norm_functions import *
from ._norms import *
from ._number_losses import *
from ._op import OPS as OPS
from ._order import *
from ._pad import *
from ._pair_losses import *
from ._penalties import *
from ._pool import *
from ._power import *
from ._products import *
from ._rearrange import *
from ._recurrent import *
from ._reduce import *
from ._rounding import *
from ._shape import *
from ._softmax import *
from ._special import *
from ._spread import *

if not TYPE_CHECKING:
    __all__ = ["OPS", *_exports.public_names(globals())]
