"""Updates by rows: where the gradient of an embedding is a sum of rows by index, the step costs what these rows cost.

The gradient of the whole table is not computed unless something else reads it. The different indices get places; the
sums, the same chains, go to these places; the update reads them and the index of each. No rounding changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._ir.elementwise import Map, Update
from .._ir.instruction import Instr
from .._ir.records import Copy, Distinct, IndexAdd
from .._ir.values import Value
from .._util.dtypes import INT64, Spec

__all__ = ["update_rows"]


def update_rows(code: Sequence[Instr], values: list[Value]) -> list[Instr]:
    """The same program, where updates by rows read the sums of the rows that an index names."""
    if not any(isinstance(instr.record, Update) and instr.record.row_size for instr in code):
        return list(code)
    made: dict[int, Instr] = {}
    found: list[Instr] = []
    for instr in code:
        record = instr.record
        leaves = _leaves(instr.ins[0], made) if isinstance(record, Update) and record.row_size else []
        if leaves:
            assert isinstance(record, Update)
            found += _by_index(instr, record, leaves, made, values)
        else:
            found.append(instr)
        made.update(dict.fromkeys(instr.outs, instr))
    return found


def _leaves(gradient: int, made: dict[int, Instr]) -> list[Instr]:
    """The sums by index whose sum the gradient is; none for any other gradient."""
    leaves, pending = dict[int, Instr](), [gradient]
    while pending:
        value = pending.pop()
        instr = made.get(value)
        if instr is not None and isinstance(instr.record, IndexAdd):
            leaves[value] = instr
        elif instr is not None and _is_plain_sum(instr):
            pending += instr.ins
        else:
            return []
    return list(leaves.values())


def _is_plain_sum(instr: Instr) -> bool:
    if instr.name != "add" or not isinstance(instr.record, Map):
        return False
    return all(instr.record.may_overwrite(i) for i in range(2))


def _by_index(
    update: Instr, record: Update, leaves: list[Instr], made: dict[int, Instr], values: list[Value]
) -> list[Instr]:
    """The update by the sums of only these rows, and the instructions that compute them."""

    def new(n: int, dtype: np.dtype[np.generic]) -> int:
        values.append(Value(Spec((n,), dtype)))
        return len(values) - 1

    kind = values[update.ins[0]].spec.dtype
    counts = [values[leaf.ins[1]].spec.size for leaf in leaves]
    n = sum(counts)
    assert isinstance(leaves[0].record, IndexAdd)
    kept = min(n, leaves[0].record.out_rows)
    index, code = leaves[0].ins[1], list[Instr]()
    if len(leaves) > 1:
        index = new(n, INT64)
        for i, leaf in enumerate(leaves):
            code.append(_copy(index, leaf.ins[1], counts[i], sum(counts[:i]), 0))
    rows, places = new(kept, INT64), new(n, INT64)
    buckets = 1 << (2 * kept + 1).bit_length()
    outs = [rows, places, new(buckets, INT64)]
    code.append(Instr("distinct", Spec((), INT64).code, outs, [index], Distinct(n, kept, buckets)))
    size = kept * record.row_size
    sums: dict[int, int] = {}  # by the value of the whole table
    for i, leaf in enumerate(leaves):
        place = places
        if len(leaves) > 1:
            place = new(counts[i], INT64)
            code.append(_copy(place, places, counts[i], 0, sum(counts[:i])))
        out = sums[leaf.outs[0]] = new(size, kind)
        code.append(
            Instr("index_add", leaf.dtype, [out], [leaf.ins[0], place], IndexAdd(counts[i], record.row_size, kept))
        )

    def total(value: int) -> int:
        if value not in sums:
            ins = [total(v) for v in made[value].ins]
            sums[value] = new(size, kind)
            code.append(Instr("add", update.dtype, [sums[value]], ins, Map((size,), ((1,), (1,)))))
        return sums[value]

    ins = [total(update.ins[0]), *update.ins[1:], rows]
    return [*code, Instr(update.name, update.dtype, update.outs, ins, Update(size, record.row_size))]


def _copy(to: int, source: int, n: int, out_offset: int, in_offset: int) -> Instr:
    record = Copy.contiguous(n).replace(out_offset=out_offset, in_offset=in_offset)
    return Instr("copy", Spec((), INT64).code, [to], [source], record)
