"""fit: results, argument checks, and interruption."""

from __future__ import annotations

import signal
from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.optim import SGD

N = 70
X = cr.random.Generator(seed=1).normal((N, 5))
LABELS = (X[:, 0] * X[:, 1] > 0).astype(np.int64) + (X[:, 2] > 1)
VALUES = X[:, :2] * np.float32(0.5) + np.float32(1)


def net(outputs: int = 3, dtype: type = np.float32) -> nn.Sequential:
    generator = cr.random.Generator(seed=2)
    return nn.Sequential(
        nn.Linear(5, 16, generator=generator, dtype=dtype),
        nn.Tanh(),
        nn.Linear(16, outputs, generator=generator, dtype=dtype),
    )


def train(model: nn.Module, X: np.ndarray = X, y: np.ndarray = LABELS, **options: object) -> cr.History:
    arguments: dict[str, object] = {
        "loss": nn.CrossEntropyLoss(),
        "optimizer": SGD(model.parameters(), lr=0.1, momentum=0.9),
        "epochs": 3,
        "batch_size": 16,
        "seed": 4,
        "progress": False,
    }
    return cr.fit(model, X, y, **(arguments | options))  # type: ignore[arg-type]


def bits(model: nn.Module) -> bytes:
    return b"".join(value.tobytes() for value in model.state_dict().values())


def steps_by_hand(epochs: int = 3, batch_size: int = 16) -> tuple[nn.Module, list[float], list[bytes]]:
    """The loop that fit promises: model, loss and weights after every step."""
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses, states = [], [bits(model)]
    for epoch in range(epochs):
        order = cr.random.Generator(4, stream=2**32 + epoch).permutation(N)
        for start in range(0, N, batch_size):
            rows = order[start : start + batch_size]
            optimizer.zero_grad()
            loss = cr.cross_entropy(model(X[rows]), LABELS[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            states.append(bits(model))
    return model, losses, states


def test_fit_is_the_written_loop() -> None:
    model = net()
    history = train(model)
    by_hand, losses, _ = steps_by_hand()
    assert bits(model) == bits(by_hand)
    sizes = np.array([16, 16, 16, 16, 6])
    expected = [np.average(losses[5 * e : 5 * e + 5], weights=sizes) for e in range(3)]
    np.testing.assert_allclose(history.loss, expected, rtol=1e-14)
    assert history.epochs == 3
    assert history.samples == 3 * N
    assert len(history.seconds) == 3
    assert history.samples_per_second > 0
    assert history.loss[2] < history.loss[0]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_seed_same_bits_on_any_threads(threads: int) -> None:
    before = cr.get_num_threads()
    cr.set_num_threads(threads)
    try:
        model = net()
        train(model)
    finally:
        cr.set_num_threads(before)
    assert bits(model) == steps_by_hand()[2][-1]


def test_seed_and_shuffle_matter() -> None:
    results = set()
    for options in ({"seed": 4}, {"seed": 5}, {"shuffle": False}):
        model = net()
        train(model, **options)
        results.add(bits(model))
    assert len(results) == 3


def test_default_seed_is_the_global_one() -> None:
    models = [net(), net(), net()]
    for seed, model in zip((4, 4, 5), models, strict=True):
        cr.manual_seed(seed)
        train(model, seed=None)
    assert bits(models[0]) == bits(models[1]) == steps_by_hand()[2][-1] != bits(models[2])


def test_continuing_a_history_is_one_long_run() -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    history = train(model, epochs=1, optimizer=optimizer)
    assert train(model, epochs=2, optimizer=optimizer, history=history) is history
    assert history.epochs == 3
    assert bits(model) == steps_by_hand()[2][-1]


def test_parity_with_a_plain_numpy_net() -> None:
    """100 steps of a two-layer net in float64 NumPy: the losses agree to 1e-5."""
    model = net()
    w1, b1, w2, b2 = (value.astype(np.float64) for value in model.state_dict().values())
    velocity = [np.zeros_like(p) for p in (w1, b1, w2, b2)]
    x = X.astype(np.float64)
    history = train(model, epochs=100, batch_size=N, shuffle=False)
    for step in range(100):
        h = np.tanh(x @ w1 + b1)
        logits = h @ w2 + b2
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(N), LABELS]).mean()
        assert abs(loss - history.loss[step]) < 1e-5, step
        p[np.arange(N), LABELS] -= 1
        d_logits = p / N
        d_h = d_logits @ w2.T * (1 - h * h)
        for i, (value, gradient) in enumerate(
            ((w1, x.T @ d_h), (b1, d_h.sum(axis=0)), (w2, h.T @ d_logits), (b2, d_logits.sum(axis=0)))
        ):
            velocity[i] = 0.9 * velocity[i] + gradient
            value -= 0.1 * velocity[i]
    assert history.loss[-1] < 0.6 * history.loss[0]


