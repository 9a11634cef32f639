"""Losses in compiled functions and in training: bits of eager execution, micro-batches, sample weights, penalties."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.compiler.jit import Compiled
from reference import assert_same_bits
from reference.bits import Array
from support.variants import every_setting
from test_losses import CALLS, NUMBERS, ROWS

# Compiled functions.


@pytest.mark.parametrize("name", CALLS)
def test_compiled_equals_eager(name: str) -> None:
    """Value and gradient, with weights of rows and without."""
    loss, x, target = CALLS[name]
    number = x.dtype if target.dtype.kind == "i" else np.float32

    def step(x: cr.Tensor, target: cr.Tensor, weight: cr.Tensor) -> Any:
        plain = cr.value_and_grad(lambda v: loss(v, target))(x)
        return plain, cr.value_and_grad(lambda v: loss(v, target, sample_weight=weight))(x)

    arguments = [cr.tensor(x.astype(number)), cr.tensor(target if number == x.dtype else target.astype(number))]
    arguments.append(cr.tensor(ROWS))
    expected = step(*arguments)
    compiled = cr.compile(step)
    for setting in every_setting(threads=(1, 3)):
        for got, wanted in zip(compiled(*arguments), expected, strict=True):
            for a, b in zip(got, wanted, strict=True):
                assert_same_bits(a.numpy(), b.numpy(), f"{name}, {setting}")


TARGETS: dict[str, tuple[Callable[..., cr.Tensor], Array, Array]] = {
    "neither -1 nor 1; write": (cr.hinge_loss, np.ones((2, 3)), np.asarray([[1.0, -1.0, 1.0], [1.0, 0.0, 1.0]])),
    "not a probability from 0 to 1": (
        cr.binary_cross_entropy,
        *(np.asarray([[0.5, 0.1, 1.0], [0.0, -0.1, 0.9]]), np.ones((2, 3))),
    ),
}


@pytest.mark.parametrize("message", TARGETS)
def test_values_are_checked_by_compiled_functions(message: str) -> None:
    loss, prediction, target = TARGETS[message]
    compiled = cr.compile(loss)
    compiled(np.abs(prediction), np.where(target == 0, 1.0, target))
    with pytest.raises(ValueError, match=rf"at \(1, 1\) is {message}"):
        compiled(prediction, target)


# Training.

N = 90
INPUTS = cr.random.Generator(seed=21).normal((N, 5))
SCORES = INPUTS @ cr.random.Generator(seed=22).normal((5, 4))
OF_CLASSES = np.argmax(SCORES, 1)
VALUES = 1 / (1 + np.exp(-SCORES))
PROBABILITIES = VALUES / VALUES.sum(1, keepdims=True)
WEIGHT = np.asarray(cr.random.Generator(seed=23).uniform((N,)), np.float64) + (np.arange(N) % 3 > 0)
CLASS_WEIGHT = [0.5, 2.0, 1.5, 0.8]

KL = nn.KLDivLoss("batchmean")
LOSSES: dict[str, tuple[Any, Array]] = {
    "mse": (nn.MSELoss(half=True), VALUES),
    "l1": (nn.L1Loss("sum"), VALUES),
    "huber": (nn.HuberLoss(delta=0.3), VALUES),
    "smooth l1": (nn.SmoothL1Loss(beta=0.4), VALUES),
    "quantile": (nn.QuantileLoss(quantile=0.8), VALUES),
    "quantiles": (nn.QuantileLoss(quantile=[0.1, 0.4, 0.6, 0.9]), VALUES[:, 0]),
    "log cosh": (nn.LogCoshLoss(), VALUES),
    "gaussian": (
        lambda p, t, sample_weight=None: nn.GaussianNLLLoss()(p[:, :2], t, cr.softplus(p[:, 2:]) + 0.1, sample_weight),
        VALUES[:, :2],
    ),
    "hinge": (nn.HingeLoss(), np.where(VALUES > 0.5, 1, -1)),
    "perceptron": (nn.PerceptronLoss(), np.where(VALUES > 0.5, 1.0, -1.0)),
    "bce": (lambda p, t, sample_weight=None: nn.BCELoss()(cr.sigmoid(p), t, sample_weight), VALUES),
    "logits": (nn.BCEWithLogitsLoss(pos_weight=CLASS_WEIGHT), VALUES > 0.5),
    "poisson": (nn.PoissonNLLLoss(full=True), np.floor(VALUES * 4)),
    "kl": (lambda p, t, sample_weight=None: KL(cr.log_softmax(p), t, sample_weight), PROBABILITIES),
    "cross entropy": (nn.CrossEntropyLoss(), OF_CLASSES),
    "weighted": (nn.CrossEntropyLoss(weight=CLASS_WEIGHT), OF_CLASSES),
    "smoothed": (nn.CrossEntropyLoss(weight=CLASS_WEIGHT, label_smoothing=0.1), OF_CLASSES),
    "probabilities": (nn.CrossEntropyLoss(), PROBABILITIES),
    "nll": (lambda p, t, sample_weight=None: nn.NLLLoss()(cr.log_softmax(p), t, sample_weight), OF_CLASSES),
    "margins": (nn.MultiMarginLoss(p=2), OF_CLASSES),
}  # fmt: skip


def net(dtype: Any = np.float32) -> nn.Sequential:
    generator = cr.random.Generator(seed=24)
    first = nn.Linear(5, 8, generator=generator, dtype=dtype)
    return nn.Sequential(first, nn.Tanh(), nn.Linear(8, 4, generator=generator, dtype=dtype))


def trained(name: str, penalty: dict[str, float] | None = None, lr: float = 0.05, **options: Any) -> bytes:
    """Weights and losses after two epochs."""
    loss, y = LOSSES[name]
    model = net()
    if penalty is not None:
        loss = nn.PenalizedLoss(loss, model, **penalty)
    optimizer = cr.optim.SGD(model.parameters(), lr=lr, momentum=0.5)
    trainer = cr.Trainer(model, INPUTS, y, loss=loss, optimizer=optimizer, batch_size=32, seed=1, **options)
    losses = [trainer.run_epoch() for _ in range(2)]
    assert np.isfinite(losses).all()
    return b"".join(a.tobytes() for a in [*model.state_dict().values(), np.array(losses)])


@pytest.mark.parametrize("name", LOSSES)
def test_micro_batches_give_the_whole_batch(name: str) -> None:
    seen = set()
    for options in ({}, {"sample_weight": WEIGHT}, {"penalty": {"l1": 0.01, "l2": 0.02}}):
        whole = trained(name, **options, compile=False)
        seen.add(whole)
        assert trained(name, **options) == whole, options
        for size in (1, 5, 16, 31):
            assert trained(name, **options, micro_batch=size) == whole, (options, size)
    assert len(seen) == 3


@pytest.mark.parametrize("name", ["weighted", "smoothed", "mse"])
def test_micro_batches_save_memory_with_weights(name: str) -> None:
    """The sum of the weights, by which the mean is divided, is known before the first block."""

    def arena(micro_batch: int | None, weight: Array | None) -> int:
        loss, y = LOSSES[name]
        model = net()
        optimizer = cr.optim.SGD(model.parameters(), lr=0.05)
        options: dict[str, Any] = {"sample_weight": weight, "micro_batch": micro_batch, "batch_size": N}
        trainer = cr.Trainer(model, INPUTS, y, loss=loss, optimizer=optimizer, **options)
        trainer.run_epoch()
        (plan,) = next(iter(trainer._compiled._plans.values()))  # type: ignore[union-attr]
        return plan.built.arena_bytes

    for weight in (None, WEIGHT):
        assert 2 * arena(9, weight) < arena(None, weight)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_fall(name: str) -> None:
    loss, y = LOSSES[name]
    model = net()
    optimizer = cr.optim.SGD(model.parameters(), lr=0.002 if name == "l1" else 0.05, momentum=0.9)
    history = cr.fit(model, INPUTS, y, loss=loss, optimizer=optimizer, epochs=30, seed=2, sample_weight=WEIGHT)
    assert history.loss[-1] < history.loss[0] - 0.05 * abs(history.loss[0]), history.loss


def test_fit_with_weights_is_the_loop() -> None:
    """The weights of the batch's rows go to the loss."""
    model, by_hand = net(np.float64), net(np.float64)
    loss = nn.CrossEntropyLoss(weight=CLASS_WEIGHT)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
    cr.fit(model, INPUTS, OF_CLASSES, loss=loss, optimizer=optimizer, epochs=1, shuffle=False, sample_weight=WEIGHT)
    optimizer = cr.optim.SGD(by_hand.parameters(), lr=0.1)
    for rows in (slice(0, 32), slice(32, 64), slice(64, 90)):
        optimizer.zero_grad()
        x = cr.tensor(INPUTS[rows], dtype=np.float64)
        loss(by_hand(x), cr.tensor(OF_CLASSES[rows]), sample_weight=WEIGHT[rows]).backward()
        optimizer.step()
    for name, value in by_hand.state_dict().items():
        assert_same_bits(model.state_dict()[name], value, name)


