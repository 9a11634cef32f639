"""The interface of instruction records, and the types it uses to describe rows of a batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from .values import Value

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Batch", "Record", "Region", "RowBlock", "RowRole", "RowsFirst", "field_names"]

Region = tuple[int, int]  # rows and columns that a fused body iterates over


class RowRole(Enum):
    """How an instruction treats the rows of a batch."""

    ROWS = "rows"  # rows are independent: a block of rows can be computed separately
    SUM = "sum"  # a chain over ascending rows, which the next block continues
    AFTER = "after"  # anything else: it needs all rows at once


class Batch(NamedTuple):
    """A batch of rows, and which values of the program are divided into these rows."""

    rows: int
    values: Sequence[Value]
    by_rows: Collection[int]  # values that are divided into blocks of rows

    def row_size(self, v: int) -> int:
        """Elements of one row."""
        return self.values[v].spec.size // self.rows

    def sliceable(self, v: int) -> bool:
        """Whether it is a captured array with one row per row of the batch, so that a block may read its part."""
        value = self.values[v]
        return value.array is not None and value.spec.shape[:1] == (self.rows,)

    def has_rows(self, v: int) -> bool:
        """Whether the value is, or can be, divided into blocks of rows."""
        return v in self.by_rows or self.sliceable(v)


class RowBlock(NamedTuple):
    """A block of rows of a batch: the first, or one that continues the sums of the previous block."""

    batch: Batch
    rows: int
    first: bool

    def scaled(self, n: int) -> int:
        """Scale a count over all rows to the block."""
        return n // self.batch.rows * self.rows


def field_names(record: type[Record]) -> tuple[str, ...]:
    """The names of a record class's fields."""
    return record.__match_args__  # set by dataclasses; faster than dataclasses.fields()


@dataclass(frozen=True, slots=True)
class Record:
    """The integers of one instruction by name; `encode` returns them in the order in which the core reads them.

    The defaults below are conservative: no operations counted, all rows needed at once, no operand overwritten.
    """

    # Whether the instruction can stop the program; its first output is then its status.
    is_check: ClassVar[bool] = False

    @classmethod
    def wire_fields(cls) -> list[str]:
        """The fields as encoded for the core, lists with their lengths: `dims[ndim]`."""
        return list(field_names(cls))

    def encode(self) -> list[int]:
        """The integers in the core's order."""
        return [int(getattr(self, name)) for name in field_names(type(self))]

    def operations(self) -> int:
        """How often the operation is performed; the table of instructions has the flops of one."""
        return 0

    def body_elements(self) -> int:
        """The number of elements that a fused body iterates over."""
        return 0

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        """How it treats the rows of a batch; SUM if its chains can continue from the output's values."""
        return RowRole.AFTER

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        """Whether input i, if it has one row per row of the batch, is read row by row."""
        return False

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        """The record restricted to a block of rows; not defined where the role is AFTER."""
        raise TypeError(f"{type(self).__name__} is not cut into rows")

    def elementwise_region(self) -> Region | None:
        """The region it iterates over elementwise and could share with a fused body; None if not elementwise."""
        return None

    def step(self, region: Region) -> Record | None:
        """The record as a step of a fused body over this region, or None if it cannot be fused."""
        return None

    def may_overwrite(self, i: int) -> bool:
        """Whether the output may share the memory of input i, provided that their elements have the same size."""
        return False


@dataclass(frozen=True, slots=True)
class RowsFirst(Record):
    """Base of records whose first field counts rows, or elements of rows, that are independent in all operands."""

    def _count(self) -> int:
        return int(getattr(self, field_names(type(self))[0]))

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        aligned = all(batch.has_rows(v) for i, v in enumerate(ins) if self.reads_by_row(i, RowRole.ROWS))
        return RowRole.ROWS if aligned and self._count() % batch.rows == 0 else RowRole.AFTER

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        return True

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        return replace(self, **{field_names(type(self))[0]: block.scaled(self._count())})
