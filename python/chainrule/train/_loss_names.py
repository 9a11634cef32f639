"""Losses by name, as `cr.fit` and `cr.Trainer` take them."""

from __future__ import annotations

from collections.abc import Callable

from .._tensor import Tensor
from ..nn._loss_module import LOSSES, LossModule, TripleLoss

__all__ = ["named_loss"]

# Other names of the functions: PyTorch's short ones, and Keras' where they mean exactly the same.
_ALIASES = {
    "mae": "l1_loss",
    "mean_squared_error": "mse_loss",
    "mean_absolute_error": "l1_loss",
    "logcosh": "log_cosh_loss",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy_with_logits",
}
# Keras' names of losses of probabilities, and what takes the scores before a softmax.
_OF_PROBABILITIES = ("sparse_categorical_crossentropy", "categorical_crossentropy", "crossentropy")


def _names() -> dict[str, type[LossModule]]:
    """The losses of a prediction and a target by the names of their functions, with and without "_loss"."""
    kinds = {kind.function.__name__: kind for kind in reversed(LOSSES) if not issubclass(kind, TripleLoss)}
    short = {name.removesuffix("_loss"): kind for name, kind in kinds.items()}
    return {**kinds, **short, **{alias: kinds[name] for alias, name in _ALIASES.items()}}


def named_loss(loss: Callable[..., Tensor] | str, caller: str) -> Callable[..., Tensor]:
    """The loss, or with its default options that of a name; ValueError for an unknown one."""
    if not isinstance(loss, str):
        return loss
    known, name = _names(), loss.lower()
    if name in known:
        return known[name]()
    if name in _OF_PROBABILITIES:
        raise ValueError(
            f"{caller}: loss {loss!r} of Keras takes probabilities; end the model without a softmax and write "
            "loss='cross_entropy', which takes scores"
        )
    words = ", ".join(sorted(known))
    raise ValueError(f"{caller}: unknown loss {loss!r}, expected one of {words}, a loss of cr.nn or a function")