def test_validation_is_measured_after_each_epoch() -> None:
    model = net()
    held = X[:20] * np.float32(1.5), LABELS[:20]
    states: list[np.ndarray] = []

    def spread(target: np.ndarray, prediction: np.ndarray) -> float:
        states.append(prediction)
        return float(np.ptp(prediction))

    history = train(model, validation=held, metrics=["accuracy", spread])
    scores = model.predict(held[0])
    assert scores.tobytes() == states[-1].tobytes()
    assert history.metrics["spread"][-1] == float(np.ptp(scores))
    assert history.metrics["accuracy"][-1] == np.mean(scores.argmax(axis=1) == held[1])
    assert history.val_loss[-1] == cr.cross_entropy(scores, held[1]).item()
    assert len(history.val_loss) == len(history.metrics["accuracy"]) == 3
    assert bits(model) == steps_by_hand()[2][-1]
    assert history.summary().startswith(f"loss {history.loss[-1]:.4g}  val_loss ")


def test_validation_longer_than_one_evaluation_batch() -> None:
    rows = np.arange(3000) % N
    history = train(net(), epochs=1, validation=(X[rows], LABELS[rows]))
    model = net()
    train(model, epochs=1)
    expected = cr.cross_entropy(model.predict(X[rows]).astype(np.float64), LABELS[rows]).item()
    np.testing.assert_allclose(history.val_loss, [expected], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "loss", [nn.MSELoss(), cr.mse_loss, lambda p, t: cr.mean(cr.abs(p - t))], ids=["m", "f", "own"]
)
def test_regression(loss: Callable[[cr.Tensor, cr.Tensor], cr.Tensor], dtype: type) -> None:
    model = net(2, dtype)
    history = train(model, y=VALUES, loss=loss, epochs=20, optimizer=SGD(model.parameters(), lr=0.05))
    assert history.loss[-1] < 0.3 * history.loss[0]
    assert history.metrics == {}


def test_binary_targets_may_be_integers_or_bools() -> None:
    target = (X[:, :1] > 0).astype(np.int64)
    models = [net(1), net(1), net(1)]
    for model, y in zip(models, (target, target.astype(bool), target.astype(np.float64)), strict=True):
        train(model, y=y, loss=nn.BCEWithLogitsLoss())
    assert bits(models[0]) == bits(models[1]) == bits(models[2]) != bits(net(1))


@pytest.mark.parametrize("convert", [lambda a: a.astype(np.float64), lambda a: a.tolist(), cr.tensor])
def test_inputs_of_any_kind(convert: Callable[[np.ndarray], object]) -> None:
    model = net()
    train(model, X=convert(X))  # type: ignore[arg-type]
    assert bits(model) == steps_by_hand()[2][-1]