def test_rows_of_weight_0_teach_nothing() -> None:
    """Their labels may be anything."""
    results = []
    for change in (0, 1):
        model = net()
        labels = np.where(WEIGHT < 1, (OF_CLASSES + change) % 4, OF_CLASSES)
        optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
        weight = np.where(WEIGHT < 1, 0, 1)
        cr.fit(model, INPUTS, labels, loss=cr.cross_entropy, optimizer=optimizer, seed=3, sample_weight=weight)
        results.append(b"".join(v.tobytes() for v in model.state_dict().values()))
    assert results[0] == results[1]


FIT_ERRORS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "shape": ({"sample_weight": WEIGHT[1:]}, ValueError, r"fit: sample_weight has shape \(89,\), expected \(90,\)"),
    "nan": ({"sample_weight": np.where(WEIGHT > 1, WEIGHT, np.nan)}, ValueError, r"fit: sample_weight\[0\] is nan"),
    "negative": ({"sample_weight": WEIGHT - 1}, ValueError, r"sample_weight\[\d+\] is -0.*, expected .* at least 0"),
    "nothing": ({"sample_weight": WEIGHT * 0}, ValueError, "fit: sample_weight is 0 for every row"),
    "text": ({"sample_weight": ["a"] * N}, TypeError, "fit: sample_weight must be real numbers"),
    "own loss": (
        {"sample_weight": WEIGHT, "loss": lambda p, t: cr.cross_entropy(p, t)},
        *(TypeError, r"fit: the loss does not accept sample_weight, expected f\(prediction, target, sample_weight\)"),
    ),
    "one-hot": ({"y": np.eye(4, dtype=int)[OF_CLASSES]}, ValueError, r"y has shape \(90, 4\), labels must have shape"),
    "float labels": ({"y": OF_CLASSES * 1.0}, TypeError, "y must be integer labels .*, got dtype float64"),
    "classes": ({"y": PROBABILITIES[:, 1:]}, ValueError, r"cross_entropy: .*\(1, 4\), target \(1, 3\)"),
    "margins": ({"y": PROBABILITIES, "loss": nn.MultiMarginLoss()}, TypeError, "y must be integer labels"),
}  # fmt: skip


