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
    """Compiled or op by op, with preprocessing, dropout and chunks of 1024 rows."""
    held = cr.random.Generator(seed=9).normal((n, 5))
    labels = (held[:, 0] > 0).astype(np.int64)
    results = []
    for compile in (True, False):
        model = nn.Sequential(nn.Standardize(5).fit(X), nn.Dropout(0.25, generator=cr.random.Generator(7)), *net())
        history = train(model, validation=(held, labels), compile=compile)
        losses = []
        for start in range(0, n, 1024):
            part = slice(start, start + 1024)
            losses.append(cr.cross_entropy(model.predict(held[part]), labels[part]).item())
        sizes = [min(1024, n - start) for start in range(0, n, 1024)]
        assert history.val_loss[-1] == pytest.approx(np.average(losses, weights=sizes), rel=1e-12)
        results.append((history.val_loss, history.metrics, bits(model)))
    assert results[0] == results[1]


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
