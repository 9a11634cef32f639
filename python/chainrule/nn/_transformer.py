"""Transformers: layers of encoders and decoders, stacks of them, and both together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_number, check_size
from .._util.device import check_device
from .._util.dtypes import default_dtype
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


class _Layer(Module):
    """What layers of encoders and decoders share: attention to the sequence itself, and the net of two layers."""

    _norms: ClassVar[int] = 2

    self_attn: MultiheadAttention
    norm1: LayerNorm

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
        name = type(self).__name__
        size = check_size(f"{name}: d_model", d_model)
        wide = check_size(f"{name}: dim_feedforward", dim_feedforward)
        self.dropout = check_number(f"{name}: dropout", dropout, maximum=1)
        names = {function: word for word, function in _ACTIVATIONS.items()}
        chosen = names.get(activation, activation) if callable(activation) else activation
        if chosen not in _ACTIVATIONS:
            raise ValueError(f"{name}: activation must be 'relu' or 'gelu', got {activation!r}")
        self.activation, self.norm_first = str(chosen), bool(norm_first)
        for attention in ("self_attn", "multihead_attn")[: self._norms - 1]:
            made = MultiheadAttention(
                size, nhead, self.dropout, bias, batch_first=batch_first, dtype=dtype, generator=generator
            )
            setattr(self, attention, made)
        self.linear1 = Linear(size, wide, bias, dtype, generator=generator)
        self.linear2 = Linear(wide, size, bias, dtype, generator=generator)
        for i in range(1, self._norms + 1):
            setattr(self, f"norm{i}", LayerNorm(size, layer_norm_eps, bias=bias, dtype=dtype))

    def _attended(self, attention: str, x: Any, keys: Any, mask: Any, padding: Any, is_causal: bool) -> Tensor:
        masks = {"key_padding_mask": padding, "attn_mask": mask, "is_causal": is_causal}
        y: Tensor = getattr(self, attention).forward(x, keys, keys, need_weights=False, **masks)[0]
        return self._dropped(y)

    def _net(self, x: Tensor) -> Tensor:
        inner = self._dropped(_ACTIVATIONS[self.activation](self.linear1(x)))
        return self._dropped(self.linear2(inner))

    def _sums(self, x: Any, *terms: Callable[[Any], Tensor]) -> Tensor:
        """x and each term of what is before it, with a norm on the term's input or on the sum."""
        for i, term in enumerate(terms, 1):
            norm = getattr(self, f"norm{i}")
            x = ops.add(x, term(norm(x))) if self.norm_first else norm(ops.add(x, term(x)))
        return cast("Tensor", x)

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


class TransformerEncoderLayer(_Layer):
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

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        return self._sums(
            src, lambda x: self._attended("self_attn", x, x, src_mask, src_key_padding_mask, is_causal), self._net
        )


class TransformerDecoderLayer(_Layer):
    """A layer of a transformer's decoder: attention to itself, attention to the encoder's result, then a net.

    As `TransformerEncoderLayer`, with `multihead_attn` between both, whose queries are those of this sequence and whose
    keys and values are `memory`, and `norm1` to `norm3`.

    Arguments: as `TransformerEncoderLayer`.
    Input: tgt (steps, rows, d_model) or (steps, d_model), memory, likewise, of its own number of steps; `tgt_mask`,
    `tgt_key_padding_mask`, `tgt_is_causal` and `memory_mask`, `memory_key_padding_mask`, `memory_is_causal`, masks of
    the first and the second attention. Output: the shape of tgt. Errors: as `TransformerEncoderLayer`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.TransformerDecoderLayer(4, 2, 8, batch_first=True, generator=cr.random.Generator(seed=1))
    >>> layer(np.ones((2, 3, 4), np.float32), np.ones((2, 5, 4), np.float32)).shape
    (2, 3, 4)
    """

    _norms = 3

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        return self._sums(
            tgt,
            lambda x: self._attended("self_attn", x, x, *own),
            lambda x: self._attended("multihead_attn", x, memory, *other),
            self._net,
        )


