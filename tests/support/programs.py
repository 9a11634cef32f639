"""Single instructions on NumPy arrays, one function per instruction family of cpp/program.

Outputs are filled with a pattern before the run: an element that a kernel does not write is detected.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule import _core
from chainrule._ir import records
from chainrule._ir.elementwise import Map
from chainrule._ir.instruction import Instr
from chainrule._ir.products import Matmul, MatmulAccumulate
from chainrule._ir.record import Record
from chainrule._ir.shapes import contiguous_strides
from reference import float64_functions
from reference.bits import Array
from reference.elementary import KERNELS64, NUMPY64, Function
from reference.reduce import normalise, sequences

DTYPES = (np.float32, np.float64, np.int64, np.bool_)
CODE: dict[np.dtype[Any], int] = {np.dtype(dtype): code for code, dtype in enumerate(DTYPES)}
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
Float = type[np.floating[Any]]
Pair = tuple[int, int]


def execute(
    name: str,
    dtype: npt.DTypeLike,
    outputs: Sequence[Array],
    inputs: Sequence[Array],
    record: Record,
    reals: Sequence[float] = (),
    body: Sequence[Instr] = (),
) -> None:
    """Run one instruction that writes into the caller's C-contiguous `outputs`; slots are outputs, then inputs."""
    arrays = [*outputs, *inputs]
    slots = list(range(len(arrays)))
    instr = Instr(name, CODE[np.dtype(dtype)], slots[: len(outputs)], slots[len(outputs) :], record, reals, body)
    _core.Program([(CODE[a.dtype], a.shape) for a in arrays], [], [], [instr.lower()])(*arrays)


def flat(name: str, dtype: npt.DTypeLike, out: int, ins: Sequence[int], n: int, params: Sequence[float] = ()) -> Instr:
    """An elementwise instruction over n elements of each slot."""
    return Instr(name, CODE[np.dtype(dtype)], [out], list(ins), Map((n,), ((1,),) * len(ins)), params)


def one_matmul(a: Sequence[int], b: Sequence[int], transposed: tuple[bool, bool] = (False, False)) -> Matmul:
    """A product of two contiguous matrices of these shapes, read transposed where it says so."""
    (m, k), n = a[:: -1 if transposed[0] else 1], b[0 if transposed[1] else 1]
    (rs_a, cs_a), (rs_b, cs_b) = (
        contiguous_strides(x)[:: -1 if swap else 1] for x, swap in zip((a, b), transposed, strict=True)
    )
    return Matmul((), m, n, k, rs_a, cs_a, rs_b, cs_b, rs_c=n, batch_a=(), batch_b=())


def sgd_step(
    p: Array, g: Array, v: Array | None, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> None:
    """An SGD step on p and the velocity v, in place."""
    numbers = np.array([lr, momentum, weight_decay, nesterov, 0.0], np.float64)
    _core.update_step("sgd", p, g, () if v is None else (v,), numbers, None)


def blank(shape: int | Sequence[int], dtype: npt.DTypeLike) -> Array:
    """An output that nobody has written: every byte is 0x5a (true and false alike as bool)."""
    out = np.empty(shape, dtype)
    out.reshape(-1).view(np.uint8)[:] = 0x5A
    return out


def contiguous(x: npt.ArrayLike) -> Array:
    """x in C order; 0-d stays 0-d."""
    return np.asarray(x, order="C")


def elementwise(name: str, *inputs: Array, params: Sequence[float] = (), out: Array | None = None) -> Array:
    """A row of the table of elementwise kernels; inputs broadcast through strides of 0."""
    arrays = [contiguous(x) for x in inputs]
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    dtype = arrays[-1].dtype
    if out is None:
        out = blank(shape, np.bool_ if name in COMPARISONS else dtype)
    dims = list(shape) or [1]
    record = Map(tuple(dims), tuple(_strides(np.broadcast_to(x, dims)) for x in arrays))
    execute(name, dtype, [out], arrays, record, params)
    return out


def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """a (..., m, k) @ b (..., k, n), leading axes broadcast; transposed views are passed as strides."""
    (m, k), n = a.shape[-2:], b.shape[-1]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if out is None:
        out = blank((*batch, m, n), a.dtype)
    wide = [np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b)]
    (*batch_a, rs_a, cs_a), (*batch_b, rs_b, cs_b) = map(_strides, wide)
    record = Matmul(batch, m, n, k, rs_a, cs_a, rs_b, cs_b, n, tuple(batch_a), tuple(batch_b))
    execute("matmul", a.dtype, [out], [_memory(a), _memory(b)], record)
    return out


