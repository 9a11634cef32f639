"""Convolution and pooling: PyTorch's results, special values, errors; layers, compiled, by blocks of rows, saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.image_cases import CONVOLUTIONS
from chainrule import nn
from chainrule.compiler.jit import Compiled
from chainrule.ops import _conv
from reference import assert_same_bits, conv, special_values
from reference.bits import Array
from support.variants import every_setting

DTYPES = (np.float32, np.float64)


def pattern(shape: tuple[int, ...], a: int, b: int) -> Array:
    """Integers from -5 to 5: products and their sums are exact in any order."""
    return ((np.arange(int(np.prod(shape))) * a + b) % 11 - 5).astype(np.float64).reshape(shape)


def mark(x: Any) -> float:
    """One number that depends on every element and its position."""
    values = np.asarray(x.detach() if isinstance(x, cr.Tensor) else x).reshape(-1)
    return float((values * (np.arange(values.size) % 13 - 4)).sum())


def draw(seed: int, *shapes: tuple[int, ...], dtype: Any = np.float32) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def test_every_level_and_number_of_threads() -> None:
    x, weight, bias = draw(69, (2, 3, 32, 32), (6, 3, 5, 5), (6,))
    expected = conv.conv2d(x, weight, bias)
    for setting in every_setting():
        assert_same_bits(cr.conv2d(x, weight, bias).numpy(), expected, setting)


# x, weight, stride, padding, dilation; shape of y; marks of y and the gradients by x, weight, bias: from PyTorch 2.13.
PYTORCH_CONV: tuple[tuple[tuple[int, ...], tuple[int, ...], Any, Any, Any, tuple[int, ...], list[int]], ...] = (
    ((2, 3, 7, 6), (4, 3, 3, 2), 1, 0, 1, (2, 4, 5, 5), [469, 3203, -773, -18]),
    ((2, 3, 7, 6), (4, 3, 3, 2), (2, 1), (1, 2), 1, (2, 4, 4, 9), [654, -776, -1933, -18]),
    ((1, 2, 9, 8), (3, 2, 2, 3), (1, 3), 0, (3, 2), (1, 3, 6, 2), [2759, 191, 285, -15]),
    ((2, 2, 5, 6), (3, 2, 4, 3), 1, "same", 1, (2, 3, 5, 6), [1235, 1322, -498, -6]),
    ((3, 4, 4, 5), (2, 4, 1, 1), 1, "valid", 1, (3, 2, 4, 5), [348, 61, -427, -3]),
    ((2, 1, 6, 6), (2, 1, 3, 3), 3, 2, 2, (2, 2, 2, 2), [105, -276, 520, -11]),
)


@pytest.mark.parametrize(("x", "weight", "stride", "padding", "dilation", "shape", "marks"), PYTORCH_CONV)
@pytest.mark.parametrize("dtype", DTYPES)
def test_convolutions_are_pytorch_s(
    x: Any, weight: Any, stride: Any, padding: Any, dilation: Any, shape: Any, marks: Any, dtype: Any
) -> None:
    arrays = pattern(x, 7, 1), pattern(weight, 5, 3), pattern(weight[:1], 3, 2)
    arguments = [cr.tensor(a, dtype=dtype, requires_grad=True) for a in arrays]
    y = cr.conv2d(*arguments, stride=stride, padding=padding, dilation=dilation)
    assert y.shape == shape
    y.backward(cr.tensor(pattern(shape, 4, 6), dtype=dtype))
    assert [mark(t) for t in (y, *(a.grad for a in arguments))] == marks


# Function, x, options; shape of y; marks of four times y and the gradient by x.
PYTORCH_POOLS: tuple[tuple[str, tuple[int, ...], dict[str, Any], tuple[int, ...], list[int]], ...] = (
    ("max_pool2d", (2, 3, 7, 6), {"kernel_size": 2}, (2, 3, 3, 3), [1604, 656]),
    ("max_pool2d", (2, 3, 7, 6), {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1}, (2, 3, 4, 7), [4792, 32]),
    ("max_pool2d", (1, 2, 9, 8), {"kernel_size": 3, "stride": 2, "dilation": (1, 2), "ceil_mode": True},
     (1, 2, 4, 3), [480, 252]),
    ("avg_pool2d", (2, 3, 8, 6), {"kernel_size": 2}, (2, 3, 4, 3), [-6, 40]),
    ("avg_pool2d", (2, 3, 7, 6), {"kernel_size": (4, 2), "stride": (2, 1), "padding": 1, "divisor_override": 1},
     (2, 3, 3, 7), [-60, -424]),
    ("avg_pool2d", (1, 2, 9, 8), {"kernel_size": 4, "stride": 3, "ceil_mode": True, "divisor_override": 2},
     (1, 2, 3, 3), [256, 232]),
)  # fmt: skip


@pytest.mark.parametrize(("name", "x", "options", "shape", "marks"), PYTORCH_POOLS)
def test_pools_are_pytorch_s(name: str, x: Any, options: dict[str, Any], shape: Any, marks: Any) -> None:
    images = cr.tensor(pattern(x, 7, 1), requires_grad=True)
    y = getattr(cr, name)(images, **options)
    assert y.shape == shape
    y.backward(cr.tensor(pattern(shape, 4, 6)))
    assert images.grad is not None
    assert [4 * mark(t) for t in (y, images.grad)] == marks


def test_what_counts_in_a_mean_is_pytorch_s() -> None:
    x = pattern((1, 2, 7, 6), 7, 1)
    with_padding = cr.avg_pool2d(x, 3, 2, 1, ceil_mode=True).numpy()
    assert with_padding[0, 0, :2].tolist() == [[5 / 9, -1 / 9, -5 / 9, -1.0], [6 / 9, -1 / 9, 4 / 9, 4 / 6]]
    without = cr.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False).numpy()
    assert without[0, 0, :2].tolist() == [[5 / 4, -1 / 6, -5 / 6, -3.0], [1.0, -1 / 9, 4 / 9, 4 / 3]]


# Special values.


def with_specials(seed: int, shape: tuple[int, ...], dtype: Any) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(dtype)
    hit = rng.random(shape) < 0.08
    x[hit] = rng.choice(special_values(dtype), np.count_nonzero(hit))
    return x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", CONVOLUTIONS[:5], ids=str)
def test_special_values_in_convolutions(row: Any, dtype: Any) -> None:
    """Infinities and NaN in images, weights and gradients, zeros of both signs, padding against all of them."""
    shapes, *arguments = row
    options = dict(zip(("stride", "padding", "dilation"), arguments, strict=True))
    for seed in range(4):
        inputs = [with_specials(4 * seed + i, shape, dtype) for i, shape in enumerate(shapes)]
        y = conv.conv2d(*inputs, **options)
        g = with_specials(4 * seed + 3, y.shape, dtype)
        with np.errstate(all="ignore"):
            gradients = conv.conv2d_grad(*inputs[:2], g, **options)
        for setting in every_setting(threads=(1, 2)):
            tensors = [cr.tensor(x, requires_grad=True) for x in inputs]
            out = cr.conv2d(*tensors, **options)
            assert_same_bits(out.numpy(), y, setting)
            out.backward(cr.tensor(g))
            for tensor, expected in zip(tensors, gradients, strict=False):
                assert tensor.grad is not None
                assert_same_bits(tensor.grad.numpy(), expected, setting)


def test_padding_takes_part_as_zeros() -> None:
    weight = np.ones((1, 1, 1, 3), np.float32)
    weight[..., 0] = np.inf
    y = cr.conv2d(np.ones((1, 1, 1, 3), np.float32), weight, padding=(0, 1)).numpy()
    assert_same_bits(y, np.asarray([[[[np.nan, np.inf, np.inf]]]], np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_in_pools(dtype: Any) -> None:
    options: dict[str, Any] = {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 1)}
    for seed in range(20):
        x = np.where(with_specials(seed, (2, 2, 6, 7), dtype) < 1.5, with_specials(seed, (2, 2, 6, 7), dtype), dtype(2))
        largest = conv.max_pool2d(x, **options)
        g = draw(seed, largest.shape, dtype=dtype)[0]
        by_x = conv.max_pool2d_grad(x, g, **options)
        for setting in every_setting(threads=(1,)):
            images = cr.tensor(x, requires_grad=True)
            y = cr.max_pool2d(images, (3, 2), (2, 1), 1)
            assert_same_bits(y.numpy(), largest, setting)
            y.backward(cr.tensor(g))
            assert images.grad is not None
            assert_same_bits(images.grad.numpy(), by_x, setting)
            mean = cr.avg_pool2d(x, (3, 2), (2, 1), 1).numpy()
            assert_same_bits(mean, conv.avg_pool2d(x, **options), setting)


def test_ties_go_to_the_first_element_of_a_window() -> None:
    x = cr.tensor(np.ones((1, 1, 4, 4)), requires_grad=True)
    cr.max_pool2d(x, 2).backward(cr.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], dtype=np.float64))
    assert x.grad is not None
    assert x.grad.numpy()[0, 0].tolist() == [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]


def test_operations_are_counted() -> None:
    """A multiply-add per weight and position; backward one for the weights, one and a sum for the images."""
    x, weight = (cr.tensor(a, requires_grad=True) for a in draw(1, (2, 3, 6, 6), (4, 3, 3, 3)))
    costs = cr.graph(cr.conv2d(x, weight)).flops()
    products = 2 * 2 * 4 * 16 * 27
    assert costs.forward == products
    assert costs.backward == 2 * products + 2 * 3 * 9 * 16


# Errors.

IMAGE, FILTER = np.ones((2, 3, 8, 8), np.float32), np.ones((4, 3, 3, 3), np.float32)
ERRORS: tuple[tuple[Callable[[], Any], type[Exception], str], ...] = (
    (lambda: cr.conv2d(IMAGE[0, 0], FILTER), ValueError, r"conv2d: x must be \(n, in_channels, h, w\) or .*\(8, 8\)"),
    (lambda: cr.conv2d(IMAGE, FILTER[0]), ValueError, r"conv2d: weight must be .*kw\), got shape \(3, 3, 3\)"),
    (lambda: cr.conv2d(IMAGE, FILTER[:, :, :0]), ValueError, r"conv2d: weight must be .*got shape \(4, 3, 0, 3\)"),
    (lambda: cr.conv2d(IMAGE[:, :2], FILTER), ValueError,
     r"conv2d: x has 2 channels, weight expects 3 \(x: \(2, 2, 8, 8\), weight: \(4, 3, 3, 3\)\)"),
    (lambda: cr.conv2d(IMAGE, FILTER, np.ones(3, np.float32)), ValueError, r"conv2d: bias .*\(4,\), got \(3,\)"),
    (lambda: cr.conv2d(IMAGE[:, :, :2], FILTER), ValueError,
     r"conv2d: a kernel of \(3, 3\) .* is larger than an image of \(2, 8\) with padding \(\(0, 0\), \(0, 0\)\)"),
    (lambda: cr.conv2d(IMAGE, FILTER, dilation=4), ValueError, r"conv2d: a kernel of \(3, 3\) with dilation \(4, 4\)"),
    (lambda: cr.conv2d(IMAGE, FILTER, stride=0), ValueError, r"conv2d: stride must be .*at least 1.*got 0"),
    (lambda: cr.conv2d(IMAGE, FILTER, padding=(1, -1)), ValueError, r"conv2d: padding .*at least 0.*got \(1, -1\)"),
    (lambda: cr.conv2d(IMAGE, FILTER, stride=(1, 1, 1)), ValueError, r"conv2d: stride .*pair.*\(1, 1, 1\)"),
    (lambda: cr.conv2d(IMAGE, FILTER, dilation=1.0), TypeError, r"conv2d: dilation must be an integer.*got 1\.0"),
    (lambda: cr.conv2d(IMAGE, FILTER, padding="full"), ValueError, r"conv2d: padding must be .*\"same\".*got 'full'"),
    (lambda: cr.conv2d(IMAGE, FILTER, stride=2, padding="same"), ValueError, r"conv2d: padding \"same\" needs .* 1"),
    (lambda: cr.unfold(IMAGE[0], 2), ValueError, r"unfold: x must be \(n, channels, h, w\), got shape \(3, 8, 8\)"),
    (lambda: cr.unfold(IMAGE, 0), ValueError, r"unfold: kernel_size .*at least 1.*got 0"),
    (lambda: cr.fold(IMAGE[0], 8, 2), ValueError, r"fold: x must be \(n, channels \* 4, 49\) .*got shape \(3, 8, 8\)"),
    (lambda: cr.max_pool2d(IMAGE, 3, padding=2), ValueError, r"max_pool2d: padding must be at most half .*got 2"),
    (lambda: cr.max_pool2d(IMAGE, 9), ValueError, r"max_pool2d: a kernel of \(9, 9\).*image of \(8, 8\)"),
    (lambda: cr.avg_pool2d(IMAGE, 2, divisor_override=0), ValueError, r"avg_pool2d: divisor_override .*nonzero.*got 0"),
    (lambda: cr.avg_pool2d(IMAGE[0, 0], 2), ValueError, r"avg_pool2d: x must be \(n, channels, h, w\)"),
    (lambda: nn.Conv2d(0, 3, 3), ValueError, r"Conv2d: in_channels must be .*at least 1, got 0"),
    (lambda: nn.Conv2d(3, 3, (2, 0)), ValueError, r"Conv2d: kernel_size .*got \(2, 0\)"),
    (lambda: nn.Conv2d(3, 3, 3, padding="full"), ValueError, r"Conv2d: padding must be .*got 'full'"),
    (lambda: nn.Conv2d(3, 3, 3, stride=2, padding="same"), ValueError, r"Conv2d: padding \"same\" needs stride 1"),
    (lambda: nn.Conv2d(3, 3, 3, init="zeros"), ValueError, r"Conv2d: init must be one of .*torch, got 'zeros'"),
    (lambda: nn.Conv2d(3, 3, 3, dtype=np.int64), TypeError, r"Conv2d: dtype must be float32 or float64, got int64"),
    (lambda: nn.GlobalAvgPool2d()(cr.tensor(IMAGE[0])), ValueError, r"GlobalAvgPool2d: x must be .*\(3, 8, 8\)"),
    (lambda: cr.Predictor(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 1))), ValueError,
     r"Predictor: .*pass row_shape, \(channels, h, w\)"),
)  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS, ids=[words for _, _, words in ERRORS])
def test_errors_name_the_argument(call: Callable[[], Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=f"^{words}"):
        call()


# Nets: layers, compiled programs, blocks of rows, files, predictors.


def net(dtype: Any = np.float32) -> nn.Sequential:
    generator = cr.random.Generator(seed=3)
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, padding="same", init="he", generator=generator, dtype=dtype),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 4, (2, 3), stride=(1, 2), padding=1, bias=False, generator=generator, dtype=dtype),
        nn.Tanh(),
        nn.AvgPool2d(2, stride=1),
        nn.Flatten(),
        nn.Linear(16, 3, generator=generator, dtype=dtype),
    )


def trained(micro_batch: int | None, dtype: Any = np.float32) -> dict[str, Array]:
    model = net(dtype)
    (x,) = draw(5, (48, 2, 8, 9), dtype=dtype)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    options: dict[str, Any] = {"epochs": 2, "batch_size": 16, "seed": 1, "progress": False}
    cr.fit(
        model, x, np.arange(48) % 3, loss=nn.CrossEntropyLoss(), optimizer=optimizer, micro_batch=micro_batch, **options
    )
    return model.state_dict()


def test_micro_batches_give_the_bits_of_the_whole_batch() -> None:
    for dtype in DTYPES:
        expected = trained(None, dtype)
        for setting in every_setting(threads=(1, 3)):
            for size in (None, 1, 3, 8, 15):
                for name, value in trained(size, dtype).items():
                    assert_same_bits(value, expected[name], f"{setting}, blocks of {size}, {name}")


def test_sums_over_images_go_on_from_block_to_block(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained(None)
    monkeypatch.setattr(_conv, "_LARGE_COLUMNS", 0)
    for setting in every_setting(threads=(1, 3)):
        for size in (None, 3):
            for name, value in trained(size).items():
                assert_same_bits(value, expected[name], f"{setting}, blocks of {size}, {name}")


def test_columns_exist_for_one_block_only() -> None:
    """Of a batch's columns only those of a block of rows are in memory; the sums go on from block to block."""
    model = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Linear(8, 2))
    x, labels = cr.tensor(draw(1, (64, 3, 16, 16))[0]), cr.tensor(np.arange(64) % 2)

    def step(x: cr.Tensor, labels: cr.Tensor) -> list[cr.Tensor | None]:
        for p in model.parameters():
            p.grad = None
        cr.cross_entropy(model(x), labels).backward()
        return [p.grad for p in model.parameters()]

    def blocks(x: cr.Tensor, labels: cr.Tensor, size: int | None) -> Any:
        compiled = Compiled(step, size)
        return compiled.plan_of(x, labels).built, compiled(x, labels)

    (whole, expected), (built, found) = blocks(x, labels, 64), blocks(x, labels, 4)
    for g, wanted in zip(found, expected, strict=True):
        assert_same_bits(g.numpy(), wanted.numpy())
    columns = 64 * 75 * 256 * 4
    assert whole.arena_bytes > columns > 4 * built.arena_bytes
    assert {"unfold", "matmul", "matmul_accumulate"} <= {instr.name for instr in built.blocks.loop}


