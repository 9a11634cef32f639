"""Records of elementwise instructions and optimizer updates, alone and as steps of a fused body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .record import Batch, Record, Region, RowBlock, RowRole
from .shapes import contiguous_strides, product

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Chain", "Map", "MapStep", "Update", "UpdateStep"]


class Map(Record):
    """An elementwise kernel over `dims`, with a contiguous output and strided inputs."""

    dims: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    @classmethod
    def wire_fields(cls) -> list[str]:
        return ["ndim", "dims[ndim]", "strides[inputs][ndim]"]

    def encode(self) -> list[int]:
        wire = [len(self.dims), *self.dims]
        for input_strides in self.strides:
            wire += input_strides
        return wire

    def operations(self) -> int:
        return product(self.dims)

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        rows, dims = batch.rows, self.dims
        if dims[0] % rows or product(dims) == 0:
            return RowRole.AFTER
        whole = contiguous_strides(dims)
        for strides, v in zip(self.strides, ins, strict=True):
            by_row = strides[0] * (dims[0] // rows) == batch.row_size(v) and (strides == whole or dims[0] == rows)
            # Either one row per row of the batch, or the same elements for every row.
            if not (by_row and batch.has_rows(v)) and (v in batch.by_rows or strides[0] != 0):
                return RowRole.AFTER
        return RowRole.ROWS

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        return self.strides[i][0] != 0

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        return self.replace(dims=(block.scaled(self.dims[0]), *self.dims[1:]))

    def elementwise_region(self) -> Region | None:
        first, *rest = self.dims
        region = (first, product(rest)) if rest else (1, first)
        return region if self.operands(region) is not None else None

    def operands(self, region: Region) -> tuple[tuple[int, int], ...] | None:
        """(row stride, column stride) of each input over the region.

        None if an input is not a matrix, a row or column vector or a scalar over it.
        """
        rows, columns = region
        if product(self.dims) != rows * columns:
            return None
        whole, two_axes = contiguous_strides(self.dims), self.dims == region
        found = []
        for strides in self.strides:
            if strides == whole:
                found.append((columns, 1))
            elif not any(strides):
                found.append((0, 0))
            elif two_axes and strides in ((0, 1), (1, 0)):
                found.append((strides[0], strides[1]))
            else:
                return None
        return tuple(found)

    def step(self, region: Region) -> MapStep | None:
        operands = self.operands(region)
        return None if operands is None else MapStep(operands, region[1])

    def may_overwrite(self, i: int) -> bool:
        return self.strides[i] == contiguous_strides(self.dims)

    def with_scalar_input(self, i: int) -> Self:
        """A copy in which input i is a scalar."""
        return self.replace(strides=(*self.strides[:i], (0,) * len(self.dims), *self.strides[i + 1 :]))


class MapStep(Record):
    """A Map inside a fused body: (row stride, column stride) of each input, and the row stride of the output."""

    operands: tuple[tuple[int, int], ...]
    out_row_stride: int

    @classmethod
    def wire_fields(cls) -> list[str]:
        return ["operands[inputs][2]", "out_row_stride"]

    def encode(self) -> list[int]:
        wire: list[int] = []
        for operand in self.operands:
            wire += operand
        return [*wire, self.out_row_stride]


class Chain(Record):
    """A fused body of elementwise steps over a region."""

    rows: int
    cols: int

    def body_elements(self) -> int:
        return self.rows * self.cols

    def elementwise_region(self) -> Region | None:
        return self.rows, self.cols

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        if self.rows > 1:
            return self.replace(rows=block.scaled(self.rows))
        return self.replace(cols=block.scaled(self.cols))


class Update(Record):
    """An optimizer's update of a parameter by a gradient of `n` elements.

    `row_size`: 0, or the elements of a row: then rows whose gradient is 0 stay as they are, and a last input, where
    there is one, names the row of the parameter for each row of the gradient.
    """

    n: int
    row_size: int = 0

    def encode(self) -> list[int]:
        return [self.n, self.row_size]

    def operations(self) -> int:
        return self.n

    def step(self, region: Region) -> UpdateStep | None:
        rows, columns = region
        return UpdateStep(columns) if rows * columns == self.n and not self.row_size else None


class UpdateStep(Record):
    """An Update inside a fused body: the row stride of the parameter, its states and the gradient."""

    row_stride: int
