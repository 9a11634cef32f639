"""The recommender: two embedding tables, whose rows go side by side through a net of one hidden layer to a rating."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BATCHES = 16  # different ones, so that the rows of a step have left the caches
# An epsilon so small that it does not matter where it is added: PyTorch's SparseAdam adds it elsewhere than its Adam.
OPTIONS: dict[str, dict[str, float]] = {"sgd": {"lr": 0.05}, "adam": {"lr": 1e-3, "eps": 1e-12}}
BETAS = (0.9, 0.999)


def draw(params: dict[str, Any], rng: np.random.RandomState) -> dict[str, Any]:
    """Users, items and ratings of the batches; the tables, then weights and biases of the net."""
    rows, columns, hidden, batch = (params[name] for name in ("rows", "columns", "hidden", "batch"))
    shapes = [(rows, columns), (rows, columns), (2 * columns, hidden), (hidden,), (hidden, 1), (1,)]
    parameters = [(rng.standard_normal(shape) * 0.2).astype(np.float32) for shape in shapes]
    users, items = rng.randint(0, rows, (2, BATCHES, batch))
    ratings = rng.standard_normal((BATCHES, batch, 1)).astype(np.float32)
    return {"users": users, "items": items, "ratings": ratings, "parameters": parameters}


def losses(params: dict[str, Any], data: dict[str, Any], steps: int) -> Array:
    """The losses of steps on the first batch, in float64. In these all updates by rows are those of whole tables."""
    p = [value.astype(np.float64) for value in data["parameters"]]
    users, items, ratings = (data[name][0] for name in ("users", "items", "ratings"))
    averages = [(np.zeros_like(value), np.zeros_like(value)) for value in p]
    found = []
    for step in range(1, steps + 1):
        x = np.concatenate([p[0][users], p[1][items]], axis=1)
        h = np.maximum(x @ p[2] + p[3], 0.0)
        difference = h @ p[4] + p[5] - ratings
        found.append(np.square(difference).mean())
        g = 2.0 * difference / difference.size
        gh = (g @ p[4].T) * (h > 0)
        gx = gh @ p[2].T
        gradients = [np.zeros_like(p[0]), np.zeros_like(p[1]), x.T @ gh, gh.sum(0), h.T @ g, g.sum(0)]
        np.add.at(gradients[0], users, gx[:, : p[0].shape[1]])
        np.add.at(gradients[1], items, gx[:, p[0].shape[1] :])
        for value, gradient, (m, v) in zip(p, gradients, averages, strict=True):
            if params["optimizer"] == "sgd":
                value -= OPTIONS["sgd"]["lr"] * gradient
                continue
            m += (1 - BETAS[0]) * (gradient - m)
            v += (1 - BETAS[1]) * (gradient * gradient - v)
            size = OPTIONS["adam"]["lr"] / (1 - BETAS[0] ** step)
            value -= size * m / (np.sqrt(v / (1 - BETAS[1] ** step)) + OPTIONS["adam"]["eps"])
    return np.array(found)
