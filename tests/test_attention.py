"""Attention: the instruction against ops, masks, layers, model files, errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.ops import _attention
from reference.bits import Array, assert_same_bits

Dtype = type[np.float32] | type[np.float64]


def draw(*shape: int, seed: int = 0, dtype: Dtype = np.float32) -> Array:
    return np.random.default_rng([seed, *shape]).uniform(-2, 2, shape).astype(dtype)


def layer(*sizes: int, **options: Any) -> nn.MultiheadAttention:
    return nn.MultiheadAttention(*sizes, generator=cr.random.Generator(seed=3), **options)


def masks(batch: int, heads: int, n: int) -> list[Any]:
    """None, bools with a query that may look at nothing, floats, causal ones, one of each head."""
    allowed = np.random.default_rng(1).random((batch, 1, n, n)) < 0.6
    allowed[:, :, n // 2] = False
    numbers = draw(heads, n, n)
    numbers[:, 0, -1] = -np.inf
    return [None, allowed, numbers, np.tril(np.ones((n, n), bool)), draw(batch, heads, 1, 1)]


def heads_of(x: cr.Tensor, heads: int) -> list[cr.Tensor]:
    batch, steps, wide = x.shape
    together = cr.transpose(cr.reshape(x, (batch, steps, 3, heads, wide // 3 // heads)), (2, 0, 3, 1, 4))
    return [together[i] for i in range(3)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("batch", "heads", "n", "depth"), [(2, 3, 7, 4), (1, 2, 33, 16), (3, 1, 1, 5)])
@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize("dropped", [0.0, 0.3])
def test_the_instruction_has_the_bits_of_the_ops(
    which: int, batch: int, heads: int, n: int, depth: int, dropped: float, dtype: Dtype
) -> None:
    mask = masks(batch, heads, n)[which]
    results = []
    for fused in (True, False):
        x = cr.tensor(draw(batch, n, 3 * heads * depth, dtype=dtype), requires_grad=True)
        generator = cr.random.Generator(seed=5)
        if fused:
            y = cr.self_attention(x, heads, mask, dropped, generator=generator)
        else:
            q, k, v = heads_of(x, heads)
            apart = cr.scaled_dot_product_attention(q, k, v, mask, dropped, generator=generator)
            y = cr.reshape(cr.transpose(apart, (0, 2, 1, 3)), (batch, n, heads * depth))
        cr.backward(cr.sum(y * draw(*y.shape, seed=2, dtype=dtype)))
        assert x.grad is not None
        results.append((y.numpy(), x.grad.numpy()))
    for a, b in zip(*results, strict=True):
        assert np.isfinite(a).all()
        assert_same_bits(a, b)


@pytest.mark.parametrize("longest", [4096, 400])
def test_long_sequences_are_computed_in_blocks(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than fit the scratch memory, and more than the instruction takes."""
    monkeypatch.setattr(_attention, "_LONGEST", longest)
    found = []
    for fused in (True, False):
        x = cr.tensor(draw(1, 500, 6), requires_grad=True)
        y = cr.self_attention(x, 1, is_causal=True) if fused else None
        if y is None:
            y = cr.scaled_dot_product_attention(*heads_of(x, 1), is_causal=True)[:, 0]
        cr.backward(cr.sum(y * draw(1, 500, 2, seed=1)))
        assert x.grad is not None
        found.append((y.numpy(), x.grad.numpy()))
    for a, b in zip(*found, strict=True):
        assert_same_bits(a, b)


def test_nothing_to_look_at_gives_zero() -> None:
    x = cr.tensor(draw(2, 3, 4), requires_grad=True)
    mask = np.zeros((3, 3), bool)
    y = cr.scaled_dot_product_attention(x, x, x, mask)
    assert not y.numpy().any()
    cr.backward(cr.sum(y))
    assert x.grad is not None
    assert not x.grad.numpy().any()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_weights_make_no_difference(batch_first: bool, bias: bool) -> None:
    """The instruction, without weights, and the ops that return them."""
    model, x = layer(8, 2, bias=bias, batch_first=batch_first), cr.tensor(draw(4, 4, 8))
    padding = np.array([[False] * 4, [False, True, False, False], [True] * 4, [False] * 4])
    for options in ({}, {"key_padding_mask": padding}, {"is_causal": True}, {"attn_mask": draw(8, 4, 4)}):
        result, weights = model(x, x, x, **options)
        fused, none = model(x, x, x, need_weights=False, **options)
        assert none is None
        assert weights.shape == (4, 4, 4)
        assert_same_bits(result.numpy(), fused.numpy())
        heads = model(x, x, x, average_attn_weights=False, **options)[1]
        assert_same_bits(cr.mean(heads, 1).numpy(), weights.numpy())
        sums = weights.numpy().sum(-1)
        assert np.all((abs(sums - 1) < 1e-6) | (sums == 0))