def test_images_go_through_a_net_a_few_at_a_time() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Linear(8, 2))
    x = cr.tensor(draw(2, (30, 3, 30, 28))[0])
    compiled = cr.compile(model)
    built = compiled.plan_of(x).built
    assert (built.blocks.rows, built.block_rows) == (30, 10)
    assert_same_bits(compiled(x).numpy(), model(x).numpy())


def test_an_eager_net_a_compiled_one_and_a_predictor_agree(tmp_path: Path) -> None:
    for dtype in DTYPES:
        model = net(dtype)
        (x,) = draw(6, (300, 2, 8, 9), dtype=dtype)
        expected = model(cr.tensor(x)).numpy()
        cr.save(model, tmp_path / "model")
        loaded = cr.load(tmp_path / "model")
        assert repr(loaded) == repr(model)
        for setting in every_setting(threads=(1, 2)):
            assert_same_bits(cr.compile(model)(cr.tensor(x)).numpy(), expected, setting)
            assert_same_bits(cr.Predictor(model, (2, 8, 9))(x), expected, setting)
            assert_same_bits(loaded.predict(x, batch_size=7), expected, setting)


def test_a_row_does_not_depend_on_its_batch() -> None:
    model = net()
    (x,) = draw(7, (20, 2, 8, 9))
    whole = model.predict(x)
    for size in (1, 3, 19):
        assert_same_bits(model.predict(x[:size]), whole[:size])