def reduce(name: str, x: Array, axis: int | tuple[int, ...] | None = None, out: Array | None = None) -> Array:
    """sum, max, min or argmax over axes: rows when the last axis is among them (and for argmax), else columns."""
    axes = normalise(x.ndim, axis)
    kept = [a for a in range(x.ndim) if a not in axes]
    shape = tuple(x.shape[a] for a in kept)
    if out is None:
        out = blank(shape, np.int64 if name == "argmax" else x.dtype)
    if x.ndim == 0 or x.ndim - 1 in axes or name == "argmax":
        rows = contiguous(sequences(x, axes))
        record = records.Reduce(out.size, rows.shape[-1], 1, records.ReduceMode.LANE_RULE)
        execute(name, x.dtype, [out], [rows], record)
        return out
    first, count = min(axes, default=0), len(axes)
    if axes != tuple(range(first, first + count)):  # not neighbours: in front
        x, first = np.transpose(x, (*axes, *kept)), 0
    sizes = np.split(np.asarray(x.shape, np.int64), [first, first + count])
    outer, reduced, inner = (int(part.prod()) for part in sizes)
    record = records.Reduce(outer, reduced, inner, records.ReduceMode.START_CHAIN)
    execute(name, x.dtype, [out], [contiguous(x)], record)
    return out


