"""Other names of functions that mean the same, PyTorch's and NumPy's, in one place."""

from ._activations import clip as clamp
from ._arithmetic import abs as absolute
from ._arithmetic import div as divide
from ._arithmetic import div as true_divide
from ._arithmetic import equal as eq
from ._arithmetic import greater as gt
from ._arithmetic import greater_equal as ge
from ._arithmetic import less as lt
from ._arithmetic import less_equal as le
from ._arithmetic import mul as multiply
from ._arithmetic import neg as negative
from ._arithmetic import not_equal as ne
from ._arithmetic import sub as subtract
from ._combinations import trapezoid as trapz
from ._elementary import acos as arccos
from ._elementary import acosh as arccosh
from ._elementary import asin as arcsin
from ._elementary import asinh as arcsinh
from ._elementary import atan as arctan
from ._elementary import atan2 as arctan2
from ._elementary import atanh as arctanh
from ._layouts import broadcast_tensors as broadcast_arrays
from ._math import sigmoid as expit
from ._matmul import matmul as bmm
from ._matmul import matmul as mm
from ._matmul import matmul as mv
from ._power import power as pow
from ._rearrange import expand_dims as unsqueeze
from ._rearrange import moveaxis as movedim
from ._rearrange import swapaxes as swapdims
from ._rearrange import vstack as row_stack
from ._rounding import trunc as fix
from ._shape import concatenate as cat
from ._shape import concatenate as concat
from ._shape import transpose as permute
from ._special import lgamma as gammaln

__all__ = [
    "absolute",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "bmm",
    "broadcast_arrays",
    "cat",
    "clamp",
    "concat",
    "divide",
    "eq",
    "expit",
    "fix",
    "gammaln",
    "ge",
    "gt",
    "le",
    "lt",
    "mm",
    "movedim",
    "multiply",
    "mv",
    "ne",
    "negative",
    "permute",
    "pow",
    "row_stack",
    "subtract",
    "swapdims",
    "trapz",
    "true_divide",
    "unsqueeze",
]
