"""Two nets against each other learn to draw from an arbitrary distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import nn, ops
from .._tensor import Tensor
from ..autodiff._transforms import grad
from ..compiler import compile
from ..optim import Adam
from ..random import Generator
from .experiments import mlp

__all__ = ["Gan", "gan"]

_ROWS = 128


@dataclass(frozen=True)
class Gan:
    """What the generator draws after training, shape (n,), and the trained nets."""

    samples: npt.NDArray[Any]
    generator: nn.Sequential
    discriminator: nn.Sequential


def gan(steps: int = 3000) -> Gan:
    """Learn to draw from two bumps, at -2 and 2, each 0.3 wide, from normal noise.

    In turn, the discriminator d learns to tell what is drawn from what is true, min -log σ(d(x)) - log(1 - σ(d(g(z)))),
    and the generator g to be taken for true, min -log σ(d(g(z))). d pays 0.05 mean d'(x)**2 for being steep where x is
    true: without it, they run in circles. Rates fall to 0.

    Arguments: `steps` of each.
    Source: I. Goodfellow et al., Generative adversarial nets, 2014; the penalty: L. Mescheder et al., Which training
    methods for GANs do actually converge?, 2018.

    >>> import numpy as np
    >>> from chainrule.examples import gan
    >>> samples = gan().samples
    >>> np.quantile(samples[samples > 0], [0.25, 0.5, 0.75]).round(1).tolist()  # of the truth: 1.8, 2.0, 2.2
    [1.7, 2.0, 2.2]
    """
    generator = mlp([1, 32, 32, 1], nn.Tanh, "glorot", seed=1)
    discriminator = mlp([1, 32, 32, 1], nn.Tanh, "glorot", seed=2)
    draw = Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
    judge = Adam(discriminator.parameters(), lr=3e-3, betas=(0.0, 0.9))
    true, false = np.ones((_ROWS, 1)), np.zeros((_ROWS, 1))
    loss = ops.binary_cross_entropy_with_logits

    @compile
    def train_discriminator(real: Tensor, noise: Tensor) -> None:
        judge.zero_grad()
        draw.zero_grad()
        slope = grad(lambda x: ops.sum(discriminator(x)))(real)
        told = loss(discriminator(real), true) + loss(discriminator(generator(noise)), false)
        (told + 0.05 * ops.mean(ops.square(slope))).backward()
        judge.step()

    @compile
    def train_generator(noise: Tensor) -> None:
        draw.zero_grad()
        judge.zero_grad()
        loss(discriminator(generator(noise)), true).backward()
        draw.step()

    random = Generator(3)

    def noise(std: float = 1.0, rows: int = _ROWS) -> npt.NDArray[Any]:
        return random.normal((rows, 1), std=std, dtype=np.float64)

    for step in range(steps):
        bumps = np.where(random.uniform((_ROWS, 1)) < 0.5, -2.0, 2.0)
        train_discriminator(ops.add(bumps, noise(0.3)), noise())
        train_generator(noise())
        left = (steps - step) / steps
        draw.lr, judge.lr = 1e-3 * left, 3e-3 * left
    return Gan(generator.predict(noise(rows=2000))[:, 0], generator, discriminator)
