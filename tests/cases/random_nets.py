"""Random nets by seed: layers, loss, optimizer, and a training step; equal for equal seeds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from cases import random_images  # noqa: F401  its layers go into LAYERS
from cases.optimizers import BY_REFERENCE
from cases.random_layers import LAYERS, TABLE_ROWS, WIDTHS, Batch, Draw, Layer
from cases.random_losses import COMPARING, DEEP, LOSSES, Loss
from reference.bits import Array

Step = Callable[["Net", Batch], Any]


@dataclass
class Net:
    """A net with its optimizers and a way to train it."""

    layers: list[Layer]
    parameters: list[cr.nn.Parameter]
    optimizers: list[cr.optim.Optimizer]
    averages: list[cr.Tensor]
    loss: Loss
    kind: Step
    batches: list[Batch]  # one for each call
    generator: cr.random.Generator  # of masks
    decay: float  # the learning rates are multiplied by it before each call
    runs: int = 0  # how often Python ran the step

    def __call__(self, batch: Batch, x: cr.Tensor | None = None) -> cr.Tensor:
        h = batch.x if x is None else x
        for layer in self.layers:
            h = layer(h, batch)
        return h

    def step(self, batch: Batch) -> Any:
        """The function to compile."""
        self.runs += 1
        return self.kind(self, batch)

    @property
    def drops_grad(self) -> bool:
        """Whether a compiled step leaves no gradients: its own update has consumed them."""
        return self.kind in DROPPING

    @property
    def expected_traces(self) -> int:
        """One for each number of rows; one more where gradients are None at first only."""
        return len({batch.x.shape for batch in self.batches}) + (self.kind is never_zeroed)

    def train(self, step: Callable[[Batch], Any]) -> Iterator[dict[str, Array | None]]:
        """Call the step with each batch; yields copies of its results and of everything that it may have changed."""
        for batch in self.batches:
            for optimizer in self.optimizers:
                optimizer.lr *= self.decay
            results = _arrays(step(batch))
            state: dict[str, Array | None] = {f"result {i}": array for i, array in enumerate(results)}
            for what, tensors in (("weight", self.parameters), ("average", self.averages)):
                state |= {f"{what} {i}": t.numpy().copy() for i, t in enumerate(tensors)}
            for o, optimizer in enumerate(self.optimizers):
                kept = {name: arrays for name, arrays in optimizer.state_dict().items() if name != "groups"}
                state |= {f"{name} {o}.{i}": v for name, arrays in kept.items() for i, v in enumerate(arrays)}
            state["stream"] = np.array(self.generator.stream)
            for i, p in enumerate(self.parameters):
                state[f"grad {i}"] = None if p.grad is None else p.grad.numpy().copy()
            yield state

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Weights, averages, optimizers and gradients are as before after the block."""
        tensors = [*self.parameters, *self.averages]
        values = [t.numpy().copy() for t in tensors]
        states = [optimizer.state_dict() for optimizer in self.optimizers]
        stream = self.generator.stream
        yield
        self.generator.stream = stream
        for t, value in zip(tensors, values, strict=True):
            t.copy_(value)
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)
        for p in self.parameters:
            p.grad = None


def _arrays(result: Any) -> list[Array]:
    """The tensors of a tree of tuples, lists and dicts, as arrays."""
    if isinstance(result, (tuple, list)):
        return [array for item in result for array in _arrays(item)]
    if isinstance(result, dict):
        return _arrays(list(result.values()))
    return [result.numpy().copy()]


# Steps.


def _backward(net: Net, b: Batch) -> cr.Tensor:
    loss = net.loss(net, b)
    loss.backward()
    return loss


def _zero_grad(net: Net) -> None:
    for optimizer in net.optimizers:
        optimizer.zero_grad()


def _update(net: Net) -> None:
    for optimizer in net.optimizers:
        optimizer.step()


def plain(net: Net, b: Batch) -> Any:
    _zero_grad(net)
    loss = _backward(net, b)
    _update(net)
    return loss


def zero_at_the_end(net: Net, b: Batch) -> Any:
    loss = _backward(net, b)
    _update(net)
    _zero_grad(net)
    return loss


def without_update(net: Net, b: Batch) -> Any:
    _zero_grad(net)
    out = net(b)
    return {"loss": _backward(net, b), "out": out}


def never_zeroed(net: Net, b: Batch) -> Any:
    loss = _backward(net, b)
    _update(net)
    return loss


def two_halves(net: Net, b: Batch) -> Any:
    _zero_grad(net)
    rows = b.x.shape[0]
    middle = (rows + 1) // 2
    losses = [_backward(net, b.part(part)) for part in (slice(0, middle), slice(rows - middle, None))]
    _update(net)
    return losses


def gradients_returned(net: Net, b: Batch) -> Any:
    loss = plain(net, b)
    return loss, [p.grad for p in net.parameters]


def clipped(net: Net, b: Batch) -> Any:
    _zero_grad(net)
    loss = _backward(net, b)
    gradients = [p.grad for p in net.parameters if p.grad is not None]
    norm = cr.sqrt(cr.sum(cr.stack([cr.sum(cr.square(g)) for g in gradients])) + 1e-6)
    for p in net.parameters:
        if p.grad is not None:
            p.grad = p.grad * cr.minimum(1.0 / norm, 1.0)
    _update(net)
    return loss, norm


def by_hand(net: Net, b: Batch) -> Any:
    _zero_grad(net)
    loss = _backward(net, b)
    with cr.no_grad():
        for p in net.parameters:
            if p.grad is not None:
                p.copy_(p - p.grad * 0.05)
    return (loss,)


