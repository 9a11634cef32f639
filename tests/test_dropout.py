"""Dropout: masks from Philox words, equal compiled, eager and by row blocks, on every level and thread count."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from reference import assert_same_bits, bernoulli
from support.variants import every_setting

FLOATS = (np.float32, np.float64)
F = nn.functional
each_dtype = pytest.mark.parametrize("dtype", FLOATS)


def values(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).standard_normal(shape).astype(dtype) + dtype(2)


def scale(p: float) -> float:
    return 1 / (1 - p) if p < 1 else 0.0


@each_dtype
@pytest.mark.parametrize("p", [0.1, 0.5, 0.75, 1.0, 1e-9, 1 - 2**-33])
def test_masks_are_those_of_the_reference(p: float, dtype: Any) -> None:
    for setting in every_setting():
        for shape in ((), (0, 3), (1,), (7,), (127,), (129,), (5, 33), (700, 3), (2, 3, 4)):
            x = values(shape, dtype)
            generator = cr.random.Generator(seed=2**63 + 5, stream=2**64 - 1)
            for stream in (2**64 - 1, 0, 1):
                got = cr.dropout(cr.tensor(x), p, generator=generator)
                expected = x * bernoulli(2**63 + 5, stream, shape, p, scale(p), dtype)
                assert_same_bits(got.numpy(), np.asarray(expected, dtype), f"{shape}, stream {stream}, {setting}")
            assert generator.stream == 2


@each_dtype
def test_compiled_calls_draw_anew(dtype: Any) -> None:
    """And as eager ones, from the generator's stream of then; twice in a function are two streams."""
    for setting in every_setting():
        for shape in ((), (4, 0), (129,), (64, 33)):
            x = cr.tensor(values(shape, dtype))
            generators = [cr.random.Generator(seed=3) for _ in range(2)]

            def function(x: cr.Tensor, generator: Any) -> tuple[cr.Tensor, cr.Tensor]:
                return cr.dropout(x, 0.3, generator=generator), cr.dropout(x * 2.0, 0.6, generator=generator)

            compiled = cr.compile(lambda x, g=generators[1]: function(x, g))
            for _ in range(4):
                results = function(x, generators[0]), compiled(x)
                for got, expected in zip(results[1], results[0], strict=True):
                    assert_same_bits(got.numpy(), expected.numpy(), f"{shape}, {setting}")
                assert generators[0].stream == generators[1].stream
                for generator in generators:
                    generator.uniform(2)
            for generator in generators:
                generator.seed, generator.stream = 9, 1000


def test_statistics() -> None:
    """The share of zeros, and no dependence of neighbours or of streams, within five standard deviations."""
    n, p = 1_000_000, 0.3
    generator = cr.random.Generator(seed=4)
    one, two = (cr.dropout(np.ones(n, np.float32), p, generator=generator).numpy() == 0 for _ in range(2))
    sigma = np.sqrt(p * (1 - p) / n)
    for share, probability in ((one, p), (two, p)):
        assert abs(share.mean() - probability) < 5 * sigma
    for both in (one[1:] & one[:-1], one[4:] & one[:-4], one & two):
        assert abs(both.mean() - p * p) < 5 * np.sqrt(p * p * (1 - p * p) / n) * 1.5
    y = cr.dropout(np.full(n, 2.0, np.float32), p, generator=generator).numpy()
    assert y.mean() == pytest.approx(2, abs=0.01)
    assert set(np.unique(y)) == {0.0, np.float32(2) * np.float32(1 / 0.7)}


@each_dtype
def test_the_gradient_is_the_mask(dtype: Any) -> None:
    data, g = values((6, 7), dtype), values((6, 7), dtype) * dtype(3)
    x = cr.tensor(data, requires_grad=True)
    y = cr.dropout(x, 0.4, generator=cr.random.Generator(seed=5))
    cr.backward(y, g, create_graph=True)
    mask = bernoulli(5, 0, (6, 7), 0.4, scale(0.4), dtype)
    assert x.grad is not None
    assert_same_bits(x.grad.numpy(), np.asarray(g * mask), "gradient")
    value, slope = cr.value_and_grad(lambda x: cr.sum(cr.dropout(x * x, 0.4, generator=cr.random.Generator(seed=5))))(x)
    assert_same_bits(slope.numpy(), np.asarray(mask * data + mask * data), "gradient of a square")
    assert value.item() == pytest.approx(float((data * data * mask).sum()), rel=1e-5)


