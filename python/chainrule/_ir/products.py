"""Records of matrix products c (m, n) = a (m, k) @ b (k, n); rs_ and cs_ are row and column strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .record import Batch, Record, RowBlock, RowRole
from .shapes import product

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Gemm", "Matmul", "MatmulAccumulate"]


def _own_products(batch: Batch, ins: Sequence[int], count: int, strides: tuple[int, int]) -> bool:
    """Whether each of `count` products uses one row of a batched input, or an input shared by all rows."""
    return all(
        stride * (count // batch.rows) == batch.row_size(v) if v in batch.by_rows else stride == 0
        for v, stride in zip(ins, strides, strict=True)
    )


class Matmul(Record):
    """A batched product; the batch axes have separate strides in a and b. Without batch axes, one product."""

    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    rs_a: int
    cs_a: int
    rs_b: int
    cs_b: int
    rs_c: int
    batch_a: tuple[int, ...]
    batch_b: tuple[int, ...]

    @classmethod
    def wire_fields(cls) -> list[str]:
        inner = ["m", "n", "k", "rs_a", "cs_a", "rs_b", "cs_b", "rs_c"]
        return ["ndim", "batch[ndim]", *inner, "batch_a[ndim]", "batch_b[ndim]"]

    def encode(self) -> list[int]:
        inner = (self.m, self.n, self.k, self.rs_a, self.cs_a, self.rs_b, self.cs_b, self.rs_c)
        return [len(self.batch), *self.batch, *inner, *self.batch_a, *self.batch_b]

    def operations(self) -> int:
        return product(self.batch) * self.m * self.n * self.k

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        if not self.batch:
            return self._role_of_one(batch, *ins)
        count = self.batch[0]
        good = count % batch.rows == 0 and _own_products(batch, ins, count, (self.batch_a[0], self.batch_b[0]))
        return RowRole.ROWS if good else RowRole.AFTER

    def _role_of_one(self, batch: Batch, a: int, b: int) -> RowRole:
        """ROWS if the rows of a are multiplied by one b; SUM for a.T @ b, a chain over the rows of both."""
        row_a, row_b = batch.row_size(a), batch.row_size(b)
        rows_of_a = (self.m, self.rs_a, self.cs_a, self.k) == (batch.rows, row_a, 1, row_a)
        if rows_of_a and batch.has_rows(a) and b not in batch.by_rows:
            return RowRole.ROWS
        chain = self.k == batch.rows and (self.cs_a, self.rs_a, self.m) == (row_a, 1, row_a)
        chain = chain and (self.rs_b, self.cs_b, self.n) == (row_b, 1, row_b)
        return RowRole.SUM if chain and batch.has_rows(a) and batch.has_rows(b) else RowRole.AFTER

    def reads_by_row(self, i: int, role: RowRole) -> bool:
        return not self.batch and (i == 0 or role is RowRole.SUM)

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        if self.batch:
            return self.replace(batch=(block.scaled(self.batch[0]), *self.batch[1:]))
        if role is RowRole.SUM:  # it does not continue: only where it is empty and does not become a Gemm
            return self.replace(k=block.rows)
        return self.replace(m=block.scaled(self.m))

    def gemm(self, bias: bool = False, relu: bool = False, relu_grad: bool = False) -> Gemm:
        """The same product as a fused instruction; requires an empty batch."""
        m, n, k, rs_a, cs_a, rs_b, cs_b = self.m, self.n, self.k, self.rs_a, self.cs_a, self.rs_b, self.cs_b
        return Gemm(m, n, k, rs_a, cs_a, rs_b, cs_b, self.rs_c, False, True, bias, relu, relu_grad)


class MatmulAccumulate(Record):
    """The sum over a batch of products: each element is one chain over the batch and k.

    `continues`: the chains start from the values that c already holds.
    """

    batch: int
    m: int
    n: int
    k: int
    rs_a: int
    cs_a: int
    rs_b: int
    cs_b: int
    rs_c: int
    batch_a: int
    batch_b: int
    continues: bool = False

    def operations(self) -> int:
        return self.batch * self.m * self.n * self.k

    def row_role(self, batch: Batch, outs: Sequence[int], ins: Sequence[int]) -> RowRole:
        both = self.batch % batch.rows == 0 and all(v in batch.by_rows for v in ins)
        good = both and _own_products(batch, ins, self.batch, (self.batch_a, self.batch_b))
        return RowRole.SUM if good else RowRole.AFTER

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        return self.replace(batch=block.scaled(self.batch), continues=not block.first)


class Gemm(Record):
    """A product with a fused body.

    `continues`: its chains start from the values that c already holds. `ends`: the chains are complete, run the body.
    `bias`, `relu`, `relu_grad`: the first steps of the body, in this order, which the kernel computes in registers: a
    row vector added to the product, relu of the result, relu's gradient with the result as upstream gradient.
    """

    m: int
    n: int
    k: int
    rs_a: int
    cs_a: int
    rs_b: int
    cs_b: int
    rs_c: int
    continues: bool = False
    ends: bool = True
    bias: bool = False
    relu: bool = False
    relu_grad: bool = False

    def encode(self) -> list[int]:  # as Record's, which takes longer: most instructions of a training step are these
        product = (self.m, self.n, self.k, self.rs_a, self.cs_a, self.rs_b, self.cs_b, self.rs_c)
        return [*product, self.continues, self.ends, self.bias, self.relu, self.relu_grad]

    def operations(self) -> int:
        return self.m * self.n * self.k

    def body_elements(self) -> int:
        return self.m * self.n

    def cut(self, block: RowBlock, role: RowRole, outs: Sequence[int], ins: Sequence[int]) -> Self:
        if role is RowRole.SUM:
            return self.replace(k=block.rows, continues=not block.first)
        return self.replace(m=block.scaled(self.m))
