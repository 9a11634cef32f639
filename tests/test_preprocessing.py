"""Fitted layers: their statistics, where they apply, and that only explicit calls fit them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn


def table(rows: int = 60, seed: int = 3) -> np.ndarray:
    """Three columns of different scale; the middle one holds 0, 1, 2 or 3."""
    generator = cr.random.Generator(seed=seed)
    numbers = generator.normal((rows, 2), mean=1e6, std=7.0, dtype=np.float64)
    return np.column_stack([numbers[:, 0], generator.permutation(rows) % 4, numbers[:, 1] / 1e9])


def net(generator: cr.random.Generator | None = None) -> nn.Sequential:
    generator = generator or cr.random.Generator(seed=4)
    return nn.Sequential(
        nn.OneHot(3, {1: 4}),
        nn.Standardize(6),
        nn.Linear(6, 5, generator=generator),
        nn.Tanh(),
        nn.Linear(5, 2, generator=generator),
    )


# Standardize (row 75: X -= mean; X /= std).


def test_row_75_standardize_is_numpy_s_formula() -> None:
    X = table()
    layer = nn.Standardize(3, dtype=np.float64)
    assert layer.fit(X) is layer
    np.testing.assert_allclose(layer.mean.numpy(), X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(layer.std.numpy(), X.std(axis=0), rtol=1e-9)
    Z = layer(X).numpy()
    np.testing.assert_allclose(Z, (X - X.mean(axis=0)) / X.std(axis=0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(Z.std(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(layer.inverse(Z).numpy(), X, rtol=1e-14)
    single = nn.Standardize(3).fit(X)
    assert single(X).numpy().tobytes() == Z.astype(np.float32).tobytes(), "float64 inside, rounded once"


def test_a_constant_column_becomes_zero() -> None:
    X = np.column_stack([np.full(7, 0.1), np.arange(7.0), np.full(7, -1e-300)])
    layer = nn.Standardize(3).fit(X)
    assert layer.std.numpy()[[0, 2]].tolist() == [1, 1]
    np.testing.assert_allclose(layer(X).numpy()[:, [0, 2]], 0, atol=1e-16)


def test_missing_values_count_as_the_mean() -> None:
    X = table()
    holes = X.copy()
    holes[[3, 17, 40], 0] = np.nan
    holes[5, 2] = np.nan
    layer = nn.Standardize(3, missing="mean", dtype=np.float64).fit(holes)
    np.testing.assert_allclose(layer.mean.numpy(), np.nanmean(holes, axis=0), rtol=1e-13)
    np.testing.assert_allclose(layer.std.numpy(), np.nanstd(holes, axis=0), rtol=1e-9)
    Z = layer(holes).numpy()
    assert (Z[np.isnan(holes)] == 0).all()
    assert (Z[~np.isnan(holes)] != 0).all()
    whole = nn.Standardize(3, missing="mean").fit(X)
    assert whole.mean.numpy().tobytes() == nn.Standardize(3).fit(X).mean.numpy().tobytes()


@pytest.mark.parametrize(
    ("make", "X", "error", "message"),
    [
        (lambda: nn.Standardize(0), None, ValueError, "Standardize: features must be an integer of at least 1, got 0"),
        (lambda: nn.Standardize(2, missing="zero"), None, ValueError, "missing must be error or mean, got 'zero'"),
        (lambda: nn.Standardize(2, dtype=np.int64), None, TypeError, "dtype must be float32 or float64, got int64"),
        (lambda: nn.Standardize(2), [[1, 2, 3]], ValueError, r"Standardize: X must have shape \(rows, 2\) .* \(1, 3\)"),
        (lambda: nn.Standardize(2), np.zeros((0, 2)), ValueError, "with at least one row"),
        (lambda: nn.Standardize(2), [["a", "b"]], TypeError, "Standardize: X must be real numbers"),
        (lambda: nn.Standardize(2), [[1, 2], [3, np.nan]], ValueError, r"Standardize: X\[1, 1\] is nan"),
        (lambda: nn.Standardize(2, "mean"), [[1, 2], [3, np.inf]], ValueError, r"Standardize: X\[1, 1\] is inf"),
        (lambda: nn.Standardize(2, "mean"), [[1, np.nan]], ValueError, "column 1 has no value"),
        (lambda: nn.Standardize(2), [[1, 1e200], [2, -1e200]], ValueError, "column 1: the values are too large"),
        (lambda: nn.OneHot(2, {2: 3}), None, ValueError, r"columns must differ and be from 0 to 1, got \(2,\)"),
        (lambda: nn.OneHot(2, [1, 1]), None, ValueError, "columns must differ"),
        (lambda: nn.OneHot(2, {1: 0}), None, ValueError, "a column has at least 1 category"),
        (lambda: nn.OneHot(2, [1], unknown="ignore"), None, ValueError, "unknown must be error or zeros"),
        (
            lambda: nn.OneHot(2, {1: 3}),
            [[7, 2], [7, 3]],
            ValueError,
            r"OneHot: x\[1, 1\] .* is not a category of that column",
        ),
        (lambda: nn.OneHot(2, [1]), [[7, np.nan]], ValueError, r"OneHot: X\[0, 1\] is nan"),
        (lambda: nn.OneHot(2, [1], "zeros"), [[7, np.nan]], ValueError, "column 1 has no value"),
    ],
)
def test_rejected(make: Callable[[], Any], X: Any, error: type[Exception], message: str) -> None:
    if X is None:
        with pytest.raises(error, match=message):
            make()
        return
    layer = make()
    before = layer.state_dict()
    with pytest.raises(error, match=message):
        layer.fit(X)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


# OneHot.


def test_one_hot_keeps_the_order_of_columns() -> None:
    X = np.array([[5.0, 2, 0.25, 1], [6.0, 0, 0.5, 0]])
    expected = [[5, 0, 0, 1, 0.25, 0, 1], [6, 1, 0, 0, 0.5, 1, 0]]
    layer = nn.OneHot(4, {3: 2, 1: 3})
    assert layer.fitted
    assert layer.out_features == 7
    for dtype in (np.float32, np.float64):
        found = layer(X.astype(dtype)).numpy()
        assert found.dtype == dtype
        assert found.tolist() == expected
    assert layer(np.array([[1, 0, 3, 1]])).dtype == np.float32
    assert nn.OneHot(4, [0, 1, 2, 3]).fit(X)(X).numpy().tolist() == [[1, 0, 0, 1, 1, 0, 0, 1], [0, 1, 1, 0, 0, 1, 1, 0]]


def test_one_hot_learns_the_values_it_sees() -> None:
    X = np.array([[7.0, -3], [3.0, 0.1], [7.0, 2**40], [6.0, 0.1]])
    layer = nn.OneHot(2, [0, 1])
    with pytest.raises(ValueError, match="not known before the layer is fitted"):
        print(layer.out_features)
    layer.fit(X)
    assert layer.values.numpy().tolist() == [3, 6, 7, -3, 0.1, 2**40]
    assert layer.sizes.numpy().tolist() == [3, 3]
    expected = (X[:, :1] == [3, 6, 7]).tolist()
    assert (layer(X).numpy()[:, :3] == 1).tolist() == expected
    assert layer(X).numpy().sum() == 8
    layer.fit(X[:2])
    assert layer.out_features == 4


def test_unknown_categories() -> None:
    zeros = nn.OneHot(2, {0: 3}, unknown="zeros")
    x = np.array([[3.0, 1], [np.nan, 2], [1.5, 3], [2.0, 4]])
    assert zeros(x).numpy().tolist() == [[0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 0, 3], [0, 0, 1, 4]]
    strict = nn.OneHot(2, {0: 3})
    compiled = cr.compile(lambda x: strict(x))
    compiled(x[3:])
    for bad in range(3):
        rows = x[[3, bad]]
        for call in (strict, compiled, strict.predict):
            with pytest.raises(ValueError, match=r"OneHot: x\[1, 0\] of this batch is not a category of that column"):
                call(rows)


# As part of a model.


def test_used_before_it_is_fitted() -> None:
    model, X = net(), table()
    calls = (model, model.predict, cr.Predictor, cr.compile(lambda x: model(x)))
    for call in calls:
        with pytest.raises(
            ValueError, match=r"Standardize: the layer is not fitted; call fit\(X\), or cr\.nn\.fit_pre"
        ):
            call(model if call is cr.Predictor else X)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
    y = (X[:, 1] > 1).astype(np.int64)
    with pytest.raises(ValueError, match="not fitted"):
        cr.fit(model, X, y, loss=nn.CrossEntropyLoss(), optimizer=optimizer)
    with pytest.raises(ValueError, match=r"Standardize: x must have shape \(..., 6\), got \(60, 3\)"):
        model[1](X)


def test_fit_preprocessing_feeds_each_layer_through_the_ones_before() -> None:
    model, X = nn.Sequential(nn.OneHot(3, [1]), nn.Sequential(nn.Standardize(6)), nn.Standardize(6)), table()
    nn.fit_preprocessing(model, X)
    coded = nn.OneHot(3, [1]).fit(X)(X)
    first = nn.Standardize(6).fit(coded)
    assert model[1][0].mean.numpy().tobytes() == first.mean.numpy().tobytes()
    assert model[2].std.numpy().tobytes() == nn.Standardize(6).fit(first(coded)).std.numpy().tobytes()
    assert all(not vars(layer).get("_unfitted") for layer in model.modules())


class Own(nn.Module):
    """A custom model with a layer that its forward may skip."""

    def __init__(self, use: bool) -> None:
        self.prepare, self.other, self.use = nn.Standardize(3), nn.Standardize(3), use
        self.out = nn.Linear(3, 1)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        x = self.prepare(x)
        return self.out(self.other(x) if self.use else x)


def test_fit_preprocessing_changes_all_layers_or_none() -> None:
    X = table()
    model = Own(use=True)
    nn.fit_preprocessing(model, X)
    before = model.state_dict()
    model.use = False
    with pytest.raises(ValueError, match="the model's forward does not call its Standardize"):
        nn.fit_preprocessing(model, X * 2)
    model.use = True
    with pytest.raises(ValueError, match="is inf; every value must be finite"):
        nn.fit_preprocessing(model, np.where(X > 1e6, np.inf, X))
    assert {name: value.tobytes() for name, value in model.state_dict().items()} == {
        name: value.tobytes() for name, value in before.items()
    }
    nn.fit_preprocessing(model, X * 2)
    assert model.prepare.mean.numpy()[0] > 1.9 * before["prepare.mean"][0]
    with pytest.raises(ValueError, match="the model has no layer that is fitted to data"):
        nn.fit_preprocessing(nn.Sequential(nn.Linear(3, 1)), X)
    learned = nn.Sequential(nn.OneHot(3, [1]), nn.Standardize(6))
    with pytest.raises(ValueError, match=r"Standardize: X must have shape \(rows, 6\)"):
        nn.fit_preprocessing(learned, X[:2])
    assert not learned[0].fitted


def test_training_sees_float64_and_leaves_the_fitted_numbers_alone() -> None:
    """Rows go through the preprocessing once; the bits are those of running the complete model in every step."""
    X = table()
    y = (X[:, 0] > 1e6).astype(np.int64)

    class Whole(nn.Module):
        """The same model, with preprocessing that is not recognised as such."""

        def __init__(self, model: nn.Module) -> None:
            self.model = model

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.model(x)

        def _input_dtype(self) -> np.dtype:
            return np.dtype(np.float64)

    results = []
    for wrap in (lambda model: model, Whole):
        model = net()
        nn.fit_preprocessing(model, X[:40])
        fitted = {name: value.numpy().tobytes() for name, value in model.named_buffers()}
        optimizer = cr.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)
        assert len(optimizer.params) == 4
        history = cr.fit(
            wrap(model), X[:40], y[:40], loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=8, batch_size=16,
            seed=1, validation=(X[40:], y[40:]), progress=False,
        )  # fmt: skip
        assert {name: value.numpy().tobytes() for name, value in model.named_buffers()} == fitted
        results.append((history.loss, history.val_loss, model.state_dict()))
    assert results[0][0] == results[1][0]
    assert results[0][1] == results[1][1]
    assert all(value.tobytes() == results[1][2][name].tobytes() for name, value in results[0][2].items())
    assert results[0][0][-1] < 0.3 * results[0][0][0], "float32 inputs would have lost the first column"


def test_predictor_predict_and_compiled_calls_agree() -> None:
    model, X = net(), table(300)
    nn.fit_preprocessing(model, X)
    expected = model.predict(X)
    assert expected.dtype == np.float32
    assert cr.Predictor(model)(X).tobytes() == expected.tobytes()
    assert cr.compile(lambda x: model(x))(X).numpy().tobytes() == expected.tobytes()
    assert model.predict(X.astype(np.float32).astype(np.float64)).tobytes() != expected.tobytes()


def test_a_compiled_call_sees_a_new_fit() -> None:
    for layer in (nn.Standardize(3), nn.OneHot(3, [1])):
        X = table()
        call = cr.compile(lambda x, layer=layer: layer(x))
        layer.fit(X)
        first = call(X).numpy()
        layer.fit(X[X[:, 1] != 2])
        rows = X[X[:, 1] != 2]
        assert call(rows).numpy().tobytes() == layer(rows).numpy().tobytes()
        assert layer.fit(X)(X).numpy().tobytes() == first.tobytes()


def test_reports_of_a_whole_model() -> None:
    X, model = table(), net()
    nn.fit_preprocessing(model, X)
    y = (X[:, 1] > 1).astype(np.int64)
    report = cr.saturation(model, X, y, loss=nn.CrossEntropyLoss())
    assert [layer.name.split()[-1] for layer in report.layers] == ["OneHot", "Standardize", "Linear", "Tanh", "Linear"]


def test_gradients_pass_through() -> None:
    X = table()[:5]
    layers = (nn.Standardize(3, dtype=np.float64).fit(X), nn.OneHot(3, {1: 4}))
    X = X / [1e6, 1, 1]
    X[:, 1] = [0, 3, 1, 2, 0]
    for layer in layers:
        x = cr.tensor(X, requires_grad=True)
        cr.sum(cr.square(layer(x))).backward()
        expected = 2 * layer(X).numpy() / layer.std.numpy() if isinstance(layer, nn.Standardize) else 2 * X * [1, 0, 1]
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12)


def test_saved_with_the_model(tmp_path: Path) -> None:
    X = table()
    learned = nn.Sequential(nn.OneHot(3, [1], unknown="zeros"), nn.Standardize(6, "mean"), nn.Linear(6, 1))
    for model in (net(), learned, nn.Sequential(nn.OneHot(3, []), nn.Standardize(3))):
        nn.fit_preprocessing(model, X)
        cr.save(model, tmp_path / "m")
        copy = cr.load(tmp_path / "m")
        assert repr(copy) == repr(model)
        assert copy.predict(X).tobytes() == model.predict(X).tobytes()
        nn.fit_preprocessing(copy, np.add(X[:50], [1, 0, 0]))
        assert copy.predict(X[:1]).tobytes() != model.predict(X[:1]).tobytes()
    cr.save(net(), tmp_path / "m")
    with pytest.raises(ValueError, match="not fitted"):
        cr.load(tmp_path / "m").predict(X)


def test_sizes_in_a_file_are_believed_only_with_values(tmp_path: Path) -> None:
    from test_serialize import forged

    huge = 10**12
    for name, config, values, message in (
        ("Standardize", {"features": huge}, {"mean": np.zeros(3), "std": np.ones(3)}, "mean has shape .*, expected"),
        ("OneHot", {"features": 3, "columns": {"1": huge}}, {}, r"sizes is missing, expected shape \(1,\)"),
        ("OneHot", {"features": 3, "columns": {"1": huge}}, {"sizes": np.full(1, 2), "values": np.zeros(2)},
         r"OneHot has sizes \[2\] for columns \{'1': 1000000000000\}"),
        ("OneHot", {"features": 3, "columns": [1]}, {"sizes": np.full(1, huge), "values": np.zeros(2)},
         r"values has shape .*, expected shape \(1000000000000,\)"),
    ):  # fmt: skip
        with pytest.raises(cr.ModelFormatError, match=message):
            cr.load(forged(tmp_path / "m", {"class": name, "config": config}, values))


def test_buffers_are_state_but_not_learned() -> None:
    layer = nn.Module()
    layer.rows = nn.Buffer(np.array([3, 4]))  # type: ignore[attr-defined]
    layer.weight = nn.Parameter([1.0])  # type: ignore[attr-defined]
    layer.more = [nn.Buffer([0.5])]  # type: ignore[attr-defined]
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert [name for name, _ in layer.named_buffers()] == ["rows", "more.0"]
    assert list(layer.state_dict()) == ["rows", "weight", "more.0"]
    state = {"rows": np.array([5, 6]), "weight": np.float32([2]), "more.0": np.float32([7])}
    layer.load_state_dict(state)
    assert layer.rows.numpy().tolist() == [5, 6]  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="rows is int64, the value float64"):
        layer.load_state_dict(state | {"rows": np.zeros(2)})
    assert layer.more[0].requires_grad is False  # type: ignore[attr-defined]
