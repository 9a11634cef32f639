"""Other names of functions that mean the same, PyTorch's and NumPy's, in one place."""

from ._activations import clip as clamp
from ._elementary import acos as arccos
from ._elementary import acosh as arccosh
from ._elementary import asin as arcsin
from ._elementary import asinh as arcsinh
from ._elementary import atan as arctan
from ._elementary import atan2 as arctan2
from ._elementary import atanh as arctanh
from ._matmul import matmul as bmm
from ._matmul import matmul as mm
from ._power import power as pow
from ._rearrange import expand_dims as unsqueeze
from ._shape import concatenate as cat
from ._shape import transpose as permute
from ._special import lgamma as gammaln

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "bmm",
    "cat",
    "clamp",
    "gammaln",
    "mm",
    "permute",
    "pow",
    "unsqueeze",
]
