"""Layers, as functions of their inputs and weights, and modules with the weights of one in the other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import chainrule as cr
from peers.arrays import normal
from peers.call import Call, Draw, Generator
from reference.bits import Array

__all__ = ["CALLS"]

SLOT = np.float64


def pooled(*names: str) -> dict[str, Call]:
    """Pools of several windows."""
    windows: list[tuple[Any, ...]] = [(2,), (3, 2), (3, 1, 1), (2, 2, 1)]
    found = {}
    for name in names:
        shape = (2, 3, 9) if name.endswith("1d") else (2, 3, 7, 8)
        for window in windows:
            found[f"{name} {window}"] = Call(
                lambda F, x, name=name, window=window: getattr(F, name)(x, *window), normal(shape)
            )
        found[f"{name}, ceil"] = Call(
            lambda F, x, name=name: getattr(F, name)(x, 3, 2, 1, ceil_mode=True), normal(shape)
        )
    return found


def normed(rng: Generator) -> list[Array]:
    """Images with a weight and a bias for each channel, running means and variances."""
    n, c = int(rng.integers(2, 6)), 4
    return [
        rng.standard_normal((n, c, 3, 2)),
        rng.standard_normal(c),
        rng.standard_normal(c),
        rng.standard_normal(c),
        rng.uniform(0.5, 2.0, c),
    ]


FUNCTIONS = {
    "conv1d": Call(lambda F, x, w, b: F.conv1d(x, w, b), normal((2, 3, 9), (4, 3, 2), (4,))),
    "conv1d, options": Call(lambda F, x, w: F.conv1d(x, w, None, 2, 1, 2, 2), normal((2, 4, 9), (6, 2, 3))),
    "conv2d": Call(lambda F, x, w, b: F.conv2d(x, w, b), normal((2, 3, 5, 6), (4, 3, 2, 3), (4,))),
    "conv2d, options": Call(
        lambda F, x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        normal((2, 4, 6, 7), (6, 2, 3, 2), (6,)),
    ),
    "conv2d, same": Call(lambda F, x, w: F.conv2d(x, w, padding="same"), normal((2, 3, 5, 6), (4, 3, 3, 5))),
    "conv2d, depthwise": Call(lambda F, x, w: F.conv2d(x, w, padding=1, groups=4), normal((2, 4, 5, 6), (8, 1, 3, 3))),
    "conv2d of one image": Call(lambda F, x, w, b: F.conv2d(x, w, b), normal((3, 5, 6), (4, 3, 2, 3), (4,))),
    "conv_transpose1d": Call(
        lambda F, x, w, b: F.conv_transpose1d(x, w, b, stride=2, padding=1), normal((2, 3, 5), (3, 4, 3), (4,))
    ),
    "conv_transpose2d": Call(lambda F, x, w, b: F.conv_transpose2d(x, w, b), normal((2, 3, 4, 5), (3, 4, 2, 3), (4,))),
    "conv_transpose2d, options": Call(
        lambda F, x, w: F.conv_transpose2d(x, w, None, (2, 3), 1, (1, 0), 2, (2, 1)), normal((2, 4, 4, 5), (4, 3, 3, 2))
    ),
    **pooled("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"),
    "avg_pool2d without padding": Call(
        lambda F, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), normal((2, 3, 7, 8))
    ),
    "avg_pool2d with a divisor": Call(lambda F, x: F.avg_pool2d(x, 2, divisor_override=3), normal((2, 3, 7, 8))),
    "max_pool2d with indices": Call(
        lambda F, x: list(F.max_pool2d(x, 2, return_indices=True)), normal((2, 3, 7, 8)), order=1
    ),
    "max_pool2d, dilated": Call(lambda F, x: F.max_pool2d(x, 2, 1, 0, 2), normal((2, 3, 7, 8))),
    **{
        f"{name} {size}": Call(lambda F, x, name=name, size=size: getattr(F, name)(x, size), normal(shape))
        for name, shape, sizes in (
            ("adaptive_avg_pool1d", (2, 3, 7), (1, 3, 7)),
            ("adaptive_max_pool1d", (2, 3, 7), (1, 3)),
            ("adaptive_avg_pool2d", (2, 3, 7, 5), (1, 3, (2, 5), (None, 2))),
            ("adaptive_max_pool2d", (2, 3, 7, 5), (1, (3, 2))),
        )
        for size in sizes
    },
    **{
        f"interpolate, {mode} {options} of {len(shape)} axes": Call(
            lambda F, x, mode=mode, options=options: F.interpolate(x, mode=mode, **options), normal(shape)
        )
        for mode, shape in (("nearest", (2, 3, 4, 5)), ("nearest", (2, 3, 5)), ("nearest-exact", (2, 3, 4, 5)))
        for options in ({"scale_factor": 2}, {"size": 7})
    },
    **{
        f"interpolate, {mode} {corners} {options}": Call(
            lambda F, x, mode=mode, options=options, corners=corners: F.interpolate(
                x, mode=mode, align_corners=corners, **options
            ),
            normal(shape),
        )
        for mode, shape in (("linear", (2, 3, 5)), ("bilinear", (2, 3, 4, 5)), ("bicubic", (2, 3, 4, 5)))
        for corners in (False, True)
        for options in ({"scale_factor": 2}, {"size": 7 if mode == "linear" else (3, 9)}, {"scale_factor": 1.7})
    },
    **{
        f"interpolate, {mode} {options}, antialias": Call(
            lambda F, x, mode=mode, options=options: F.interpolate(x, mode=mode, antialias=True, **options),
            normal((2, 3, 9, 8)),
        )
        for mode in ("bilinear", "bicubic")
        for options in (
            {"size": (3, 5)},
            {"size": (11, 2), "align_corners": True},
            {"scale_factor": 0.4},
            {"scale_factor": (0.3, 1.6)},
        )
    },
    "max_unpool2d": Call(
        lambda F, x: [
            F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
            F.max_unpool2d(*F.max_pool2d(x, (3, 2), (3, 2), (1, 0), return_indices=True), (3, 2), (3, 2), (1, 0)),
            F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=(7, 8)),
        ],
        normal((2, 3, 7, 8)),
        order=1,
    ),
    "max_unpool1d": Call(
        lambda F, x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2, output_size=(2, 3, 9)),
        normal((2, 3, 9)),
        order=1,
    ),
    **{
        f"embedding by frequency, {skipped}": Call(
            lambda F, i, w, skipped=skipped: F.embedding(i, w, skipped, None, 2.0, True),
            lambda rng: [rng.integers(0, 4, (2, 5)), rng.standard_normal((5, 3))],
            order=1,
        )
        for skipped in (None, 2)
    },
    "layer_norm": Call(lambda F, x, w, b: F.layer_norm(x, (5,), w, b), normal((2, 3, 5), (5,), (5,))),
    "layer_norm of two axes": Call(lambda F, x: F.layer_norm(x, (3, 5), eps=1e-3), normal((2, 3, 5))),
    "rms_norm": Call(lambda F, x, w: F.rms_norm(x, (5,), w, 1e-6), normal((2, 3, 5), (5,))),
    "group_norm": Call(lambda F, x, w, b, *_: F.group_norm(x, 2, w, b), normed),
    "instance_norm": Call(lambda F, x, w, b, *_: F.instance_norm(x, weight=w, bias=b), normed),
    "batch_norm, training": Call(lambda F, x, w, b, *_: F.batch_norm(x, None, None, w, b, training=True), normed),
    "batch_norm": Call(lambda F, x, w, b, m, v: F.batch_norm(x, m, v, w, b), normed, constants=(3, 4)),
    "embedding": Call(
        lambda F, i, w: F.embedding(i, w), lambda rng: [rng.integers(0, 7, (2, 5)), rng.standard_normal((7, 3))]
    ),
    "embedding with padding": Call(
        lambda F, i, w: F.embedding(i, w, padding_idx=2),
        lambda rng: [rng.integers(0, 4, (2, 5)), rng.standard_normal((7, 3))],
    ),
    **{
        f"embedding_bag, {mode}": Call(
            lambda F, i, w, mode=mode: F.embedding_bag(i, w, mode=mode),
            lambda rng: [rng.integers(0, 7, (3, 5)), rng.standard_normal((7, 3))],
            order=1,
        )
        for mode in ("sum", "mean", "max")
    },
    "embedding_bag of weights": Call(
        lambda F, i, w, p: F.embedding_bag(i, w, mode="sum", per_sample_weights=p),
        lambda rng: [rng.integers(0, 7, (3, 5)), rng.standard_normal((7, 3)), rng.standard_normal((3, 5))],
        order=1,
    ),
    "embedding_bag of offsets": Call(
        lambda F, i, w, o: F.embedding_bag(i, w, o, mode="sum"),
        lambda rng: [rng.integers(0, 7, 9), rng.standard_normal((7, 3)), np.array([0, 2, 2, 7])],
        order=1,
        compiled=False,  # the lengths of the bags decide the program
    ),
    "attention": Call(
        lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v), normal((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 2))
    ),
    "attention, causal": Call(
        lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        normal((2, 4, 5), (2, 4, 5), (2, 4, 5)),
    ),
    "attention, masked": Call(
        lambda F, q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m, scale=0.3),
        lambda rng: [
            *normal((2, 4, 5), (2, 6, 5), (2, 6, 3))(rng),
            (rng.random((4, 6)) < 0.6) | np.eye(4, 6, dtype=bool),
        ],
    ),
    "attention, biased": Call(
        lambda F, q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
        normal((2, 4, 5), (2, 6, 5), (2, 6, 3), (4, 6)),
    ),
    "prelu": Call(lambda F, x, a: F.prelu(x, a), normal((2, 3, 4), (3,))),
    "prelu, rows and channels": Call(
        lambda F, x, y, a: [F.prelu(x, a), F.prelu(y, a)], normal((4, 3), (3, 3, 3), (3,))
    ),
    "prelu of one": Call(lambda F, x, a: F.prelu(x, a), normal((2, 3, 4), (1,))),
    "glu": Call(lambda F, x: [F.glu(x, dim=d) for d in (0, -1)], normal((2, 3, 4))),
    "maxout": Call(
        lambda F, x: F.maxout(x, 2, axis=1) if hasattr(F, "OPS") else x.reshape(2, 3, 2, 4).amax(2), normal((2, 6, 4))
    ),
}


TRANSPOSED = (torch.nn.Linear, torch.nn.RNNBase, torch.nn.RNNCellBase, torch.nn.MultiheadAttention)


def module(make: Callable[[Any], Any], draw: Draw, order: int = 2) -> Call:
    """A module of either library, with the same weights: arguments behind the inputs, in the order of its state."""
    ours, theirs = make(cr.nn).double(), make(torch.nn).double()
    shapes = {name: parameter.shape for name, parameter in ours.named_parameters()}
    assert set(shapes) == {name for name, _ in theirs.named_parameters()}

    def run(F: Any, *values: Any) -> Any:
        inputs = values[: len(values) - len(shapes)]
        weights = dict(zip(shapes, values[len(inputs) :], strict=True))
        if hasattr(F, "OPS"):
            return cr.nn.utils.functional_call(ours, weights, inputs)
        return torch.func.functional_call(
            theirs, {name: theirs_of(theirs, name, w) for name, w in weights.items()}, inputs
        )

    def both(rng: Generator) -> list[Array]:
        return [*draw(rng), *(0.5 * rng.standard_normal(shape) for shape in shapes.values())]

    return Call(run, both, order)


def sized(make: Callable[[Any], Any], draw: Draw, size: tuple[int, ...]) -> Call:
    """A layer that is called with the size of its result."""
    call = module(make, draw)
    return Call(lambda F, x, *weights: call.run(F, x, size, *weights), call.draw)


def masked(call: Call) -> Call:
    """A transformer whose second sequence does not look ahead."""

    def run(F: Any, src: Any, tgt: Any, *weights: Any) -> Any:
        nn = cr.nn if hasattr(F, "OPS") else torch.nn
        mask = nn.Transformer.generate_square_subsequent_mask(3, dtype=src.dtype)
        return call.run(F, src, tgt, None, mask, *weights)

    return Call(run, call.draw, call.order)


def packed(make: Callable[[Any], Any], enforce_sorted: bool) -> Call:
    """A recurrent layer of sequences of several lengths."""
    call = module(make, normal((5, 4, 4)), 2)
    lengths = [5, 3, 3, 1] if enforce_sorted else [3, 1, 5, 3]

    def run(F: Any, x: Any, *weights: Any) -> list[Any]:
        rnn = cr.nn.utils.rnn if hasattr(F, "OPS") else torch.nn.utils.rnn
        outputs, last = call.run(F, rnn.pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted), *weights)
        return [outputs.data, *rnn.pad_packed_sequence(outputs, padding_value=0.5, total_length=6), last]

    return Call(run, call.draw)


def theirs_of(theirs: torch.nn.Module, name: str, weight: Any) -> Any:
    """A weight as PyTorch's layer has it: matrices of products are (out, in) there."""
    owner = theirs.get_submodule(name.rpartition(".")[0])
    return weight.T if isinstance(owner, TRANSPOSED) and weight.ndim == 2 else weight