class _Stack(_Container):
    """Several layers, one behind the other, and a norm at the end if there is one."""

    _layer: ClassVar[str] = ""

    def _fill(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        name = type(self).__name__
        for argument, given in ((self._layer, layer), ("norm", norm)):
            if not isinstance(given, Module) and not (argument == "norm" and given is None):
                raise TypeError(f"{name}: {argument} must be a module, got {type(given).__name__}")
        count = check_size(f"{name}: num_layers", num_layers)
        self.layers = [copy.deepcopy(layer) for _ in range(count)]
        self.norm = norm

    def _ended(self, x: Tensor) -> Tensor:
        return x if self.norm is None else self.norm(x)

    def config(self) -> dict[str, Any]:
        return {"num_layers": len(self.layers)}

    # In model files.

    @classmethod
    def _names(cls, config: Mapping[str, Any], count: int) -> list[str]:
        layers = check_size(f"{cls.__name__}: num_layers", config.get("num_layers"))
        if count not in (layers, layers + 1):
            raise ValueError(f"{cls.__name__}: num_layers is {layers}, with {count} modules")
        return [f"layers.{i}" for i in range(layers)] + ["norm"] * (count - layers)

    @classmethod
    def _made_of(cls, config: Mapping[str, Any], modules: list[Module]) -> Self:
        layers, kind = config["num_layers"], cast("Any", cls)
        made: Self = kind(modules[0], 1, modules[layers] if len(modules) > layers else None)
        made.layers = modules[:layers]
        return made

    def _put(self, name: str, module: Module) -> None:
        if name == "norm":
            self.norm = module
        else:
            self.layers[int(name.removeprefix("layers."))] = module


class TransformerEncoder(_Stack):
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

    _layer = "encoder_layer"

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self._fill(encoder_layer, num_layers, norm)

    def forward(self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Tensor:
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return self._ended(src)


class TransformerDecoder(_Stack):
    """Several decoder layers, one behind the other, and a norm at the end if there is one.

    Arguments: `decoder_layer`, a `TransformerDecoderLayer`; the others as `TransformerEncoder`.
    Input: tgt, memory and the masks, as of the layers. Output: the shape of tgt.
    Errors: ValueError for num_layers, TypeError for a layer that is none.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.TransformerDecoderLayer(4, 2, 8, batch_first=True, generator=cr.random.Generator(seed=1))
    >>> decoder = cr.nn.TransformerDecoder(layer, 2)
    >>> tgt, memory = np.ones((2, 3, 4), np.float32), np.ones((2, 5, 4), np.float32)
    >>> decoder(tgt, memory).shape, decoder(tgt, memory, tgt_is_causal=True).shape
    ((2, 3, 4), (2, 3, 4))
    """

    _layer = "decoder_layer"

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self._fill(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal, memory_is_causal)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks)
        return self._ended(tgt)


class Transformer(Module):
    """A transformer: an encoder of one sequence, and a decoder of another one that attends to its result.

    Members: `encoder`, a `TransformerEncoder`, and `decoder`, a `TransformerDecoder`, each with a `LayerNorm` at the
    end. Parameters begin as those of their layers.

    Arguments: `num_encoder_layers`, `num_decoder_layers`, at least 1; the others as `TransformerEncoderLayer`.
    Input: src and tgt (steps, rows, d_model), each of its own number of steps; the masks of `TransformerEncoder` and
    `TransformerDecoder`. Output: the shape of tgt. Errors: as the layers.

    >>> import chainrule as cr
    >>> model = cr.nn.Transformer(4, 2, 1, 2, 8, batch_first=True, generator=cr.random.Generator(seed=1))
    >>> src, tgt, mask = cr.ones(2, 5, 4), cr.ones(2, 3, 4), model.generate_square_subsequent_mask(3)
    >>> model(src, tgt).shape, model(src, tgt, tgt_mask=mask).shape
    ((2, 3, 4), (2, 3, 4))
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
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
        counts = {"num_encoder_layers": num_encoder_layers, "num_decoder_layers": num_decoder_layers}
        for name, count in counts.items():
            check_size(f"Transformer: {name}", count)
        options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, dtype)
        stacks: list[Any] = []
        for layer, stack, count in (
            (TransformerEncoderLayer, TransformerEncoder, num_encoder_layers),
            (TransformerDecoderLayer, TransformerDecoder, num_decoder_layers),
        ):
            layers = [layer(d_model, nhead, *options, generator) for _ in range(count)]
            stacks.append(stack(layers[0], 1, LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)))
            stacks[-1].layers = layers
        self.encoder: TransformerEncoder = stacks[0]
        self.decoder: TransformerDecoder = stacks[1]

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        memory = self.encoder(src, src_mask, src_key_padding_mask, bool(src_is_causal))
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return self.decoder(tgt, memory, *masks, bool(tgt_is_causal), memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: npt.DTypeLike | None = None) -> Tensor:
        """The mask (sz, sz) of floats with which no step looks at later ones: 0, and -inf above the diagonal."""
        check_device(device)
        later = np.triu(np.ones((check_size("generate_square_subsequent_mask: sz", sz),) * 2, bool), 1)
        return ops.where(
            later, -np.inf, Tensor._wrap(np.zeros(later.shape, default_dtype() if dtype is None else dtype))
        )

    def config(self) -> dict[str, Any]:
        counts = {"num_encoder_layers": len(self.encoder.layers), "num_decoder_layers": len(self.decoder.layers)}
        return {**self.encoder.layers[0].config(), **counts}


if not TYPE_CHECKING:
    __all__ = own_names(globals())
