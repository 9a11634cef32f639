"""The benchmarked nets, with their floating-point operations per row."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

LOSSES = ("cross entropy", "mse", "pinn")
EPOCH_FLOPS, MAX_BATCHES = 1e9, 2000  # of one epoch: long compared with the cost of starting one
HEAVY_FLOPS = 1e9


@dataclass(frozen=True)
class Net:
    """A fully connected net: widths from input to output, batch size, hidden activation function, loss.

    The loss "pinn" is the residual of a differential equation, mean((du/dx_0 - 0.1 du/dx_1 + u^2)^2) with u = net(x).
    With `full` the batch is the whole data set.
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
        """The parameters of a case with this net."""
        return {"widths": self.widths, "activation": self.activation, "loss": self.loss, "batch": self.batch}

    @property
    def forward_flops(self) -> float:
        """Per row: a multiplication and an addition per weight. Only matrix products count, here and below."""
        return 2.0 * sum(self._products)

    @property
    def step_flops(self) -> float:
        """Per row, for the forward and the backward pass.

        Each weight takes part in one product of the forward pass, one of the weight gradient and one of the data
        gradient, except that the first layer has no data gradient. "pinn" adds a backward pass from u to x, which is
        itself differentiated with respect to its factors and to the weights. This pass starts from ones and therefore
        needs no product in the last layer.
        """
        all_layers, first, last = sum(self._products), self._products[0], self._products[-1]
        second_pass = 3 * (all_layers - last) if self.loss == "pinn" else 0
        return 2.0 * (3 * all_layers - first + second_pass)

    @property
    def epochs(self) -> tuple[int, int]:
        """(rows, epochs) that are timed together, to spread the cost of starting `fit` over many steps."""
        flops = self.step_flops * self.batch
        if self.full:
            return self.batch, 50
        batches = max(2, min(MAX_BATCHES, int(EPOCH_FLOPS / flops)))
        return batches * self.batch, 2 if flops > HEAVY_FLOPS else 10

    @property
    def _products(self) -> list[int]:
        return [inside * outside for inside, outside in pairwise(self.widths)]


# The nets of the published comparison, and five more of kinds that are typically trained on CPUs.
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