def averaged(net: Net, b: Batch) -> Any:
    before = [p * 1.0 for p in net.parameters[:2]]
    loss = plain(net, b)
    with cr.no_grad():
        for average, p in zip(net.averages, net.parameters, strict=True):
            average.copy_(average * 0.75 + p * 0.25)
    return loss, before


def two_steps(net: Net, b: Batch) -> Any:
    return [plain(net, b), plain(net, b)]


def two_updates(net: Net, b: Batch) -> Any:
    """By the same gradients."""
    loss = plain(net, b)
    _update(net)
    return loss


def alternating(net: Net, b: Batch) -> Any:
    losses = []
    for optimizer in net.optimizers:
        _zero_grad(net)
        losses.append(_backward(net, b))
        optimizer.step()
    _zero_grad(net)
    return losses


def before_and_after(net: Net, b: Batch) -> Any:
    before = net(b)
    loss = plain(net, b)
    return before, loss, net(b), net.parameters[0] * 2.0


def no_training(net: Net, b: Batch) -> Any:
    with cr.no_grad():
        out = net(b)
        return out, cr.argmax(out, 1), net.loss(net, b)


def slope_of_the_argument(net: Net, b: Batch) -> Any:
    _zero_grad(net)
    return cr.value_and_grad(lambda x: net.loss(net, b._replace(x=x)))(b.x)


STEPS: tuple[Step, ...] = (
    plain, plain, plain, zero_at_the_end, without_update, never_zeroed, two_halves, gradients_returned, clipped,
    by_hand, averaged, two_steps, two_updates, alternating, before_and_after, no_training, slope_of_the_argument,
)  # fmt: skip
DROPPING = {
    *(plain, two_halves, two_updates, alternating, gradients_returned, clipped, averaged, two_steps, before_and_after),
}

# One net by its number.

LARGE = 25  # every 25th net is large
BATCHES = (1, 2, 3, 7, 8, 16, 31, 32, 33, 64, 100, 128, 130)


def make(seed: int) -> Net:
    """Create the net of this seed."""
    large, wide = seed % LARGE == LARGE - 1, seed // LARGE % 2 == 0
    widths = WIDTHS if not large else (130, 520, 700) if wide else (64, 130, 200)
    d = Draw(np.random.default_rng(seed), np.float64 if seed % 4 == 2 else np.float32, widths, seed // 2)
    loss, kind = LOSSES[d.below(len(LOSSES))], STEPS[d.below(len(STEPS))]
    features = width = d.width()
    layers = []
    for _ in range(1 + d.below(2 if large or loss in DEEP else 6)):
        name = "dense" if d.chance(0.4) else list(LAYERS)[d.below(len(LAYERS))]
        layer, width = LAYERS[name](d, width)
        layers.append(layer)
    outputs = max((1, 2, 3, 10, 10, 10, 1 + d.below(70))[d.below(7)], 2 if loss in COMPARING else 1)
    last = d.linear(width, outputs)
    layers.append(lambda h, b: last(h))
    parts = (
        [d.parameters[::2], d.parameters[1::2]]
        if d.chance(0.15 if kind is not alternating else 0.8) and len(d.parameters) > 1
        else [d.parameters]
    )
    optimizers = [_optimizer(d, part) for part in parts]
    averages = [cr.tensor(p.numpy() * d.dtype(0.5)) for p in d.parameters]
    size = 600 if large and not wide else BATCHES[d.below(7 if large else len(BATCHES))]
    other = 1 + d.below(size)
    sizes = [size, size, other, size] if d.chance(0.15) else [size] * 3
    batches = [_batch(d, n, features, outputs) for n in sizes]
    decay = 0.5 if d.chance(0.3) else 1.0
    return Net(layers, d.parameters, optimizers, averages, loss, kind, batches, d.generator, decay)


def _optimizer(d: Draw, parameters: list[cr.nn.Parameter]) -> cr.optim.Optimizer:
    lr, decay = (0.01, 0.05, 0.1)[d.below(3)], (0.0, 0.0, 0.01)[d.below(3)]
    momentum = (0.0, 0.9, 0.5)[d.below(3)]
    flag, kind = d.chance(0.5), d.below(10)
    if d.turn % 4 == 3:  # each of the others has its turn
        return list(BY_REFERENCE.values())[d.turn // 4 % len(BY_REFERENCE)](parameters)
    if kind < 5:
        nesterov, dampening = momentum > 0 and flag, 0.25 if momentum > 0 and not flag and kind == 4 else 0.0
        return cr.optim.SGD(parameters, lr, momentum, dampening, nesterov=nesterov, weight_decay=decay)
    if kind < 8:
        adam = cr.optim.AdamW if kind == 7 else cr.optim.Adam
        return adam(parameters, lr * 0.1, (0.5 + momentum / 2, 0.99), weight_decay=decay, amsgrad=flag)
    if kind == 8:
        return cr.optim.RMSprop(parameters, lr * 0.1, 0.9, 1e-4, weight_decay=decay, momentum=momentum, centered=flag)
    return cr.optim.Adagrad(parameters, lr * 0.1, lr_decay=decay, weight_decay=decay)


def _batch(d: Draw, rows: int, features: int, outputs: int) -> Batch:
    x = d.constant(rows, features)
    if d.chance(0.1):
        x[:, ::3] *= np.finfo(d.dtype).smallest_normal
    half = (rows + 1) // 2
    return Batch(
        cr.tensor(x),
        cr.tensor(np.asarray(d.rng.random((rows, outputs)), d.dtype)),
        cr.tensor(d.rng.integers(0, outputs, rows)),
        cr.tensor(d.rng.integers(-half, half, rows)),
        cr.tensor(d.rng.integers(-TABLE_ROWS, TABLE_ROWS, rows)),
    )