def rowwise(name: str, *inputs: Array, out: Array | None = None) -> Array:
    """softmax, log_softmax and their gradients over the last axis."""
    x = inputs[0]
    if out is None:
        out = blank(x.shape, x.dtype)
    execute(name, x.dtype, [out], inputs, records.Rowwise(x.size // max(x.shape[-1], 1), x.shape[-1]))
    return out


def sequence(
    name: str, record: Record, sizes: list[int], *inputs: Array, out: Array | None = None, reals: Sequence[float] = ()
) -> Array:
    """A recurrence, self-attention, or their gradients; all outputs, of these sizes, in one flat array."""
    if out is None:
        out = blank(sum(sizes), inputs[0].dtype)
    execute(name, inputs[0].dtype, np.split(out, np.cumsum(sizes)[:-1]), inputs, record, reals)
    return out


def channels(name: str, by_rows: bool, x: Array, *others: Array, out: Array | None = None) -> Array:
    """A kernel of normalisation on (R, D), each row a channel, or (N, C) or (N, C, L)."""
    if by_rows:
        record = records.Channels(1, *x.shape, 1)
    else:
        record = records.Channels(x.shape[0], x.shape[1], x.shape[2] if x.ndim > 2 else 1, 0)
    if out is None:
        pairs = (record.channels, 2) if by_rows else (2, record.channels)
        out = blank(x.shape if name == "row_norm_backward" else pairs, x.dtype)
    execute(name, x.dtype, [out], [x, *others], record)
    return out


def cross_entropy(logits: Array, labels: Array, out: Array | None = None) -> Array:
    """Loss per row of logits (rows, classes)."""
    if out is None:
        out = blank(logits.shape[:1], logits.dtype)
    execute("cross_entropy", logits.dtype, [out], [logits, labels], records.CrossEntropy(*logits.shape))
    return out


def cross_entropy_grad(logits: Array, labels: Array, g: Array, out: Array | None = None) -> Array:
    """Gradient by the logits; g (rows,) arrives."""
    if out is None:
        out = blank(logits.shape, logits.dtype)
    execute("cross_entropy_grad", logits.dtype, [out], [logits, labels, g], records.CrossEntropy(*logits.shape))
    return out


def cross_entropy_both(logits: Array, labels: Array, g: Array, out: Array | None = None) -> Array:
    """The gradient by the logits and behind it the losses, flat; g is (rows,) or 0-d, one number for all rows."""
    if out is None:
        out = blank(logits.size + logits.shape[0], logits.dtype)
    gradient, loss = out[: logits.size].reshape(logits.shape), out[logits.size :]
    record = records.CrossEntropyBoth(*logits.shape, upstream_step=g.ndim)
    execute("cross_entropy_both", logits.dtype, [loss, gradient], [logits, labels, np.atleast_1d(g)], record)
    return out


def uniform(seed: int, stream: int, n: int, dtype: Float, low: float = 0.0, high: float = 1.0) -> Array:
    """n draws from one stream."""
    out = blank(n, dtype)
    _core.uniform(seed, stream, out, low, high)
    return out


def normal(seed: int, stream: int, n: int, dtype: Float, mean: float = 0.0, std: float = 1.0) -> Array:
    """n normal draws from one stream."""
    out = blank(n, dtype)
    _core.normal(seed, stream, out, mean, std)
    return out


def permutation(seed: int, stream: int, n: int) -> Array:
    """0 .. n-1 shuffled."""
    out = blank(n, np.int64)
    _core.permutation(seed, stream, out)
    return out


def copy(x: Array, out: Array | None = None) -> Array:
    """x, with any strides, into C order."""
    if out is None:
        out = blank(x.shape, x.dtype)
    dims = (1,) * max(2 - x.ndim, 0) + x.shape
    record = records.Copy(0, 0, dims, _strides(out.reshape(dims)), _strides(x.reshape(dims)))
    execute("copy", x.dtype, [out], [_memory(x)], record)
    return out


def cast(x: Array, dtype: npt.DTypeLike, out: Array | None = None) -> Array:
    """x in another dtype."""
    if out is None:
        out = blank(x.shape, dtype)
    execute("cast", dtype, [out], [x], records.Cast(x.size, source_dtype=CODE[x.dtype]))
    return out


def take(x: Array, index: Array, out: Array | None = None) -> Array:
    """Rows of x (rows, n) by index."""
    if out is None:
        out = blank((index.size, x.shape[1]), x.dtype)
    execute("take", x.dtype, [out], [x, index], records.Take(index.size, x.shape[1]))
    return out


def index_add(g: Array, index: Array, rows: int, out: Array | None = None) -> Array:
    """The gradient of take: rows of g (index.size, n) added up at their index."""
    if out is None:
        out = blank((rows, g.shape[1]), g.dtype)
    execute("index_add", g.dtype, [out], [g, index], records.IndexAdd(index.size, g.shape[1], out_rows=rows))
    return out


def unfold(
    x: Array, kernel: Pair, dilation: Pair = (1, 1), padding: Pair = (0, 0), stride: Pair = (1, 1), out: Any = None
) -> Array:
    """Windows of images (n, channels, h, w) as columns, 0 outside."""
    record = _windows(x.shape, kernel, dilation, padding, stride)
    if out is None:
        out = blank((x.shape[0], x.shape[1] * kernel[0] * kernel[1], record.out_h * record.out_w), x.dtype)
    execute("unfold", x.dtype, [out], [x], record, [0.0])
    return np.asarray(out)


def fold(
    columns: Array,
    image: Sequence[int],
    kernel: Pair,
    dilation: Pair = (1, 1),
    padding: Pair = (0, 0),
    stride: Pair = (1, 1),
    out: Any = None,
) -> Array:
    """Columns added up to images."""
    n, channels = columns.shape[0], columns.shape[1] // (kernel[0] * kernel[1])
    if out is None:
        out = blank((n, channels, *image), columns.dtype)
    record = _windows((n, channels, *image), kernel, dilation, padding, stride)
    execute("fold", columns.dtype, [out], [columns], record)
    return np.asarray(out)


def max_pool(x: Array, out: Array | None = None, **window: Pair) -> Array:
    """Maxima of the windows of images."""
    record = _windows(x.shape, **WINDOW | window)
    if out is None:
        out = blank((*x.shape[:2], record.out_h, record.out_w), x.dtype)
    execute("max_pool", x.dtype, [out], [x], record)
    return out


def max_pool_grad(x: Array, g: Array, out: Array | None = None, **window: Pair) -> Array:
    """The gradient of max_pool; g arrives."""
    if out is None:
        out = blank(x.shape, x.dtype)
    execute("max_pool_grad", x.dtype, [out], [x, g], _windows(x.shape, **WINDOW | window))
    return out


WINDOW: dict[str, Pair] = {"dilation": (1, 1), "padding": (0, 0), "stride": (1, 1)}


def _windows(images: Sequence[int], kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> records.Windows:
    n, channels, *image = images
    counts = [(image[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(2)]
    return records.Windows(n, channels, *image, *kernel, *stride, *dilation, *padding, *counts)


def matmul_accumulate(a: Array, b: Array, out: Array | None = None, continues: bool = False) -> Array:
    """The sum over i of a[i] @ b[i].T, a (n, m, l) and b (n, k, l); `continues`: the chains go on from out."""
    (n, m, length), k = a.shape, b.shape[1]
    if out is None:
        out = blank((m, k), a.dtype)
    record = MatmulAccumulate(
        batch=n,
        m=m,
        n=k,
        k=length,
        rs_a=length,
        cs_a=1,
        rs_b=1,
        cs_b=length,
        rs_c=k,
        batch_a=m * length,
        batch_b=k * length,
        continues=continues,
    )
    execute("matmul_accumulate", a.dtype, [out], [a, b], record)
    return out


@contextmanager
def level(name: str) -> Iterator[None]:
    """`name` is the active level inside the block."""
    before = _core.active_isa()
    _core.use_isa(name)
    try:
        yield
    finally:
        _core.use_isa(before)


def scalar(name: str, params: Sequence[float] = ()) -> Function:
    """An elementwise kernel of the scalar level."""

    def function(*x: Array) -> Array:
        with level("scalar"):
            return elementwise(name, *x, params=params)

    return function


@contextmanager
def scalar_float64() -> Iterator[None]:
    """The reference with the scalar level's float64 functions: their bits are defined by cpp/math."""
    several = {name: scalar(kernel, params) for name, (kernel, params, _) in KERNELS64.items()}
    with float64_functions(**{name: scalar(name) for name in NUMPY64}, **several):
        yield


def _strides(x: Array) -> tuple[int, ...]:
    """In elements."""
    return tuple(s // x.itemsize for s in x.strides)


def _memory(x: Array) -> Array:
    """The C-contiguous array under a transposed or broadcast view, as a Program requires."""
    if x.flags.c_contiguous:
        return x
    dense = x[tuple(slice(0, 1) if s == 0 else slice(None) for s in x.strides)]
    order = np.argsort([-s for s in dense.strides], kind="stable")
    memory = np.transpose(dense, order)
    if not memory.flags.c_contiguous:
        raise ValueError(f"a view with gaps: shape {x.shape}, strides {x.strides}")
    return memory
