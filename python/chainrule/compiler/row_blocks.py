"""Row blocks: a batch goes through the program a few rows at a time, so that activations stay in cache.

Most instructions treat every row by itself; sums over the rows (weight and bias gradients) are chains over ascending
rows, which the next block continues. So the bits are those of the whole batch. What needs all rows at once, and
everything that overwrites memory outside, runs after the last block; but sums of what is given for each row (weights of
rows and labels, by whose sum a mean is divided) run before the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..ops._strides import contiguous_strides, product
from .dataflow import owner
from .trace import ELEMENTWISE, Instr, Value

__all__ = ["Blocks", "split"]

_ROWWISE = {"softmax", "softmax_grad", "log_softmax", "log_softmax_grad", "cross_entropy", "cross_entropy_grad"}
_BY_COUNT = {  # ints[0] counts rows, or elements of rows
    *("check_index", "cast", "fill", "take", "pick", "place", "unfold", "fold"),
}


@dataclass(eq=False)
class Blocks:
    """A program in three parts; `loop` is for all rows, to be cut into blocks."""

    rows: int
    before: list[Instr]
    loop: list[Instr]
    after: list[Instr]
    given: set[int] = field(default_factory=set)  # arguments, and arrays from outside, that have a row for each row
    by_rows: set[int] = field(default_factory=set)  # values of which a block has its own rows
    sums: set[int] = field(default_factory=set)  # values that grow from block to block
    needed: set[int] = field(default_factory=set)  # values of the loop that are read after it

    def streamed(self, v: int) -> bool:
        """Whether a value has all its rows in memory, of which a block takes the next ones."""
        return v in self.by_rows and (v in self.needed or v in self.given)

    def per_block(self, v: int) -> bool:
        """Whether a value lives for one block only."""
        return v in self.by_rows and not self.streamed(v)

    def cut(self, values: list[Value], rows: int, first: bool) -> list[Instr]:
        """The loop for a block of so many rows: the first one, or one that continues its sums."""
        return [_cut(instr, self, values, rows, first) for instr in self.loop]


def split(
    code: Sequence[Instr], values: list[Value], inputs: Sequence[int], outputs: Sequence[int], rows: int
) -> Blocks:
    """Sort instructions into those before, inside and after the loop over blocks of rows."""
    blocks = Blocks(rows, [], [], [])
    for v in inputs:
        shape = values[v].spec.shape
        if shape and shape[0] == rows:
            blocks.by_rows.add(v)
            blocks.given.add(v)
    early: set[int] = set()  # values made before the loop, as a whole
    ahead = _sums_of_given(code, values, rows)
    late: set[int] = set()  # values known after it
    written: set[int] = set()  # memory outside that is overwritten by then, which the loop must not read
    for instr in code:
        overwrites = {v for v in instr.outs if values[v].array is not None}
        if id(instr) in ahead:
            kind = "before"
            own = {v for v in instr.outs[int(instr.checks) :] if values[v].spec.shape[:1] == (rows,)}
            blocks.by_rows |= own
            blocks.given |= own
        elif overwrites or not late.isdisjoint(instr.ins) or _touches(written, instr.ins, values):
            kind = "after"
            written.update(id(owner(values[v])) for v in overwrites)
        elif not blocks.by_rows.isdisjoint(instr.ins) or not blocks.by_rows.isdisjoint(instr.outs):
            kind = _kind(instr, values, blocks.by_rows, rows)
        else:
            kind = "rows" if _makes_rows(instr, values, rows) else "before"
        if kind == "rows" and not early.isdisjoint(instr.outs):
            kind = "after"
        if kind == "before":
            blocks.before.append(instr)
            early.update(instr.outs)
        elif kind == "after":
            blocks.after.append(instr)
            late.update(instr.outs)
        else:
            instr = replace(instr, ins=list(instr.ins))
            blocks.loop.append(instr)
            _slice(instr, values, blocks, kind)
            if kind == "rows":
                blocks.by_rows.update(v for v in instr.outs if not (instr.checks and v == instr.outs[0]))
            else:
                blocks.sums.update(instr.outs)
                late.update(instr.outs)
    read_after = {v for instr in blocks.after for v in instr.uses()} | set(outputs)
    blocks.needed = {v for instr in blocks.loop for v in instr.outs if v in read_after}
    return blocks


def _sums_of_given(code: Sequence[Instr], values: list[Value], rows: int) -> set[int]:
    """Sums over one number for each row, gathered or computed from what is given, with the instructions that they need.

    As identities of instructions. All rows of them take little memory, and what follows from such a sum need not wait
    for the last block.
    """
    outs = {v for instr in code for v in instr.outs}
    made: dict[int, Instr] = {}
    found: set[int] = set()
    for instr in code:
        if any(values[v].array is not None for v in instr.outs):  # what is read later may be another value
            break
        if any(v in outs and v not in made for v in instr.ins) or any(values[v].spec.size > rows for v in instr.outs):
            continue
        if instr.name in ELEMENTWISE or instr.name in ("take", "check_index", "cast", "copy"):
            made.update(dict.fromkeys(instr.outs, instr))
        elif instr.name == "sum" and values[instr.ins[0]].spec.shape == (rows,) and instr.ins[0] in made:
            found.add(id(instr))
            waiting = [instr.ins[0]]
            while waiting:
                source = made.get(waiting.pop())
                if source is not None and id(source) not in found:
                    found.add(id(source))
                    waiting.extend(source.ins)
    return found


def _touches(memory: set[int], numbers: Sequence[int], values: list[Value]) -> bool:
    return bool(memory) and any(values[v].array is not None and id(owner(values[v])) in memory for v in numbers)


def _makes_rows(instr: Instr, values: list[Value], rows: int) -> bool:
    """Whether an instruction that reads no rows so far may make its result block by block: a broadcast, say."""
    made = all(shape[:1] > (0,) and shape[0] % rows == 0 for shape in (values[v].spec.shape for v in instr.outs))
    return made and not instr.checks and _kind(instr, values, set(instr.outs), rows) == "rows"


def _row(values: list[Value], v: int, rows: int) -> int:
    """Elements of one row of a value."""
    return values[v].spec.size // rows


def _kind(instr: Instr, values: list[Value], by_rows: set[int], rows: int) -> str:
    """`rows`: every row by itself; `sum`: a chain over rows; `after`: anything else."""
    name, ints = instr.name, instr.ints
    if name in ELEMENTWISE:
        good = _axis_of_map(instr, values, by_rows, rows)
    elif name in _ROWWISE or name in _BY_COUNT:
        own = instr.ins[1:] if name == "take" else instr.ins
        aligned = all(v in by_rows or _may_be_sliced(values[v], rows) for v in own)
        good = aligned and ints[0] % rows == 0
        if name == "take":  # from a table: a row may ask for any row of it
            good = good and instr.ins[1] in by_rows and instr.ins[0] not in by_rows
    elif name == "bernoulli":
        good = _may_be_sliced(values[instr.ins[1]], rows)
    elif name in ("sum", "max", "min", "argmax"):
        if instr.ins[0] not in by_rows:
            return "after"
        if ints[0] % rows == 0:
            return "rows"
        chain = name == "sum" and ints[3] == 0 and ints[0] == 1 and ints[1] % rows == 0
        return "sum" if chain and ints[1] // rows * ints[2] == _row(values, instr.ins[0], rows) else "after"
    elif name == "matmul" and ints[0] == 0:
        return _kind_of_product(instr, values, by_rows, rows)
    elif name == "matmul":
        ndim = ints[0]
        good = ints[1] % rows == 0 and _own_products(instr, values, by_rows, rows, ints[1], ints[9 + ndim :: ndim])
    elif name == "matmul_sum":
        both = ints[0] % rows == 0 and by_rows.issuperset(instr.ins)
        return "sum" if both and _own_products(instr, values, by_rows, rows, ints[0], ints[9:11]) else "after"
    elif name == "copy":
        good = _axis_of_copy(instr, values, by_rows, rows) is not None
    else:
        good = False
    return "rows" if good else "after"


def _may_be_sliced(value: Value, rows: int) -> bool:
    """A constant, or an array from outside, with a row for each row."""
    return value.array is not None and value.spec.shape[:1] == (rows,)


def _axis_of_map(instr: Instr, values: list[Value], by_rows: set[int], rows: int) -> bool:
    ndim = instr.ints[0]
    dims = instr.ints[1 : 1 + ndim]
    if dims[0] % rows or product(dims) == 0:
        return False
    whole = contiguous_strides(dims)
    for i, v in enumerate(instr.ins):
        strides = instr.ints[1 + ndim * (1 + i) : 1 + ndim * (2 + i)]
        own = strides[0] * (dims[0] // rows) == _row(values, v, rows) and (strides == whole or dims[0] == rows)
        sliced = v in by_rows or _may_be_sliced(values[v], rows)
        # Rows of its own, or the same for every row.
        if not (sliced and own) and (v in by_rows or strides[0] != 0):
            return False
    return True


def _kind_of_product(instr: Instr, values: list[Value], by_rows: set[int], rows: int) -> str:
    m, n, k, rs_a, cs_a, rs_b, cs_b = instr.ints[1:8]
    a, b = instr.ins
    row_a, row_b = _row(values, a, rows), _row(values, b, rows)
    a_by_rows, b_by_rows = (v in by_rows or _may_be_sliced(values[v], rows) for v in (a, b))
    if a_by_rows and b not in by_rows and (m, rs_a, cs_a, k) == (rows, row_a, 1, row_a):
        return "rows"
    chain = a_by_rows and b_by_rows and k == rows and (cs_a, rs_a, m) == (row_a, 1, row_a)
    return "sum" if chain and (rs_b, cs_b, n) == (row_b, 1, row_b) else "after"


def _own_products(
    instr: Instr, values: list[Value], by_rows: set[int], rows: int, batch: int, strides: Sequence[int]
) -> bool:
    """Whether each product of a batch is of its own row, or of what is the same for every row."""
    return all(
        stride * (batch // rows) == _row(values, v, rows) if v in by_rows else stride == 0
        for v, stride in zip(instr.ins, strides, strict=True)
    )


def _axis_of_copy(instr: Instr, values: list[Value], by_rows: set[int], rows: int) -> int | None:
    """The axis of a strided copy that goes over rows (or over all elements of all rows)."""
    ndim, to_offset, from_offset = instr.ints[:3]
    dims, to, source = (instr.ints[3 + i * ndim : 3 + (i + 1) * ndim] for i in range(3))
    row_out, row_in = _row(values, instr.outs[0], rows), _row(values, instr.ins[0], rows)
    if to_offset >= row_out or values[instr.outs[0]].spec.size != row_out * rows:
        return None
    for axis in range(ndim):
        per_row, rest = divmod(dims[axis], rows)
        if rest or per_row == 0 or to[axis] * per_row != row_out:
            continue
        own = source[axis] * per_row == row_in and from_offset < row_in
        if own if instr.ins[0] in by_rows else source[axis] == 0:
            return axis
    return None


def _slice(instr: Instr, values: list[Value], blocks: Blocks, kind: str) -> None:
    """Arrays from outside that are read row by row get a number of their own: a block reads other rows of them."""
    for i, v in enumerate(instr.ins):
        if v in blocks.by_rows or not _may_be_sliced(values[v], blocks.rows):
            continue
        if instr.name in ELEMENTWISE:
            by_row = instr.ints[1 + instr.ints[0] * (1 + i)] != 0
        else:
            by_row = instr.name in _ROWWISE or (instr.name in _BY_COUNT and (instr.name != "take" or i == 1))
            by_row = by_row or (instr.name == "matmul" and instr.ints[0] == 0 and (i == 0 or kind == "sum"))
            by_row = by_row or (instr.name == "bernoulli" and i == 1)
        if by_row:
            values.append(Value(values[v].spec, values[v].array, values[v].constant))
            instr.ins[i] = len(values) - 1
            blocks.by_rows.add(instr.ins[i])
            blocks.given.add(instr.ins[i])


def _cut(instr: Instr, blocks: Blocks, values: list[Value], rows: int, first: bool) -> Instr:
    name, ints, whole = instr.name, list(instr.ints), blocks.rows
    is_sum = instr.outs[0] in blocks.sums

    def scaled(n: int) -> int:
        return n // whole * rows

    if name in ELEMENTWISE:
        ints[1] = scaled(ints[1])
    elif name == "gemm" and is_sum:
        ints[2], ints[8] = rows, int(not first)
    elif name == "gemm" or (name == "chain" and ints[0] > 1):
        ints[0] = scaled(ints[0])
    elif name in ("chain", "matmul"):
        ints[1] = scaled(ints[1])
    elif name == "matmul_sum":
        ints[0], ints[11] = scaled(ints[0]), int(not first)
    elif name == "sum" and is_sum:
        ints[1], ints[3] = scaled(ints[1]), 0 if first else 2
    elif name == "copy":
        axis = _axis_of_copy(instr, values, blocks.by_rows, whole)
        assert axis is not None
        ints[3 + axis] = scaled(ints[3 + axis])
    else:
        ints[0] = scaled(ints[0])
    return Instr(name, instr.dtype, instr.outs, instr.ins, ints, instr.reals, instr.body, instr.kept)
