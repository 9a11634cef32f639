"""Fusions: several operations in one pass over memory. No rounding changes.

gemm                a matrix product and the following elementwise steps: bias, activation, an activation's derivative,
                    SGD's update
chain               elementwise instructions in one pass over blocks of elements
cross_entropy_both  softmax, loss and gradient in one pass over the rows
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from .. import _core
from .._ir.elementwise import Chain, Map, MapStep, Update
from .._ir.instruction import PRODUCT, Instr
from .._ir.products import Matmul
from .._ir.record import Record, Region
from .._ir.records import CrossEntropy, CrossEntropyBoth
from .._ir.table import INSTRUCTIONS
from .._ir.values import Value
from .._util.dtypes import Spec
from .dataflow import Flow

__all__ = ["fuse", "register_steps", "uniform_constants"]

_FIRST_LOCAL = PRODUCT - 1  # values local to the body of a chain have ids from here down
_WINDOW = 12  # instructions after the first one that are considered for a chain
_MAX_CHAIN = 24  # instructions of a chain: their blocks must stay in L1


def fuse(code: list[Instr], values: list[Value], outputs: Collection[int]) -> list[Instr]:
    """The same computation in fewer passes over memory."""
    flow = Flow(code, values, outputs)
    _cross_entropies(flow)
    for at in range(len(code)):
        instr = flow.code[at]
        if instr is not None and instr.name == "matmul":
            matmul = instr.record
            assert isinstance(matmul, Matmul)
            if not matmul.batch and matmul.m * matmul.n > 0:
                _fuse_product(flow, at, instr, matmul)
    _chains(flow)
    return flow.result()


def uniform_constants(code: list[Instr], values: list[Value]) -> None:
    """Replace constant arrays of equal elements by scalars."""
    scalars: dict[int, int | None] = {}
    for instr in code:
        if not isinstance(instr.record, Map):
            continue
        for i, v in enumerate(instr.ins):
            value = values[v]
            if not value.constant or value.array is None or value.array.size < 2:
                continue
            if v not in scalars:
                scalars[v] = _scalar_of(values, value)
            scalar = scalars[v]
            if scalar is not None:
                instr.ins[i] = scalar
                instr.record = instr.record.with_scalar_input(i)


def _scalar_of(values: list[Value], value: Value) -> int | None:
    """The id of a new scalar, if all elements of a constant have the same bits."""
    assert value.array is not None
    flat = value.array.reshape(-1)
    raw = flat.view(np.uint8).reshape(flat.size, -1)
    if not (raw == raw[0]).all():
        return None
    first = flat[:1].reshape(()).copy()
    values.append(Value(Spec((), value.spec.dtype), first, constant=True))
    return len(values) - 1


def _cross_entropies(flow: Flow) -> None:
    """Join cross entropy and its gradient by the same scores and labels."""
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
            upstream = flow.values[instr.ins[2]]
            uniform = upstream.constant and upstream.array is not None and upstream.array.size > 0
            scalar = _scalar_of(flow.values, upstream) if uniform else None
            assert isinstance(instr.record, CrossEntropy)
            both = Instr(
                "cross_entropy_both",
                instr.dtype,
                [*loss.outs, *instr.outs],
                [*loss.ins, instr.ins[2] if scalar is None else scalar],
                CrossEntropyBoth(instr.record.rows, instr.record.cols, upstream_step=int(scalar is None)),
            )
            flow.replace(host, both, [at])


def _step(instr: Instr, record: Record, local: dict[int, int]) -> Instr:
    """An instruction as a step of a body, with the ids of the values that are local to the body."""
    outs, ins = [local.get(v, v) for v in instr.outs], [local.get(v, v) for v in instr.ins]
    return Instr(instr.name, instr.dtype, outs, ins, record, instr.reals)


# Matrix products with the following elementwise steps.


def _fuse_product(flow: Flow, at: int, matmul: Instr, record: Matmul) -> None:
    """Fuse the following elementwise steps into a matrix product, as long as each reads the result of the last one."""
    gemm = record.gemm()
    product = Instr("gemm", matmul.dtype, list(matmul.outs), list(matmul.ins), gemm)
    flow.code[at] = product  # of the same operands
    in_memory = matmul.outs[0]  # the value that the product's memory holds after the steps so far
    newest, in_place = in_memory, True  # the result of the last step, and whether it is the value in memory
    while (found := _follower(flow, at, newest, in_memory, record)) is not None:
        position, follower, step = found
        updates = isinstance(follower.record, Update)
        consumed = flow.read_once(newest)
        stored = not (
            updates and consumed and in_place and record.k <= _core.GEMM_DEPTH[matmul.dtype]
        )  # one block of k
        if not updates and consumed and in_place:
            step.outs = [PRODUCT]
            in_memory = follower.outs[0]
        elif not updates:
            in_place = False
        outs = [v for v in product.outs[1:] if v not in follower.outs]
        outs += [v for v in follower.outs if v != in_memory]
        if stored:
            outs.insert(0, in_memory)
        ins = product.ins + [v for v in follower.ins if v != newest and v != in_memory and v not in product.ins]
        product = Instr("gemm", product.dtype, outs, ins, gemm, (), [*product.body, step], stored)
        flow.replace(at, product, [position])
        if updates:
            break
        newest = follower.outs[0]
    if product.body and product.body[0].outs == [PRODUCT]:
        product.record = record.gemm(*register_steps(product.body, record.m))


def _follower(flow: Flow, at: int, newest: int, in_memory: int, product: Matmul) -> tuple[int, Instr, Instr] | None:
    """The first reader of the newest value that may become a step of the product at `at`: position, itself, step."""
    region, local = (product.m, product.n), {in_memory: PRODUCT}
    for position in flow.readers(newest):
        if position == at:
            continue
        instr = flow.code[position]
        assert instr is not None
        # An update reads the gradient first.
        joins = INSTRUCTIONS[instr.name].joins_product and instr.ins[0] == newest
        if isinstance(instr.record, Update) and not joins:
            continue
        record = instr.record.step(region)
        fits = not isinstance(record, MapStep) or record.operands[instr.ins.index(newest)] == (product.n, 1)
        if record is not None and fits and flow.may_join(position, at):
            return position, instr, _step(instr, record, local)
    return None


def register_steps(body: Sequence[Instr], rows: int) -> tuple[bool, bool, bool]:
    """Whether the body begins with a bias, relu, relu's gradient on the product, which the kernel applies itself."""
    remaining = iter(body)
    step = next(remaining, None)
    if bias := step is not None and _adds_row_vector(step, rows):
        step = next(remaining, None)
    if relu := step is not None and step.name == "relu" and step.outs == step.ins == [PRODUCT]:
        step = next(remaining, None)
    relu_grad = step is not None and _masks_product(step)
    return bias, relu, relu_grad


