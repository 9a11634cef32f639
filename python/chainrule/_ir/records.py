"""One record per instruction family: its integers by name (as in cpp/program/schema.h) and its properties.

Matrix products are in `products.py`, elementwise instructions and fused bodies in `elementwise.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from .record import Batch, Record, RowBlock, RowRole, RowsFirst

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "Advance",
    "Attention",
    "Bernoulli",
    "Cast",
    "Channels",
    "CheckFinite",
    "CheckIndex",
    "Convolution",
    "Copy",
    "CrossEntropy",
    "CrossEntropyBoth",
    "Distinct",
    "Draw",
    "Fill",
    "Gather",
    "IndexAdd",
    "Order",
    "Random",
    "Recurrent",
    "Reduce",
    "ReduceMode",
    "Rowwise",
    "Scan",
    "Scatter",
    "Take",
    "Windows",
]


class ReduceMode(IntEnum):
    """The order in which a reduction combines its elements."""

    START_CHAIN = 0  # one ascending chain per output
    LANE_RULE = 1  # whole rows: the last axis is among the reduced ones, and `inner` is 1
    CONTINUE_CHAIN = 2  # like START_CHAIN, starting from the values that the output already holds


class Reduce(Record):
    """sum, max, min, argmax over the middle one of three axes."""

    outer: int
    reduced: int
    inner: int
    mode: ReduceMode

    def operations(self) -> int:
        return self.outer * self.reduced * self.inner

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        (x,) = ins
        if x not in batch.by_rows:
            return RowRole.AFTER
        if self.outer % batch.rows == 0:
            return RowRole.ROWS
        chain = self.mode == ReduceMode.START_CHAIN and self.outer == 1 and self.reduced % batch.rows == 0
        by_row = chain and self.reduced // batch.rows * self.inner == batch.row_size(x)
        return RowRole.SUM if by_row else RowRole.AFTER

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        if role is RowRole.ROWS:
            return self.replace(outer=block.scaled(self.outer))
        mode = ReduceMode.START_CHAIN if block.first else ReduceMode.CONTINUE_CHAIN
        return self.replace(reduced=block.scaled(self.reduced), mode=mode)


class Rowwise(RowsFirst):
    """softmax, log_softmax and their gradients, row by row."""

    rows: int
    cols: int

    def operations(self) -> int:
        return self.rows * self.cols


class Recurrent(Record):
    """All steps in time of a recurrent layer, or their gradients; arrays are (steps, rows, ...), or rows first."""

    steps: int
    rows: int
    units: int
    batch_first: bool
    reverse: bool

    def operations(self) -> int:
        return self.steps * self.rows * self.units * self.units


class Attention(Record):
    """Self-attention of packed projections (batch, steps, 3 * heads * depth), or its gradient."""

    batch: int
    steps: int
    heads: int
    depth: int
    has_bias: bool
    bias_batch: int
    bias_head: int
    bias_row: int
    has_drop: bool

    def operations(self) -> int:
        return self.batch * self.heads * self.steps * self.steps * self.depth


class CrossEntropy(Rowwise):
    """Cross entropy of each row of scores, or its gradient."""


class CrossEntropyBoth(Rowwise):
    """Cross entropy and its gradient; `upstream_step` is 0 if one scalar is the upstream gradient of all rows."""

    upstream_step: int

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        return i < 2 or self.upstream_step != 0


class Channels(Record):
    """Two sums over each channel of an (outer, channels, inner) array; with `by_rows` each row of it is a channel."""

    outer: int
    channels: int
    inner: int
    by_rows: int

    def operations(self) -> int:
        return self.outer * self.channels * self.inner

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        aligned = self.by_rows and self.channels % batch.rows == 0 and all(batch.has_rows(v) for v in ins)
        return RowRole.ROWS if aligned else RowRole.AFTER

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        return True

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        return self.replace(channels=block.scaled(self.channels))


class Windows(RowsFirst):
    """unfold (im2col), fold (col2im), maxima of windows and their gradient: windows over the planes of images."""

    images: int
    channels: int
    height: int
    width: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int
    out_h: int
    out_w: int

    def operations(self) -> int:
        return self.images * self.channels * self.kernel_h * self.kernel_w * self.out_h * self.out_w


class Convolution(Windows):
    """A convolution or one of its gradients: `filters` results for each window.

    The gradient by the weights, a sum over images, is the one whose result is a matrix. `continues`: its chains start
    from the values that the result already holds.
    """

    filters: int
    continues: bool = False

    def operations(self) -> int:
        return super().operations() * self.filters

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        if len(batch.values[outs[0]].spec.shape) > 2:
            return super().row_role(batch, outs, ins)
        good = self.images % batch.rows == 0 and all(v in batch.by_rows for v in ins)
        return RowRole.SUM if good else RowRole.AFTER

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        return i == 1

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        return self.replace(images=block.scaled(self.images), continues=role is RowRole.SUM and not block.first)


class Advance(Record):
    """The end of an optimizer step; each step state has `n` elements."""

    n: int


class Random(Record):
    """uniform, normal: draws from one stream."""

    n: int
    seed: int
    stream: int


class Bernoulli(RowsFirst):
    """A mask or numbers in rows of `row_size` elements, drawn after `earlier_draws` other streams of the same run.

    The second input is the index of each row in the batch, which is sliced for a block of rows.
    """

    n: int
    row_size: int
    earlier_draws: int

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        return RowRole.ROWS if batch.sliceable(ins[1]) else RowRole.AFTER

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        return i == 1


class Copy(Record):
    """A strided copy."""

    out_offset: int
    in_offset: int
    dims: tuple[int, ...]
    out_strides: tuple[int, ...]
    in_strides: tuple[int, ...]

    @classmethod
    def contiguous(cls, n: int) -> Copy:
        """A copy of n contiguous elements; the core expects at least two axes."""
        return cls(0, 0, dims=(1, n), out_strides=(0, 1), in_strides=(0, 1))

    @classmethod
    def wire_fields(cls) -> list[str]:
        return ["ndim", "out_offset", "in_offset", "dims[ndim]", "out_strides[ndim]", "in_strides[ndim]"]

    def encode(self) -> list[int]:
        return [len(self.dims), self.out_offset, self.in_offset, *self.dims, *self.out_strides, *self.in_strides]

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        return RowRole.AFTER if self._row_axis(batch, outs[0], ins[0]) is None else RowRole.ROWS

    def _row_axis(self, batch: Batch, out: int, source: int) -> int | None:
        """The axis that iterates over rows (or over all elements of all rows)."""
        row_out, row_in = batch.row_size(out), batch.row_size(source)
        if self.out_offset >= row_out or batch.values[out].spec.size != row_out * batch.rows:
            return None
        for axis, length in enumerate(self.dims):
            per_row, rest = divmod(length, batch.rows)
            if rest or per_row == 0 or self.out_strides[axis] * per_row != row_out:
                continue
            step = self.in_strides[axis]
            by_row = step * per_row == row_in and self.in_offset < row_in
            if by_row if source in batch.by_rows else step == 0:
                return axis
        return None

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        axis = self._row_axis(block.batch, outs[0], ins[0])
        assert axis is not None
        return self.replace(dims=(*self.dims[:axis], block.scaled(self.dims[axis]), *self.dims[axis + 1 :]))


class Fill(RowsFirst):
    """Fill with one value."""

    n: int


class Cast(RowsFirst):
    """Convert elements to another dtype."""

    n: int
    source_dtype: int


class Take(RowsFirst):
    """Gather rows of a table by index."""

    rows: int
    row_size: int

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        table, index = ins  # an index may select any row of the table
        good = index in batch.by_rows and table not in batch.by_rows and self.rows % batch.rows == 0
        return RowRole.ROWS if good else RowRole.AFTER

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        return i == 1


class IndexAdd(Record):
    """Scatter-add of rows into `out_rows` rows, by index."""

    rows: int
    row_size: int
    out_rows: int


class Distinct(Record):
    """The different ones of `n` indices, at most `kept`, and the place of each index among them.

    `buckets`: of the hash table, a power of 2 above `kept`.
    """

    n: int
    kept: int
    buckets: int


class Gather(RowsFirst):
    """Gather `picks` elements of each row, by index."""

    rows: int
    cols: int
    picks: int


class Scatter(RowsFirst):
    """Add `picks` elements to each row of zeros, or lay them over a row, by index."""

    rows: int
    cols: int
    picks: int


class Order(RowsFirst):
    """The order of the elements of each row."""

    rows: int
    cols: int
    descending: int


class Scan(RowsFirst):
    """Recurrences along the middle one of three axes, in reverse from the last element on."""

    outer: int
    scanned: int
    inner: int
    reverse: int

    def operations(self) -> int:
        return self.outer * self.scanned * self.inner


class CheckIndex(RowsFirst):
    """Check that integers are in [low, high); adds `high` to negative ones."""

    is_check: ClassVar[bool] = True

    n: int
    low: int
    high: int


class CheckFinite(Record):
    """Check that all elements are finite."""

    is_check: ClassVar[bool] = True

    n: int


class Draw(Record):
    """Advance a generator by `draws` streams."""

    draws: int
