"""Encoder layers: against their formula, compiled and eager, in model files, a net that trains."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from reference.bits import Array, assert_same_bits


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).uniform(-2, 2, shape).astype(np.float32)


def layer(**options: Any) -> nn.TransformerEncoderLayer:
    chosen = {"dropout": 0.0, "batch_first": True, "generator": cr.random.Generator(seed=3)} | options
    return nn.TransformerEncoderLayer(8, 2, 12, **chosen)


@pytest.mark.parametrize("activation", ["relu", "gelu", cr.relu, nn.functional.gelu])
@pytest.mark.parametrize("norm_first", [False, True])
def test_the_formula(norm_first: bool, activation: Any) -> None:
    model, x = layer(norm_first=norm_first, activation=activation), cr.tensor(draw(2, 5, 8))
    function = cr.gelu if model.activation == "gelu" else cr.relu

    def attention(x: cr.Tensor) -> cr.Tensor:
        return model.self_attn(x, x, x, need_weights=True)[0]

    def net(x: cr.Tensor) -> cr.Tensor:
        return model.linear2(function(model.linear1(x)))

    if norm_first:
        y = x + attention(model.norm1(x))
        expected = y + net(model.norm2(y))
    else:
        y = model.norm1(x + attention(x))
        expected = model.norm2(y + net(y))
    assert_same_bits(model(x).numpy(), expected.numpy())


def test_masks_reach_the_attention() -> None:
    model, x = nn.TransformerEncoder(layer(), 2), draw(2, 5, 8)
    other = x.copy()
    other[:, 3:] += 1.0
    causal = np.triu(np.ones((5, 5), bool), 1)
    for options in ({"mask": causal}, {"is_causal": True}):
        a, b = model(x, **options).numpy(), model(other, **options).numpy()
        assert_same_bits(a[:, :3], b[:, :3])
        assert not np.array_equal(a[:, 3:], b[:, 3:])
    padding = np.arange(5) >= np.array([[3], [3]])
    a, b = (model(given, src_key_padding_mask=padding).numpy() for given in (x, other))
    assert_same_bits(a[:, :3], b[:, :3])


def test_steps_first_and_without_rows() -> None:
    x = draw(2, 5, 8)
    by_row, by_step = layer()(x).numpy(), layer(batch_first=False)(x.swapaxes(0, 1)).numpy()
    assert_same_bits(by_step.swapaxes(0, 1), by_row)
    assert_same_bits(layer()(x[1]).numpy(), by_row[1])


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_net_trains_with_the_same_bits_compiled(dropout: float) -> None:
    """Whether the largest first element lies in the first half; the encoder knows the order from sines."""
    x = draw(64, 6, 8)
    y = (x[:, :, 0].argmax(1) < 3).astype(np.int64)
    positions = cr.sin(np.arange(6, dtype=np.float32)[:, None] * np.float32([1.0, 0.3, 0.1, 0.03] * 2)).numpy()
    results = []
    for compiled in (False, True):
        cr.manual_seed(1)
        encoder, head = (
            nn.TransformerEncoder(layer(dropout=dropout), 2),
            nn.Linear(8, 2, generator=cr.random.Generator(1)),
        )
        parameters = [*encoder.parameters(), *head.parameters()]
        optimizer = cr.optim.Adam(parameters, lr=0.01)

        def step(x: Any, y: Any, nets: Any = (encoder, head), optimizer: Any = optimizer) -> cr.Tensor:
            optimizer.zero_grad()
            loss = cr.cross_entropy(nets[1](cr.mean(nets[0](x + positions), 1)), y)
            loss.backward()
            optimizer.step()
            return loss

        run: Callable[..., cr.Tensor] = cr.compile(step) if compiled else step
        losses = [run(cr.tensor(x), cr.tensor(y)).item() for _ in range(40)]
        assert losses[-1] < 0.6 * losses[0]
        results.append([np.array(losses), *(p.numpy().copy() for p in parameters)])
    for a, b in zip(*results, strict=True):
        assert_same_bits(a, b)


def test_a_model_file_has_it(tmp_path: Any) -> None:
    x = draw(2, 5, 8)
    for model in (
        layer(norm_first=True, activation="gelu", bias=False, layer_norm_eps=1e-3, dropout=0.25),
        nn.TransformerEncoder(layer(), 3),
        nn.TransformerEncoder(layer(norm_first=True), 2, nn.LayerNorm(8)),
        both(activation="gelu", norm_first=True),
        nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 4, batch_first=True), 2),
    ):
        for p in model.parameters():
            p.copy_(draw(*p.shape, seed=5))
        cr.save(model, tmp_path / "model.safetensors")
        loaded = cr.load(tmp_path / "model.safetensors")
        assert repr(loaded) == repr(model)
        inputs = (x,) if "Encoder" in type(model).__name__ else (x, x[:, :3])
        assert_same_bits(loaded.eval()(*inputs).numpy(), model.eval()(*inputs).numpy())


def both(**options: Any) -> nn.Transformer:
    chosen = {"dropout": 0.0, "batch_first": True, "generator": cr.random.Generator(seed=3)} | options
    return nn.Transformer(8, 2, 2, 1, 12, **chosen)


def test_masks_reach_the_decoder() -> None:
    model, src, tgt = both(), draw(2, 4, 8), draw(2, 5, 8)
    later = tgt.copy()
    later[:, 3:] += 1.0
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    assert mask.tolist()[1] == [0.0, 0.0, -np.inf, -np.inf, -np.inf]
    for options in ({"tgt_mask": mask}, {"tgt_is_causal": True}):
        a, b = model(src, tgt, **options).numpy(), model(src, later, **options).numpy()
        assert_same_bits(a[:, :3], b[:, :3])
        assert not np.array_equal(a[:, 3:], b[:, 3:])
    other = src.copy()
    other[:, 2:] += 1.0
    padding = np.broadcast_to(np.arange(4) >= 2, (2, 4))
    masks = {"src_key_padding_mask": padding, "memory_key_padding_mask": padding}
    assert_same_bits(model(src, tgt, **masks).numpy(), model(other, tgt, **masks).numpy())
    assert not np.array_equal(model(src, tgt).numpy(), model(other, tgt).numpy())


def test_layers_begin_apart_and_train() -> None:
    model = both(dropout=0.1)
    first, second = model.encoder.layers
    assert not np.array_equal(first.linear1.weight.numpy(), second.linear1.weight.numpy())
    optimizer = cr.optim.Adam(model.parameters(), lr=0.01)

    @cr.compile
    def step(src: cr.Tensor, tgt: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = cr.mean(cr.square(model(src, tgt, tgt_is_causal=True) - tgt))
        loss.backward()
        optimizer.step()
        return loss

    src, tgt = cr.tensor(draw(2, 4, 8)), cr.tensor(draw(2, 5, 8))
    losses = [step(src, tgt).item() for _ in range(20)]
    assert losses[-1] < 0.8 * losses[0]


WRONG = (
    (lambda: layer(activation="tanh"), ValueError, "activation must be 'relu' or 'gelu', got 'tanh'"),
    (lambda: layer(dropout=2.0), ValueError, "TransformerEncoderLayer: dropout"),
    (lambda: nn.TransformerEncoder(layer(), 0), ValueError, "TransformerEncoder: num_layers"),
    (lambda: nn.TransformerEncoder(3, 1), TypeError, "TransformerEncoder: encoder_layer must be a module, got int"),
    (lambda: nn.TransformerDecoder(3, 1), TypeError, "TransformerDecoder: decoder_layer must be a module, got int"),
    (lambda: nn.Transformer(8, 2, 0), ValueError, "Transformer: num_encoder_layers"),
    (lambda: layer()(draw(2, 5, 7)), ValueError, r"got \(2, 5, 7\)"),
)


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_errors(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_time_along_the_first_axis_is_no_axis_of_rows() -> None:
    layer, x = nn.TransformerEncoderLayer(8, 2, dim_feedforward=4).eval(), np.ones((5, 3, 8), np.float32)
    rnn = nn.GRU(8, 2)
    for _ in range(3):  # never compiled in blocks
        assert layer.predict(x).tobytes() == layer(x).numpy().tobytes()
        assert rnn.predict(x)[0].tobytes() == rnn(x)[0].numpy().tobytes()
    for model in (layer, rnn):
        with pytest.raises(ValueError, match="5 steps of time"):
            model.predict(x, batch_size=4)
        with pytest.raises(ValueError, match="batch_first=True"):
            cr.Predictor(model, (3, 8))
        with pytest.raises(ValueError, match="batch_first=True"):
            cr.fit(model, x, x, loss=nn.MSELoss())
    first = nn.TransformerEncoderLayer(8, 2, dim_feedforward=4, batch_first=True).eval()
    assert first.predict(x, batch_size=4).tobytes() == first(x).numpy().tobytes()