def with_value(array: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    changed = array.copy()
    changed[place] = value
    return changed


REFUSED: dict[str, tuple[dict[str, object], type[Exception], str]] = {
    "epochs-0": ({"epochs": 0}, ValueError, "fit: epochs must be at least 1, got 0"),
    "epochs-float": ({"epochs": 1.5}, TypeError, "fit: epochs must be an integer, got 1.5"),
    "batch-negative": ({"batch_size": -1}, ValueError, "fit: batch_size must be at least 1"),
    "nonfinite": ({"nonfinite": "ignore"}, ValueError, "fit: nonfinite must be 'raise' or 'continue'"),
    "empty": ({"X": X[:0], "y": LABELS[:0]}, ValueError, r"fit: X is empty, its shape is \(0, 5\)"),
    "lengths": ({"y": LABELS[:-1]}, ValueError, r"fit: X has 70 rows, y has 69 \(X: \(70, 5\), y: \(69,\)\)"),
    "0-d": ({"X": np.float32(1)}, ValueError, "fit: X and y must have an axis of rows"),
    "features": ({"X": X[:, :4]}, ValueError, "linear: x has 4 features, weight expects 5"),
    "text": ({"X": X.astype(str)}, TypeError, "fit: X must be real numbers, got dtype <U"),
    "complex": ({"X": X.astype(complex)}, TypeError, "fit: X must be real numbers, got dtype complex128"),
    "object": ({"X": X.astype(object)}, TypeError, "fit: X must be real numbers, got dtype object"),
    "nan": ({"X": with_value(X, (7, 3), np.nan)}, ValueError, r"fit: X\[7, 3\] is nan \(row 7, column 3\)"),
    "inf": ({"X": with_value(X, (69, 4), -np.inf)}, ValueError, r"fit: X\[69, 4\] is -inf \(row 69, column 4\)"),
    "too-large": (
        {"X": with_value(X.astype(np.float64), (3, 0), 1e39)},
        ValueError,
        r"fit: X\[3, 0\] is 1e\+39, too large for float32 \(row 3, column 0\)",
    ),
    "nan-target": (
        {"y": with_value(VALUES, (5, 1), np.nan), "loss": nn.MSELoss(), "outputs": 2},
        ValueError,
        r"fit: y\[5, 1\] is nan \(row 5, column 1\)",
    ),
    "label-high": ({"y": with_value(LABELS, (9,), 3)}, ValueError, r"fit: y\[9\] is 3, labels must be from 0 to 2"),
    "label-low": ({"y": with_value(LABELS, (9,), -1)}, ValueError, r"fit: y\[9\] is -1, labels must be from 0 to 2"),
    "label-float": (
        {"y": LABELS * 1.0},
        TypeError,
        "fit: y must be integer labels for this loss, got dtype float64",
    ),
    "label-column": ({"y": LABELS[:, None]}, ValueError, r"fit: y has shape \(70, 1\), labels must have shape \(70,\)"),
    "label-function": ({"y": LABELS + 1, "loss": cr.cross_entropy}, ValueError, "labels must be from 0 to 2"),
    "target-shape": ({"y": VALUES, "loss": nn.MSELoss()}, ValueError, r"\(1, 3\).*\(1, 2\)"),
    "no-scalar": (
        {"loss": nn.CrossEntropyLoss("none")},
        ValueError,
        r"the loss must return a scalar, got shape \(1,\)",
    ),
    "no-tensor": ({"loss": lambda p, t: 1.0}, TypeError, "the loss must return a tensor, got float"),
    "foreign-optimizer": (
        {"optimizer": SGD(net().parameters(), lr=0.1)},
        ValueError,
        "fit: the optimizer has none of the model's parameters",
    ),
    "validation-kind": ({"validation": X}, TypeError, r"fit: validation must be a pair \(X, y\)"),
    "validation-nan": (
        {"validation": (with_value(X, (1, 2), np.nan), LABELS)},
        ValueError,
        r"fit: validation X\[1, 2\] is nan",
    ),
    "validation-label": (
        {"validation": (X, with_value(LABELS, (2,), 7))},
        ValueError,
        r"fit: validation y\[2\] is 7, labels must be from 0 to 2",
    ),
    "metric-name": (
        {"metrics": ["f1"], "validation": (X, LABELS)},
        ValueError,
        "fit: unknown metric 'f1', expected accuracy, ",
    ),
    "metric-without-rows": ({"metrics": ["accuracy"]}, ValueError, "fit: metrics require validation data"),
}


@pytest.mark.parametrize(("options", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_before_the_model_is_touched(options: dict[str, object], error: type[Exception], message: str) -> None:
    model = net(int(options.get("outputs", 3)))  # type: ignore[call-overload]
    before = bits(model)
    history = cr.History()
    with pytest.raises(error, match=message) as caught:
        train(model, **({"history": history} | {k: v for k, v in options.items() if k != "outputs"}))
    assert "\n" not in str(caught.value)
    assert bits(model) == before
    assert history.epochs == 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_rejects_what_is_no_model() -> None:
    optimizer = SGD(net().parameters(), lr=0.1)
    with pytest.raises(TypeError, match="fit: model must be a Module, got builtin_function_or_method"):
        cr.fit(abs, X, LABELS, loss=cr.cross_entropy, optimizer=optimizer)  # type: ignore[arg-type]


def exploding(at: int) -> Callable[[cr.Tensor, cr.Tensor], cr.Tensor]:
    """Cross entropy that is infinite in call `at`; call 0 is fit's own check."""
    calls = [0]

    def loss(prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        calls[0] += 1
        value = cr.cross_entropy(prediction, target)
        return value * np.float32(np.inf) if calls[0] == at + 1 else value

    return loss


def test_a_loss_that_is_not_finite_stops_before_its_step() -> None:
    model = net()
    history = cr.History()
    with pytest.raises(
        FloatingPointError, match=r"fit: the loss is inf at epoch 2, step 3 of 5; .* smaller learning rate"
    ):
        train(model, loss=exploding(8), history=history, compile=False)  # counting calls is for Python
    assert bits(model) == steps_by_hand()[2][7]
    assert history.epochs == 1


def test_a_compiled_loss_that_is_not_finite_stops_before_its_step() -> None:
    order = cr.random.Generator(4, stream=2**32).permutation(N)
    targets = VALUES.copy()
    targets[order[37], 1] = 1e30  # in the third batch
    model, by_hand = net(2), net(2)
    with pytest.raises(FloatingPointError, match=r"fit: the loss is inf at epoch 1, step 3 of 5; "):
        train(model, y=targets, loss=nn.MSELoss())
    optimizer = SGD(by_hand.parameters(), lr=0.1, momentum=0.9)
    for rows in order[:32].reshape(2, 16):
        optimizer.zero_grad()
        cr.mse_loss(by_hand(X[rows]), targets[rows]).backward()
        optimizer.step()
    assert bits(model) == bits(by_hand)
    train(net(2), y=targets, loss=nn.MSELoss(), nonfinite="continue")


def test_what_cannot_be_compiled_says_so() -> None:
    def loss(prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        value = cr.cross_entropy(prediction, target)
        return value if value > 0.5 else value * 2.0

    model = net()
    before = bits(model)
    with pytest.raises(cr.CompileError, match=r"test_fit.py:\d+.*cr.where"):
        train(model, loss=loss)
    assert bits(model) == before
    train(model, loss=loss, compile=False)
    assert bits(model) != before


def test_a_loss_that_is_not_finite_may_be_passed_over() -> None:
    model = net()
    history = train(model, loss=exploding(8), nonfinite="continue", compile=False)
    assert history.epochs == 3
    assert not np.isfinite(history.loss[1])
    assert np.isnan(model.predict(X)).any()


def test_callbacks_see_every_epoch_and_may_end_training() -> None:
    seen = []
    model = net()
    history = train(model, epochs=10, callbacks=[lambda h: seen.append(h.epochs), lambda h: h.epochs == 2])
    assert seen == [1, 2]
    assert history.epochs == 2
    assert bits(model) == steps_by_hand()[2][10]
    assert train(net(), callbacks=[lambda h: 1]).epochs == 3  # only True ends it


def test_an_error_in_a_callback_leaves_history_and_modes() -> None:
    def broken(history: cr.History) -> None:
        raise KeyError("mine")

    model = net().eval()
    history = cr.History()
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyError):
        train(model, callbacks=[broken], history=history)
    assert history.epochs == 1
    assert not model.training
    assert signal.getsignal(signal.SIGINT) is handler
    assert cr.is_grad_enabled()


def test_training_mode_inside_and_evaluation_mode_for_validation() -> None:
    modes = []

    class Spy(nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            modes.append((self.training, cr.is_grad_enabled()))
            return x

    model = net().append(Spy()).eval()
    train(model, epochs=1, batch_size=N, validation=(X, LABELS))
    assert modes == [(False, False), (False, False), (True, True), (False, False)]