def test_evaluation_and_zero_probability_are_the_identity() -> None:
    generator, x = cr.random.Generator(seed=6), cr.tensor(values((5,)))
    assert cr.dropout(x, 0.5, training=False, generator=generator) is x
    assert cr.dropout(x, 0.0, generator=generator) is x
    layer = nn.Dropout(0.5, generator)
    assert layer.eval()(x) is x
    assert generator.stream == 0
    assert (layer.train()(x).numpy() == 0).any()
    assert generator.stream == 1


def test_the_default_generator_follows_manual_seed() -> None:
    layer, x = nn.Dropout(0.5), cr.tensor(np.ones(40, np.float32))
    step = cr.compile(lambda x: layer(x))
    results = []
    before = cr.random.default_generator().state_dict()
    for call in (layer, step, step):
        cr.manual_seed(8)
        results.append(call(x).numpy().tobytes())
    cr.random.default_generator().load_state_dict(before)
    assert len(set(results)) == 1


# Training.

X = values((150, 7))
Y = (X[:, 0] > X[:, 1]).astype(np.int64)


def net(generator: cr.random.Generator, dtype: Any = np.float32) -> nn.Sequential:
    g = cr.random.Generator(seed=12)
    return nn.Sequential(
        nn.Dropout(0.2, generator),
        nn.Linear(7, 40, generator=g, dtype=dtype),
        nn.Tanh(),
        nn.Dropout(0.5, generator),
        nn.Linear(40, 24, generator=g, dtype=dtype),
        nn.ReLU(),
        nn.Dropout(0.3, generator),
        nn.Linear(24, 2, generator=g, dtype=dtype),
    )


def trained(dtype: Any = np.float32, batch_size: int | None = 64, **options: Any) -> bytes:
    """Weights, velocities, losses and the generator's stream after some epochs; the last batch is a ragged one."""
    generator = cr.random.Generator(seed=7)
    model = net(generator, dtype)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    loss = nn.CrossEntropyLoss()
    trainer = cr.Trainer(model, X, Y, loss=loss, optimizer=optimizer, batch_size=batch_size, seed=13, **options)
    losses = [trainer.run_epoch() for _ in range(2)]
    arrays = [*model.state_dict().values(), *optimizer.state_dict()["velocity"], np.array(losses)]
    return b"".join(a.tobytes() for a in arrays) + pickle.dumps(generator.state_dict())


@each_dtype
def test_an_epoch_is_the_loop(dtype: Any) -> None:
    by_hand = trained(dtype, compile=False)
    for setting in every_setting():
        assert trained(dtype) == by_hand, setting
        assert trained(dtype, micro_batch=23) == by_hand, setting


def test_every_micro_batch_gives_the_whole_batch() -> None:
    whole = trained(compile=False)
    for size in range(1, 65, 3):
        assert trained(micro_batch=size) == whole, size


def test_blocks_of_rows_are_made() -> None:
    """Instructions that read the masks are in the loop, not after it."""
    generator = cr.random.Generator(seed=7)
    model = net(generator)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.05)
    trainer = cr.Trainer(
        model, X[:128], Y[:128], loss=nn.CrossEntropyLoss(), optimizer=optimizer, batch_size=128, micro_batch=16
    )
    trainer.run_epoch()
    assert trainer._compiled is not None
    ((plan,),) = trainer._compiled._plans.values()
    blocks = plan.built.blocks
    names = [[i.name for i in part] for part in (blocks.before, blocks.loop, blocks.after)]
    assert names[1].count("bernoulli") == 3
    assert "draw" in names[2]
    assert not any(name in ("gemm", "chain", "mul") for name in names[0])