@pytest.mark.parametrize("name", FIT_ERRORS)
def test_fit_rejects(name: str) -> None:
    options, kind, message = FIT_ERRORS[name]
    model = net()
    before = {name: value.copy() for name, value in model.state_dict().items()}
    arguments: dict[str, Any] = {"y": OF_CLASSES, "loss": nn.CrossEntropyLoss(), **options}
    with pytest.raises(kind, match=message):
        cr.fit(model, INPUTS, optimizer=cr.optim.SGD(model.parameters(), lr=0.1), **arguments)
    for key, value in model.state_dict().items():
        assert_same_bits(value, before[key])


def test_fit_takes_partial_functions_and_known_functions() -> None:
    for loss, y in (
        (partial(cr.cross_entropy, label_smoothing=0.1), OF_CLASSES),
        (cr.multi_margin_loss, OF_CLASSES),
        (cr.hinge_loss, np.where(VALUES > 0.5, 1, -1)),  # integers, but numbers to this loss
    ):
        model = net()
        optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
        history = cr.fit(model, INPUTS, y, loss=loss, optimizer=optimizer, epochs=5, seed=4)
        assert history.loss[-1] < history.loss[0]


# Penalties.


@pytest.mark.parametrize("compile", [True, False])
def test_a_penalty_of_squares_is_a_weight_decay(compile: bool) -> None:
    """d/dw of l2 * sum(w**2) is 2 * l2 * w."""
    results = []
    for l2, decay in ((0.05, 0.0), (0.0, 0.1)):
        model = net(np.float64)
        optimizer = cr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=decay)
        loss = nn.PenalizedLoss(nn.CrossEntropyLoss(), model, l2=l2)
        cr.fit(model, INPUTS, OF_CLASSES, loss=loss, optimizer=optimizer, epochs=3, seed=5, compile=compile)
        results.append(model.state_dict())
    for name, value in results[0].items():
        np.testing.assert_allclose(results[1][name], value, rtol=1e-12)


