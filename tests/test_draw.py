"""Random integers, choices and orders: the bits of docs/arithmetic.md, their distribution, refusals; draws compiled."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from reference import assert_same_bits, bernoulli, normal, uniform, words
from support.programs import scalar
from support.variants import every_setting

Generator = cr.random.Generator


@pytest.mark.parametrize(("low", "high"), [(0, 10), (-5, 6), (-(2**63), 2**63 - 1), (2**62, 2**63 - 1), (3, 4)])
def test_integers(low: int, high: int) -> None:
    for seed, stream in ((0, 0), (7, 3), (2**64 - 1, 2**40)):
        w = words(seed, stream, 2 * 33).tolist()
        expected = [low + (((w[2 * i] + (w[2 * i + 1] << 32)) * (high - low)) >> 64) for i in range(33)]
        assert Generator(seed, stream).integers(33, low, high).tolist() == expected
        assert cr.randint(low, high, (11, 3), generator=Generator(seed, stream)).flatten().tolist() == expected
    assert Generator(1).integers((0, 3), 5).shape == (0, 3)


def test_all_integers_are_as_frequent() -> None:
    counts = np.bincount(Generator(3).integers(60_000, 6), minlength=6)
    assert (abs(counts - 10_000) < 400).all()  # 4 standard deviations


def test_spellings_of_randint() -> None:
    assert cr.randint(5, (2, 3)).dtype == np.int64
    assert cr.randint(2, 5, 4, dtype="float32").dtype == np.float32
    assert cr.randint_like(cr.zeros(2, 3), 5).dtype == np.float32
    assert cr.randint(0, 5, size=(2,)).shape == (2,)


def test_bernoulli() -> None:
    p = np.array([0.0, 0.25, 0.5, 1.0])
    drawn = cr.bernoulli(np.tile(p, (10_000, 1)), generator=Generator(5))
    assert drawn.dtype == np.float64
    assert np.allclose(drawn.numpy().mean(0), p, atol=0.02)
    assert set(drawn.numpy().reshape(-1).tolist()) == {0.0, 1.0}
    assert cr.bernoulli(cr.nn.Parameter([0.5])).requires_grad is False


@pytest.mark.parametrize("replacement", [True, False])
def test_multinomial(replacement: bool) -> None:
    weights = np.tile([1.0, 0.0, 3.0, 6.0], (20_000, 1))
    drawn = cr.multinomial(weights, 2, replacement, generator=Generator(6)).numpy()
    assert drawn.shape == (20_000, 2)
    assert np.allclose(np.bincount(drawn[:, 0], minlength=4) / 20_000, [0.1, 0, 0.3, 0.6], atol=0.015)
    assert 1 not in drawn
    if not replacement:
        assert (drawn[:, 0] != drawn[:, 1]).all()
        second = drawn[drawn[:, 0] == 3, 1]  # among what is left, in proportion
        assert np.allclose(np.bincount(second, minlength=4) / len(second), [0.25, 0, 0.75, 0], atol=0.02)
    else:
        assert np.allclose(np.bincount(drawn[:, 1], minlength=4) / 20_000, [0.1, 0, 0.3, 0.6], atol=0.015)


def test_orders() -> None:
    rows = np.arange(12.0).reshape(6, 2)
    order = Generator(8).permutation(6)
    assert cr.randperm(6, generator=Generator(8)).tolist() == order.tolist()
    assert cr.permutation(6, generator=Generator(8)).tolist() == order.tolist()
    assert cr.permutation(rows, generator=Generator(8)).tolist() == rows[order].tolist()
    assert Generator(8).permutation(rows).tolist() == rows[order].tolist()
    shuffled, items = rows.copy(), list("abcdef")
    Generator(8).shuffle(shuffled)
    Generator(8).shuffle(items)
    assert shuffled.tolist() == rows[order].tolist()
    assert items == [list("abcdef")[i] for i in order]
    x = cr.tensor(rows, requires_grad=True)
    (cr.permutation(x, generator=Generator(8)) * np.arange(6.0)[:, None]).sum().backward()
    assert x.grad is not None
    assert x.grad.numpy()[order, 0].tolist() == list(range(6))


def test_each_draw_takes_the_next_stream() -> None:
    generator = Generator(9)
    draws: list[Callable[[], Any]] = [
        lambda: generator.integers(3, 5),
        lambda: cr.bernoulli([0.5], generator=generator),
        lambda: cr.multinomial([0.5, 0.5], 1, generator=generator),
        lambda: cr.randperm(4, generator=generator),
    ]
    for i, draw in enumerate(draws):
        assert generator.stream == i
        draw()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.randint(5, 5, (2,)), ValueError, "integers: expected low < high"),
        (lambda: cr.randint(0, 2**63, (2,)), ValueError, "integers: expected low < high from -2**63 to 2**63 - 1"),
        (lambda: cr.randint(5), TypeError, "randint: expected a shape"),
        (lambda: cr.randint(0, 1.5, (2,)), TypeError, "integers: low and high must be integers"),
        (lambda: cr.bernoulli([1.5]), ValueError, "bernoulli: probabilities must be from 0 to 1"),
        (lambda: cr.bernoulli([np.nan]), ValueError, "bernoulli: probabilities must be from 0 to 1"),
        (lambda: cr.multinomial([0.0, 0.0], 1), ValueError, "multinomial: weights must be finite, not negative, and"),
        (lambda: cr.multinomial([-1.0, 2.0], 1), ValueError, "multinomial: weights must be finite, not negative"),
        (lambda: cr.multinomial([1.0, 0.0], 2), ValueError, "multinomial: 2 samples without replacement of 1 classes"),
        (lambda: cr.multinomial(1.0, 2), ValueError, "multinomial: expected weights (classes,) or (rows, classes)"),
        (lambda: Generator().shuffle((1, 2)), TypeError, "shuffle: expected an array or a list, got tuple"),
        (lambda: cr.compile(lambda: Generator().integers(5, 2))(), cr.CompileError, "random: numbers drawn inside a"),
        (lambda: cr.compile(lambda: Generator().permutation(5))(), cr.CompileError, "random: numbers drawn inside a"),
    ],
)
def test_refusals(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()


# Draws in compiled functions.

SHAPES: tuple[tuple[int, ...], ...] = ((), (4, 0), (0, 3), (1,), (129,), (64, 33), (3, 5, 7))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_draws_have_the_bits_of_the_reference(dtype: Any) -> None:
    """From the generator's stream of the call, whatever was drawn before; several in a function are several streams."""
    log = scalar("log")
    for setting in every_setting():
        for shape in SHAPES:
            generator = Generator(seed=2**63 + 5, stream=2**64 - 2)
            function = cr.compile(
                lambda x, g=generator: (
                    cr.rand_like(x, generator=g),
                    cr.dropout(x, generator=g),
                    cr.randn_like(x, generator=g),
                )
            )
            for first in (2**64 - 2, 2):
                got = function(cr.ones(shape, dtype=dtype))
                streams = [(first + i) % 2**64 for i in range(3)]
                expected = uniform(2**63 + 5, streams[0], shape, dtype=dtype)
                assert_same_bits(got[0].numpy(), expected, f"rand {shape}, {setting}")
                expected = bernoulli(2**63 + 5, streams[1], shape, 0.5, 2.0, dtype)
                assert_same_bits(got[1].numpy(), expected, f"dropout {shape}, {setting}")
                expected = normal(2**63 + 5, streams[2], shape, dtype=dtype, log=log)
                assert_same_bits(got[2].numpy(), expected, f"randn {shape}, {setting}")
                assert generator.stream == (first + 3) % 2**64
                generator.permutation(3)


