"""Normalisation: the kernels have the reference's bits; layers follow their formulas, and keep running statistics."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.kernel_rows import label
from chainrule import nn
from reference import assert_same_bits, normalize
from reference.bits import Array
from support.programs import Float, channels
from support.variants import every_setting

FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)
# Rows; columns of every width of a block; lines longer and shorter than the lanes, more than a chunk.
ROWS = [(rows, cols) for rows in (1, 3) for cols in (1, 2, 7, 8, 15, 16, 17, 33, 100, 4096, 4097)] + [(0, 3), (37, 5)]
COLUMNS = [(rows, cols) for rows in (2, 9) for cols in (1, 3, 4, 5, 8, 12, 16, 17, 33, 48, 63, 64, 65, 130)] + [(5, 0)]
LINES = [(3, 2, 5), (2, 3, 1), (4, 5, 16), (2, 1, 33), (1, 2, 4099)]
FORMS = [*((shape, True) for shape in ROWS), *((shape, False) for shape in (*COLUMNS, *LINES))]


@each_dtype
def test_kernels_have_the_bits_of_the_reference(dtype: Float) -> None:
    rng = np.random.default_rng(61)
    cases = []
    for shape, by_rows in FORMS:
        x, g = ((3 * rng.standard_normal(shape) + 1).astype(dtype) for _ in range(2))
        mean = normalize.moments(x, by_rows)[:, 0] if by_rows else normalize.moments(x, by_rows)[0]
        mean = np.ascontiguousarray(mean)
        expected = normalize.moments(x, by_rows), normalize.centred_sums(x, mean, g, by_rows)
        cases.append((x, mean, g, by_rows, expected))
    for setting in every_setting():
        for x, mean, g, by_rows, (of_moments, of_sums) in cases:
            where = f"{setting}, {x.shape} {by_rows}"
            assert_same_bits(channels("moments", by_rows, x), of_moments, where)
            assert_same_bits(channels("centred_sums", by_rows, x, mean, g), of_sums, where)


@each_dtype
def test_the_gradient_of_rows_has_the_bits_of_the_reference(dtype: Float) -> None:
    rng, cases = np.random.default_rng(62), []
    for shape in ROWS:
        x, g = ((3 * rng.standard_normal(shape) + 1).astype(dtype) for _ in range(2))
        mean, k = (rng.standard_normal((shape[0], 1)).astype(dtype) for _ in range(2))
        cases.append(((x, mean, k, g), normalize.row_norm_backward(x, mean, k, g)))
    for setting in every_setting():
        for inputs, expected in cases:
            out = channels("row_norm_backward", True, *inputs)
            assert_same_bits(out, expected, f"{setting}, {expected.shape}")


def by_formula(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(variance + eps))


BATCH: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "BatchNorm1d": ((7, 3), (0,)),
    "BatchNorm1d of lines": ((4, 3, 5), (0, 2)),
    "BatchNorm2d": ((3, 3, 4, 2), (0, 2, 3)),
}


@pytest.mark.parametrize("momentum", [0.1, 0.75, None])
@pytest.mark.parametrize("name", BATCH)
def test_batch_norm_keeps_running_statistics(name: str, momentum: float | None) -> None:
    """Those of the formula after several batches of different sizes, and evaluation by them."""
    (shape, axes), rng = BATCH[name], np.random.default_rng(3)
    layer = getattr(nn, name.split()[0])(3, 0.01, momentum, dtype=np.float64)
    layer.weight.copy_([0.5, -1.0, 2.0])
    layer.bias.copy_([0.1, 0.2, -0.3])
    by = (1, 3) + (1,) * (len(shape) - 2)
    mean, variance = np.zeros(3), np.ones(3)
    for number in range(1, 5):
        x = 2 * rng.standard_normal((shape[0] + number, *shape[1:])) + 1
        expected = by_formula(x, axes, 0.01) * layer.weight.numpy().reshape(by) + layer.bias.numpy().reshape(by)
        np.testing.assert_allclose(layer(x).numpy(), expected, rtol=0, atol=1e-12)
        factor = 1 / number if momentum is None else momentum
        mean = (1 - factor) * mean + factor * x.mean(axes)
        variance = (1 - factor) * variance + factor * x.var(axes, ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), variance, rtol=0, atol=1e-12)
    assert layer.num_batches_tracked.item() == 4
    assert layer.num_batches_tracked.dtype == np.int64
    layer.eval()
    expected = (x - mean.reshape(by)) / np.sqrt(variance.reshape(by) + 0.01)
    expected = expected * layer.weight.numpy().reshape(by) + layer.bias.numpy().reshape(by)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=0, atol=1e-12)
    assert layer.num_batches_tracked.item() == 4
    layer.reset_running_stats()
    assert layer.running_var.tolist() == [1, 1, 1]
    assert layer.num_batches_tracked.item() == 0


def test_without_running_statistics_the_batch_is_used_in_evaluation_too() -> None:
    x = np.random.default_rng(1).standard_normal((5, 3))
    layer = nn.BatchNorm1d(3, affine=False, track_running_stats=False, dtype=np.float64).eval()
    assert list(layer.state_dict()) == []
    np.testing.assert_allclose(layer(x).numpy(), by_formula(x, (0,), 1e-5), rtol=0, atol=1e-12)


OTHERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], Callable[[Array], Array]]] = {
    "LayerNorm": (lambda: nn.LayerNorm((3, 4), dtype=np.float64), (2, 3, 4), lambda x: by_formula(x, (1, 2), 1e-5)),
    "GroupNorm": (
        lambda: nn.GroupNorm(2, 6, dtype=np.float64),
        (3, 6, 5),
        lambda x: by_formula(x.reshape(3, 2, 3, 5), (2, 3), 1e-5).reshape(x.shape),
    ),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(3, dtype=np.float64), (2, 3, 5), lambda x: by_formula(x, (2,), 1e-5)),
    "InstanceNorm2d": (
        lambda: nn.InstanceNorm2d(3, affine=True, dtype=np.float64),
        (2, 3, 4, 2),
        lambda x: by_formula(x, (2, 3), 1e-5),
    ),
    "RMSNorm": (
        lambda: nn.RMSNorm(4, dtype=np.float64),
        (3, 2, 4),
        lambda x: x / np.sqrt((x * x).mean(-1, keepdims=True) + np.finfo(np.float64).eps),
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_follow_their_formulas(name: str) -> None:
    make, shape, formula = OTHERS[name]
    x = 2 * np.random.default_rng(2).standard_normal(shape) + 1
    np.testing.assert_allclose(make()(x).numpy(), formula(x), rtol=0, atol=1e-12)


def test_rows_do_not_depend_on_each_other() -> None:
    x = np.random.default_rng(4).standard_normal((9, 6)).astype(np.float32)
    for layer in (nn.LayerNorm(6), nn.RMSNorm(6), nn.GroupNorm(3, 6), nn.BatchNorm1d(6).eval()):
        whole = layer(x).numpy()
        assert_same_bits(np.concatenate([layer(x[i : i + 1]).numpy() for i in range(9)]), whole, type(layer).__name__)
        assert_same_bits(layer.predict(x), whole, type(layer).__name__)


def net() -> nn.Sequential:
    generator = cr.random.Generator(5)
    return nn.Sequential(
        nn.Linear(4, 24, generator=generator),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.Linear(24, 18, generator=generator),
        nn.LayerNorm(18),
        nn.Residual(nn.RMSNorm(18), nn.ReLU()),
        nn.Linear(18, 3, generator=generator),
    )


def trained(model: nn.Module, compiled: bool) -> dict[str, Array]:
    optimizer, rng = cr.optim.AdamW(model.parameters(), lr=0.01), np.random.default_rng(6)

    def step(x: Any, y: Any) -> cr.Tensor:
        loss = cr.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    run = cr.compile(step) if compiled else step
    losses = []
    for _ in range(6):
        x = rng.standard_normal((48, 4)).astype(np.float32)
        losses.append(run(x, (x[:, 0] > x[:, 1]).astype(np.int64)).numpy())
    return {**model.state_dict(), "losses": np.array(losses), "predictions": model.predict(x)}


def test_compiled_training_has_the_bits_of_eager_training() -> None:
    expected = trained(net(), compiled=False)
    assert expected["1.num_batches_tracked"] == 6
    for setting in every_setting():
        for name, value in trained(net(), compiled=True).items():
            assert_same_bits(value, expected[name], f"{setting}, {name}")


def test_statistics_are_saved_with_the_model(tmp_path: Any) -> None:
    model = net()
    found = trained(model, compiled=True)
    cr.save(model, tmp_path / "m")
    loaded = cr.load(tmp_path / "m")
    x = np.random.default_rng(8).standard_normal((5, 4)).astype(np.float32)
    assert_same_bits(loaded.predict(x), model.predict(x), "predictions")
    assert {name: v.tobytes() for name, v in loaded.state_dict().items()} == {
        name: found[name].tobytes() for name in model.state_dict()
    }


def test_fit_trains_running_statistics() -> None:
    rng = np.random.default_rng(9)
    X = (3 * rng.standard_normal((200, 4)) + 2).astype(np.float32)
    model = nn.Sequential(nn.BatchNorm1d(4, momentum=None), nn.Linear(4, 2, generator=cr.random.Generator(1)))
    cr.fit(model, X, (X[:, 0] > 2).astype(np.int64), loss=nn.CrossEntropyLoss(), epochs=2, batch_size=50, seed=0)
    layer = model[0]
    assert isinstance(layer, nn.BatchNorm1d)
    assert layer.num_batches_tracked is not None and layer.running_mean is not None
    assert layer.num_batches_tracked.item() == 8
    np.testing.assert_allclose(layer.running_mean.numpy(), X.mean(0), rtol=0, atol=1e-4)


def test_transformations_see_both_modes() -> None:
    rng = np.random.default_rng(10)
    x, t = rng.standard_normal((5, 3)), rng.standard_normal((5, 3))
    layer = nn.BatchNorm1d(3, dtype=np.float64)
    for module in (layer, layer.eval(), nn.LayerNorm(3, dtype=np.float64)):
        f = lambda v, m=module: cr.sum(cr.tanh(m(v)) * t)  # noqa: E731
        gradient = cr.grad(f)(x).numpy()
        assert abs(float(cr.jvp(f, (x,), (t,))[1].numpy()) - float((gradient * t).sum())) < 1e-12
        hessian = cr.hessian(f)(x).numpy().reshape(15, 15)
        np.testing.assert_allclose(hessian, hessian.T, rtol=0, atol=1e-12)
        assert np.abs(hessian).max() > 1e-3


X2 = np.ones((2, 3), np.float32)
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: nn.BatchNorm1d(3)(X2[:1]),
        ValueError,
        r"than one element for each channel in training, got x \(1, 3\)",
    ),
    (
        lambda: nn.BatchNorm1d(4)(X2),
        ValueError,
        r"x has shape \(2, 3\), expected \(n, 4\) or \(n, 4, length\)",
    ),
    (lambda: nn.BatchNorm2d(3)(X2), ValueError, r"BatchNorm2d: x has shape \(2, 3\), expected \(n, 3, height, width\)"),
    (lambda: nn.BatchNorm1d(0), ValueError, "num_features must be an integer of at least 1"),
    (lambda: nn.BatchNorm1d(3, momentum=2.0), ValueError, "BatchNorm1d: momentum must be from 0 to 1, got 2.0"),
    (lambda: nn.BatchNorm1d(3, eps=-1.0), ValueError, "BatchNorm1d: eps must be a finite number of at least 0"),
    (lambda: nn.BatchNorm1d(3, dtype=np.int64), TypeError, "BatchNorm1d: dtype must be float32 or float64, got int64"),
    (lambda: nn.BatchNorm1d(3)(cr.tensor(X2, dtype="float64")), TypeError, "batch_norm: expected one dtype"),
    (lambda: nn.LayerNorm(4)(X2), ValueError, r"layer_norm: x has shape \(2, 3\), whose last axes are not .* \(4,\)"),
    (lambda: nn.LayerNorm(()), ValueError, "normalized_shape must have at least one length"),
    (lambda: cr.layer_norm(X2, 3, weight=np.ones(2)), ValueError, r"weight has shape \(2,\), expected .* \(3,\)"),
    (lambda: nn.GroupNorm(2, 3), ValueError, "num_groups 2 does not divide num_channels 3"),
    (lambda: cr.group_norm(X2, 2), ValueError, r"num_groups 2 does not divide the 3 channels of x \(2, 3\)"),
    (lambda: nn.InstanceNorm1d(3)(np.ones((2, 3, 1))), ValueError, "more than one element for each channel"),
    (lambda: cr.batch_norm(X2), ValueError, "running_mean and running_var are both needed"),
    (lambda: cr.batch_norm(X2, np.zeros(3), np.ones(3), training=True), TypeError, "running_mean is overwritten"),
    (lambda: cr.batch_norm(X2[0], training=True), ValueError, r"x has shape \(3,\), expected \(n, channels, ...\)"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED)
def test_refused(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_plain_arrays_take_the_dtype_of_the_layer() -> None:
    for layer in (nn.BatchNorm1d(3), nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.RMSNorm(3)):
        assert layer(np.arange(6.0).reshape(2, 3)).dtype == np.float32
        assert layer([[1.0, 2.0, 4.0], [3.0, 5.0, 9.0]]).dtype == np.float32
