"""Fusions: what is done while the numbers are still in the nearest cache. Never a rounding changes.

gemm                a matrix product with what follows on its elements: bias, activation, an activation's derivative,
                    SGD's update
chain               elementwise instructions in one pass over blocks
cross_entropy_both  softmax, loss and gradient in one pass over the rows
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ..ops._op import Spec
from ..ops._strides import contiguous_strides, product
from .dataflow import Flow
from .trace import ELEMENTWISE, Instr, Value

__all__ = ["fuse", "uniform_constants"]

# A product that only its body sees is made in one block of k (kc of cpp/kernels/gemm.cpp, by dtype).
_ONE_BLOCK = (512, 256)
_WINDOW = 12  # how many instructions a chain looks ahead
_MOST = 24  # instructions in a chain: their blocks must stay in L1

Region = tuple[int, int]


def fuse(code: list[Instr], values: list[Value], outputs: Collection[int]) -> list[Instr]:
    """The same computation in fewer passes over memory."""
    flow = Flow(code, values, outputs)
    _cross_entropies(flow)
    for at in range(len(code)):
        instr = flow.code[at]
        if instr is not None and instr.name == "matmul" and instr.ints[0] == 0 and instr.ints[1] * instr.ints[2] > 0:
            _product(flow, at)
    _chains(flow)
    return flow.result()


def uniform_constants(code: list[Instr], values: list[Value]) -> None:
    """A constant array of equal elements is read as one number."""
    one: dict[int, int | None] = {}
    for instr in code:
        if instr.name not in ELEMENTWISE:
            continue
        ndim = instr.ints[0]
        for i, v in enumerate(instr.ins):
            value = values[v]
            if not value.constant or value.array is None or value.array.size < 2:
                continue
            if v not in one:
                one[v] = _one_number(values, value)
            number = one[v]
            if number is not None:
                instr.ins[i] = number
                instr.ints[1 + ndim * (1 + i) : 1 + ndim * (2 + i)] = [0] * ndim


def _one_number(values: list[Value], value: Value) -> int | None:
    assert value.array is not None
    flat = value.array.reshape(-1)
    raw = flat.view(np.uint8).reshape(flat.size, -1)
    if not (raw == raw[0]).all():
        return None
    first = flat[:1].reshape(()).copy()
    values.append(Value(Spec((), value.spec.dtype), first, constant=True))
    return len(values) - 1


def _cross_entropies(flow: Flow) -> None:
    """Loss and gradient of the same scores and labels."""
    losses: dict[tuple[int, ...], int] = {}
    for at, instr in enumerate(flow.code):
        if instr is None:
            continue
        if instr.name == "cross_entropy":
            losses[tuple(instr.ins)] = at
        elif instr.name == "cross_entropy_grad" and tuple(instr.ins[:2]) in losses:
            host = losses.pop(tuple(instr.ins[:2]))
            loss = flow.code[host]
            if loss is None or not flow.may_join(at, host):
                continue
            g = flow.values[instr.ins[2]]
            number = _one_number(flow.values, g) if g.constant and g.array is not None and g.array.size else None
            both = Instr(
                "cross_entropy_both",
                instr.dtype,
                [*loss.outs, *instr.outs],
                [*loss.ins, instr.ins[2] if number is None else number],
                [*instr.ints, int(number is None)],
            )
            flow.replace(host, both, [at])


# Elementwise instructions on a region of rows and columns.


def _operands(instr: Instr, region: Region) -> list[list[int]] | None:
    """(row stride, step) of each input over the region, or None where one is no matrix, vector or number there."""
    rows, columns = region
    ndim, dims = instr.ints[0], instr.ints[1 : 1 + instr.ints[0]]
    if product(dims) != rows * columns:
        return None
    found = []
    for i in range(len(instr.ins)):
        strides = instr.ints[1 + ndim * (1 + i) : 1 + ndim * (2 + i)]
        if strides == contiguous_strides(dims):
            found.append([columns, 1])
        elif not any(strides):
            found.append([0, 0])
        elif dims == [rows, columns] and strides == [0, 1]:
            found.append([0, 1])
        elif dims == [rows, columns] and strides == [1, 0]:
            found.append([1, 0])
        else:
            return None
    return found


def _part(instr: Instr, operands: list[list[int]], columns: int, names: dict[int, int]) -> Instr:
    """The sub-instruction: inputs and output under the names they have inside of the host."""
    ints = [n for operand in operands for n in operand]
    outs, ins = [names.get(v, v) for v in instr.outs], [names.get(v, v) for v in instr.ins]
    return Instr(instr.name, instr.dtype, outs, ins, [*ints, columns], instr.reals)


def _update_part(instr: Instr, region: Region, names: dict[int, int]) -> Instr | None:
    """SGD's update as a sub-instruction."""
    # Those with more states stay apart: taken in, Adam's made a step of 784-512-256-10 5 % slower, with 2048 x 2048
    # weights 12 %, and that of 2-16-16-2 2 % faster.
    if instr.name != "sgd" or instr.ints[0] != region[0] * region[1]:
        return None
    ins = [names.get(instr.ins[0], instr.ins[0]), *instr.ins[1:]]
    return Instr(instr.name, instr.dtype, list(instr.outs), ins, [region[1]])


