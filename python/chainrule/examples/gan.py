"""A generative adversarial network that learns a one-dimensional distribution."""

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
    """Samples from the trained generator, shape (n,), and the trained nets."""

    samples: npt.NDArray[Any]
    generator: nn.Sequential
    discriminator: nn.Sequential


def gan(steps: int = 3000) -> Gan:
    """Learn to sample a mixture of two Gaussians, with means -2 and 2 and standard deviation 0.3, from normal noise.

    The two nets are trained in turn. The discriminator d learns to distinguish real from generated samples,
    min -log σ(d(x)) - log(1 - σ(d(g(z)))), and the generator g learns that its samples are classified as real,
    min -log σ(d(g(z))). A gradient penalty on real samples, 0.05 mean d'(x)**2, is added to the loss of d: without it,
    training oscillates. Learning rates decay to 0.

    Arguments: `steps`, for each net.
    Source: I. Goodfellow et al., Generative adversarial nets, 2014; the penalty: L. Mescheder et al., Which training
    methods for GANs do actually converge?, 2018.

    >>> import numpy as np
    >>> from chainrule.examples import gan
    >>> samples = gan().samples
    >>> np.quantile(samples[samples > 0], [0.25, 0.5, 0.75]).round(1).tolist()  # exact: 1.8, 2.0, 2.2
    [1.7, 2.0, 2.2]
    """
    generator = mlp([1, 32, 32, 1], nn.Tanh, "glorot", seed=1)
    discriminator = mlp([1, 32, 32, 1], nn.Tanh, "glorot", seed=2)
    generator_optimizer = Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
    discriminator_optimizer = Adam(discriminator.parameters(), lr=3e-3, betas=(0.0, 0.9))
    real_label, generated_label = np.ones((_ROWS, 1)), np.zeros((_ROWS, 1))
    loss = ops.binary_cross_entropy_with_logits

    @compile
    def train_discriminator(real: Tensor, noise: Tensor) -> None:
        discriminator_optimizer.zero_grad()
        generator_optimizer.zero_grad()
        slope = grad(lambda x: ops.sum(discriminator(x)))(real)
        classification = loss(discriminator(real), real_label) + loss(discriminator(generator(noise)), generated_label)
        (classification + 0.05 * ops.mean(ops.square(slope))).backward()
        discriminator_optimizer.step()

    @compile
    def train_generator(noise: Tensor) -> None:
        generator_optimizer.zero_grad()
        discriminator_optimizer.zero_grad()
        loss(discriminator(generator(noise)), real_label).backward()
        generator_optimizer.step()

    random = Generator(3)

    def noise(std: float = 1.0, rows: int = _ROWS) -> npt.NDArray[Any]:
        return random.normal((rows, 1), std=std, dtype=np.float64)

    for step in range(steps):
        means = np.where(random.uniform((_ROWS, 1)) < 0.5, -2.0, 2.0)
        train_discriminator(ops.add(means, noise(0.3)), noise())
        train_generator(noise())
        decay = (steps - step) / steps
        generator_optimizer.lr, discriminator_optimizer.lr = 1e-3 * decay, 3e-3 * decay
    return Gan(generator.predict(noise(rows=2000))[:, 0], generator, discriminator)