def test_penalties_of_models() -> None:
    model = net(np.float64)
    arrays = list(model.state_dict().values())
    for biases in (True, False):
        chosen = [a for a in arrays if biases or a.ndim > 1]
        np.testing.assert_allclose(
            cr.l1_penalty(model, biases).item(), sum(np.abs(a).sum() for a in chosen), rtol=1e-14
        )
        np.testing.assert_allclose(cr.l2_penalty(model, biases).item(), sum((a * a).sum() for a in chosen), rtol=1e-14)
        of_list = cr.l2_penalty(list(model.parameters()), biases)
        assert_same_bits(cr.l2_penalty(model.parameters(), biases).numpy(), of_list.numpy())
    loss = nn.PenalizedLoss(nn.MSELoss(), model, l1=0.1, l2=0.2, biases=False)
    x = cr.tensor(INPUTS[:4], dtype=np.float64)
    plain = cr.mse_loss(model(x), VALUES[:4].astype(np.float64)).item()
    expected = plain + 0.1 * cr.l1_penalty(model, False).item() + 0.2 * cr.l2_penalty(model, False).item()
    np.testing.assert_allclose(loss(model(x), VALUES[:4].astype(np.float64)).item(), expected, rtol=1e-14)
    for factor in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="PenalizedLoss: l1 must be a finite number of at least 0"):
            nn.PenalizedLoss(nn.MSELoss(), model, l1=factor)


def test_a_large_l1_penalty_leaves_small_weights() -> None:
    model = net()
    optimizer = cr.optim.SGD(model.parameters(), lr=0.01)
    loss = nn.PenalizedLoss(nn.CrossEntropyLoss(), model, l1=0.2)
    cr.fit(model, INPUTS, OF_CLASSES, loss=loss, optimizer=optimizer, epochs=60, seed=6)
    first = np.abs(model.state_dict()["0.weight"])
    assert np.median(first) < 0.01


def test_the_fast_path_is_as_it_was() -> None:
    """Softmax, loss and gradient of labels without weights are exactly one instruction."""
    model = net()
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)

    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    compiled = Compiled(step)
    compiled(INPUTS[:32], OF_CLASSES[:32])
    lines = [line.split(" = ")[1].split("(")[0] for line in str(compiled.program).splitlines() if " = " in line]
    names = ["check_index", "gemm", "gemm", "cross_entropy_both", "sum", "div", "sum", "gemm", "gemm", "sum", "gemm"]
    assert lines == [*names, "sgd", "sgd"]


def test_numbers_are_never_broadcast_in_fit() -> None:
    model = nn.Sequential(nn.Linear(5, 1, generator=cr.random.Generator(seed=25)))
    for name in ("mse_loss", "l1_loss", "huber_loss", "poisson_nll_loss", "hinge_loss"):
        assert name in NUMBERS
        with pytest.raises(ValueError, match=rf"{name}: prediction has shape \(1, 1\), target \(1,\); use target"):
            cr.fit(model, INPUTS, np.ones(N), loss=getattr(cr, name), optimizer=cr.optim.SGD(model.parameters(), 0.1))
