"""chainrule: a neural-net core for CPUs, fast on small and medium nets, with the same bits everywhere."""

from __future__ import annotations

from ._util import command as _command  # noqa: F401  # the first import: Ctrl-C during the others

# isort: split
import typing as _typing
from importlib import import_module as _import_module

from . import _core as _core  # first: where it cannot be imported, nothing else is
from . import autodiff, autograd, config, nn, ops, random
from ._tensor import Tensor, tensor
from ._util import dtypes as _dtypes
from ._util.device import cuda, device
from ._util.tree_kinds import register_tree_node
from .autodiff import (
    backward,
    custom_op,
    enable_grad,
    grad,
    gradcheck,
    hessian,
    hvp,
    is_grad_enabled,
    jacobian,
    jvp,
    no_grad,
    set_grad_enabled,
    value_and_grad,
    vjp,
)
from .autodiff._jacobian import Sweep as _Sweep
from .autodiff._jacobian import set_sweep_compiler as _set_sweep_compiler
from .config import (
    __version__ as __version__,
)
from .config import (
    active_isa,
    available_isas,
    built_isas,
    get_default_dtype,
    get_num_threads,
    numerics_version,
    set_default_dtype,
    set_num_threads,
    show_config,
    use_isa,
)
from .nn._output import infer_kind
from .nn._predictor import Predictor
from .ops import *
from .ops._create import (
    arange,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randn,
    randn_like,
    zeros,
    zeros_like,
)
from .ops._draw import bernoulli, gumbel_softmax, multinomial, permutation, randint, randint_like, randperm
from .ops._dropout import dropout
from .ops._inspect import allclose, from_numpy, is_tensor
from .ops._operands import from_dlpack
from .ops._values import (
    argwhere,
    as_tensor,
    bincount,
    nonzero,
    numel,
    searchsorted,
    tril_indices,
    triu_indices,
    unique,
)
from .random import manual_seed

float32, float64, int64 = _dtypes.FLOAT32, _dtypes.FLOAT64, _dtypes.INT64

# Imported on first use: nothing above builds on these packages, and they take a quarter of the time of the import.
_ON_FIRST_USE = {
    "compiler": ("CompileError", "compile"),
    "data": (),
    "distributions": (),
    "inspect": ("graph", "saturation"),
    "metrics": (),
    "optim": (),
    "serialize": ("ModelFormatError", "load", "save"),
    "train": (
        *("AveragedModel", "Callback", "EarlyStopping", "History", "Trainer", "WeightAveraging", "fit"),
        *("JSONLinesLogger", "MLflowLogger", "TensorBoardLogger", "WandbLogger"),
        *("linear_regression", "load_checkpoint", "save_checkpoint", "update_bn"),
    ),
    "tabular": (),
    "tuning": ("Search", "Trial", "multi_start", "search"),
}
if _typing.TYPE_CHECKING:
    from . import compiler as compiler
    from . import data, distributions, inspect, metrics, optim, serialize, train, tuning
    from .compiler import *
    from .inspect import *
    from .serialize import *
    from .train import *
    from .tuning import *

    inference_mode, asarray = no_grad, as_tensor
else:
    inference_mode, asarray = no_grad, as_tensor  # PyTorch's names
    # PyTorch's names of dtypes that are Python's names of something else: not in __all__.
    _DTYPES = {"float": float32, "double": float64, "long": int64, "bool": _dtypes.BOOL}
    _PACKAGE_OF = {name: package for package, names in _ON_FIRST_USE.items() for name in (package, *names)}

    def __getattr__(name: str) -> object:
        if name in _DTYPES:
            return _DTYPES[name]
        if name not in _PACKAGE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        package = _import_module(f".{_PACKAGE_OF[name]}", __name__)
        globals()[name] = value = package if name == _PACKAGE_OF[name] else getattr(package, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_PACKAGE_OF})


def _compiled_sweep(sweep: _Sweep, like: Tensor) -> _Sweep:
    from .compiler.jit import compiled_sweep

    return compiled_sweep(sweep, like)


_set_sweep_compiler(_compiled_sweep)

__all__ = [
    "AveragedModel",
    "Callback",
    "CompileError",
    "EarlyStopping",
    "History",
    "JSONLinesLogger",
    "MLflowLogger",
    "ModelFormatError",
    "Predictor",
    "Search",
    "Tensor",
    "TensorBoardLogger",
    "Trainer",
    "Trial",
    "WandbLogger",
    "WeightAveraging",
    "active_isa",
    "allclose",
    "arange",
    "argwhere",
    "as_tensor",
    "asarray",
    "autodiff",
    "autograd",
    "available_isas",
    "backward",
    "bernoulli",
    "bincount",
    "built_isas",
    "compile",
    "config",
    "cuda",
    "custom_op",
    "data",
    "device",
    "distributions",
    "dropout",
    "empty",
    "empty_like",
    "enable_grad",
    "eye",
    "fit",
    "float32",
    "float64",
    "from_dlpack",
    "from_numpy",
    "full",
    "full_like",
    "get_default_dtype",
    "get_num_threads",
    "grad",
    "gradcheck",
    "graph",
    "gumbel_softmax",
    "hessian",
    "hvp",
    "infer_kind",
    "inference_mode",
    "inspect",
    "int64",
    "is_grad_enabled",
    "is_tensor",
    "jacobian",
    "jvp",
    "linear_regression",
    "linspace",
    "load",
    "load_checkpoint",
    "manual_seed",
    "metrics",
    "multi_start",
    "multinomial",
    "nn",
    "no_grad",
    "nonzero",
    "numel",
    "numerics_version",
    "ones",
    "ones_like",
    "ops",
    "optim",
    "permutation",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "random",
    "randperm",
    "register_tree_node",
    "saturation",
    "save",
    "save_checkpoint",
    "search",
    "searchsorted",
    "serialize",
    "set_default_dtype",
    "set_grad_enabled",
    "set_num_threads",
    "show_config",
    "tabular",
    "tensor",
    "train",
    "tril_indices",
    "triu_indices",
    "tuning",
    "unique",
    "update_bn",
    "use_isa",
    "value_and_grad",
    "vjp",
    "zeros",
    "zeros_like",
]
__all__ += vars(ops)["__all__"]  # hidden from type checkers, which follow the star import instead
