"""Programs as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._ir.instruction import flops

if TYPE_CHECKING:
    from .build import CompiledProgram

__all__ = ["describe"]


def describe(compiled: CompiledProgram) -> str:
    """The instructions in order (results, name, operands, fused steps, operation counts) and the memory."""
    names = {v: f"x{i}" for i, v in enumerate(compiled.inputs)}
    names |= {v: f"y{i}" for i, v in enumerate(compiled.outputs)}
    names |= {v: f"p{i}" for i, v in enumerate(compiled.bound)}
    names |= {v: f"t{i}" for i, v in enumerate(compiled.temporaries)}
    blocks, lines, total = compiled.blocks, [], 0
    looped = compiled.block_rows < blocks.rows
    declared = {*compiled.inputs, *compiled.bound}

    def named(v: int) -> str:
        if v in declared:
            return names[v]
        declared.add(v)
        return f"{names[v]}{tuple(compiled.values[v].spec.shape)}".replace(" ", "")

    for part in (blocks.before, blocks.loop, blocks.after):
        indent = "    " if part is blocks.loop and looped else "  "
        if part is blocks.loop and looped:
            lines.append(f"  for blocks of {compiled.block_rows} of {blocks.rows} rows:")
        for instr in part:
            count = flops(instr)
            total += count
            outs = ", ".join(named(v) for v in instr.outs)
            fused = f" then {', '.join(p.name for p in instr.body)}" if instr.body and instr.name != "chain" else ""
            fused = f" of {', '.join(p.name for p in instr.body)}" if instr.name == "chain" else fused
            operands = ", ".join(names[v] for v in instr.ins)
            lines.append(f"{indent}{outs} = {instr.name}({operands}){fused}" + (f"  [{count} flop]" if count else ""))
    specs = {v: compiled.values[v].spec for v in (*compiled.inputs, *compiled.bound)}
    bound = sum(specs[v].size * specs[v].dtype.itemsize for v in compiled.bound)
    head = (
        f"program on {compiled.program.isa}: {len(lines) - looped} instructions, {total} flop\n"
        f"  memory: {bound} bytes captured, {compiled.arena_bytes} bytes for {len(compiled.temporaries)} temporaries "
        f"({compiled.live_bytes} alive at most)"
    )
    operands_text = [f"  {names[v]}{tuple(specs[v].shape)}: {specs[v].dtype}" for v in compiled.inputs]
    operands_text += [f"  {names[v]}{tuple(specs[v].shape)}: captured" for v in compiled.bound]
    return "\n".join([head, *operands_text, *lines])