def _adds_row_vector(step: Instr, rows: int) -> bool:
    if step.name != "add" or step.outs != [PRODUCT] or step.ins.count(PRODUCT) != 1:
        return False
    assert isinstance(step.record, MapStep)
    row_stride, column_stride = step.record.operands[1 - step.ins.index(PRODUCT)]
    return column_stride == 1 and (row_stride == 0 or rows == 1)


def _masks_product(step: Instr) -> bool:
    """Whether it is relu's gradient with the product as upstream gradient; relu's input: any matrix or row vector."""
    if step.name != "relu_grad" or step.outs != [PRODUCT] or step.ins[0] == PRODUCT or step.ins[1] != PRODUCT:
        return False
    assert isinstance(step.record, MapStep)
    return step.record.operands[0][1] == 1


# Chains of elementwise instructions.


class _Chain(NamedTuple):
    """Instructions to be joined, their positions, and the region that they iterate over."""

    maps: list[Instr]
    positions: list[int]
    region: Region


def _chains(flow: Flow) -> None:
    """Join elementwise instructions over the same elements, if one reads values that another uses."""
    for at in range(len(flow.code)):
        first = flow.code[at]
        if first is None or not isinstance(first.record, Map) or first.record.operations() == 0:
            continue
        region = first.record.elementwise_region()
        if region is not None:
            _extend_chain(flow, at, _Chain([first], [at], region))


def _extend_chain(flow: Flow, at: int, chain: _Chain) -> None:
    """Join the following instructions to the one at `at`."""
    touched = {*chain.maps[0].ins, *chain.maps[0].outs}
    for position in range(at + 1, min(len(flow.code), at + 1 + _WINDOW)):
        instr = flow.code[position]
        if instr is None or not isinstance(instr.record, Map) or len(chain.maps) == _MAX_CHAIN:
            continue
        if instr.dtype != chain.maps[0].dtype:  # they may share a bool operand
            continue
        common = _common_region(instr.record, chain.region)
        changing = {v for v in touched if not flow.values[v].constant}
        if common is None or changing.isdisjoint(instr.ins):
            continue
        if any(p.record.step(common) is None for p in chain.maps) or not flow.may_join(position, at):
            continue
        chain = _Chain([*chain.maps, instr], [*chain.positions, position], common)
        touched |= {*instr.ins, *instr.outs}
        # Updated after each step, so that the data flow is current.
        flow.replace(at, _chain_instruction(flow, chain), [position])


def _common_region(record: Map, region: Region) -> Region | None:
    """The common region, if both iterate over the same elements."""
    own = record.elementwise_region()
    if own is None or own[0] * own[1] != region[0] * region[1]:
        return None
    if own == region or own[0] == 1:
        return region
    return own if region[0] == 1 else None


def _chain_instruction(flow: Flow, chain: _Chain) -> Instr:
    inside = set(chain.positions)
    results = [v for p in chain.maps for v in p.outs]
    local = [v for v in results if v not in flow.outputs and all(r in inside for r in flow.readers(v))]
    local_ids = {v: _FIRST_LOCAL - i for i, v in enumerate(local)}
    body = []
    for p in chain.maps:
        record = p.record.step(chain.region)
        assert record is not None
        body.append(_step(p, record, local_ids))
    outs = [v for v in results if v not in local_ids]
    ins = list(dict.fromkeys(v for p in chain.maps for v in p.ins if v not in results))
    return Instr("chain", chain.maps[0].dtype, outs, ins, Chain(*chain.region), body=body)
