"""All functions under PyTorch's name of their module: `import chainrule.nn.functional as F`.

>>> import chainrule.nn.functional as F
>>> F.softmax([[0.0, 0.0]], dim=1).tolist()
[[0.5, 0.5]]
"""

from typing import TYPE_CHECKING

from .. import ops as _ops
from ..ops import *
from ..ops._dropout import dropout as dropout
from ..ops._embedding import embedding as embedding
from ..ops._embedding import embedding_bag as embedding_bag
from ..ops._pad import pad_last as _pad_last

if not TYPE_CHECKING:
    pad = _pad_last  # PyTorch's arguments
    __all__ = sorted([*(name for name in _ops.__all__ if name != "OPS"), "dropout", "embedding", "embedding_bag"])
