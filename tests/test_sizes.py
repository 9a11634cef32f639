"""Sizes that no memory holds: every function refuses them, without a crash and without allocating.

Each function gets sizes around the powers of two where integers of 32 and 64 bits overflow. The address space of the
process is limited, so that a size that is too large but possible is a MemoryError.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core, nn
from chainrule.serialize._architecture import build
from reference import assert_same_bits
from support.model_bytes import forged

SIZES = (
    *(0, 1, 2, 3, 5, 2**16, 2**31 - 1, 2**31, 2**31 + 1, 2**32, 2**40, 2**58, 2**60, 2**61 - 1, 2**61, 2**62),
    *(2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**200, -1, -2, -(2**31), -(2**63), -(2**63) - 1, -(2**64)),
)
ALLOWED = (ValueError, TypeError, MemoryError, IndexError)  # IndexError: of an index, not of a size

IMAGE = np.ones((1, 1, 4, 4), np.float32)
FILTER = {k: np.ones((1, 1, k, k), np.float32) for k in (1, 2)}
ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)
COLUMNS = np.ones((1, 4, 9), np.float32)


class Noted(np.random.Generator):
    """Draws sizes and keeps them for the message."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(seed))
        self.seen: list[Any] = []

    def size(self) -> int:
        self.seen.append(SIZES[int(self.integers(len(SIZES)))])
        return int(self.seen[-1])

    def pair(self) -> Any:
        return self.size() if self.integers(2) else (self.size(), self.size())

    def shape(self) -> tuple[int, ...]:
        return tuple(self.size() for _ in range(int(self.integers(1, 5))))


def called(layer: nn.Module, x: Any) -> Any:
    return layer(cr.tensor(x))


def compiled(function: Callable[..., Any], x: Any, *sizes: Any) -> Any:
    return cr.compile(lambda given: function(given, *sizes))(cr.tensor(x))


def fitted(**options: Any) -> Any:
    model = nn.Linear(3, 1, generator=cr.random.Generator(0))
    options = {"epochs": 1, "batch_size": 2, "progress": False} | options
    return cr.fit(
        model, ROWS, ROWS[:, :1], loss=nn.MSELoss(), optimizer=cr.optim.SGD(model.parameters(), 0.1), **options
    )


