"""fit and Trainer: evaluation has the bits of the ops, errors name the called function, consistent epoch counts."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.optim import SGD
from test_fit import LABELS, X, bits, net, train, with_value


@pytest.mark.parametrize("n", [1, 40, 1024, 1025, 2500])
def test_evaluation_is_that_of_the_ops(n: int) -> None:
    """The loss of all rows at once; compiled or op by op, with preprocessing and dropout."""
    held = cr.random.Generator(seed=9).normal((n, 5))
    labels = (held[:, 0] > 0).astype(np.int64)
    results = []
    for compile in (True, False):
        model = nn.Sequential(nn.Standardize(5).fit(X), nn.Dropout(0.25, generator=cr.random.Generator(7)), *net())
        history = train(model, validation=(held, labels), compile=compile)
        assert history.val_loss[-1] == cr.cross_entropy(model.predict(held), labels).item()
        results.append((history.val_loss, history.metrics, bits(model)))
    assert results[0] == results[1]


OPTIONS: dict[str, tuple[type[nn.Module], dict[str, object]]] = {
    "mean": (nn.CrossEntropyLoss, {}),
    "sum": (nn.CrossEntropyLoss, {"reduction": "sum"}),
    "weighted": (nn.CrossEntropyLoss, {"weight": [1.0, 9.0]}),
    "weighted sum": (nn.CrossEntropyLoss, {"weight": [1.0, 9.0], "reduction": "sum"}),
    "smoothed": (nn.CrossEntropyLoss, {"weight": [1.0, 9.0], "label_smoothing": 0.2}),
    "without a class": (nn.CrossEntropyLoss, {"weight": [0.0, 1.0]}),
    "margins": (nn.MultiMarginLoss, {"weight": [2.0, 0.5]}),
}


@pytest.mark.parametrize("n", [1, 7, 1024, 1025, 3000])
@pytest.mark.parametrize("name", OPTIONS)
def test_the_validation_loss_is_that_of_the_rows(name: str, n: int) -> None:
    """Whatever its reduction and weights: the first thousand rows have other classes than the rest."""
    kind, options = OPTIONS[name]
    held = cr.random.Generator(seed=9).normal((n, 5))
    labels = (np.arange(n) > 1000).astype(np.int64)
    for compile in (True, False):
        model, loss = net(2), kind(**options)
        history = train(model, y=np.minimum(LABELS, 1), loss=loss, validation=(held, labels), compile=compile)
        assert history.val_loss[-1] == loss(cr.tensor(model.predict(held)), cr.tensor(labels)).item()


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("batch_size", [None, 16])
def test_rows_of_weight_0_might_as_well_hold_anything(batch_size: int | None, poison: float, compile: bool) -> None:
    """Inputs that the model cannot take, and labels that no class has: the same weights and losses."""
    weight = np.where(np.arange(len(X)) % 4, 1.5, 0.0)
    bad_x, bad_labels = X.copy(), LABELS.copy()
    bad_x[weight == 0] = poison
    bad_labels[weight == 0] = -100
    results = []
    for x, labels in ((X, LABELS), (bad_x, bad_labels)):
        model = net()
        history = train(model, x, labels, sample_weight=weight, batch_size=batch_size, compile=compile)
        results.append((history.loss, bits(model)))
    assert results[0] == results[1]
    assert np.isfinite(results[0][0]).all()


def test_trainers_speak_of_themselves() -> None:
    model = net()
    options = {"loss": nn.CrossEntropyLoss(), "optimizer": SGD(model.parameters(), lr=0.1)}
    cases: list[tuple[dict[str, object], str]] = [
        ({"batch_size": 0}, "batch_size must be"),
        ({"nonfinite": "no"}, "nonfinite must be"),
        ({"clip_norm": 0.0}, "clip_norm must be"),
        ({"sample_weight": np.ones(3)}, "sample_weight has shape"),
        ({"loss": lambda a, b: 1.0}, "the loss must return a tensor"),
        ({"loss": lambda a, b: a}, "the loss must return a scalar"),
        ({"optimizer": SGD([nn.Parameter([1.0])], lr=0.1)}, "the optimizer has none"),
    ]
    for changed, message in cases:
        with pytest.raises((ValueError, TypeError), match=f"^Trainer: {message}"):
            cr.Trainer(model, X, LABELS, **(options | changed))  # type: ignore[arg-type]
        with pytest.raises((ValueError, TypeError), match=f"^fit: {message}"):
            cr.fit(model, X, LABELS, **(options | changed))  # type: ignore[arg-type]
    for wrong, message in ((with_value(X, (7, 3), np.nan), r"X\[7, 3\] is nan"), (X[:1], "X has 1 rows")):
        with pytest.raises(ValueError, match=f"^Trainer: {message}"):
            cr.Trainer(model, wrong, LABELS, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^Trainer: model must be a Module"):
        cr.Trainer(np.tanh, X, LABELS, **options)  # type: ignore[arg-type]


def test_a_trainer_counts_its_epochs() -> None:
    model = net()
    options = {"loss": nn.CrossEntropyLoss(), "optimizer": SGD(model.parameters(), lr=0.1)}
    trainer = cr.Trainer(model, X, LABELS, **options)  # type: ignore[arg-type]
    assert trainer.next_epoch == 0
    trainer.run_epoch()
    assert trainer.next_epoch == 1
    with pytest.warns(DeprecationWarning, match="next_epoch"):
        assert trainer.epochs == 1
    with pytest.warns(DeprecationWarning, match="next_epoch"):
        trainer.epochs = 0
    assert trainer.next_epoch == 0
