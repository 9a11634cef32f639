"""Losses of every reduction, and the densities of distributions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import chainrule as cr
from peers.arrays import normal
from peers.call import Call, Draw, Generator
from reference.bits import Array

__all__ = ["CALLS"]

Inputs = Callable[[Generator, tuple[int, ...]], list[Array]]


def reduced(
    name: str, inputs: Inputs, constants: tuple[int, ...] = (), order: int = 2, **options: Any
) -> dict[str, Call]:
    """A loss of one number for each element or row, reduced in every way."""

    def run(F: Any, *xs: Any) -> list[Any]:
        return [getattr(F, name)(*xs, reduction=r, **options) for r in ("mean", "sum", "none")]

    def draw(rng: Generator) -> list[Array]:
        return inputs(rng, tuple(int(n) for n in rng.integers(1, 7, 2)))

    word = ", ".join(f"{key} {value}" for key, value in options.items())
    return {f"{name}{', ' * bool(word)}{word}": Call(run, draw, order, constants=constants)}


def numbers(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [rng.standard_normal(shape), rng.standard_normal(shape)]


def scores_and_shares(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [3 * rng.standard_normal(shape), rng.random(shape)]


def two_shares(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [rng.uniform(0.02, 0.98, shape), rng.random(shape)]


def signs(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [rng.standard_normal(shape), rng.choice([-1.0, 1.0], shape)]


def two_and_signs(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [*numbers(rng, shape), rng.choice([-1.0, 1.0], shape[:1])]


def three(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [rng.standard_normal(shape) for _ in range(3)]


def classes(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [2 * rng.standard_normal((shape[0], 5)), rng.integers(0, 5, shape[0])]


def pixels(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [2 * rng.standard_normal((shape[0], 4, *shape)), rng.integers(0, 4, (shape[0], *shape))]


def weighted(inputs: Inputs) -> Inputs:
    """With a weight for each class."""

    def draw(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
        scores, target = inputs(rng, shape)
        return [scores, target, rng.uniform(0.5, 2.0, scores.shape[1])]

    return draw


def shares_of_classes(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    shares = rng.random((shape[0], 5))
    return [2 * rng.standard_normal((shape[0], 5)), shares / shares.sum(1, keepdims=True)]


def log_shares(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    scores, target = shares_of_classes(rng, shape)
    return [scores - np.log(np.exp(scores).sum(1, keepdims=True)), target]


def logs_of_both(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    scores, target = log_shares(rng, shape)
    return [scores, np.log(target)]


def counts(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [rng.standard_normal(shape), rng.poisson(3.0, shape).astype(np.float64)]


def rates(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [rng.uniform(0.3, 4.0, shape), rng.poisson(3.0, shape).astype(np.float64)]


def with_variance(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [*numbers(rng, shape), rng.uniform(0.2, 3.0, shape)]


def labels_of_many(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
    return [rng.standard_normal((shape[0], 4)), rng.integers(0, 2, (shape[0], 4)).astype(np.float64)]


def by_weight(name: str, inputs: Inputs, word: str = "weight", order: int = 2, **options: Any) -> dict[str, Call]:
    """A loss with weights as its last argument."""

    def run(F: Any, *xs: Any) -> list[Any]:
        *given, weight = xs
        return [getattr(F, name)(*given, reduction=r, **{word: weight}, **options) for r in ("mean", "sum", "none")]

    def draw(rng: Generator) -> list[Array]:
        return inputs(rng, tuple(int(n) for n in rng.integers(1, 7, 2)))

    options = {**options}
    call = Call(run, draw, order, constants=(2,))
    return {", ".join([f"{name} by {word}", *(f"{key} {value}" for key, value in options.items())]): call}


def element_weights(inputs: Inputs) -> Inputs:
    """With a weight for each element."""

    def draw(rng: Generator, shape: tuple[int, ...]) -> list[Array]:
        x, target = inputs(rng, shape)
        return [x, target, rng.uniform(0.5, 2.0, x.shape)]

    return draw


LOSSES: dict[str, Call] = {
    **reduced("mse_loss", numbers),
    **reduced("l1_loss", numbers),
    **reduced("huber_loss", numbers),
    **reduced("huber_loss", numbers, delta=0.4),
    **reduced("smooth_l1_loss", numbers),
    **reduced("smooth_l1_loss", numbers, beta=0.3),
    **reduced("binary_cross_entropy_with_logits", scores_and_shares),
    **by_weight("binary_cross_entropy_with_logits", element_weights(scores_and_shares)),
    **by_weight("binary_cross_entropy_with_logits", element_weights(scores_and_shares), "pos_weight"),
    # PyTorch adds 1e-12 to a square in the second derivative, which its formula has right.
    **reduced("binary_cross_entropy", two_shares, order=1),
    **by_weight("binary_cross_entropy", element_weights(two_shares), order=1),
    "binary_cross_entropy, formula": Call(
        lambda F, p, t: (
            F.binary_cross_entropy(p, t, reduction="none")
            if hasattr(F, "OPS")
            else -(t * torch.log(p) + (1 - t) * torch.log1p(-p))
        ),
        lambda rng: two_shares(rng, (3, 4)),
    ),
    **reduced("soft_margin_loss", signs, (1,)),
    **reduced("hinge_embedding_loss", signs, (1,)),
    **reduced("hinge_embedding_loss", signs, (1,), margin=0.5),
    **reduced("margin_ranking_loss", lambda rng, s: [*numbers(rng, s[:1]), rng.choice([-1.0, 1.0], s[:1])], (2,)),
    **reduced("margin_ranking_loss", lambda rng, s: [*numbers(rng, s), rng.choice([-1.0, 1.0], s)], (2,), margin=0.5),
    **reduced("cosine_embedding_loss", two_and_signs, (2,)),
    **reduced("cosine_embedding_loss", two_and_signs, (2,), margin=0.2),
    **reduced("triplet_margin_loss", three),
    **reduced("triplet_margin_loss", three, margin=0.5, p=3.0, swap=True),
    **reduced("cross_entropy", classes),
    **reduced("cross_entropy", classes, label_smoothing=0.2),
    **reduced("cross_entropy", classes, ignore_index=1),
    **reduced("cross_entropy", pixels),
    **reduced("cross_entropy", shares_of_classes),
    **reduced("cross_entropy", shares_of_classes, label_smoothing=0.1),
    **by_weight("cross_entropy", weighted(classes)),
    **by_weight("cross_entropy", weighted(pixels), ignore_index=2),
    **by_weight("cross_entropy", weighted(classes), label_smoothing=0.3),
    **by_weight("cross_entropy", weighted(shares_of_classes)),
    **reduced("nll_loss", lambda rng, s: [log_shares(rng, s)[0], rng.integers(0, 5, s[0])]),
    **reduced("nll_loss", pixels, ignore_index=3),
    **by_weight("nll_loss", weighted(classes)),
    **reduced("kl_div", log_shares),
    **reduced("kl_div", logs_of_both, log_target=True),
    **reduced("poisson_nll_loss", counts, (1,)),
    **reduced("poisson_nll_loss", counts, (1,), full=True),
    **reduced("poisson_nll_loss", rates, (1,), log_input=False),
    **reduced("gaussian_nll_loss", with_variance),
    **reduced("gaussian_nll_loss", with_variance, full=True),
    **reduced("multi_margin_loss", classes, order=1),
    **reduced("multi_margin_loss", classes, p=2, margin=0.5, order=1),
    **by_weight("multi_margin_loss", weighted(classes), order=1),
    **reduced("multilabel_soft_margin_loss", labels_of_many, (1,)),
    **by_weight("multilabel_soft_margin_loss", weighted(labels_of_many)),
    "kl_div, batchmean": Call(
        lambda F, x, t: F.kl_div(x, t, reduction="batchmean"), lambda rng: log_shares(rng, (4, 5))
    ),
}


def of_density(
    make: Callable[[Any, Any], Any], draw: Draw, value: Callable[[Generator], Array], order: int = 2
) -> Call:
    """log_prob at values and, where there is one, the entropy; the parameters first, the values last."""

    def run(F: Any, *xs: Any) -> list[Any]:
        distribution = make(cr.distributions if hasattr(F, "OPS") else torch.distributions, xs[:-1])
        return [distribution.log_prob(xs[-1]), distribution.entropy()]

    def both(rng: Generator) -> list[Array]:
        return [*draw(rng), value(rng)]

    return Call(run, both, order)


def of_divergence(make: Callable[[Any, Any], Any], draw: Draw) -> Call:
    """kl_divergence of two distributions, the parameters of the first before those of the second."""

    def run(F: Any, *xs: Any) -> Any:
        space = cr.distributions if hasattr(F, "OPS") else torch.distributions
        half = len(xs) // 2
        return space.kl_divergence(make(space, xs[:half]), make(space, xs[half:]))

    return Call(run, lambda rng: [*draw(rng), *draw(rng)])


def gaussian(space: Any, p: Any) -> Any:
    return space.Normal(p[0], p[1])


def many_gaussians(space: Any, p: Any) -> Any:
    if space is cr.distributions:
        return space.MultivariateNormal(p[0], p[1])
    return space.MultivariateNormal(p[0], scale_tril=torch.diag_embed(p[1]))


def independent(space: Any, p: Any) -> Any:
    return space.Independent(space.Normal(p[0], p[1]), 1)


def location_and_scale(rng: Generator) -> list[Array]:
    return [rng.standard_normal((3, 4)), rng.uniform(0.3, 2.0, (3, 4))]


def shares(rng: Generator) -> list[Array]:
    p = rng.uniform(0.1, 1.0, (3, 4))
    return [p / p.sum(1, keepdims=True)]


def ends(rng: Generator) -> list[Array]:
    return [rng.uniform(-3.0, -2.5, (3, 4)), rng.uniform(2.5, 3.0, (3, 4))]


def wider(rng: Generator) -> list[Array]:
    return [
        rng.uniform(-2.0, -1.0, (3,)),
        rng.uniform(1.0, 2.0, (3,)),
        rng.uniform(-4.0, -3.0, 3),
        rng.uniform(3.0, 4.0, 3),
    ]


DISTRIBUTIONS = {
    "Normal": of_density(gaussian, location_and_scale, lambda rng: rng.standard_normal((3, 4))),
    "Independent": of_density(independent, location_and_scale, lambda rng: rng.standard_normal((3, 4))),
    "MultivariateNormal": of_density(many_gaussians, location_and_scale, lambda rng: rng.standard_normal((3, 4))),
    "Categorical of logits": of_density(
        lambda space, p: space.Categorical(logits=p[0]), normal((3, 4)), lambda rng: rng.integers(0, 4, 3)
    ),
    "Categorical of probs": of_density(
        lambda space, p: space.Categorical(probs=p[0]), shares, lambda rng: rng.integers(0, 4, 3)
    ),
    "Bernoulli of logits": of_density(
        lambda space, p: space.Bernoulli(logits=p[0]),
        normal((3, 4)),
        lambda rng: rng.integers(0, 2, (3, 4)).astype(float),
    ),
    "Bernoulli of probs": of_density(
        lambda space, p: space.Bernoulli(probs=p[0]), shares, lambda rng: rng.integers(0, 2, (3, 4)).astype(float)
    ),
    "Exponential": of_density(
        lambda space, p: space.Exponential(p[0]),
        lambda rng: [rng.uniform(0.3, 3.0, (3, 4))],
        lambda rng: rng.exponential(1.0, (3, 4)),
    ),
    "Uniform": of_density(lambda space, p: space.Uniform(p[0], p[1]), ends, lambda rng: rng.uniform(-2.0, 2.0, (3, 4))),
    "divergence of Normal": of_divergence(gaussian, location_and_scale),
    "divergence of Independent": of_divergence(independent, location_and_scale),
    "divergence of MultivariateNormal": of_divergence(many_gaussians, location_and_scale),
    "divergence of Categorical": of_divergence(lambda space, p: space.Categorical(logits=p[0]), normal((3, 4))),
    "divergence of Bernoulli": of_divergence(lambda space, p: space.Bernoulli(logits=p[0]), normal((3, 4))),
    "divergence of Exponential": of_divergence(
        lambda space, p: space.Exponential(p[0]), lambda rng: [rng.uniform(0.3, 3.0, (3, 4))]
    ),
    "divergence of Uniform": Call(of_divergence(lambda space, p: space.Uniform(p[0], p[1]), ends).run, wider),
}

CALLS = {**LOSSES, **DISTRIBUTIONS}