def test_other_keys_and_values() -> None:
    model = layer(6, 3, kdim=4, vdim=5)
    result, weights = model(draw(3, 2, 6), draw(7, 2, 4), draw(7, 2, 5))
    assert result.shape == (3, 2, 6)
    assert weights.shape == (2, 3, 7)
    alone, alone_weights = model(draw(3, 2, 6)[:, 1], draw(7, 2, 4)[:, 1], draw(7, 2, 5)[:, 1])
    assert_same_bits(alone.numpy(), result.numpy()[:, 1])
    assert_same_bits(alone_weights.numpy(), weights.numpy()[1])


def test_compiled_training_has_the_bits_of_eager_steps() -> None:
    x, target = draw(3, 5, 8), draw(3, 5, 8, seed=1)
    trained = []
    for compiled in (False, True):
        cr.manual_seed(4)
        model = layer(8, 2, batch_first=True, dropout=0.2)
        optimizer = cr.optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any, target: Any, model: Any = model, optimizer: Any = optimizer) -> cr.Tensor:
            optimizer.zero_grad()
            loss = cr.mse_loss(model(x, x, x, need_weights=False, is_causal=True)[0], target)
            loss.backward()
            optimizer.step()
            return loss

        run: Callable[..., cr.Tensor] = cr.compile(step) if compiled else step
        losses = [run(cr.tensor(x), cr.tensor(target)).item() for _ in range(5)]
        trained.append([np.array(losses), *(p.numpy().copy() for p in model.parameters())])
    for a, b in zip(*trained, strict=True):
        assert_same_bits(a, b)


def test_a_model_file_has_it(tmp_path: Any) -> None:
    for model in (layer(6, 3, dropout=0.25, bias=False, batch_first=True), layer(6, 2, kdim=3, vdim=4)):
        cr.save(model, tmp_path / "model.safetensors")
        loaded = cr.load(tmp_path / "model.safetensors")
        assert loaded.config() == model.config()
        for name, value in model.state_dict().items():
            assert_same_bits(loaded.state_dict()[name], value)


WRONG = (
    (lambda: layer(6, 4), ValueError, "MultiheadAttention: embed_dim 6 must be a multiple of num_heads 4"),
    (lambda: layer(4, 2)(draw(3, 2, 5), draw(3, 2, 4), draw(3, 2, 4)), ValueError, r"query must be .*, 4\), .* got"),
    (lambda: layer(4, 2)(draw(3, 2, 4), draw(3, 2, 4), draw(4, 2, 4)), ValueError, "as many steps"),
    (
        lambda: layer(4, 2)(*[draw(3, 2, 4)] * 3, attn_mask=np.ones((2, 3), bool)),
        ValueError,
        r"attn_mask must be \(3, 3\) here, got \(2, 3\)",
    ),
    (
        lambda: cr.scaled_dot_product_attention(*[draw(3, 4)] * 3, np.ones((3, 3), bool), is_causal=True),
        ValueError,
        "expected attn_mask or is_causal, not both",
    ),
    (lambda: cr.scaled_dot_product_attention(*[draw(3, 4)] * 3, np.ones((3, 3), int)), TypeError, "must be bools"),
    (lambda: cr.scaled_dot_product_attention(*[draw(3, 4)] * 3, draw(2, 3)), ValueError, r"shapes|broadcast"),
    (lambda: cr.self_attention(draw(2, 3, 8), 2), ValueError, r"projections must be \(batch, steps, 3 \* 2 \* d\)"),
    (lambda: cr.scaled_dot_product_attention(*[draw(3, 4)] * 3, dropout_p=2.0), ValueError, "dropout_p"),
)


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_errors(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
