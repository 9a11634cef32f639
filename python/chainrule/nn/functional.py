"""All functions under PyTorch's name of their module: `import chainrule.nn.functional as F`.

>>> import chainrule.nn.functional as F
>>> F.softmax([[0.0, 0.0]], dim=1).tolist()
[[0.5, 0.5]]
"""

from typing import TYPE_CHECKING

from .._util import exports as _exports
from ..ops import *
from ..ops._adaptive import adaptive_avg_pool1d as adaptive_avg_pool1d
from ..ops._adaptive import adaptive_avg_pool2d as adaptive_avg_pool2d
from ..ops._adaptive import adaptive_max_pool1d as adaptive_max_pool1d
from ..ops._adaptive import adaptive_max_pool2d as adaptive_max_pool2d
from ..ops._bilinear import bilinear as bilinear
from ..ops._channels import prelu as _channel_prelu
from ..ops._draw import gumbel_softmax as gumbel_softmax
from ..ops._dropout import alpha_dropout as alpha_dropout
from ..ops._dropout import dropout as dropout
from ..ops._dropout import dropout1d as dropout1d
from ..ops._dropout import dropout2d as dropout2d
from ..ops._embedding import embedding as embedding
from ..ops._embedding import embedding_bag as embedding_bag
from ..ops._pad import pad_last as _pad_last
from ..ops._pool import avg_pool1d as avg_pool1d
from ..ops._pool import max_pool1d as max_pool1d
from ..ops._pool import max_unpool1d as max_unpool1d
from ..ops._pool import max_unpool2d as max_unpool2d
from ..ops._resize import interpolate as interpolate
from ..ops._resize import pixel_shuffle as pixel_shuffle
from ..ops._resize import pixel_unshuffle as pixel_unshuffle
from ..ops._values import *

if not TYPE_CHECKING:
    pad, prelu = _pad_last, _channel_prelu  # PyTorch's arguments
    __all__ = _exports.public_names(globals())
