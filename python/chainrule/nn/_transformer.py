"""Layers of a transformer's encoder."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_number, check_size
from .._util.exports import own_names
from ..ops._dropout import dropout
from ..random import Generator
from ._attention import MultiheadAttention
from ._containers import _Container
from ._linear import Linear
from ._module import Module
from ._norm import LayerNorm

if TYPE_CHECKING:
    from typing_extensions import Self

_ACTIVATIONS = {"relu": ops.relu, "gelu": ops.gelu}


class TransformerEncoderLayer(Module):
    """A layer of a transformer: attention of a sequence to itself, then a net of two layers at each step.

    y = norm1(x + attention(x)), z = norm2(y + linear2(activation(linear1(y)))); with `norm_first` y = x +
    attention(norm1(x)), z = y + linear2(activation(linear1(norm2(y)))). Dropout acts on the weights of the attention,
    on both sums' new terms and behind the activation.

    Members, with PyTorch's names of parameters: `self_attn`, a `MultiheadAttention`; `linear1`, `linear2`, of `Linear`;
    `norm1`, `norm2`, of `LayerNorm`.

    Arguments: `d_model`, the features of a step, a multiple of `nhead`, the heads; `dim_feedforward`, the units of the
    net; `dropout`; `activation`, "relu" or "gelu" (or `cr.relu`, `cr.gelu`); `layer_norm_eps`; `batch_first`, whether
    input and output are (rows, steps, features) in place of (steps, rows, features); `norm_first`; `bias`, whether
    linear layers and norms have one; `dtype`, float32 or float64; `generator`.
    Input: src (steps, rows, d_model) or (steps, d_model); `src_mask`, `src_key_padding_mask` and `is_causal` as
    `attn_mask`, `key_padding_mask` and `is_causal` of `MultiheadAttention`. Output: the shape of src.
    Errors: ValueError for sizes, options and shapes; TypeError for dtypes.
    Source: Vaswani et al., Attention is all you need, NeurIPS 2017.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, generator=cr.random.Generator(seed=1))
    >>> layer(np.ones((2, 3, 4), np.float32)).shape
    (2, 3, 4)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        generator: Generator | None = None,
    ) -> None:
        name = "TransformerEncoderLayer"
        size = check_size(f"{name}: d_model", d_model)
        wide = check_size(f"{name}: dim_feedforward", dim_feedforward)
        self.dropout = check_number(f"{name}: dropout", dropout, maximum=1)
        names = {function: word for word, function in _ACTIVATIONS.items()}
        chosen = names.get(activation, activation) if callable(activation) else activation
        if chosen not in _ACTIVATIONS:
            raise ValueError(f"{name}: activation must be 'relu' or 'gelu', got {activation!r}")
        self.activation, self.norm_first = str(chosen), bool(norm_first)
        self.self_attn = MultiheadAttention(
            size, nhead, self.dropout, bias, batch_first=batch_first, dtype=dtype, generator=generator
        )
        self.linear1 = Linear(size, wide, bias, dtype, generator=generator)
        self.linear2 = Linear(wide, size, bias, dtype, generator=generator)
        self.norm1 = LayerNorm(size, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(size, layer_norm_eps, bias=bias, dtype=dtype)

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        def attention(x: Any) -> Tensor:
            masks = {"key_padding_mask": src_key_padding_mask, "attn_mask": src_mask, "is_causal": is_causal}
            y: Tensor = self.self_attn.forward(x, x, x, need_weights=False, **masks)[0]
            return self._dropped(y)

        def net(x: Tensor) -> Tensor:
            inner = self._dropped(_ACTIVATIONS[self.activation](self.linear1(x)))
            return self._dropped(self.linear2(inner))

        if self.norm_first:
            x = ops.add(src, attention(self.norm1(src)))
            return ops.add(x, net(self.norm2(x)))
        x = self.norm1(ops.add(src, attention(src)))
        return self.norm2(ops.add(x, net(x)))

    def _dropped(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)

    def config(self) -> dict[str, Any]:
        attention = self.self_attn.config()
        return {
            "d_model": attention["embed_dim"],
            "nhead": attention["num_heads"],
            "dim_feedforward": self.linear1.out_features,
            "dropout": self.dropout,
            "activation": self.activation,
            "layer_norm_eps": self.norm1.eps,
            "batch_first": attention["batch_first"],
            "norm_first": self.norm_first,
            "bias": attention["bias"],
            "dtype": attention["dtype"],
        }


class TransformerEncoder(_Container):
    """Several encoder layers, one behind the other, and a norm at the end if there is one.

    The layers begin as copies of `encoder_layer`, with its weights, and are `layers.0`, `layers.1`, ...

    Arguments: `encoder_layer`, a `TransformerEncoderLayer`; `num_layers`, at least 1; `norm`, a layer for the end (with
    `norm_first` a `LayerNorm`), or None.
    Input: src, `mask`, `src_key_padding_mask`, `is_causal`, as of the layers. Output: the shape of src.
    Errors: ValueError for num_layers, TypeError for a layer that is none.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, generator=cr.random.Generator(seed=1))
    >>> encoder = cr.nn.TransformerEncoder(layer, 2)
    >>> positions = cr.sin(cr.arange(3.0)[:, None] * [1.0, 0.1, 0.01, 0.001])  # attention knows no order: add them
    >>> encoder(np.ones((2, 3, 4), np.float32) + positions).shape
    (2, 3, 4)
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        for name, given in (("encoder_layer", encoder_layer), ("norm", norm)):
            if not isinstance(given, Module) and not (name == "norm" and given is None):
                raise TypeError(f"TransformerEncoder: {name} must be a module, got {type(given).__name__}")
        count = check_size("TransformerEncoder: num_layers", num_layers)
        self.layers = [copy.deepcopy(encoder_layer) for _ in range(count)]
        self.norm = norm

    def forward(self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Tensor:
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)

    def config(self) -> dict[str, Any]:
        return {"num_layers": len(self.layers)}

    # In model files.

    @classmethod
    def _names(cls, config: Mapping[str, Any], count: int) -> list[str]:
        layers = check_size("TransformerEncoder: num_layers", config.get("num_layers"))
        if count not in (layers, layers + 1):
            raise ValueError(f"TransformerEncoder: num_layers is {layers}, with {count} modules")
        return [f"layers.{i}" for i in range(layers)] + ["norm"] * (count - layers)

    @classmethod
    def _made_of(cls, config: Mapping[str, Any], modules: list[Module]) -> Self:
        layers = config["num_layers"]
        made = cls(modules[0], 1, modules[layers] if len(modules) > layers else None)
        made.layers = modules[:layers]
        return made

    def _put(self, name: str, module: Module) -> None:
        if name == "norm":
            self.norm = module
        else:
            self.layers[int(name.removeprefix("layers."))] = module


if not TYPE_CHECKING:
    __all__ = own_names(globals())
