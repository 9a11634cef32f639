"""Averaged weights: PyTorch's formulas, in loops and in fit, saved and resumed; schedule-free steps in fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr

X = cr.random.Generator(seed=1).normal((40, 3))
Y = X[:, :1] * 0.5 - X[:, 1:2]


def model() -> cr.nn.Module:
    first = cr.nn.Linear(3, 4, generator=cr.random.Generator(seed=2))
    return cr.nn.Sequential(first, cr.nn.Tanh(), cr.nn.Linear(4, 1, generator=cr.random.Generator(seed=3)))


def fit(net: cr.nn.Module, epochs: int, **options: Any) -> cr.History:
    shared: dict[str, Any] = {"loss": cr.nn.MSELoss(), "batch_size": 8, "seed": 4, "progress": False}
    shared.setdefault("optimizer", options.pop("optimizer", None) or cr.optim.SGD(net.parameters(), lr=0.1))
    return cr.fit(net, X, Y, epochs=epochs, **shared, **options)


@pytest.mark.parametrize("decay", [None, 0.75])
def test_the_averages_of_pytorch(decay: float | None) -> None:
    layer = cr.nn.Linear(2, 2, dtype=np.float64)
    averaged = cr.AveragedModel(layer, decay)
    rng = np.random.default_rng(1)
    expected = np.zeros((2, 2))
    for n in range(6):
        value = rng.standard_normal((2, 2))
        layer.weight.copy_(value)
        averaged.update_parameters(layer)
        if n == 0:
            expected = value
        else:
            expected = expected + (value - expected) * (1 / (n + 1) if decay is None else 1 - decay)
        np.testing.assert_allclose(averaged.module.weight.numpy(), expected, rtol=1e-12)
    assert averaged.n_averaged == 6
    assert averaged(cr.tensor(np.eye(2))).shape == (2, 2)
    with pytest.raises(ValueError, match="update_parameters: the model has other parameters"):
        averaged.update_parameters(cr.nn.Linear(3, 2))
    with pytest.raises(ValueError, match="AveragedModel: decay"):
        cr.AveragedModel(layer, 1.5)
    with pytest.raises(Exception, match="update_parameters is called inside a compiled function"):
        cr.compile(lambda x: (averaged.update_parameters(layer), x * 2.0)[1])(cr.tensor([1.0]))


def test_buffers_are_copied_or_averaged() -> None:
    norm = cr.nn.BatchNorm1d(2)
    plain, averaged = cr.AveragedModel(norm, 0.5), cr.AveragedModel(norm, 0.5, use_buffers=True)
    for value in (1.0, 3.0):
        norm.running_mean.copy_([value, value])
        plain.update_parameters(norm)
        averaged.update_parameters(norm)
    assert plain.module.running_mean.tolist() == [3.0, 3.0]
    assert averaged.module.running_mean.tolist() == [2.0, 2.0]


def normed(dtype: type = np.float64) -> cr.nn.Sequential:
    source = cr.random.Generator(seed=8)
    layers = [cr.nn.Linear(3, 4, dtype=dtype, generator=source), cr.nn.BatchNorm1d(4, momentum=0.3, dtype=dtype)]
    last = [cr.nn.Tanh(), cr.nn.BatchNorm1d(4, dtype=dtype), cr.nn.Linear(4, 1, dtype=dtype, generator=source)]
    return cr.nn.Sequential(*layers, *last)


def statistics(net: cr.nn.Module) -> dict[str, Any]:
    return {name: value.copy() for name, value in net.state_dict().items() if "running" in name or "num_" in name}


def test_update_bn_is_the_mean_over_the_batches() -> None:
    """Batches of 24 and 16 rows count alike; the second layer sees what the first one gives in training mode."""
    net = normed()
    net(X.astype(np.float64))  # statistics to be forgotten
    sizes = [X[:24].astype(np.float64), X[24:].astype(np.float64)]
    expected: dict[str, list[Any]] = {"1": [], "3": []}
    for x in sizes:
        for name in expected:
            inner = x @ net[0].weight.numpy() + net[0].bias.numpy()
            if name == "3":
                inner = np.tanh((inner - inner.mean(0)) / np.sqrt(inner.var(0) + 1e-5))
            expected[name].append((inner.mean(0), inner.var(0, ddof=1)))
    averaged = cr.AveragedModel(net)
    weights = [p.numpy().copy() for p in averaged.parameters()]
    averaged.eval()
    loader = cr.data.DataLoader(cr.data.TensorDataset(X, Y), batch_size=24)
    for given in (sizes, [(x, x[:, :1]) for x in sizes], [[cr.tensor(x), 0] for x in sizes], loader):
        cr.update_bn(given, averaged)
        found = statistics(averaged.module)
        for name, parts in expected.items():
            np.testing.assert_allclose(found[f"{name}.running_mean"], np.mean([m for m, _ in parts], 0), rtol=1e-7)
            np.testing.assert_allclose(found[f"{name}.running_var"], np.mean([v for _, v in parts], 0), rtol=1e-7)
            assert found[f"{name}.num_batches_tracked"] == 2
    other = cr.AveragedModel(net)
    cr.update_bn(X.astype(np.float64), other, batch_size=24)
    cr.update_bn(sizes, averaged)
    assert all((a == b).all() for a, b in zip(statistics(other).values(), statistics(averaged).values(), strict=True))
    assert all((a == b.numpy()).all() for a, b in zip(weights, averaged.parameters(), strict=True))
    assert (averaged.module[1].momentum, averaged.training, averaged.module[1].training) == (0.3, False, False)


def test_update_bn_refuses_and_leaves_the_statistics() -> None:
    net = normed()
    net(X.astype(np.float64))
    before = statistics(net)
    refused: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        ([], {}, ValueError, "update_bn: there are no batches"),
        (iter([X[:20], X[:1]]), {}, ValueError, "batch"),
        (3, {}, TypeError, "update_bn: loader must be an iterable of batches or arrays, got int"),
        ([X], {"batch_size": 8}, TypeError, "update_bn: batch_size goes with arrays"),
        (X, {"batch_size": 0}, ValueError, "update_bn: batch_size"),
        (np.float32(1), {}, ValueError, "update_bn: the inputs must have the same number of rows"),
        (X[:, :2], {}, ValueError, "linear"),
    ]
    for loader, options, error, message in refused:
        with pytest.raises(error, match=message):
            cr.update_bn(loader, net, **options)
        assert all((a == b).all() for a, b in zip(before.values(), statistics(net).values(), strict=True))
        assert net[1].momentum == 0.3
    with pytest.raises(TypeError, match="update_bn: model must be a Module"):
        cr.update_bn(net, X)  # type: ignore[arg-type]
    with pytest.raises(cr.CompileError, match="update_bn: called inside a compiled function"):
        cr.compile(lambda x: (cr.update_bn([X], net), x * 2.0)[1])(cr.tensor([1.0]))
    cr.update_bn(iter([]), model())  # without batch norm nothing is to be done


def test_update_bn_in_fit() -> None:
    net = normed(np.float32)
    averaging = cr.WeightAveraging(update_bn=X)
    fit(net, 4, callbacks=averaging)
    assert averaging.averaged is not None
    again = cr.AveragedModel(net)
    cr.update_bn(X, again)
    assert all((a == b).all() for a, b in zip(statistics(net).values(), statistics(again).values(), strict=True))
    assert net[1].num_batches_tracked.item() == 1
    plain = normed(np.float32)
    fit(plain, 4, callbacks=cr.WeightAveraging())
    assert plain[1].num_batches_tracked.item() == 20


def test_in_fit_the_model_has_the_average_at_the_end() -> None:
    seen: list[Any] = []
    net = model()
    averaging = cr.WeightAveraging(start=2)
    fit(net, 4, callbacks=[lambda history: seen.append(net[0].weight.numpy().astype(np.float64)), averaging])
    assert averaging.averaged is not None
    assert averaging.averaged.n_averaged == 3
    np.testing.assert_allclose(net[0].weight.numpy(), np.mean(seen[1:], axis=0), rtol=1e-5)
    with pytest.raises(RuntimeError, match=r"WeightAveraging: pass it to cr\.fit"):
        cr.WeightAveraging()(cr.History(loss=[1.0]))


def test_training_goes_on_from_the_models_own_weights(tmp_path: Path) -> None:
    def state(net: cr.nn.Module) -> bytes:
        return b"".join(value.tobytes() for value in net.state_dict().values())

    straight = model()
    fit(straight, 5, callbacks=cr.WeightAveraging(0.5))
    split, averaging = model(), cr.WeightAveraging(0.5)
    optimizer = cr.optim.SGD(split.parameters(), lr=0.1)
    history = fit(split, 2, callbacks=averaging, optimizer=optimizer)
    fit(split, 3, callbacks=averaging, optimizer=optimizer, history=history)
    assert state(split) == state(straight)

    class Stop(cr.Callback):
        def __call__(self, history: cr.History) -> None:
            if history.epochs == 3:
                raise KeyError("stop")

    halted = model()
    path = tmp_path / "training"
    with pytest.raises(KeyError):
        fit(halted, 5, callbacks=[cr.WeightAveraging(0.5), Stop()], checkpoint=path)
    resumed = model()
    fit(resumed, 5, callbacks=[cr.WeightAveraging(0.5), cr.Callback()], checkpoint=path, resume=True)
    assert state(resumed) == state(straight)


def test_schedule_free_steps_in_fit(tmp_path: Path) -> None:
    """Validated or not, in one call or resumed: the same weights, which are the average."""

    def trained(**options: Any) -> tuple[bytes, cr.optim.ScheduleFreeAdamW]:
        net = model()
        optimizer = cr.optim.ScheduleFreeAdamW(net.parameters(), lr=0.02)
        fit(net, options.pop("epochs", 4), optimizer=optimizer, **options)
        return b"".join(value.tobytes() for value in net.state_dict().values()), optimizer

    plain, optimizer = trained()
    assert not optimizer.training
    assert trained(validation=(X, Y))[0] == plain
    path = tmp_path / "training"
    trained(epochs=2, checkpoint=path)
    assert trained(epochs=4, checkpoint=path, resume=True)[0] == plain
    assert trained(compile=False)[0] == plain