def test_second_derivatives_compile_to_the_same_bits() -> None:
    x, weight, bias = draw(8, (2, 2, 5, 6), (3, 2, 3, 3), (3,), dtype=np.float64)

    def slope(w: cr.Tensor) -> cr.Tensor:
        by_w = cr.grad(lambda w: cr.sum(cr.tanh(cr.conv2d(x, w, bias, stride=2, padding=1))))(w)
        return cr.sum(cr.square(by_w))

    eager = cr.grad(slope)(cr.tensor(weight))
    for setting in every_setting(threads=(1, 2)):
        assert_same_bits(cr.compile(cr.grad(slope))(cr.tensor(weight)).numpy(), eager.numpy(), setting)


def test_a_file_whose_weight_has_other_sizes_is_rejected(tmp_path: Path) -> None:
    layer = nn.Conv2d(2, 3, 2, generator=cr.random.Generator(seed=1))
    layer.kernel_size = (2, 3)  # the file then contradicts the weight's shape (3, 2, 2, 2)
    cr.save(layer, tmp_path / "model")
    with pytest.raises(cr.ModelFormatError, match=r"weight has shape .*, expected shape \(3, 2, 2, 3\)"):
        cr.load(tmp_path / "model")


def test_a_small_net_learns_the_digits() -> None:
    X, y = cr.data.load_digits()
    X_train, X_held, y_train, y_held = cr.data.train_test_split(X.reshape(-1, 1, 8, 8) / 16, y, test_size=0.2, seed=0)
    generator = cr.random.Generator(seed=0)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, init="he", generator=generator),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1, init="he", generator=generator),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(384, 10, generator=generator),
    )
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    cr.fit(
        model,
        X_train,
        y_train,
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        epochs=12,
        batch_size=32,
        seed=0,
        progress=False,
    )
    assert np.mean(np.argmax(model.predict(X_held), axis=1) == y_held) > 0.975
