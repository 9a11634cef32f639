"""Hyperparameter search and multi-start training: combinations, ranking, results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn


def recorded(**curves: list[float]) -> cr.History:
    metrics = {name: values for name, values in curves.items() if name not in ("loss", "val_loss")}
    return cr.History(loss=curves.get("loss", [1.0]), val_loss=curves.get("val_loss", []), metrics=metrics)


def test_a_grid_tries_all_combinations_in_order() -> None:
    tried: list[tuple[Any, Any]] = []

    def train(a: int, b: str) -> tuple[str, cr.History]:
        tried.append((a, b))
        return f"model {a}{b}", recorded(val_loss=[9.0, abs(a - 2) + (b == "y")])

    found = cr.search(train, {"a": [1, 2, 3], "b": ["x", "y"]})
    assert tried == [(1, "x"), (1, "y"), (2, "x"), (2, "y"), (3, "x"), (3, "y")]
    assert found.score == "val_loss"
    assert [(t.params["a"], t.params["b"], t.score) for t in found.trials] == [
        (2, "x", 0), (1, "x", 1), (2, "y", 1), (3, "x", 1), (1, "y", 2), (3, "y", 2),
    ]  # fmt: skip
    assert found.best.model == "model 2x"
    assert found.best.history is not None
    assert found.best.history.val_loss == [9.0, 0.0]
    assert found.summary().splitlines()[:3] == ["val_loss  a  b", "0         2  x", "1         1  x"]


def test_scores_by_name() -> None:
    def train(a: int) -> tuple[None, cr.History]:
        return None, recorded(loss=[float(a)], val_loss=[-a], accuracy=[0.1, a / 10])

    by = {name: cr.search(train, {"a": [1, 3, 2]}, score=name).best.params["a"] for name in ("loss", "val_loss")}
    assert by == {"loss": 1, "val_loss": 3}
    assert [t.params["a"] for t in cr.search(train, {"a": [1, 3, 2]}, score="val_accuracy", mode="max").trials] == [
        3,
        2,
        1,
    ]
    with pytest.raises(ValueError, match="unknown curve 'f1'; available curves: loss, val_loss, val_accuracy"):
        cr.search(train, {"a": [1]}, score="f1")
    with pytest.raises(ValueError, match="unknown curve 'accuracy'; did you mean 'val_accuracy'"):
        cr.search(train, {"a": [1]}, score="accuracy")
    assert cr.search(lambda a: (None, recorded(loss=[a])), {"a": [2.0, 1.0]}).score == "loss"


@pytest.mark.parametrize("choose", [cr.search, cr.multi_start])
def test_a_direction_has_one_name(choose: Any) -> None:
    def train(seed: int) -> tuple[None, cr.History]:
        return None, recorded(loss=[float(seed)])

    what = {"seed": [0, 1]} if choose is cr.search else 2
    assert choose(train, what, mode="max").best.score == 1
    for largest, best in ((True, 1), (False, 0)):
        with pytest.warns(DeprecationWarning, match=f'mode="{"max" if largest else "min"}" instead of largest'):
            assert choose(train, what, largest=largest).best.score == best
    with pytest.raises(ValueError, match=f"{choose.__name__}: mode must be 'min' or 'max', got 'up'"):
        choose(train, what, mode="up")


def test_random_search_is_seeded() -> None:
    def params(seed: int) -> list[dict[str, Any]]:
        found = cr.search(
            lambda lr, size: (None, recorded(loss=[lr])),
            {"lr": lambda g: cr.exp(g.uniform((), low=-5, high=0)).item(), "size": [8, 16, 32]},
            trials=12, seed=seed,
        )  # fmt: skip
        return [trial.params for trial in found.trials]

    first = params(1)
    assert params(1) == first
    assert params(2) != first
    assert len(first) == 12
    assert {choice["size"] for choice in first} == {8, 16, 32}
    assert first == sorted(first, key=lambda choice: choice["lr"])
    assert all(np.exp(-5) <= choice["lr"] <= 1 for choice in first)
    assert len({choice["lr"] for choice in first}) == 12


def test_trainings_that_break_off_come_last() -> None:
    def train(lr: float) -> tuple[str, cr.History]:
        if lr > 1:
            raise FloatingPointError(f"the loss is inf for {lr}")
        return "model", recorded(val_loss=[np.nan if lr == 1 else lr])

    found = cr.search(train, {"lr": [5.0, 1.0, 0.5, 0.25]})
    assert [trial.params["lr"] for trial in found.trials] == [0.25, 0.5, 5.0, 1.0]
    assert found.trials[2].error == "the loss is inf for 5.0"
    assert found.trials[2].model is None
    with pytest.raises(FloatingPointError, match=r"search: no trial succeeded; the first: the loss is inf for 5\.0"):
        cr.search(train, {"lr": [5.0, 7.0]})
    with pytest.raises(ZeroDivisionError):
        cr.search(lambda a: 1 // a, {"a": [0]})  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("params", "options", "message"),
    [
        ({}, {}, "search: params is empty"),
        ({"a": []}, {}, "search: a must be a non-empty sequence of values"),
        ({"a": lambda g: 1}, {}, "search: a must be a non-empty sequence of values; functions require trials="),
        ({"a": []}, {"trials": 2}, "search: a has no values"),
        ({"a": [1]}, {"trials": 0}, "search: trials must be at least 1, got 0"),
        ({"a": [1, 2]}, {}, "only some trials have validation; specify the score, one of"),
    ],
)
def test_rejected(params: dict[str, Any], options: dict[str, Any], message: str) -> None:
    def train(a: int) -> tuple[None, cr.History]:
        return None, recorded(val_loss=[1.0] if a == 1 else [])

    with pytest.raises(ValueError, match=message):
        cr.search(train, params, **options)
    with pytest.raises(ValueError, match="multi_start: n must be at least 1, got 0"):
        cr.multi_start(train, 0)


def test_row_76_the_degree_of_a_polynomial_is_chosen_on_validation_rows() -> None:
    """Degree 1 underfits, degree 15 overfits: its training loss is the smallest, its validation loss is not."""
    generator = cr.random.Generator(seed=11)
    x = generator.uniform((40, 1), low=-1, high=1)
    y = 4 * x**3 - 3 * x + generator.normal((40, 1), std=0.3)
    (x_train, y_train), (x_held, y_held) = cr.data.split(x, y, (0.5, 0.5), seed=3)

    def train(degree: int) -> tuple[nn.Module, cr.History]:
        model = nn.Sequential(
            nn.PolynomialFeatures(degree, include_bias=False),
            nn.Whiten(degree, eps=1e-9),
            nn.Linear(degree, 1, generator=cr.random.Generator(seed=1)),
        )
        nn.fit_preprocessing(model, x_train)
        optimizer = cr.optim.SGD(model.parameters(), lr=0.3)
        history = cr.fit(
            model, x_train, y_train, loss=nn.MSELoss(), optimizer=optimizer, epochs=200, batch_size=20,
            validation=(x_held, y_held), progress=False,
        )  # fmt: skip
        return model, history

    found = cr.search(train, {"degree": [1, 3, 15]})
    curves = {trial.params["degree"]: trial.history for trial in found.trials}
    assert found.best.params == {"degree": 3}
    assert all(history is not None and len(history.loss) == len(history.val_loss) == 200 for history in curves.values())
    assert curves[15].loss[-1] < curves[3].loss[-1] < curves[1].loss[-1] / 2  # type: ignore[union-attr]
    assert curves[15].val_loss[-1] > 1.5 * curves[3].val_loss[-1]  # type: ignore[union-attr]


def test_row_74_restarts_leave_bad_minima() -> None:
    X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [[0.0], [1.0], [1.0], [0.0]]

    def train(seed: int) -> tuple[nn.Module, cr.History]:
        generator = cr.random.Generator(seed)
        model = nn.Sequential(nn.Linear(2, 2, generator=generator), nn.Tanh(), nn.Linear(2, 1, generator=generator))
        optimizer = cr.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
        return model, cr.fit(model, X, y, loss=nn.MSELoss(), optimizer=optimizer, epochs=150, progress=False)

    found = cr.multi_start(train, 8, seed=40)
    assert sorted(trial.params["seed"] for trial in found.trials) == list(range(40, 48))
    assert found.best.score < 1e-3 < 0.05 < found.trials[-1].score
    again, history = train(**found.best.params)
    assert history.loss[-1] == found.best.score
    assert again.predict(X).tobytes() == found.best.model.predict(X).tobytes()


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1])
def test_trials_in_other_processes_have_the_same_results(n_jobs: int | None) -> None:
    X = cr.random.Generator(seed=0).normal((60, 2))

    def train(lr: float) -> tuple[nn.Module, cr.History]:
        model = nn.Sequential(nn.Linear(2, 1, generator=cr.random.Generator(seed=1)))
        sgd = cr.optim.SGD(model.parameters(), lr=lr)
        return model, cr.fit(model, X, X[:, :1], loss=nn.MSELoss(), optimizer=sgd, epochs=2, seed=0, progress=False)

    alone, found = (cr.search(train, {"lr": [0.1, 0.5, 0.01]}, n_jobs=n) for n in (None, n_jobs))
    assert found.summary() == alone.summary()
    for a, b in zip(alone.trials, found.trials, strict=True):
        assert a.history is not None and b.history is not None
        assert a.history.loss == b.history.loss
        assert [p.numpy().tobytes() for p in a.model.parameters()] == [
            p.numpy().tobytes() for p in b.model.parameters()
        ]


def test_errors_of_trials_in_other_processes() -> None:
    def train(seed: int) -> Any:
        if seed == 1:
            raise FloatingPointError("diverged")
        if seed == 3:
            raise KeyError("of the user")
        return None, recorded(loss=[float(seed)])

    assert [t.error for t in cr.multi_start(train, 3, n_jobs=2).trials] == ["", "", "diverged"]
    with pytest.raises(KeyError, match="of the user"):
        cr.multi_start(train, 4, n_jobs=2)
