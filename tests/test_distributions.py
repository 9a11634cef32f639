"""Distributions: PyTorch's values, gradients by differences, moments and bits of samples, batch shapes, refusals."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import distributions as d
from reference import assert_same_bits

LOC, SCALE, P = np.array([0.5, -1.0]), np.array([0.75, 2.0]), np.array([0.25, 0.625])
LOC2, SCALE2, P2 = np.array([-0.25, 0.5]), np.array([1.5, 0.5]), np.array([0.5, 0.125])
SCORES, SCORES2 = np.array([[0.5, -1.0, 0.25], [2.0, 0.0, 1.0]]), np.array([[0.0, 1.0, -0.5], [0.25, 0.5, 3.0]])
Make = Callable[..., d.Distribution]
CASES: dict[str, tuple[Make, tuple[Any, ...], tuple[Any, ...], Any]] = {
    "normal": (d.Normal, (LOC, SCALE), (LOC2, SCALE2), np.array([1.0, -0.5])),
    "uniform": (d.Uniform, (LOC, LOC + SCALE), (LOC - 1, LOC + 3), np.array([0.75, 0.5])),
    "exponential": (d.Exponential, (SCALE,), (SCALE2,), np.array([0.3, 1.5])),
    "bernoulli": (d.Bernoulli, (P,), (P2,), np.array([1.0, 0.0])),
    "bernoulli of logits": (lambda x: d.Bernoulli(logits=x), (LOC,), (LOC2,), np.array([1.0, 0.0])),
    "categorical": (lambda x: d.Categorical(logits=x), (SCORES,), (SCORES2,), np.array([2, 0])),
    "categorical of probs": (d.Categorical, (np.exp(SCORES),), (np.exp(SCORES2),), np.array([2, 0])),
    "diagonal": (d.MultivariateNormal, (LOC, SCALE), (LOC2, SCALE2), np.array([1.0, -0.5])),
}
# log_prob, entropy and divergence of PyTorch 2.13 in float64.
TORCH: dict[str, tuple[Any, Any, Any]] = {
    "normal": (
        [-0.853478682975114, -1.643335713764618],
        [1.1312564607528919, 2.112085713764618],
        [0.4431471805599453, 10.61370563888011],
    ),
    "uniform": (
        [0.2876820724517809, -0.6931471805599453],
        [-0.2876820724517809, 0.6931471805599453],
        [1.6739764335716716, 0.6931471805599453],
    ),
    "exponential": (
        [-0.5126820724517809, -2.3068528194400546],
        [1.2876820724517808, 0.3068528194400547],
        [0.3068528194400546, 0.6362943611198906],
    ),
    "bernoulli": (
        [-1.3862943611198906, -0.9808292530117262],
        [0.5623351446188084, 0.6615632381579821],
        [0.1308120359411369, 0.6881619976261111],
    ),
    "bernoulli of logits": (
        [-0.4740769841801067, -0.3132616875182228],
        [0.6628473185791794, 0.5822031088882179],
        [0.06870693410012782, 0.25740316460689117],
    ),
    "categorical": (
        [-0.9441121864019144, -0.4076059644443806],
        [0.9585545927613639, 0.832395581839939],
        [0.588869119864669, 1.3583823191890347],
    ),
    "categorical of probs": (
        [-0.9441121864019144, -0.4076059644443803],
        [0.958554592761364, 0.8323955818399389],
        [0.5888691198646693, 1.3583823191890358],
    ),
    "diagonal": (-2.4968143967397323, 3.24334217451751, 11.056852819440055),
}
each = pytest.mark.parametrize("name", CASES)


@each
def test_the_values_of_pytorch(name: str) -> None:
    make, first, second, value = CASES[name]
    p, q = make(*first), make(*second)
    found = p.log_prob(value), p.entropy(), d.kl_divergence(p, q)
    for got, wanted in zip(found, TORCH[name], strict=True):
        assert got.shape == p.batch_shape
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-12, atol=1e-14)
    compiled = cr.compile(lambda *x: make(*x).log_prob(value))
    assert compiled(*(cr.tensor(x) for x in first)).numpy().tobytes() == found[0].numpy().tobytes()
    several = p.log_prob(np.stack([value] * 3))
    assert several.shape == (3, *p.batch_shape)
    assert several.numpy()[1].tobytes() == found[0].numpy().tobytes()
    assert make(*(x.astype(np.float32) for x in first)).entropy().dtype == np.float32


@each
def test_gradients(name: str) -> None:
    make, first, second, value = CASES[name]
    assert cr.gradcheck(lambda *x: cr.sum(cr.square(make(*x).log_prob(value))), list(first))
    assert cr.gradcheck(lambda *x: cr.sum(cr.square(make(*x).entropy())), list(first))
    assert cr.gradcheck(lambda *x: cr.sum(cr.square(d.kl_divergence(make(*x), make(*second)))), list(first))


@each
def test_samples(name: str) -> None:
    """Their shapes, bits from a generator, moments, and the slope of those that have one."""
    make, first, _, _ = CASES[name]
    p = make(*(cr.tensor(x, requires_grad=True) for x in first))
    drawn = [p.sample((2000,), generator=cr.random.Generator(seed=5)) for _ in range(2)]
    assert drawn[0].shape == (2000, *p.batch_shape, *p.event_shape)
    assert not drawn[0].requires_grad
    assert drawn[0].numpy().tobytes() == drawn[1].numpy().tobytes()
    assert p.sample(3).shape == (3, *p.batch_shape, *p.event_shape)
    assert p.sample((0, 2)).shape == (0, 2, *p.batch_shape, *p.event_shape)
    # The mean of -log p(x) over samples is the entropy.
    surprise = -p.log_prob(drawn[0].numpy()).numpy().mean(0)
    np.testing.assert_allclose(surprise, p.entropy().numpy(), atol=0.1)
    if "bernoulli" in name or "categorical" in name:
        with pytest.raises(NotImplementedError, match="its samples have no gradient"):
            p.rsample()
        return
    moved = p.rsample((4,), generator=cr.random.Generator(seed=5))
    assert moved.requires_grad
    assert moved.numpy().tobytes() == p.sample((4,), generator=cr.random.Generator(seed=5)).numpy().tobytes()


def test_certain_outcomes_are_numbers() -> None:
    sure = d.Bernoulli([0.0, 1.0])
    np.testing.assert_array_equal(sure.log_prob([0.0, 1.0]).numpy(), [0.0, 0.0])
    np.testing.assert_array_equal(sure.log_prob([1.0, 0.0]).numpy(), [-np.inf, -np.inf])
    np.testing.assert_array_equal(sure.entropy().numpy(), [0.0, 0.0])
    np.testing.assert_array_equal(d.kl_divergence(sure, sure).numpy(), [0.0, 0.0])
    classes = d.Categorical([0.0, 1.0, 1.0])
    assert classes.entropy().item() == pytest.approx(np.log(2))
    assert classes.log_prob(0).item() == -np.inf
    assert d.kl_divergence(classes, classes).item() == 0.0
    assert d.kl_divergence(d.Uniform(0.0, 2.0), d.Uniform(0.0, 1.0)).item() == np.inf
    scores = cr.tensor([0.0, 1.0, 1.0], requires_grad=True)
    d.Categorical(logits=scores * 1000.0).entropy().backward()
    assert np.isfinite(scores.grad.numpy()).all()


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: d.Normal(0.0, -1.0), ValueError, "Normal: scale must be above 0"),
    (lambda: d.Normal([0.0, 1.0], [1.0, 1.0, 1.0]), ValueError, r"Normal: parameters of shapes \(2,\) and \(3,\)"),
    (lambda: d.Uniform(1.0, 1.0), ValueError, "Uniform: high - low must be above 0"),
    (lambda: d.Bernoulli(), ValueError, "Bernoulli: give either probs or logits"),
    (lambda: d.Bernoulli([1.5]), ValueError, "Bernoulli: probs must be at most 1"),
    (lambda: d.Categorical([0.5, -0.5]), ValueError, "Categorical: probs must be at least 0"),
    (lambda: d.Categorical(0.5), ValueError, "Categorical: expected a last axis of classes"),
    (lambda: d.Categorical([0.5, 0.5]).log_prob(0.0), TypeError, r"log_prob expects integers \(classes\)"),
    (lambda: d.Categorical([0.5, 0.5]).log_prob(2), ValueError, "label 2"),
    (lambda: d.Independent(d.Normal(0.0, 1.0), 1), ValueError, r"Independent: 1 axes .* batch shape \(\)"),
    (lambda: d.kl_divergence(d.Normal(0.0, 1.0), d.Bernoulli(0.5)), TypeError, "no formula for Normal and Bernoulli"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED)
def test_refusals(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


@each
def test_compiled_functions_draw_anew(name: str) -> None:
    """The bits, streams and slopes of eager calls, from the state that the generator has at each call."""
    make, first, _, _ = CASES[name]
    generators = [cr.random.Generator(seed=3) for _ in range(2)]

    def draws(generator: cr.random.Generator, *x: Any) -> Any:
        p = make(*x)
        if "bernoulli" in name or "categorical" in name:
            return p.sample((7, 2), generator=generator), p.sample(generator=generator)
        total, slope = cr.value_and_grad(lambda y: cr.sum(make(y, *x[1:]).rsample((5,), generator=generator)))(x[0])
        return total, slope, p.sample((7, 2), generator=generator)

    compiled = cr.compile(lambda *x: draws(generators[1], *x))
    arguments = [cr.tensor(x) for x in first]
    seen = set()
    for _ in range(3):
        expected, found = draws(generators[0], *arguments), compiled(*arguments)
        for got, wanted in zip(found, expected, strict=True):
            assert_same_bits(got.numpy(), wanted.numpy())
        assert generators[0].stream == generators[1].stream
        seen.add(found[-2].numpy().tobytes() if len(found) == 2 else found[-1].numpy().tobytes())
        for generator in generators:
            generator.uniform(2)
    assert len(seen) == 3
