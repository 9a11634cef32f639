"""chainrule: a neural-net core for CPUs, fast on small and medium nets, with the same bits everywhere."""

from __future__ import annotations

__version__ = "0.1.0"

from .tensor import Tensor, from_dlpack, tensor  # isort: skip  (before ops: they know each other)
from . import config, data, nn, ops, optim, random
from .autodiff import backward, is_grad_enabled, no_grad
from .callbacks import Callback, EarlyStopping
from .checkpoint import load_checkpoint, save_checkpoint
from .compiler import CompileError, compile
from .config import (
    active_isa,
    available_isas,
    built_isas,
    get_num_threads,
    numerics_version,
    set_num_threads,
    show_config,
    use_isa,
)
from .custom import custom_op
from .dropout import dropout
from .fit import History, fit
from .gradcheck import gradcheck
from .graph import graph, saturation
from .io import ModelFormatError, load, save
from .nn._output import infer_kind
from .ops import *
from .predictor import Predictor
from .random import manual_seed
from .regression import linear_regression
from .search import Search, Trial, multi_start, search
from .trainer import Trainer
from .transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = [
    "Callback",
    "CompileError",
    "EarlyStopping",
    "History",
    "ModelFormatError",
    "Predictor",
    "Search",
    "Tensor",
    "Trainer",
    "Trial",
    "active_isa",
    "available_isas",
    "backward",
    "built_isas",
    "compile",
    "config",
    "custom_op",
    "data",
    "dropout",
    "fit",
    "from_dlpack",
    "get_num_threads",
    "grad",
    "gradcheck",
    "graph",
    "hessian",
    "hvp",
    "infer_kind",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "linear_regression",
    "load",
    "load_checkpoint",
    "manual_seed",
    "multi_start",
    "nn",
    "no_grad",
    "numerics_version",
    "ops",
    "optim",
    "random",
    "saturation",
    "save",
    "save_checkpoint",
    "search",
    "set_num_threads",
    "show_config",
    "tensor",
    "use_isa",
    "value_and_grad",
    "vjp",
]
__all__ += ops.__all__