def _product(flow: Flow, at: int) -> None:
    """A matrix product takes in what follows on its elements."""
    matmul = flow.code[at]
    assert matmul is not None
    m, n, k = matmul.ints[1:4]
    region = (m, n)
    host = Instr("gemm", matmul.dtype, list(matmul.outs), list(matmul.ins), [*matmul.ints[1:9], 0, 1])
    gone: list[int] = []
    here = matmul.outs[0]  # the value that the product's memory holds after the parts so far; -1 inside of them
    current, in_place = here, True
    flow.replace(at, host, [])
    while True:
        found = _next_part(flow, at, current, region, {here: -1})
        if found is None:
            break
        position, part = found
        follower = flow.code[position]
        assert follower is not None
        sole = flow.read_once(current)
        updates = part.name not in ELEMENTWISE
        kept = not (updates and sole and in_place and k <= _ONE_BLOCK[matmul.dtype])
        if not updates and sole and in_place:
            part.outs = [-1]
            here = follower.outs[0]
        elif not updates:
            in_place = False
        extra = [v for v in follower.ins if v not in (current, here) and v not in host.ins]
        others = [*[v for v in host.outs[1:] if v not in follower.outs], *[v for v in follower.outs if v != here]]
        outs = [here, *others] if kept else others
        host = Instr("gemm", host.dtype, outs, [*host.ins, *extra], host.ints, [], [*host.body, part], kept)
        gone.append(position)
        flow.replace(at, host, [position])
        if updates:
            break
        current = follower.outs[0]


def _next_part(flow: Flow, at: int, current: int, region: Region, names: dict[int, int]) -> tuple[int, Instr] | None:
    """The first reader of `current` that may become a part of the instruction at `at`."""
    for position in flow.readers(current):
        if position == at:
            continue
        follower = flow.code[position]
        assert follower is not None
        part = None
        if follower.name in ELEMENTWISE:
            operands = _operands(follower, region)
            if operands is not None and operands[follower.ins.index(current)] == [region[1], 1]:
                part = _part(follower, operands, region[1], names)
        elif follower.ins[:1] == [current]:
            part = _update_part(follower, region, names)
        if part is not None and flow.may_join(position, at):
            return position, part
    return None


def _chains(flow: Flow) -> None:
    """Elementwise instructions over the same elements, linked by what they read, become one."""
    at = 0
    while at < len(flow.code):
        first = flow.code[at]
        if first is not None and first.name in ELEMENTWISE and product(first.ints[1 : 1 + first.ints[0]]) > 0:
            _chain(flow, at)
        at += 1


def _region(instr: Instr) -> Region | None:
    dims = instr.ints[1 : 1 + instr.ints[0]]
    region = (1, dims[0]) if len(dims) == 1 else (dims[0], product(dims[1:]))
    return region if _operands(instr, region) is not None else None


def _chain(flow: Flow, at: int) -> None:
    first = flow.code[at]
    assert first is not None
    region = _region(first)
    if region is None:
        return
    parts, positions, touched = [first], [at], {*first.ins, *first.outs}
    for position in range(at + 1, min(len(flow.code), at + 1 + _WINDOW)):
        instr = flow.code[position]
        if instr is None or instr.name not in ELEMENTWISE or len(parts) == _MOST:
            continue
        common = _common_region(instr, region)
        changing = {v for v in touched if not flow.values[v].constant}
        if common is None or changing.isdisjoint(instr.ins) or any(_operands(p, common) is None for p in parts):
            continue
        if not flow.may_join(position, at):
            continue
        parts.append(instr)
        positions.append(position)
        region = common
        touched |= {*instr.ins, *instr.outs}
        # Anew at each step, so that the flow knows what is read where.
        flow.replace(at, _make_chain(flow, parts, positions, region), [position])


def _common_region(instr: Instr, region: Region) -> Region | None:
    """The region of both, if they go over the same elements."""
    own = _region(instr)
    if own is None or own[0] * own[1] != region[0] * region[1]:
        return None
    if own == region or own[0] == 1:
        return region
    return own if region[0] == 1 else None


def _make_chain(flow: Flow, parts: Sequence[Instr], positions: Sequence[int], region: Region) -> Instr:
    inside = set(positions)
    made = [v for p in parts for v in p.outs]
    local = [v for v in made if v not in flow.outputs and all(r in inside for r in flow.readers(v))]
    names = {v: -2 - i for i, v in enumerate(local)}
    body = []
    for p in parts:
        operands = _operands(p, region)
        assert operands is not None
        body.append(_part(p, operands, region[1], names))
    outs = [v for v in made if v not in names]
    ins = list(dict.fromkeys(v for p in parts for v in p.ins if v not in made))
    return Instr("chain", parts[0].dtype, outs, ins, list(region), [], body)
