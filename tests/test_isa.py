"""Instruction set levels: listed, selectable, rejected by name if unsupported; the selected level runs."""

import ctypes
import platform
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
import native
from chainrule import _core
from support import fresh_interpreter as fresh
from support.programs import flat
from support.variants import ISAS

SHOW = "import chainrule as cr; print(cr.active_isa())"
LEGACY, VEX, EVEX = range(3)  # encodings of x86 instructions
on_linux_x86 = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="steps through x86-64 instructions"
)


def test_scalar_is_last_and_the_best_is_the_default() -> None:
    assert ISAS[-1] == "scalar"
    assert set(ISAS) <= set(cr.built_isas())
    assert fresh.output(SHOW, CHAINRULE_ISA="") == ISAS[0]


def test_the_environment_chooses(isa: str) -> None:
    assert fresh.output(SHOW, CHAINRULE_ISA=isa) == isa


def test_an_unknown_level_is_refused_and_the_others_named() -> None:
    before = cr.active_isa()
    with pytest.raises(ValueError, match=r"'sse9' is not available; available: .*scalar") as error:
        cr.use_isa("sse9")
    assert all(name in str(error.value) for name in cr.built_isas())
    assert cr.active_isa() == before
    said = fresh.python(SHOW, CHAINRULE_ISA="sse9").stderr.strip().splitlines()[-1]
    assert "'sse9' is not available" in said
    assert "scalar" in said


def test_programs_name_the_level_they_were_built_for(isa: str) -> None:
    program = _core.Program([(0, (3,))], [(0, (3,))], [], [flat("neg", np.float32, 1, [0], 3).lower()])
    assert str(program).startswith(f"program on {isa}, ")


@on_linux_x86
def test_the_forced_level_is_what_runs(isa: str) -> None:
    counts = executed_encodings()
    if isa == "scalar":
        assert counts[VEX] == counts[EVEX] == 0
        assert counts[LEGACY] > 5_000
    elif isa == "avx2":
        assert counts[VEX] > 100
        assert counts[EVEX] == 0
    else:
        assert isa == "avx512"
        assert counts[EVEX] > 50


def executed_encodings() -> list[int]:
    """Instructions by encoding that a product and two functions run inside the core, counted by single steps."""
    core = ctypes.CDLL(_core.__file__)
    low, high = code_range(Path(_core.__file__))
    trace = native.library("trace").trace_kernels
    trace.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p]
    entries = [ctypes.cast(e, ctypes.c_void_p) for e in (core.chainrule_matmul, core.chainrule_unary)]
    counts = (ctypes.c_int64 * 3)()
    _core.set_num_threads(1)
    if trace(*entries, low, high, counts) != 0:
        pytest.skip("this system does not let a process trace its child")
    return list(counts)


def code_range(library: Path) -> tuple[int, int]:
    """Where the executable part of a loaded library lies in this process."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    spans = [line[0].split("-") for line in lines if "x" in line[1] and line[-1] == str(library.resolve())]
    return min(int(low, 16) for low, _ in spans), max(int(high, 16) for _, high in spans)
