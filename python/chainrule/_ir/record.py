"""What every instruction record answers, and the words in which it is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from .values import Value

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Batch", "Record", "Region", "RowBlock", "RowRole", "RowsFirst", "field_names"]

Region = tuple[int, int]  # rows and columns over which a fused body goes


class RowRole(Enum):
    """What an instruction does with the rows of a batch."""

    ROWS = "rows"  # each row by itself: a block of rows can be computed on its own
    SUM = "sum"  # a chain over ascending rows, which the next block continues
    AFTER = "after"  # anything else: it needs all rows at once


class Batch(NamedTuple):
    """A batch of rows, and the values of a program as its rows see them."""

    rows: int
    values: Sequence[Value]
    by_rows: Collection[int]  # values of which every block of rows has its own part

    def row_size(self, v: int) -> int:
        """Elements of one row."""
        return self.values[v].spec.size // self.rows

    def sliceable(self, v: int) -> bool:
        """Whether it is a captured array with a row for each row: a block may read its part."""
        value = self.values[v]
        return value.array is not None and value.spec.shape[:1] == (self.rows,)

    def has_rows(self, v: int) -> bool:
        """Whether a block has, or may have, its own part of it."""
        return v in self.by_rows or self.sliceable(v)


class RowBlock(NamedTuple):
    """Some rows of a batch: the first ones, or such as continue the sums of the block before."""

    batch: Batch
    rows: int
    first: bool

    def scaled(self, n: int) -> int:
        """What a count over all rows is for the block."""
        return n // self.batch.rows * self.rows


def field_names(record: type[Record]) -> tuple[str, ...]:
    """The fields of a class of records as attributes."""
    return record.__match_args__  # kept by dataclasses: it costs nothing


@dataclass(frozen=True, slots=True)
class Record:
    """The integers of one instruction by name; `encode` writes them in the order in which the core reads them.

    The answers below are those of an instruction that has nothing to say: no operations, all rows at once, no operand
    that it may overwrite.
    """

    # Whether the instruction can stop the program. Its first output is then its status.
    is_check: ClassVar[bool] = False

    @classmethod
    def wire_fields(cls) -> list[str]:
        """The fields as the core has them, lists with their lengths: `dims[ndim]`."""
        return list(field_names(cls))

    def encode(self) -> list[int]:
        """The integers that the core reads."""
        return [getattr(self, name) for name in field_names(type(self))]

    def operations(self) -> int:
        """Results of an element, multiply-adds, ...: what the table of instructions counts the flops of."""
        return 0

    def body_elements(self) -> int:
        """Elements over which a fused body goes."""
        return 0

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        """What it does with the rows of a batch; SUM if its chains can go on from what the output holds."""
        return RowRole.AFTER

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        """Whether input i, where it has a row for each row, is read row by row."""
        return False

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        """The same for a block of rows; only asked of those that do not need all rows at once."""
        raise TypeError(f"{type(self).__name__} is not cut into rows")

    def elementwise_region(self) -> Region | None:
        """The region over which it goes element by element, as a step of a fused body could; None if it does not."""
        return None

    def step(self, region: Region) -> Record | None:
        """The record as a step of a body over this region, or None where it cannot be one."""
        return None

    def may_overwrite(self, i: int) -> bool:
        """Whether the output may lie in the memory of input i, if their elements have the same size."""
        return False


@dataclass(frozen=True, slots=True)
class RowsFirst(Record):
    """The first field counts rows, or elements of rows, which are treated one by one in all operands."""

    def _count(self) -> int:
        return int(getattr(self, field_names(type(self))[0]))

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        aligned = all(batch.has_rows(v) for i, v in enumerate(ins) if self.reads_by_row(i, RowRole.ROWS))
        return RowRole.ROWS if aligned and self._count() % batch.rows == 0 else RowRole.AFTER

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        return True

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        return replace(self, **{field_names(type(self))[0]: block.scaled(self._count())})
