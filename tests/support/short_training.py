"""A short training run whose digest must be equal for all levels, threads and modes."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

import chainrule as cr
from chainrule import nn
from reference.bits import raw

ROWS, FEATURES, CLASSES = 83, 21, 5


def digest(dtypes: Sequence[type[np.floating]] = (np.float32, np.float64)) -> str:
    """SHA-256 over data, initial weights, losses, gradients, trained weights and predictions; NaN canonical."""
    state = hashlib.sha256()

    def add(*arrays: np.ndarray) -> None:
        for array in arrays:
            state.update(np.ascontiguousarray(raw(array)).tobytes())

    X, labels = data()
    add(X, labels)
    for dtype in dtypes:
        inputs = cr.tensor(X).astype(dtype).numpy()
        model = network(dtype)
        optimizer = cr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
        add(*model.state_dict().values())
        for step in range(4):
            rows = slice(step, None, step + 1)
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(cr.tensor(inputs[rows])), labels[rows])
            loss.backward()
            add(loss.numpy(), *(p.grad.numpy() for p in model.parameters() if p.grad is not None))
            optimizer.step()
        history = cr.fit(
            model, inputs, labels, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=2, batch_size=16, seed=4
        )
        add(np.asarray(history.loss), *model.state_dict().values(), model.predict(inputs, batch_size=30))
    return state.hexdigest()


def data() -> tuple[np.ndarray, np.ndarray]:
    """Inputs with subnormals and large values among them, and labels."""
    X = cr.random.Generator(seed=1).normal((ROWS, FEATURES))
    X.view(np.uint32)[:, 3] &= 0x807FFFFF  # subnormal
    return X, cr.random.Generator(seed=2).permutation(ROWS) % CLASSES


def network(dtype: type[np.floating]) -> nn.Sequential:
    """Every activation once."""
    generator = cr.random.Generator(seed=3)
    layers: list[nn.Module] = []
    sizes = (FEATURES, 19, 17, 13, 11, 7, CLASSES)
    activations = (nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.LeakyReLU(0.1), nn.Softplus())
    for (inside, outside), activation in zip(pairwise(sizes), (*activations, None), strict=True):
        layers.append(nn.Linear(inside, outside, dtype=dtype, generator=generator))
        layers += [activation] if activation is not None else []
    return nn.Sequential(*layers)
