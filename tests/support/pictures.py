"""The pictures of docs/pictures: `python tests/support/pictures.py` writes them, test_inspect_picture.py compares."""

from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.inspect._graph import Graph

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "pictures"


def neuron() -> Graph:
    """The sigmoid neuron of row 3, 1 / (1 + exp(-(w0*x0 + w1*x1 + w2))), one node per operation."""
    given = {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0}
    leaves = {name: cr.tensor(value, requires_grad=True) for name, value in given.items()}
    w0, x0, w1, x1, w2 = leaves.values()
    f = 1.0 / (1.0 + cr.exp((w0 * x0 + w1 * x1 + w2) * -1.0))
    return cr.graph(f, {**leaves, "f": f})


def two_layers() -> Graph:
    """The loss of a net with one hidden layer on two rows."""
    model = cr.nn.Sequential(
        cr.nn.Linear(2, 3, generator=cr.random.Generator(seed=0)),
        cr.nn.ReLU(),
        cr.nn.Linear(3, 2, generator=cr.random.Generator(seed=1)),
    )
    loss = cr.nn.CrossEntropyLoss()
    x, y = cr.tensor([[1.0, 2.0], [-3.0, 1.0]]), cr.tensor([1, 0])
    return cr.graph(lambda: loss(model(x), y), {"x": x, "y": y})


def branches() -> Graph:
    """Values that are used more than once: gradients add up."""
    x, y = cr.tensor(1.5, requires_grad=True), cr.tensor(-0.5, requires_grad=True)
    q = x * x + y * x
    f = cr.tanh(q * y) + q
    return cr.graph(f, {"x": x, "y": y, "q": q, "f": f})


def deep() -> Graph:
    """A net that is drawn by its layers."""
    layers = []
    for i, (n, m) in enumerate([(64, 128), (128, 128), (128, 10)]):
        layers += [cr.nn.Linear(n, m, generator=cr.random.Generator(seed=i)), cr.nn.Tanh()]
    model, loss = cr.nn.Sequential(*layers[:-1]), cr.nn.CrossEntropyLoss()
    x, y = cr.tensor(np.ones((32, 64), np.float32)), cr.tensor(np.arange(32) % 10)
    return cr.graph(lambda: loss(model(x), y), {"x": x, "y": y})


def drawn() -> dict[str, str]:
    """Every picture by file name."""
    return {
        "neuron.svg": neuron().to_svg(),
        "branches.svg": branches().to_svg(),
        "two_layers.svg": two_layers().to_svg(),
        "layers.svg": deep().to_svg(by="module"),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in drawn().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