ENTRIES: dict[str, Callable[[Noted], Any]] = {
    "conv2d": lambda r: cr.conv2d(IMAGE, FILTER[1 + r.integers(2)], None, r.pair(), r.pair(), r.pair()),
    "conv2d stride": lambda r: cr.conv2d(IMAGE, FILTER[1], stride=r.pair()),
    "conv2d padding": lambda r: cr.conv2d(IMAGE, FILTER[2], padding=r.pair()),
    "conv2d dilation": lambda r: cr.conv2d(IMAGE, FILTER[2], dilation=r.pair()),
    "conv2d same": lambda r: cr.conv2d(IMAGE, FILTER[2], padding="same", dilation=r.pair()),
    "conv2d gradient": lambda r: cr.grad(
        lambda x: cr.sum(cr.conv2d(x, FILTER[2], None, r.pair(), r.pair(), r.pair()))
    )(cr.tensor(IMAGE)),
    "conv2d compiled": lambda r: compiled(
        lambda x, s, p, d: cr.conv2d(x, FILTER[2], None, s, p, d), IMAGE, r.pair(), r.pair(), r.pair()
    ),
    "max_pool2d": lambda r: cr.max_pool2d(IMAGE, r.pair(), r.pair(), r.pair(), r.pair(), bool(r.integers(2))),
    "max_pool2d stride": lambda r: cr.max_pool2d(IMAGE, 2, r.pair(), 1, 1, bool(r.integers(2))),
    "avg_pool2d": lambda r: cr.avg_pool2d(IMAGE, r.pair(), r.pair(), r.pair(), bool(r.integers(2))),
    "avg_pool2d stride": lambda r: cr.avg_pool2d(IMAGE, 2, r.pair(), 1, bool(r.integers(2))),
    "avg_pool2d divisor": lambda r: cr.avg_pool2d(IMAGE, 2, divisor_override=r.size()),
    "unfold": lambda r: cr.unfold(IMAGE, r.pair(), r.pair(), r.pair(), r.pair()),
    "unfold stride": lambda r: cr.unfold(IMAGE, 2, 1, r.pair(), r.pair()),
    "fold": lambda r: cr.fold(COLUMNS, r.pair(), r.pair(), r.pair(), r.pair(), r.pair()),
    "fold size": lambda r: cr.fold(COLUMNS, r.pair(), 2),
    "fold stride": lambda r: cr.fold(np.ones((1, 4, 1), np.float32), 2, 2, 1, 0, r.pair()),
    "reshape": lambda r: cr.reshape(ROWS, r.shape()),
    "reshape empty": lambda r: cr.reshape(np.ones((0, 3), np.float32), r.shape()),
    "broadcast_to": lambda r: cr.broadcast_to(ROWS[0, 0], r.shape()),
    "broadcast_to rows": lambda r: cr.broadcast_to(ROWS, (*r.shape(), 2, 3)),
    "broadcast_to compiled": lambda r: compiled(cr.broadcast_to, 1.0, r.shape()),
    "sum of broadcast_to": lambda r: compiled(lambda x, s: cr.sum(cr.broadcast_to(x, s)), 1.0, r.shape()),
    "flatten": lambda r: cr.flatten(ROWS, r.size()),
    "transpose": lambda r: cr.transpose(ROWS, r.shape()),
    "sum": lambda r: cr.sum(ROWS, axis=r.size()),
    "mean": lambda r: cr.mean(ROWS, axis=r.shape()),
    "max": lambda r: cr.max(ROWS, axis=r.size()),
    "argmax": lambda r: cr.argmax(ROWS, axis=r.size()),
    "softmax": lambda r: cr.softmax(ROWS, axis=r.size()),
    "concatenate": lambda r: cr.concatenate([ROWS, ROWS], axis=r.size()),
    "stack": lambda r: cr.stack([ROWS, ROWS], axis=r.size()),
    "maxout": lambda r: cr.maxout(ROWS, r.size(), r.size()),
    "index": lambda r: cr.tensor(ROWS)[r.size()],
    "slice": lambda r: cr.tensor(ROWS)[r.size() : r.size() : r.size()],
    "take": lambda r: cr.take(ROWS, [r.size(), 0]),
    "cross_entropy": lambda r: cr.cross_entropy(ROWS, [r.size(), 0]),
    "tensor": lambda r: cr.tensor([r.size(), 1]),
    "tensor of floats": lambda r: cr.tensor([r.size(), 1.5]),
    "uniform": lambda r: cr.random.Generator(0).uniform(r.shape()),
    "normal": lambda r: cr.random.Generator(0).normal(r.size()),
    "permutation": lambda r: cr.random.Generator(0).permutation(r.size()),
    "Generator": lambda r: cr.random.Generator(r.size(), r.size()).uniform(2),
    "manual_seed": lambda r: cr.manual_seed(r.size()),
    "Linear": lambda r: nn.Linear(r.size(), r.size()),
    "Linear wide": lambda r: nn.Linear(1, r.size(), bias=False),
    "Maxout": lambda r: nn.Maxout(r.size(), r.size(), r.size()),
    "PReLU": lambda r: nn.PReLU(r.size()),
    "Conv2d": lambda r: nn.Conv2d(r.size(), r.size(), r.pair(), r.pair(), r.pair(), r.pair()),
    "Conv2d called": lambda r: called(nn.Conv2d(1, 1, 1, r.pair(), r.pair(), r.pair()), IMAGE),
    "Conv2d predict": lambda r: nn.Conv2d(1, 1, 1, r.pair(), r.pair(), r.pair()).predict(IMAGE),
    "Conv2d in a Predictor": lambda r: cr.Predictor(nn.Conv2d(1, 1, 2, r.pair(), r.pair(), r.pair()))(IMAGE),
    "Conv2d groups": lambda r: nn.Conv2d(r.size(), r.size(), 1, groups=r.size()),
    "Conv1d": lambda r: called(nn.Conv1d(1, 1, 1, r.size(), r.size(), r.size()), IMAGE[:, :, 0]),
    "ConvTranspose2d": lambda r: nn.ConvTranspose2d(r.size(), r.size(), r.pair(), r.pair(), r.pair(), r.pair()),
    "ConvTranspose2d called": lambda r: called(
        nn.ConvTranspose2d(1, 1, 2, r.pair(), r.pair(), r.pair(), 1, True, r.pair()), IMAGE
    ),
    "Embedding": lambda r: nn.Embedding(r.size(), r.size()),
    "Bilinear": lambda r: nn.Bilinear(r.size(), r.size(), r.size()),
    "adaptive pools": lambda r: called(nn.AdaptiveAvgPool2d(r.pair()), IMAGE),
    "Upsample": lambda r: called(nn.Upsample(r.pair(), mode="bilinear"), IMAGE),
    "Upsample by a factor": lambda r: called(nn.Upsample(scale_factor=r.size()), IMAGE),
    "PixelShuffle": lambda r: called(nn.PixelShuffle(r.size()), IMAGE),
    "Unflatten": lambda r: called(nn.Unflatten(1, r.pair()), IMAGE),
    "MaxPool2d": lambda r: called(nn.MaxPool2d(r.pair(), r.pair(), r.pair(), r.pair()), IMAGE),
    "AvgPool2d": lambda r: called(nn.AvgPool2d(r.pair(), r.pair(), r.pair()), IMAGE),
    "Softmax": lambda r: called(nn.Softmax(r.size()), ROWS),
    "Standardize": lambda r: nn.Standardize(r.size()),
    "PCA": lambda r: nn.PCA(r.size(), r.size()),
    "Whiten": lambda r: nn.Whiten(r.size()),
    "OneHot": lambda r: nn.OneHot(r.size(), {r.size(): r.size()}),
    "OneHot categories": lambda r: nn.OneHot(1, {0: r.size()}),
    "PolynomialFeatures": lambda r: nn.PolynomialFeatures(r.size(), r.size()),
    "Output": lambda r: nn.Output("multiclass", r.size(), r.size()),
    "predict": lambda r: nn.Linear(3, 2).predict(ROWS, batch_size=r.size()),
    "fit epochs": lambda r: fitted(epochs=min(r.size(), 2)),
    "fit batch": lambda r: fitted(batch_size=r.size()),
    "fit seed": lambda r: fitted(seed=r.size()),
    "set_num_threads": lambda r: cr.set_num_threads(r.size()) or cr.set_num_threads(2),
    "train_test_split": lambda r: cr.data.train_test_split(ROWS, ROWS[:, 0], seed=r.size()),
    "k_fold": lambda r: cr.data.k_fold(r.size(), r.size(), seed=0),
    "k_fold seed": lambda r: cr.data.k_fold(10, seed=r.size()),
    "batches": lambda r: next(iter(cr.data.batches(r.size(), r.size(), seed=0))),
    "batches epoch": lambda r: next(iter(cr.data.batches(9, 4, seed=r.size(), epoch=r.size()))),
    "index of a broadcast": lambda r: compiled(lambda x, s, i: cr.broadcast_to(x, s)[i], 1.0, r.shape(), r.size()),
    "concatenate of broadcasts": lambda r: compiled(
        lambda x, n, m: cr.sum(cr.concatenate([cr.broadcast_to(x, (n, m))] * 3, 1)), 1.0, r.size(), r.size()
    ),
    "add of broadcasts": lambda r: compiled(
        lambda x, n, m: cr.sum(cr.broadcast_to(x, (n, 1)) + cr.broadcast_to(x, (1, m))), 1.0, r.size(), r.size()
    ),
    "matmul of broadcasts": lambda r: compiled(
        lambda x, n, m, k: cr.broadcast_to(x, (n, k)) @ cr.broadcast_to(x, (k, m)), 1.0, r.size(), r.size(), r.size()
    ),
    "StepLR": lambda r: cr.optim.StepLR(cr.optim.SGD([nn.Parameter([1.0])], 0.1), r.size()),
    "EarlyStopping": lambda r: cr.EarlyStopping(patience=r.size()),
    "Dropout": lambda r: cr.dropout(ROWS, 0.5, True, cr.random.Generator(r.size())),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def limited() -> Iterator[None]:
    """Two GiB beyond what is mapped: a size that the machine could hold must not be touched either."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    lines = Path("/proc/self/status").read_text().splitlines()
    mapped = next(int(line.split()[1]) for line in lines if line.startswith("VmSize")) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (mapped + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def attack(name: str, seed: int) -> str:
    """Return "value" or the name of the exception; AssertionError for an unexpected exception or message."""
    random = Noted(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ENTRIES[name](random)
        except ALLOWED as error:
            text = str(error)
            assert "incompatible function arguments" not in text, f"{name} of {random.seen}: {text}"
            assert "incompatible constructor arguments" not in text, f"{name} of {random.seen}: {text}"
            return type(error).__name__
        except Exception as error:
            raise AssertionError(f"{name} of {random.seen}: {type(error).__name__}: {error}") from error
    return "value"


@pytest.mark.parametrize("name", ENTRIES)
def test_sizes_are_refused(name: str) -> None:
    results = {attack(name, seed) for seed in range(40)}
    assert results - {"value"}, f"{name} accepts every size"


GRID = (0, 1, 2, 3, 2**16, *(2**31 + i for i in (-1, 0, 1)), 2**32, 2**40, 2**60, 2**61, 2**62, 2**63 - 1, 2**63, 2**64)
WINDOWS: dict[str, Callable[[int, int, int], Any]] = {
    "conv2d": lambda a, b, c: cr.conv2d(IMAGE, FILTER[1], None, a, b, c),
    "conv2d of 2 x 2": lambda a, b, c: cr.conv2d(IMAGE, FILTER[2], None, a, b, c),
    "max_pool2d": lambda a, b, c: cr.max_pool2d(IMAGE, a, b, c),
    "avg_pool2d": lambda a, b, c: cr.avg_pool2d(IMAGE, a, b, c, True),
    "unfold": lambda a, b, c: cr.unfold(IMAGE, 1, a, b, c),
    "fold": lambda a, b, c: cr.fold(COLUMNS, 4, a, 1, b, c),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_every_combination_of_three_sizes(name: str) -> None:
    """A stride of 2**63 - 1 with a padding of 2**31 - 1 once read beyond the image."""
    for sizes in itertools.product(GRID, repeat=3):
        with contextlib.suppress(ValueError, MemoryError):
            WINDOWS[name](*sizes)


STRIDES = [
    *((2**63 - 1, 2**31 - 1), (2**61 - 1, 2**31 - 1), (2**61 - 1, 2**60)),
    *((2**40, 2**40), (2**31 + 1, 2**33), (7, 2**20)),
]


@pytest.mark.parametrize(("stride", "padding"), STRIDES)
def test_a_long_stride_has_the_values_of_the_windows_that_exist(stride: int, padding: int) -> None:
    def result() -> np.ndarray:
        return np.asarray(cr.conv2d(IMAGE, FILTER[1], None, (stride, 1), (padding, 0)).numpy())

    if padding > 2**40 or stride > 2**61 - 1:
        with pytest.raises(ValueError, match=r"conv2d: .*(larger than any memory|must be at most 2\*\*61 - 1)"):
            result()
        return
    found = result()
    assert found.shape[2] == (4 + 2 * padding - 1) // stride + 1
    assert found.sum() == 4 * sum(row % stride == 0 for row in range(padding, padding + 4))


@pytest.mark.parametrize("stride", [1, 3, 2**31 + 1, 2**40, 2**61 - 1])
@pytest.mark.parametrize("gradient", [False, True])
def test_a_single_window_has_no_stride(stride: int, gradient: bool) -> None:
    """Values and gradients are those of stride 1."""
    image = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    kernel = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3) - 4

    def function(x: Any, step: int) -> Any:
        y = cr.conv2d(x, kernel, None, step)
        return cr.sum(y * y) if gradient else y

    results = [
        (cr.grad(lambda x, s=s: function(x, s)) if gradient else cr.compile(lambda x, s=s: function(x, s)))(
            cr.tensor(image)
        )
        for s in (1, stride)
    ]
    assert_same_bits(results[0].numpy(), results[1].numpy(), str(stride))


FIELDS = "images channels height width kernel_h kernel_w stride_h stride_w dilation_h dilation_w pad_top pad_left"
ONES = dict.fromkeys((*FIELDS.split(), "out_h", "out_w"), 1)
WINDOW = ONES | {"height": 4, "width": 4, "pad_top": 0, "pad_left": 0}


@pytest.mark.parametrize("field", WINDOW)
@pytest.mark.parametrize("instruction", ["unfold", "fold", "max_pool"])
def test_the_core_checks_windows_itself(field: str, instruction: str) -> None:
    def program(**sizes: int) -> Any:
        reals = [0.0] if instruction == "unfold" else []
        code = [(instruction, 0, [1], [0], list((WINDOW | sizes).values()), reals)]
        return _core.Program([(0, [1, 1, 4, 4])], [(0, [1, 1, 4, 4])], [], code)

    program()
    for size in (2**61, 2**62, 2**63 - 1, -1, -(2**63)):
        with pytest.raises(ValueError, match=f"{instruction}: "):
            program(**{field: size})


def test_the_core_counts_the_elements_of_a_window() -> None:
    windows = WINDOW | {"kernel_h": 2**16, "kernel_w": 2**15, "pad_top": 2**15, "pad_left": 2**14}
    code = [("max_pool", 0, [1], [0], list(windows.values()), [])]
    with pytest.raises(ValueError, match="max_pool: a window is too large"):
        _core.Program([(0, [1, 1, 4, 4])], [(0, [1, 1, 1, 1])], [], code)


@pytest.mark.parametrize("shape", [[2**61], [2**31] * 2, [2**21] * 3, [-1], [2**63 - 1], [2, 2**60], [2**16] * 4])
@pytest.mark.parametrize("place", range(3))
def test_the_core_checks_shapes_itself(shape: list[int], place: int) -> None:
    slots: list[Any] = [[(0, [1])], [(0, [1])], [(0, [1])]]
    slots[place].append((0, shape))
    with pytest.raises(ValueError, match=r"Program: shape .* has too many elements"):
        _core.Program(*slots, [])


def test_the_core_checks_the_sum_of_temporaries() -> None:
    with pytest.raises(ValueError, match=r"Program: the temporaries: a size is negative or too large"):
        _core.Program([(0, [1])], [(0, [1])], [(3, [2**60])] * 9, [])


def test_sizes_of_a_model_file(tmp_path: Path) -> None:
    """Layers that hold no array of their sizes, from files with a valid checksum."""
    values = {"weight": np.ones((1, 1, 1, 1), np.float32), "bias": np.ones(1, np.float32)}
    config = {"in_channels": 1, "out_channels": 1, "kernel_size": [1, 1]}
    for name, size in itertools.product(("stride", "padding", "dilation"), GRID):
        for other in (1, 2**31 - 1, 2**61 - 1):
            node = {"class": "Conv2d", "config": config | {"stride": [other, other], name: [size, size]}}
            with contextlib.suppress(ValueError, MemoryError):
                cr.load(forged(tmp_path / "m", node, values)).predict(IMAGE)
    pools = itertools.product(("MaxPool2d", "AvgPool2d"), GRID, GRID, GRID[:8])
    for kind, kernel, stride, padding in pools:
        node = {"class": kind, "config": {"kernel_size": kernel, "stride": stride, "padding": padding}}
        if kernel and stride:
            with contextlib.suppress(ValueError, MemoryError):
                build(node, {})(cr.tensor(IMAGE))


@pytest.mark.full
def test_twenty_thousand_sizes_are_refused(record_property: Callable[[str, object], None]) -> None:
    count = 20_000 // len(ENTRIES) + 1
    for name in ENTRIES:
        for seed in range(1000, 1000 + count):
            attack(name, seed)
    record_property("attacks by sizes", count * len(ENTRIES))