SEQUENCE = normal((3, 2, 4))
MODULES = {
    "Linear": module(lambda nn: nn.Linear(4, 3), normal((5, 4))),
    "BatchNorm1d": module(lambda nn: nn.BatchNorm1d(4), normal((6, 4))),
    "BatchNorm1d of sequences": module(lambda nn: nn.BatchNorm1d(4, eps=1e-3), normal((3, 4, 5))),
    "BatchNorm2d": module(lambda nn: nn.BatchNorm2d(3), normal((3, 3, 2, 4))),
    "LayerNorm": module(lambda nn: nn.LayerNorm((3, 4)), normal((2, 3, 4))),
    "GroupNorm": module(lambda nn: nn.GroupNorm(2, 4), normal((2, 4, 3, 2))),
    "Bilinear": module(lambda nn: nn.Bilinear(3, 4, 2), normal((5, 3), (5, 4))),
    "Conv2d": module(lambda nn: nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), normal((2, 2, 4, 5))),
    "Conv1d": module(lambda nn: nn.Conv1d(2, 4, 3, padding=2, padding_mode="circular"), normal((2, 2, 6))),
    "ConvTranspose2d of a size": sized(
        lambda nn: nn.ConvTranspose2d(2, 4, 3, stride=(2, 3), padding=1), normal((2, 2, 3, 4)), (6, 11)
    ),
    "ConvTranspose1d of a size": sized(lambda nn: nn.ConvTranspose1d(2, 4, 3, stride=3), normal((2, 2, 4)), (2, 4, 13)),
    "ConvTranspose2d": module(lambda nn: nn.ConvTranspose2d(2, 4, 3, stride=2, output_padding=1), normal((2, 2, 3, 4))),
    **{
        f"{name} {options}": module(lambda nn, name=name, options=options: getattr(nn, name)(4, 3, **options), SEQUENCE)
        for name in ("RNN", "GRU", "LSTM")
        for options in (
            {},
            {"num_layers": 2, "bidirectional": True},
            {"batch_first": True, "bias": False},
        )
    },
    **{
        f"{name} of packed sequences, {'sorted' if enforce_sorted else 'in any order'}": packed(
            lambda nn, name=name: getattr(nn, name)(4, 3, num_layers=2, bidirectional=True), enforce_sorted
        )
        for name in ("RNN", "GRU", "LSTM")
        for enforce_sorted in (True, False)
    },
    "RNN of relu": module(lambda nn: nn.RNN(4, 3, nonlinearity="relu"), SEQUENCE),
    "RNNCell": module(lambda nn: nn.RNNCell(4, 3), normal((5, 4), (5, 3))),
    "GRUCell": module(lambda nn: nn.GRUCell(4, 3), normal((5, 4), (5, 3))),
    "LSTMCell": module(lambda nn: nn.LSTMCell(4, 3), normal((5, 4))),
    "MultiheadAttention": module(lambda nn: nn.MultiheadAttention(4, 2), normal((3, 2, 4), (5, 2, 4), (5, 2, 4))),
    "TransformerEncoderLayer": module(
        lambda nn: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True), normal((2, 5, 4))
    ),
    "TransformerEncoderLayer, norm first": module(
        lambda nn: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, norm_first=True, activation="gelu"),
        normal((5, 2, 4)),
    ),
    "TransformerDecoderLayer": module(
        lambda nn: nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0), normal((3, 2, 4), (5, 2, 4))
    ),
    "TransformerDecoderLayer, norm first": module(
        lambda nn: nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0, norm_first=True, batch_first=True, bias=False),
        normal((2, 3, 4), (2, 5, 4)),
    ),
    "Transformer": masked(
        module(
            lambda nn: nn.Transformer(4, 2, 1, 2, 6, dropout=0.0, batch_first=True),
            normal((2, 5, 4), (2, 3, 4)),
            order=1,
        )
    ),
    "PReLU": module(lambda nn: nn.PReLU(3), normal((2, 3, 4))),
    "Upsample": Call(
        lambda F, x: (cr.nn if hasattr(F, "OPS") else torch.nn).Upsample(scale_factor=2)(x), normal((2, 3, 4, 5))
    ),
}

CALLS = {**FUNCTIONS, **MODULES}
