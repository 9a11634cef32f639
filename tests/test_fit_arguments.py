"""fit as users of other libraries write it: names, fractions, labels of any kind, class weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import metrics as peer
from sklearn.utils.class_weight import compute_sample_weight

import chainrule as cr
from chainrule import nn

N = 90
X = cr.random.Generator(seed=41).normal((N, 4))
CODES = (X[:, 0] - X[:, 1] > 0.7).astype(np.int64) + (X[:, 2] > 0.8)
NAMES = np.array(["bad", "good", "rare"])[CODES]
PRICE = 100 + 30 * X[:, 0] - 20 * X[:, 3]


def net(*last: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8, generator=cr.random.Generator(seed=5)), nn.Tanh(), *last)


def out(kind: str, columns: int = 1, **options: Any) -> nn.Output:
    return nn.Output(kind, 8, columns, generator=cr.random.Generator(seed=6), **options)


def fit(model: nn.Module, y: Any, x: Any = X, **options: Any) -> cr.History:
    return cr.fit(model, x, y, **{"epochs": 3, "seed": 2, "verbose": 0, **options})


def bits(model: nn.Module) -> bytes:
    return b"".join(value.tobytes() for value in model.state_dict().values())


def test_the_output_layer_brings_loss_and_labels() -> None:
    named, coded = net(out("multiclass", 3)), net(out("multiclass", 3))
    fit(named, NAMES)
    fit(coded, CODES, loss=cr.cross_entropy, optimizer="adam")
    assert bits(named) == bits(coded) == bits_by_hand()
    assert named[-1].classes == ("bad", "good", "rare")
    assert coded[-1].classes is None
    assert set(named[-1].labels(named.predict(X))) <= set(NAMES)


NAMED = {
    "mse": nn.MSELoss,
    "mean_squared_error": nn.MSELoss,
    "MAE": nn.L1Loss,
    "mean_absolute_error": nn.L1Loss,
    "huber": nn.HuberLoss,
    "huber_loss": nn.HuberLoss,
    "bce": nn.BCELoss,
    "binary_crossentropy": nn.BCELoss,
    "binary_cross_entropy_with_logits": nn.BCEWithLogitsLoss,
    "cross_entropy": nn.CrossEntropyLoss,
    "nll": nn.NLLLoss,
}


@pytest.mark.parametrize("name", NAMED)
def test_losses_by_name(name: str) -> None:
    """The modules with their default options."""
    kind = NAMED[name]
    y = CODES if kind in (nn.CrossEntropyLoss, nn.NLLLoss) else np.eye(3)[CODES]
    last = {nn.BCELoss: nn.Sigmoid(), nn.NLLLoss: nn.LogSoftmax()}.get(kind, nn.Tanh())
    models = [net(out("continuous", 3), last) for _ in range(2)]
    for model, loss in zip(models, (kind(), name), strict=True):
        fit(model, y, loss=loss, epochs=1)
    assert bits(models[0]) == bits(models[1])
    trainer = cr.Trainer(models[0], X, y, loss=name, optimizer=cr.optim.SGD(models[0].parameters(), lr=0.1))
    assert type(trainer.loss) is kind


def bits_by_hand() -> bytes:
    model = net(out("multiclass", 3))
    optimizer = cr.optim.Adam(model.parameters())
    cr.fit(model, X, CODES, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=3, seed=2, progress=False)
    return bits(model)


@pytest.mark.parametrize(
    "y", [NAMES.tolist(), NAMES.astype(object), pd.Series(NAMES), pd.DataFrame({"y": NAMES}), pd.Categorical(NAMES)],
    ids=["list", "objects", "series", "frame", "categorical"],
)  # fmt: skip
def test_labels_in_any_container(y: Any) -> None:
    model = net(out("multiclass", 3))
    fit(model, y)
    assert bits(model) == bits_by_hand()


def test_bools_and_integers_are_labels() -> None:
    expected = net(out("binary"))
    fit(expected, (CODES > 0).astype(np.float32)[:, None], loss=nn.BCEWithLogitsLoss())
    for y in (CODES > 0, np.where(CODES > 0, 7, 3), np.where(CODES > 0, "yes", "no"), np.where(CODES > 0, 1, -1)):
        model = net(out("binary"))
        fit(model, y)
        assert bits(model) == bits(expected)


def test_numbers_need_no_column() -> None:
    flat, column = net(out("continuous")), net(out("continuous"))
    fit(flat, PRICE, validation=(X, PRICE), metrics=["r2"])
    fit(column, PRICE[:, None], loss=cr.mse_loss)
    assert bits(flat) == bits(column)


class Custom(nn.Module):
    def __init__(self) -> None:
        self.body, self.out = net(), out("multiclass", 3)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.out(self.body(x))


def test_the_output_of_a_module_of_ones_own() -> None:
    model = Custom()
    fit(model, NAMES)
    assert model.out.classes == ("bad", "good", "rare")
    assert bits(model) == bits_by_hand()


def test_nothing_is_learned_by_a_call_that_fails() -> None:
    model = net(out("multiclass", 3))
    for options in ({"epochs": 0}, {"optimizer": "sdg"}, {"metrics": ["r2"], "validation": 0.2}, {"x": X[:, :3]}):
        with pytest.raises(ValueError):
            fit(model, NAMES, **options)  # type: ignore[arg-type]
        assert model[-1].classes is None


# Validation.


@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_a_fraction_holds_out_the_rows_of_train_test_split(kind: str) -> None:
    y, columns = (NAMES, 3) if kind == "labels" else (PRICE, 1)
    weight = cr.random.Generator(seed=9).uniform((N,))
    results = []
    stratify = y if kind == "labels" else None
    parts = cr.data.train_test_split(X, y, weight, test_size=0.3, seed=2, stratify=stratify)
    for given in (False, True):
        model = net(out("multiclass" if kind == "labels" else "continuous", columns))
        if given:
            history = fit(model, parts[2], parts[0], validation=(parts[1], parts[3]), sample_weight=parts[4])
        else:
            history = fit(model, y, validation=0.3, sample_weight=weight)
        results.append((history.val_loss, history.metrics, bits(model)))
    assert results[0] == results[1]
    assert history.samples == 63 * 3
    if kind == "labels":
        shares = [np.unique(part, return_counts=True)[1] / len(part) for part in (parts[3], NAMES)]
        np.testing.assert_allclose(shares[0], shares[1], atol=0.02)


def test_the_default_seed_selects_the_held_out_rows() -> None:
    histories = []
    for seed in (3, 3, 4):
        cr.manual_seed(seed)
        histories.append(fit(net(out("continuous")), PRICE, validation=0.2, seed=None).val_loss)
    assert histories[0] == histories[1] != histories[2]


# Metrics.


def test_named_metrics_of_classes() -> None:
    model, held = net(out("multiclass", 3)), (X[:40] * 1.5, NAMES[:40])
    names = ["accuracy", "balanced_accuracy", "log_loss", "auc"]
    history = fit(model, NAMES, validation=held, metrics=[*names, "acc"])
    scores = model.predict(held[0])
    labels, p = model[-1].labels(scores), model[-1].link(scores.astype(np.float64)).numpy()
    expected = [
        peer.accuracy_score(held[1], labels),
        peer.balanced_accuracy_score(held[1], labels),
        peer.log_loss(held[1], p),
        peer.roc_auc_score(held[1], p, multi_class="ovr"),
    ]
    found = [history.metrics[name][-1] for name in names]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert history.metrics["acc"] == history.metrics["accuracy"]
    np.testing.assert_allclose(history.metrics["log_loss"], history.val_loss, rtol=1e-6)


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.CrossEntropyLoss(), nn.NLLLoss(), nn.BCELoss()])
def test_two_classes_by_any_loss(loss: nn.Module) -> None:
    wide = isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss))
    last: list[nn.Module] = [nn.Linear(8, 2 if wide else 1, generator=cr.random.Generator(seed=6))]
    last += [nn.Sigmoid()] if isinstance(loss, nn.BCELoss) else []
    model = net(*last)
    y = (CODES > 0).astype(np.int64)
    y = y if wide else y[:, None]
    if isinstance(loss, nn.NLLLoss):
        model.append(LogSoftmax())
    history = fit(model, y, loss=loss, validation=(X, y), metrics=["accuracy", "auc", "log_loss"])
    raw = model.predict(X).astype(np.float64)
    p = {
        "CrossEntropyLoss": lambda: cr.softmax(raw, axis=1).numpy()[:, 1],
        "NLLLoss": lambda: np.exp(raw[:, 1]),
        "BCEWithLogitsLoss": lambda: 1 / (1 + np.exp(-raw[:, 0])),
        "BCELoss": lambda: raw[:, 0],
    }[type(loss).__name__]()
    expected = [f(y, s) for f, s in ((peer.accuracy_score, p > 0.5), (peer.roc_auc_score, p), (peer.log_loss, p))]
    found = [history.metrics[name][-1] for name in ("accuracy", "auc", "log_loss")]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


class LogSoftmax(nn.Module):
    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.log_softmax(x, axis=1)


def test_metrics_of_numbers_and_functions_of_target_and_prediction() -> None:
    model, held = net(out("continuous")), (X[:30] * 1.5, PRICE[:30])
    given = ["R2", "mae", "mse", "rmse", peer.r2_score, cr.metrics.r2]
    history = fit(model, PRICE, validation=held, metrics=given, epochs=20, optimizer=None)
    p, t = model.predict(held[0]), held[1].astype(np.float32)
    last = {name: values[-1] for name, values in history.metrics.items()}
    expected = {
        "R2": peer.r2_score(t, p),
        "mae": peer.mean_absolute_error(t, p),
        "mse": peer.mean_squared_error(t, p),
        "rmse": peer.root_mean_squared_error(t, p),
    }
    assert list(last) == [*expected, "r2_score", "r2"]
    for name, value in expected.items():
        assert last[name] == pytest.approx(value, rel=1e-5), name
    assert last["r2_score"] == pytest.approx(expected["R2"], rel=1e-5)
    assert last["r2"] == last["R2"]
    assert expected["R2"] != pytest.approx(peer.r2_score(p, t)), "the order matters"


def test_counts_are_measured_by_their_rate() -> None:
    model, y = net(out("count")), np.floor(np.exp(X[:, 0] / 2))
    history = fit(model, y, validation=(X, y), metrics="mae")
    rate = model[-1].link(model.predict(X)).numpy()
    assert history.metrics["mae"][-1] == pytest.approx(peer.mean_absolute_error(y, rate), rel=1e-6)


# Class weights.


@pytest.mark.parametrize("chosen", ["balanced", {"rare": 5.0, "bad": 0.5}, {"good": 0}])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_multiply_sample_weights(chosen: Any, weighted: bool) -> None:
    own = cr.random.Generator(seed=9).uniform((N,), dtype=np.float64) if weighted else np.ones(N)
    weights = compute_sample_weight(
        chosen if isinstance(chosen, str) else {"bad": 1, "good": 1, "rare": 1, **chosen}, NAMES
    )
    models = [net(out("multiclass", 3)) for _ in range(2)]
    fit(models[0], NAMES, class_weight=chosen, sample_weight=own if weighted else None)
    fit(models[1], NAMES, sample_weight=weights * own)
    assert bits(models[0]) == bits(models[1])


def test_class_weights_of_labels_without_names() -> None:
    models = [net(nn.Linear(8, 3, generator=cr.random.Generator(seed=6))) for _ in range(3)]
    for model, chosen in zip(models, ({2: 4.0}, {np.int64(2): 4}, None), strict=True):
        weight = np.where(CODES == 2, 4.0, 1.0) if chosen is None else None
        fit(model, CODES, loss=nn.CrossEntropyLoss(), class_weight=chosen, sample_weight=weight)
    assert bits(models[0]) == bits(models[1]) == bits(models[2])


# What else is written in other ways.


def test_callbacks_one_or_many() -> None:
    for callbacks in (lambda h: h.epochs == 2, [lambda h: h.epochs == 2], (f for f in [lambda h: h.epochs == 2])):
        assert fit(net(out("continuous")), PRICE, epochs=5, callbacks=callbacks).epochs == 2
    stopping = cr.EarlyStopping(monitor="loss", patience=1, min_delta=1e9)
    assert fit(net(out("continuous")), PRICE, epochs=9, callbacks=stopping).epochs == 2


def test_optimizers_by_name() -> None:
    results = {}
    for name in ("sgd", "Adam", "adamw", "RMSprop", "adagrad"):
        model, by_hand = net(out("continuous")), net(out("continuous"))
        fit(model, PRICE, optimizer=name)
        kind = {kind.lower(): getattr(cr.optim, kind) for kind in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad")}
        fit(by_hand, PRICE, optimizer=kind[name.lower()](by_hand.parameters()))
        assert bits(model) == bits(by_hand)
        results[name] = bits(model)
    assert len(set(results.values())) == 5


def test_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    for verbose, lines in ((0, 0), (False, 0), (1, 3), (2, 3), (True, 3), ("auto", 0)):
        fit(net(out("continuous")), PRICE, verbose=verbose)
        assert len(capsys.readouterr().err.splitlines()) == lines, verbose


def test_frames_of_numbers_and_bools() -> None:
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1] > 0, "c": np.arange(N), "d": X[:, 3].astype(np.float32)})
    values = np.column_stack([frame[name] for name in frame]).astype(np.float64)
    models = [net(out("continuous")) for _ in range(2)]
    fit(models[0], PRICE, frame)
    fit(models[1], PRICE, values)
    assert bits(models[0]) == bits(models[1])
    assert models[0].predict(frame).tobytes() == models[1].predict(values).tobytes()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "sparse": ({"x": sp.csr_matrix(X)}, r"fit: X is a sparse csr_matrix; write \.toarray\(\)"),
    "text column": ({"x": pd.DataFrame({"a": X[:, 0], "b": NAMES})}, "fit: X must be real numbers, .* in column 'b'"),
    "no loss": (
        {"model": net(nn.Linear(8, 1))},
        "fit: loss is missing; pass one of cr.nn, or end the model",
    ),
    "loss name": (
        {"loss": "msee"},
        "fit: unknown loss 'msee', expected one of bce, .*mae, .*a loss of cr.nn or a f",
    ),
    "loss of Keras": (
        {"loss": "sparse_categorical_crossentropy"},
        "fit: loss 'sparse_categorical_crossentropy' of Keras takes probabilities; .* write loss='cross_entropy'",
    ),
    "loss kind": ({"loss": 3}, "fit: loss must be a loss module of cr.nn, a name or a function"),
    "optimizer name": ({"optimizer": "sdg"}, "fit: unknown optimizer 'sdg', expected one of .*adam"),
    "optimizer class": ({"optimizer": 3}, "fit: optimizer must be one of cr.optim, got 3"),
    "callbacks": ({"callbacks": 3}, "fit: callbacks must be a function of the History or several, got 3"),
    "callback": ({"callbacks": ["early"]}, "fit: callbacks must be functions of the History, got 'early'"),
    "verbose": ({"verbose": 3}, "fit: verbose must be 0"),
    "both": ({"progress": False}, "fit: progress and verbose say the same"),
    "fraction": ({"validation": 1.5}, "fit: validation must be a fraction between 0 and 1 or a pair"),
    "empty part": ({"validation": 0.001}, "fit: validation: one part is empty with 90 rows and fraction 0.001"),
    "validation labels": ({"validation": (X, np.array(["x"] * N))}, r"fit: validation y\[0\] is 'x', none of the clas"),
    "metric": ({"metrics": ["f1"], "validation": 0.2}, "fit: unknown metric 'f1', expected accuracy"),
    "metric kind": ({"metrics": ["r2"], "validation": 0.2}, "the metric 'r2' is one of numbers, but the loss takes cl"),
    "metric twice": ({"metrics": ["auc", cr.metrics.auc], "validation": 0.2}, "two metrics 'auc'"),
    "one class": (
        {"metrics": ["auc"], "validation": (X[NAMES == "bad"], NAMES[NAMES == "bad"])},
        "the metric 'auc': the validation rows have one class only",
    ),
    "class weight": ({"class_weight": {"bath": 2}}, "fit: class_weight names the class 'bath', y has 'bad', 'good'"),
    "class weights": ({"class_weight": "auto"}, "fit: class_weight must be 'balanced' or a dict"),
    "class weight -1": ({"class_weight": {"bad": -1}}, "fit: class_weight must be numbers of at least 0"),
    "history": ({"history": cr.History(loss=[1.0])}, "fit: to continue a history, pass the optimizer object"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_what_to_write(name: str) -> None:
    options, message = REFUSED[name]
    model = options.get("model", net(out("multiclass", 3)))
    before = bits(model)
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        fit(model, NAMES, **{key: value for key, value in options.items() if key != "model"})
    assert "\n" not in str(caught.value)
    assert bits(model) == before


def test_numbers_have_no_classes_to_weight_or_measure() -> None:
    with pytest.raises(ValueError, match="class_weight requires a class label for each row"):
        fit(net(out("continuous")), PRICE, class_weight="balanced")
    with pytest.raises(ValueError, match="the metric 'auc' is one of classes, but the loss takes numbers"):
        fit(net(out("continuous")), PRICE, validation=0.2, metrics=["auc"])
    with pytest.raises(ValueError, match="the metric 'auc' takes labels, the targets are probabilities"):
        fit(net(out("binary")), cr.random.Generator(1).uniform((N,)), validation=0.2, metrics=["auc"])