def test_a_generator_made_inside_begins_anew_at_every_call() -> None:
    x = cr.tensor(values((30,)))

    def function(x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        generator = cr.random.Generator(seed=5)
        return cr.dropout(x, generator=generator), cr.dropout(x, generator=generator)

    expected = [y.numpy().tobytes() for y in function(x)]
    assert expected[0] != expected[1]
    compiled = cr.compile(function)
    for _ in range(3):
        assert [y.numpy().tobytes() for y in compiled(x)] == expected


def test_a_generator_is_not_set_inside() -> None:
    generator = cr.random.Generator(seed=5, stream=2)

    def function(x: cr.Tensor) -> cr.Tensor:
        generator.stream = 0
        return cr.dropout(x, generator=generator)

    with pytest.raises(cr.CompileError, match="random: seed or stream is set inside a compiled function"):
        cr.compile(function)(cr.tensor([1.0]))
    assert generator.stream == 2


def test_a_compiled_loss_with_masks_cannot_be_differentiated_further() -> None:
    x = cr.tensor(values((5,)), requires_grad=True)
    loss = cr.compile(lambda x: cr.sum(cr.dropout(x, 0.5, generator=cr.random.default_generator())))(x)
    assert not loss.requires_grad


@pytest.mark.parametrize(
    "remake", [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))], ids=["copy", "deepcopy", "pickle"]
)
def test_generators_are_copied(remake: Callable[[Any], Any]) -> None:
    first = cr.random.Generator(seed=2**64 - 1, stream=3)
    second = remake(first)
    first.uniform(3)
    assert (second.seed, second.stream, first.stream) == (2**64 - 1, 3, 4)


def test_a_saved_model_keeps_the_probability(tmp_path: Any) -> None:
    model = net(cr.random.Generator(seed=1))
    cr.save(model, tmp_path / "model")
    loaded = cr.load(tmp_path / "model")
    assert [layer.p for layer in loaded if isinstance(layer, nn.Dropout)] == [0.2, 0.5, 0.3]
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_rejects_probabilities(p: float) -> None:
    with pytest.raises(ValueError, match="dropout: p must be from 0 to 1, got"):
        cr.dropout(cr.tensor([1.0]), p)
    with pytest.raises(ValueError, match="Dropout: p must be from 0 to 1, got"):
        nn.Dropout(p)


def test_rejects_other_dtypes() -> None:
    with pytest.raises(TypeError, match="dropout: expected float32 or float64, got int64"):
        cr.dropout(cr.tensor([1, 2]))


# Channels, and selu's limit.


def test_whole_channels_are_dropped() -> None:
    for function, shape, kept in (
        (F.dropout2d, (5, 6, 3, 2), 2),
        (F.dropout2d, (5, 6, 3), 2),
        (F.dropout1d, (6, 4), 1),
    ):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        mask = F.dropout(np.ones(shape[:kept], np.float32), 0.3, generator=cr.random.Generator(4))
        expected = x * mask.numpy().reshape(*shape[:kept], *[1] * (len(shape) - kept))
        y = function(x, 0.3, generator=cr.random.Generator(4))
        assert_same_bits(y.numpy(), expected)
        assert 0 < np.count_nonzero(y.numpy() == 0) < x.size
        assert_same_bits(function(x, 0.3, training=False).numpy(), x)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = cr.random.Generator(1).normal((400, 500), dtype=np.float64)
    for p in (0.1, 0.4):
        y = F.alpha_dropout(x, p, generator=cr.random.Generator(2)).numpy()
        assert abs(y.mean()) < 0.01
        assert abs(y.var() - 1) < 0.01
        a = 1 / np.sqrt((1.7580993408473766**2 * p + 1) * (1 - p))
        b = 1.7580993408473766 * a * p
        stays = F.dropout(np.ones_like(x), p, generator=cr.random.Generator(2)).numpy() > 0
        np.testing.assert_allclose(y, np.where(stays, a * x + b, -1.7580993408473766 * a + b), rtol=1e-12, atol=1e-14)
    assert not F.alpha_dropout(x, 1.0).numpy().any()
    assert_same_bits(F.alpha_dropout(x, 0.5, training=False).numpy(), x)


@pytest.mark.parametrize("kind", [cr.nn.Dropout1d, cr.nn.Dropout2d, cr.nn.AlphaDropout])
def test_layers_that_drop_otherwise(kind: Any) -> None:
    x = np.random.default_rng(0).standard_normal((5, 6, 3)).astype(np.float32)
    layers = [kind(0.4, generator=cr.random.Generator(3)) for _ in range(2)]
    eager = [layers[0](cr.tensor(x)).numpy() for _ in range(2)]
    compiled = cr.compile(layers[1])
    for y in eager:
        assert_same_bits(compiled(cr.tensor(x)).numpy(), y)
    assert (eager[0] != eager[1]).any()
    assert_same_bits(layers[0].eval()(cr.tensor(x)).numpy(), x)
    with pytest.raises(ValueError, match=f"{kind.__name__}: p must be from 0 to 1, got 2"):
        kind(2)
