"""What a program does, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ops._strides import product
from .trace import ELEMENTWISE, Instr

if TYPE_CHECKING:
    from .build import Built

__all__ = ["describe", "flops"]

# Of an element, without weight decay and optional states: docs/arithmetic.md has the operations.
_UPDATE_FLOPS = {"sgd": 4, "adam": 12, "adamw": 12, "rmsprop": 9, "rmsprop_centered": 15, "adagrad": 7}


def flops(instr: Instr) -> int:
    """Floating-point operations of an instruction: 2 for a multiply-add, 1 for any other result of an element."""
    if instr.name == "gemm":
        own, elements = 2 * product(instr.ints[:3]), product(instr.ints[:2])
    elif instr.name == "matmul":
        own = elements = 2 * product(instr.ints[1 : 4 + instr.ints[0]])
    elif instr.name == "matmul_sum":
        own = elements = 2 * product(instr.ints[:4])
    elif instr.name == "fold":
        own = elements = product(instr.ints[:2]) * product(instr.ints[4:6]) * product(instr.ints[12:])
    elif instr.name == "chain":
        own, elements = 0, product(instr.ints[:2])
    elif instr.name in ELEMENTWISE:
        own = elements = product(instr.ints[1 : 1 + instr.ints[0]])
    elif instr.name in ("sum", "max", "min"):
        own = elements = product(instr.ints[:3])
    elif instr.name in _UPDATE_FLOPS:
        own = elements = _UPDATE_FLOPS[instr.name] * instr.ints[0]
    elif instr.name.startswith(("softmax", "log_softmax", "cross_entropy")):
        own = elements = 4 * product(instr.ints[:2])
    else:
        own = elements = 0
    return own + sum(elements * _UPDATE_FLOPS.get(part.name, 1) for part in instr.body)


def describe(built: Built) -> str:
    """The instructions in order: results, name, operands, what is fused into them, operations; and the memory."""
    names = {v: f"x{i}" for i, v in enumerate(built.inputs)}
    names |= {v: f"y{i}" for i, v in enumerate(built.outputs)}
    names |= {v: f"p{i}" for i, v in enumerate(built.bound)}
    names |= {v: f"t{i}" for i, v in enumerate(built.temporaries)}
    blocks, lines, total = built.blocks, [], 0
    looped = built.block_rows < blocks.rows
    shown = {*built.inputs, *built.bound}

    def named(v: int) -> str:
        if v in shown:
            return names[v]
        shown.add(v)
        return f"{names[v]}{tuple(built.values[v].spec.shape)}".replace(" ", "")

    for part in (blocks.before, blocks.loop, blocks.after):
        indent = "    " if part is blocks.loop and looped else "  "
        if part is blocks.loop and looped:
            lines.append(f"  for blocks of {built.block_rows} of {blocks.rows} rows:")
        for instr in part:
            count = flops(instr)
            total += count
            outs = ", ".join(named(v) for v in instr.outs)
            fused = f" then {', '.join(p.name for p in instr.body)}" if instr.body and instr.name != "chain" else ""
            fused = f" of {', '.join(p.name for p in instr.body)}" if instr.name == "chain" else fused
            operands = ", ".join(names[v] for v in instr.ins)
            lines.append(f"{indent}{outs} = {instr.name}({operands}){fused}" + (f"  [{count} flop]" if count else ""))
    bound = sum(built.values[v].spec.size * built.values[v].spec.dtype.itemsize for v in built.bound)
    head = (
        f"program on {built.program.isa}: {len(lines) - looped} instructions, {total} flop\n"
        f"  memory: {bound} bytes outside, {built.arena_bytes} bytes for {len(built.temporaries)} temporaries "
        f"({built.live_bytes} alive at most)"
    )
    given = [f"  {names[v]}{tuple(built.values[v].spec.shape)}: {built.values[v].spec.dtype}" for v in built.inputs]
    given += [f"  {names[v]}{tuple(built.values[v].spec.shape)}: from outside" for v in built.bound]
    return "\n".join([head, *given, *lines])
