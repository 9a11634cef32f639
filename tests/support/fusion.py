"""Fused instructions: a body as steps on named arrays, run as separate instructions or as one Program."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule import _core
from chainrule._ir.elementwise import Chain, MapStep, UpdateStep
from chainrule._ir.instruction import PRODUCT, Instr
from chainrule._ir.products import Matmul
from chainrule._ir.record import Record
from chainrule.compiler.fuse import register_steps
from reference import UPDATES, special_values
from reference.bits import Array
from support.programs import CODE, Float, blank, elementwise

FIRST_LOCAL = PRODUCT - 1


def values(shape: tuple[int, ...], dtype: Float, seed: int, specials: bool = False) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(dtype)
    if specials:
        x[rng.random(shape) < 0.1] = 0.0
        hit = rng.random(shape) < 0.02
        x[hit] = rng.choice(special_values(dtype), np.count_nonzero(hit))
    return x


@dataclass
class Fusion:
    """A body on matrices of one shape, and the same steps as separate instructions.

    Names are arrays in `arrays` (matrices with `gap` unused columns, rows "row...", columns "column...", numbers
    "number..."), "c" or locals.
    """

    rows: int
    cols: int
    dtype: Float
    gap: int = 0
    specials: bool = False
    arrays: dict[str, Array] = field(default_factory=dict)
    steps: list[tuple[str, list[str], list[str], tuple[float, ...]]] = field(default_factory=list)

    def array(self, name: str) -> str:
        """A new array with values, named by its kind."""
        shape = {"row": (self.cols,), "column": (self.rows,), "number": (1,)}.get(name.rstrip("0123456789"))
        matrix = (self.rows, self.cols + self.gap)
        self.arrays[name] = values(shape or matrix, self.dtype, seed=7 * len(self.arrays) + 3, specials=self.specials)
        return name

    def result(self, name: str, dtype: Any = None) -> str:
        """A matrix that nobody has written."""
        self.arrays[name] = blank((self.rows, self.cols + self.gap), dtype or self.dtype)
        return name

    def hyper(self, *numbers: float) -> str:
        """The options of an update."""
        self.arrays["hyper"] = np.asarray(numbers, np.float64)
        return "hyper"

    def update(self, name: str, states: int, numbers: Sequence[float]) -> None:
        """Append an optimizer's step on p by the product. States are squares, where they have a root."""
        arrays = [self.array(array) for array in ("p", *(f"s{i}" for i in range(states)))]
        for array in arrays[1:]:
            np.abs(self.arrays[array], out=self.arrays[array])
        row, inputs = UPDATES[name], ["c", self.hyper(*numbers)]
        if row.step_state:
            self.arrays["clock"] = np.array(row.advanced(row.start, numbers))
            inputs.append("clock")
        self.step(name, arrays, inputs)

    def step(self, name: str, outputs: Sequence[str], inputs: Sequence[str], *params: float) -> None:
        """Append a step."""
        self.steps.append((name, list(outputs), list(inputs), params))

    def one_by_one(self, product: Array | None) -> dict[str, Array]:
        """The arrays after running every step as a separate instruction."""
        arrays = {name: x.copy() for name, x in self.arrays.items()}
        if product is not None:
            arrays["c"] = blank((self.rows, self.cols + self.gap), self.dtype)
            arrays["c"][:, : self.cols] = product

        def whole(name: str) -> Array:
            x = arrays[name]
            return x[:, None] if name.startswith("column") else x[:, : self.cols] if x.ndim == 2 else x

        for name, outputs, inputs, params in self.steps:
            if name in UPDATES:
                p, *states = found = [whole(o).copy() for o in outputs]
                clock = arrays[inputs[2]].copy() if len(inputs) > 2 else None
                _core.update_step(name, p, whole(inputs[0]).copy(), tuple(states), arrays[inputs[1]], clock)
            else:
                wide = [np.broadcast_to(whole(i), (self.rows, self.cols)) for i in inputs]
                found = [elementwise(name, *wide, params=params)]
            for output, x in zip(outputs, found, strict=True):
                arrays.setdefault(output, blank((self.rows, self.cols + self.gap), x.dtype))[:, : self.cols] = x
        return arrays

    def body(self, slots: dict[str, int]) -> list[Instr]:
        """The steps as a Program takes them."""
        places = {"c": PRODUCT, **slots}

        def place(name: str) -> int:
            return places.setdefault(name, FIRST_LOCAL - sum(s <= FIRST_LOCAL for s in places.values()))

        def strides(name: str) -> tuple[int, int]:
            kinds = {"row": (0, 1), "column": (1, 0), "number": (0, 0)}
            return kinds.get(name.rstrip("0123456789"), (self.cols + self.gap, 1))

        code: list[Instr] = []
        for name, outputs, inputs, params in self.steps:
            row = self.cols + self.gap
            record = UpdateStep(row) if name in UPDATES else MapStep(tuple(strides(i) for i in inputs), row)
            to, of = [place(o) for o in outputs], [place(i) for i in inputs]
            code.append(Instr(name, CODE[np.dtype(self.dtype)], to, of, record, params))
        return code

    def outputs(self) -> list[str]:
        """Arrays that the steps write."""
        return [name for name in self.arrays if any(name in step[1] for step in self.steps)]


class Fused:
    """A program of one fused instruction: chain, or gemm with (a, b, k block continued) before the body.

    Its first steps are `marked` for the kernel to do in registers, where it can.
    """

    def __init__(
        self,
        fusion: Fusion,
        product: tuple[Array, Array] | None,
        keep: bool,
        continues: bool = False,
        marked: bool = True,
    ) -> None:
        written = fusion.outputs()
        read = [name for name in fusion.arrays if name not in written]
        factors = {} if product is None else {"a": memory(product[0]), "b": memory(product[1])}
        self.names = [*(["c"] if keep else []), *written, *factors, *read]
        slots = {name: i for i, name in enumerate(self.names)}
        outputs, inputs = [slots[n] for n in written], [slots[n] for n in (*factors, *read)]
        body = fusion.body(slots)
        record: Record = Chain(fusion.rows, fusion.cols)
        if product is not None:
            a, b = product
            rs_a, cs_a, rs_b, cs_b = (s // x.itemsize for x in (a, b) for s in x.strides)
            row = fusion.cols + fusion.gap
            matmul = Matmul((), fusion.rows, fusion.cols, a.shape[1], rs_a, cs_a, rs_b, cs_b, row, (), ())
            record = matmul.gemm(*(register_steps(body, fusion.rows) if marked else ())).replace(continues=continues)
            outputs = [slots["c"], *outputs] if keep else outputs
        self.blank = {**fusion.arrays, **factors}
        shape = (fusion.rows, fusion.cols + fusion.gap)
        if keep:
            self.blank["c"] = blank(shape, fusion.dtype)
        name = "chain" if product is None else "gemm"
        stores = keep or product is None
        instr = Instr(name, CODE[np.dtype(fusion.dtype)], outputs, inputs, record, (), body, stores)
        self.specs = [(CODE[x.dtype], x.shape) for x in (self.blank[n] for n in self.names)]
        self.code = [instr.lower()]

    def __call__(self, start: Array | None = None) -> dict[str, Array]:
        """The arrays after a run on the active level. c starts as `start`."""
        arrays = {name: self.blank[name].copy() for name in self.names}
        if start is not None:
            arrays["c"][:, : start.shape[1]] = start
        _core.Program(self.specs, [], [], self.code)(*arrays.values())
        return arrays


def memory(x: Array) -> Array:
    """The C-contiguous array under a transposed view."""
    return x if x.flags.c_contiguous else x.T
