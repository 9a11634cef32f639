"""Methods that overwrite a leaf with what the op of the name without the last underscore gives, as PyTorch's.

`_tensor.py` assigns them in its last lines, where the ops exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .op_methods import OpMethods

if TYPE_CHECKING:
    from .. import ops

__all__ = ["InPlaceMethods", "assign_in_place"]

NAMES = (
    "abs_",
    "add_",
    "addcdiv_",
    "addcmul_",
    "ceil_",
    "clamp_",
    "clip_",
    "div_",
    "exp_",
    "floor_",
    "fmod_",
    "index_add_",
    "lerp_",
    "log_",
    "masked_fill_",
    "mul_",
    "nan_to_num_",
    "neg_",
    "pow_",
    "reciprocal_",
    "relu_",
    "remainder_",
    "round_",
    "rsqrt_",
    "scatter_",
    "scatter_add_",
    "sigmoid_",
    "sign_",
    "sqrt_",
    "square_",
    "sub_",
    "tanh_",
    "tril_",
    "triu_",
    "trunc_",
)


class InPlaceMethods(OpMethods):
    """Base of Tensor: changes in place, of leaves, outside of recording."""

    __slots__ = ()

    if TYPE_CHECKING:
        abs_ = ops.abs
        add_ = ops.add
        addcdiv_ = ops.addcdiv
        addcmul_ = ops.addcmul
        ceil_ = ops.ceil
        clamp_ = ops.clamp
        clip_ = ops.clip
        div_ = ops.div
        exp_ = ops.exp
        floor_ = ops.floor
        fmod_ = ops.fmod
        index_add_ = ops.index_add
        lerp_ = ops.lerp
        log_ = ops.log
        masked_fill_ = ops.masked_fill
        mul_ = ops.mul
        nan_to_num_ = ops.nan_to_num
        neg_ = ops.neg
        pow_ = ops.pow
        reciprocal_ = ops.reciprocal
        relu_ = ops.relu
        remainder_ = ops.remainder
        round_ = ops.round
        rsqrt_ = ops.rsqrt
        scatter_ = ops.scatter
        scatter_add_ = ops.scatter_add
        sigmoid_ = ops.sigmoid
        sign_ = ops.sign
        sqrt_ = ops.sqrt
        square_ = ops.square
        sub_ = ops.sub
        tanh_ = ops.tanh
        tril_ = ops.tril
        triu_ = ops.triu
        trunc_ = ops.trunc


def assign_in_place(functions: Any) -> None:
    """Make the methods of these ops."""
    for name in NAMES:
        setattr(InPlaceMethods, name, _in_place(name, getattr(functions, name[:-1])))


def _in_place(name: str, op: Any) -> Any:
    def method(self: Any, *args: Any, **options: Any) -> Any:
        return self._overwrite(name, op(self.detach(), *args, **options))

    method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    method.__doc__ = f"Overwrite a leaf with what `cr.{name[:-1]}` gives and return it; see `fill_`."
    return method