W = np.array([[0.0, 2.0, 1.0, 0.0, 3.0], [1.0, 0.0, 0.0, 0.0, 0.0], [0.25, 0.125, 0.5, 4.0, 0.0]])
COMPILED: dict[str, Callable[[cr.Tensor, Generator], Any]] = {
    "rand of a shape": lambda x, g: (cr.rand(2, *x.shape, generator=g), x * cr.rand(3, dtype=x.dtype, generator=g)[0]),
    "randn of a shape": lambda x, g: cr.randn(dtype=x.dtype, generator=g) * x,
    "rand without elements": lambda x, g: (cr.rand(0, 3, generator=g), x + cr.rand_like(x, generator=g)),
    "bernoulli": lambda x, g: cr.bernoulli(x / 4.0, generator=g),
    "bernoulli of numbers": lambda x, g: x * cr.bernoulli(np.array([0.5, 0.25, 1, 0, 1], x.dtype), generator=g),
    "with replacement": lambda x, g: cr.multinomial(x, 7, True, generator=g),
    "one row": lambda x, g: (cr.multinomial(x[2], 9, True, generator=g), cr.multinomial(x[2], 2, generator=g)),
    "integers": lambda x, g: cr.multinomial(cr.astype(x + 1.0, np.int64), 2, True, generator=g),
    "without replacement": lambda x, g: cr.multinomial(x + 0.5, 3, generator=g),
    "randint": lambda x, g: (cr.randint(-3, 7, (5, 3), generator=g), cr.randint(2**63 - 1, (), generator=g)),
    "randint of all": lambda x, g: cr.randint(-(2**63), 2**63 - 1, (2, 5), generator=g),
    "randint of a dtype": lambda x, g: (
        cr.randint_like(x, 5, generator=g) * x,
        cr.randint(0, 2, (0, 3), dtype=bool, generator=g),
    ),
    "orders": lambda x, g: (cr.randperm(7, generator=g), cr.randperm(1, generator=g), cr.randperm(0, generator=g)),
    "rows in order": lambda x, g: (cr.permutation(x, generator=g), cr.rand_like(x, generator=g)),
    "gumbel_softmax": lambda x, g: cr.gumbel_softmax(x, 0.5, axis=0, generator=g),
    "gumbel_softmax, hard": lambda x, g: cr.gumbel_softmax(x, hard=True, generator=g) * x,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_draws_equal_eager_ones(name: str, dtype: Any) -> None:
    function, x = COMPILED[name], cr.tensor(W.astype(dtype))
    generators = Generator(seed=4), Generator(seed=4)
    compiled = cr.compile(lambda x: function(x, generators[1]))
    for _ in range(4):
        expected, got = (
            result if isinstance(result, tuple) else (result,) for result in (function(x, generators[0]), compiled(x))
        )
        for a, b in zip(got, expected, strict=True):
            assert a.dtype == b.dtype
            assert_same_bits(a.numpy(), b.numpy())
        assert generators[0].stream == generators[1].stream
        for generator in generators:
            generator.uniform(2)


def test_slopes_pass_by_the_draws() -> None:
    """Gradients, tangents and second derivatives of a function that draws, compiled and not."""

    def function(x: cr.Tensor, generator: Generator) -> cr.Tensor:
        return cr.sum(cr.square(x * cr.randn_like(x, generator=generator)) * (x + cr.rand_like(x, generator=generator)))

    x, v = cr.tensor(W), cr.tensor(W[::-1] + 1.0)
    a, b = (cr.tensor(draw(W.shape, dtype=np.float64)) for draw in (Generator(4).normal, Generator(4, 1).uniform))
    fixed = lambda x: cr.sum(cr.square(x * a) * (x + b))  # noqa: E731
    for transform in (
        lambda f: cr.grad(f)(x),
        lambda f: cr.jvp(f, (x,), (v,))[1],
        lambda f: cr.grad(lambda x: cr.sum(cr.grad(f)(x) * v))(x),
    ):
        expected = transform(fixed)
        generator = Generator(4)
        draws = lambda x, g=generator: function(x, g)  # noqa: E731
        assert_same_bits(transform(draws).numpy(), expected.numpy())
        generator.stream = 0
        assert_same_bits(cr.compile(lambda t=transform, f=draws: t(f))().numpy(), expected.numpy())


def test_draws_of_a_model_in_training_by_row_blocks() -> None:
    """A step whose noise is drawn inside has the bits of the eager loop; the noise is drawn within the blocks."""
    x = Generator(1).normal((150, 7))

    class Noisy(cr.nn.Module):
        def __init__(self, generator: Generator) -> None:
            super().__init__()
            g = Generator(seed=12)
            self.mean, self.std, self.out = (cr.nn.Linear(*n, generator=g) for n in ((7, 9), (7, 9), (9, 7)))
            self.generator = generator

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            std = cr.exp(0.5 * self.std(x))
            z = self.mean(x) + std * cr.randn_like(std, generator=self.generator)
            kept = cr.bernoulli(cr.sigmoid(z), generator=self.generator)
            steps = cr.randint_like(z[:, :3], 4, generator=self.generator).sum(1, True)
            order = cr.randperm(9, generator=self.generator)
            return self.out(z[:, order] * kept + steps + cr.rand_like(z, generator=self.generator))

    def trained(**options: Any) -> tuple[bytes, cr.Trainer]:
        generator = Generator(seed=7)
        model = Noisy(generator)
        optimizer = cr.optim.Adam(model.parameters(), lr=0.01)
        trainer = cr.Trainer(model, x, x, loss=cr.nn.MSELoss(), optimizer=optimizer, batch_size=64, seed=3, **options)
        losses = [trainer.run_epoch() for _ in range(2)]
        arrays = [*model.state_dict().values(), np.array([*losses, generator.stream])]
        return b"".join(a.tobytes() for a in arrays), trainer

    eager, _ = trained(compile=False)
    for setting in every_setting(threads=(1, 3)):
        assert trained()[0] == eager, setting
        assert trained(micro_batch=23)[0] == eager, setting
    compiled = trained(micro_batch=16)[1]._compiled
    assert compiled is not None
    plan = next(plan for (plan,) in compiled._plans.values() if plan.built.blocks.rows == 64)
    names = [[i.name for i in part] for part in (plan.built.blocks.before, plan.built.blocks.loop)]
    assert [names[1].count(name) for name in ("draw_normal", "draw_uniform", "draw_integers")] == [1, 2, 1]
    assert names[0].count("draw_permutation") == 1
    assert not any(name in ("gemm", "chain") for name in names[0])


@pytest.mark.parametrize(
    ("function", "p", "message"),
    [
        (cr.bernoulli, [0.5, 1.5], "bernoulli: probabilities must be from 0 to 1"),
        (cr.bernoulli, [np.nan], "bernoulli: probabilities must be from 0 to 1"),
        (lambda p: cr.multinomial(p, 1, True), [0.0, 0.0], "multinomial: weights must be finite, not negative, and"),
        (lambda p: cr.multinomial(p, 1), [[1.0, 0.0], [-1.0, 2.0]], "multinomial: weights must be finite, not neg"),
        (
            lambda p: cr.multinomial(p, 2),
            [[1.0, 2.0], [0.0, 2.0]],
            "multinomial: 2 samples without replacement of 1 cl",
        ),
        (lambda p: cr.multinomial(p, 3), [1.0, 1.0], "multinomial: 3 samples without replacement of 2 classes"),
    ],
)
def test_compiled_checks(function: Callable[[Any], Any], p: Any, message: str) -> None:
    """The errors of eager calls; the generator is then where it was."""
    cr.manual_seed(3)
    for call in (function, cr.compile(function)):
        with pytest.raises(ValueError, match=re.escape(message)):
            call(cr.tensor(p))
        assert cr.random.default_generator().stream == 0


def test_a_generator_made_inside_begins_anew_at_every_call() -> None:
    def function(x: cr.Tensor) -> cr.Tensor:
        return x + cr.randn_like(x, generator=Generator(seed=5)) * cr.rand_like(x, generator=Generator(seed=6))

    x = cr.ones(3, 4)
    compiled = cr.compile(function)
    for _ in range(3):
        assert_same_bits(compiled(x).numpy(), function(x).numpy())


def test_predictions_of_a_model_that_draws_are_drawn_anew() -> None:
    class Noisy(cr.nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return x + cr.randn_like(x)

    model, x = Noisy().eval(), np.zeros((4, 3), np.float32)
    cr.manual_seed(3)
    drawn = [model.predict(x).tobytes() for _ in range(3)]
    assert len(set(drawn)) == 3


@pytest.mark.parametrize("draw", [cr.rand, cr.randn, lambda *n, **o: cr.dropout(cr.ones(*n), **o), cr.randperm])
def test_generators_of_other_libraries_are_refused(draw: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^generator: expected a cr\.random\.Generator, got numpy\.random\.\S+Generator"
    ):
        draw(3, generator=np.random.default_rng(0))
