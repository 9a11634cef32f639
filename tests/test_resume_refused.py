"""A checkpoint goes on with the training that it is of, and with no other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from support.resuming import LABELS, ROWS, Restless, Session, X, whole

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "X": ({"X": X[:ROWS] + np.float32(1e-6)}, "on other data: the values of X, y or sample_weight differ"),
    "order of rows": ({"X": X[:ROWS][::-1], "y": LABELS[:ROWS][::-1]}, "on other data"),
    "fewer rows": ({"X": X[:50], "y": LABELS[:50]}, "with rows=51, got 50"),
    "y": ({"y": 1 - LABELS[:ROWS]}, "on other data"),
    "weights": ({"sample_weight": np.arange(1, 52) / 51}, "on other data"),
    "validation": ({"validation": (X[40:], LABELS[40:])}, "with other validation data"),
    "no validation": (
        {"validation": None, "metrics": None, "callbacks": []},
        "curves=loss, val_loss, val_accuracy, got loss",
    ),
    "metrics": ({"metrics": []}, "with curves=loss, val_loss, val_accuracy, got loss, val_loss"),
    "batch_size": ({"batch_size": 16}, "with batch_size=8, got 16"),
    "seed": ({"seed": 5}, "with seed=4, got 5"),
    "shuffle": ({"shuffle": False}, "with shuffle=True, got False"),
    "clip_norm": ({"clip_norm": 1.0}, "with clip_norm=None, got 1.0"),
    "clip_value": ({"clip_value": 0.5}, "with clip_value=None, got 0.5"),
    "loss": ({"loss": nn.MultiMarginLoss()}, "with loss=CrossEntropyLoss"),
    "function": ({"loss": cr.cross_entropy}, r"with loss=CrossEntropyLoss\(.*\), got cross_entropy"),
    "patience": ({"stopping": cr.EarlyStopping(patience=4)}, "with callback.patience=3, got 4"),
    "min_delta": ({"stopping": cr.EarlyStopping(patience=3, min_delta=0.5)}, "with callback.min_delta=0.0, got 0.5"),
    "no stopping": ({"callbacks": []}, "with callback=EarlyStopping, got None"),
    "schedule": ({"schedule": lambda o: cr.optim.StepLR(o, 3)}, "with schedule=CosineAnnealingLR, got StepLR"),
    "T_max": ({"schedule": lambda o: cr.optim.CosineAnnealingLR(o, 13)}, "with schedule.T_max=12, got 13"),
    "lr": ({"change": {"lr": 0.06}}, r"with optimizer\.lr=0\.05, got 0\.06"),
    "betas": ({"change": {"betas": (0.8, 0.999)}}, r"with optimizer\.betas=\[0\.9, 0\.999\], got \[0\.8, 0\.999\]"),
    "optimizer": ({"optimizer": cr.optim.AdamW}, "with optimizer=Adam, got AdamW"),
    "activation": ({"layer": (1, nn.ReLU())}, r"with model=Sequential\(.*Tanh\(\).*ReLU\(\)"),
    "dropout": ({"layer": (2, nn.Dropout(0.4))}, r"with model=Sequential\(.*Dropout\(p=0\.3\).*Dropout\(p=0\.4\)"),
    "width": ({"layer": (0, nn.Linear(6, 16, bias=False))}, "with model=Sequential"),
    "callbacks": ({"restless": True}, "states of the callbacks EarlyStopping, expected Restless, EarlyStopping"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_another_training_is_refused(name: str, tmp_path: Path) -> None:
    changed, message = REFUSED[name]
    changed = dict(changed)
    Session("adam", compile=False).stop_before(11, checkpoint=tmp_path / "a")
    session = Session("adam", seed=17)
    if "layer" in changed:
        at, layer = changed.pop("layer")
        session.model = nn.Sequential(*[layer if i == at else own for i, own in enumerate(session.model)])
        session.optimizer = cr.optim.Adam(session.model.parameters(), 0.05)
        session.schedule = cr.optim.CosineAnnealingLR(session.optimizer, 12)
    if "optimizer" in changed:
        session.optimizer = changed.pop("optimizer")(session.model.parameters(), 0.05)
        session.schedule = cr.optim.CosineAnnealingLR(session.optimizer, 12)
    for option, value in changed.pop("change", {}).items():
        setattr(session.optimizer, option, value)
    if "schedule" in changed:
        session.schedule = changed.pop("schedule")(session.optimizer)
    session.stopping = changed.pop("stopping", session.stopping)
    if changed.pop("restless", False):
        session.restless = [Restless(session.optimizer)]
    before = session.result()
    content = (tmp_path / "a").read_bytes()
    with pytest.raises(ValueError, match=message):
        session.fit(checkpoint=tmp_path / "a", resume=True, **changed)
    assert session.result() == before
    assert (tmp_path / "a").read_bytes() == content


def test_a_history_within_an_epoch_wants_the_same_order() -> None:
    session = Session("adam", compile=False)
    session.stop_before(10)
    with pytest.raises(ValueError, match=r"fit: history was interrupted within epoch 2 .* batch_size=8, got 16; pass"):
        session.fit(batch_size=16)
    copy = dataclasses.replace(session.history)
    assert copy == session.history
    session.fit(batch_size=16, history=copy, epochs=1)
    assert copy.epochs == 2


def test_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fit: resume=True requires checkpoint="):
        Session("adam").fit(resume=True)
    expected, _ = whole("adam")
    session = Session("adam")
    session.fit(checkpoint=tmp_path / "new", resume=True)  # there is no file yet: the first start
    assert session.result() == expected

    class Own:
        def __init__(self, params: Any) -> None:
            self.params = list(params)

        def step(self) -> None: ...

        def zero_grad(self) -> None: ...

    session = Session("adam")
    with pytest.raises(TypeError, match="fit: optimizer is a Own, which has no state_dict"):
        session.fit(optimizer=Own(session.model.parameters()), schedule=None, checkpoint=tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_more_epochs_and_the_default_seed(tmp_path: Path) -> None:
    straight = Session("sgd")
    straight.fit(callbacks=[], epochs=9)
    session = Session("sgd")
    session.fit(callbacks=[], epochs=4, checkpoint=tmp_path / "a")
    again = Session("sgd", seed=17)
    again.fit(callbacks=[], epochs=9, checkpoint=tmp_path / "a", resume=True)
    assert again.result()["weights"] == straight.result()["weights"]
    results = []
    for stop in (False, True):
        session = Session("sgd", compile=False)
        cr.manual_seed(23)
        if stop:
            session.stop_before(9, seed=None, checkpoint=tmp_path / "b")
            session = Session("sgd", seed=17)  # its seed is another one
            session.fit(seed=None, checkpoint=tmp_path / "b", resume=True)
        else:
            session.fit(seed=None)
        results.append(session.result())
    assert results[0] == results[1]
