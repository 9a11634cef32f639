"""The nets that are trained and asked, and what a step of each costs in floating-point operations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

LOSSES = ("cross entropy", "mse", "pinn")
EPOCH_FLOPS, MOST_BATCHES = 1e9, 2000  # of one epoch: long against what it costs to start one
HEAVY_FLOPS = 1e9


@dataclass(frozen=True)
class Net:
    """A fully connected net: widths from input to output, the batch of a step, the hidden activation, the loss.

    The loss "pinn" is that of a differential equation, mean((du/dx_0 - 0.1 du/dx_1 + u^2)^2) with u = net(x). With
    `full` the batch is all the data.
    """

    widths: tuple[int, ...]
    batch: int
    activation: str = "relu"
    loss: str = "cross entropy"
    full: bool = False

    @property
    def name(self) -> str:
        parts = ["-".join(map(str, self.widths))]
        parts += [self.activation] if self.activation != "relu" else []
        parts += [self.loss] if self.loss != "cross entropy" else []
        return " ".join(parts)

    @property
    def params(self) -> dict[str, Any]:
        """What a case of this net knows of it."""
        return {"widths": self.widths, "activation": self.activation, "loss": self.loss, "batch": self.batch}

    @property
    def forward_flops(self) -> float:
        """Of one row: a multiplication and an addition per weight. Products only, here and below."""
        return 2.0 * sum(self._products)

    @property
    def step_flops(self) -> float:
        """Of one row, forward, backward and all.

        Per weight one product each in the forward pass, in the weight gradient and in the data gradient, but no data
        gradient of the first layer. "pinn" has a second pass in front, from u back to x, and that pass, too, is
        differentiated, by its own factors and by the weights. It begins with ones, so that none of these needs a
        product in the last layer.
        """
        all_layers, first, last = sum(self._products), self._products[0], self._products[-1]
        second_pass = 3 * (all_layers - last) if self.loss == "pinn" else 0
        return 2.0 * (3 * all_layers - first + second_pass)

    @property
    def epochs(self) -> tuple[int, int]:
        """Rows of the data and epochs that are timed together, so that starting `fit`, too, is spread over many."""
        flops = self.step_flops * self.batch
        if self.full:
            return self.batch, 50
        batches = max(2, min(MOST_BATCHES, int(EPOCH_FLOPS / flops)))
        return batches * self.batch, 2 if flops > HEAVY_FLOPS else 10

    @property
    def _products(self) -> list[int]:
        return [inside * outside for inside, outside in pairwise(self.widths)]


# Those of the published comparison, and five more of the kinds that are trained on CPUs.
PUBLISHED = (
    Net((2, 16, 16, 2), 32),
    Net((17, 64, 64, 6), 64, "tanh"),
    Net((32, 64, 64, 4), 64),
    Net((64, 128, 10), 128),
    Net((784, 128, 10), 32),
    Net((784, 512, 256, 10), 128),
    Net((1024, 2048, 2048, 1000), 256),
)
MORE = (
    Net((4, 32, 16, 4), 10_000, "tanh", full=True),
    Net((2, 50, 50, 50, 1), 2048, "tanh", "pinn"),
    Net((23, 256, 256, 1), 256, loss="mse"),
    Net((30, 100, 2), 200),
    Net((64, 256, 256, 256, 1), 256, loss="mse"),
)
NETS = PUBLISHED + MORE
