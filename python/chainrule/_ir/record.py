"""The interface of instruction records, and the types it uses to describe rows of a batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn

from .values import Value

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_):
        """Return the class unchanged: the decorator is for type checkers."""
        return lambda cls: cls


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
    return record._fields


@dataclass_transform(frozen_default=True)
class Record:
    """The integers of one instruction by name; `encode` returns them in the order in which the core reads them.

    Subclasses declare fields like frozen dataclasses, which would take 0.6 ms each of the import: 16 ms for all.
    The defaults below are conservative: no operations counted, all rows needed at once, no operand overwritten.
    """

    _fields: ClassVar[tuple[str, ...]] = ()  # the fields, in order
    _names: ClassVar[frozenset[str]] = frozenset()
    _defaults: ClassVar[dict[str, Any]] = {}

    # Whether the instruction can stop the program; its first output is then its status.
    is_check: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        own = [name for name, kind in cls.__annotations__.items() if not kind.startswith("ClassVar")]
        cls._fields += tuple(own)
        cls._names = frozenset(cls._fields)
        cls._defaults = cls._defaults | {name: cls.__dict__[name] for name in own if name in cls.__dict__}

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self.__dict__
        # Nearly all are made of all values or all names: the general way takes 4 % of a trace.
        if not named and len(values) == len(self._fields):
            fields.update(zip(self._fields, values, strict=True))
            return
        if not values and named.keys() == self._names:
            fields.update(named)
            return
        fields.update(zip(self._fields, values, strict=False))
        repeated = fields.keys() & named.keys() or len(values) > len(self._fields)
        fields.update(named)
        if len(fields) < len(self._fields):
            fields.update((name, value) for name, value in self._defaults.items() if name not in fields)
        if repeated or fields.keys() != self._names:
            raise TypeError(f"{type(self).__name__}: expected {', '.join(self._fields)}, got {values}, {named}")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}: {name} cannot be set; use replace()")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self._fields)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self._fields)})"

    def replace(self, **changes: Any) -> Self:
        """A copy with other values of some fields."""
        return type(self)(**(self.__dict__ | changes))

    @classmethod
    def wire_fields(cls) -> list[str]:
        """The fields as encoded for the core, lists with their lengths: `dims[ndim]`."""
        return list(field_names(cls))

    def encode(self) -> list[int]:
        """The integers in the core's order."""
        return [getattr(self, name) for name in field_names(type(self))]

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
        return self.replace(**{field_names(type(self))[0]: block.scaled(self._count())})
