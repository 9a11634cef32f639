"""Three nets trained for a hundred steps each: one digest, which no setting and no build may change.

`python -m support.trainings` prints it for every level and number of threads, one line each.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

import chainrule as cr
from chainrule import nn
from reference.bits import Array, raw
from support.variants import ISAS, force_level, force_threads

STEPS, THREADS = 100, (1, 2, 3, 4, 7, 8, 16)


def perceptron(draw: cr.random.Generator) -> nn.Module:
    """Wide enough for several register tiles."""
    layers = nn.Linear(20, 33, init="he", generator=draw), nn.ReLU(), nn.Linear(33, 17, generator=draw), nn.Tanh()
    return nn.Sequential(*layers, nn.Linear(17, 4, generator=draw))


def images(draw: cr.random.Generator) -> nn.Module:
    layers = nn.Conv2d(1, 3, 3, padding=1, generator=draw), nn.GELU(), nn.MaxPool2d(2), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(3 * 2 * 2, 4, generator=draw))


def dropping(draw: cr.random.Generator) -> nn.Module:
    layers = nn.Linear(20, 24, generator=draw), nn.SiLU(), nn.Dropout(0.25, draw), nn.Linear(24, 9, generator=draw)
    return nn.Sequential(*layers, nn.Softplus(), nn.Linear(9, 4, generator=draw))


def results() -> Iterator[Array]:
    """Losses, weights and predictions of each net."""
    draw = cr.random.Generator(seed=81)
    x, labels = draw.normal((70, 20)), draw.permutation(70) % 4
    nets = [
        (perceptron(draw), x, lambda p: cr.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)),
        (images(draw), x[:, :16].reshape(70, 1, 4, 4), lambda p: cr.optim.Adam(p, lr=0.01)),
        (dropping(draw), x, lambda p: cr.optim.RMSprop(p, lr=0.01, momentum=0.5)),
    ]
    for model, rows, make in nets:
        history = cr.fit(
            model, rows, labels, loss=nn.CrossEntropyLoss(), optimizer=make(model.parameters()),
            epochs=STEPS // 5, batch_size=16, seed=82, progress=False,
        )  # fmt: skip
        yield np.array(history.loss)
        yield from model.state_dict().values()
        yield model.predict(rows)


def digest() -> str:
    state = hashlib.sha256()
    for array in results():
        state.update(np.ascontiguousarray(raw(array)).tobytes())
    return state.hexdigest()


def every_digest() -> Iterator[tuple[str, str]]:
    """(setting, digest) for each level and number of threads."""
    for isa in ISAS:
        force_level(isa)
        for threads in THREADS:
            force_threads(threads)
            yield f"{isa} {threads}", digest()


if __name__ == "__main__":
    for setting, found in every_digest():
        print(setting, found)
