"""Threshold units: AND, OR, NOT, circuits of them, and a net for any truth table.

A threshold unit is `Sequential(Linear, Heaviside)`; its output is 1 where x @ w + b > 0, else 0. Inputs are 0 and 1 for
gates, -1 and 1 for truth tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from .. import nn, ops
from .._tensor import Tensor
from .printed import from_printed

__all__ = [
    "Circuit",
    "and_gate",
    "not_gate",
    "or_gate",
    "patterns",
    "threshold_unit",
    "truth_table",
    "truth_table_net",
    "xor_net",
]


def threshold_unit(weights: Sequence[float], bias: float) -> nn.Sequential:
    """Build a threshold unit: 1 where w · x + b > 0, else 0.

    Arguments: `weights`, w, one per input; `bias`, b.
    Returns: a module from (..., len(w)) to (..., 1), float32.

    >>> from chainrule.examples import threshold_unit
    >>> threshold_unit([1.0, 2.0], -2.5)([[0.0, 1.0], [1.0, 1.0]]).tolist()
    [[0.0], [1.0]]
    """
    return nn.Sequential(from_printed([list(weights)], [bias]), nn.Heaviside(0.0))


def and_gate(inputs: int = 2) -> nn.Sequential:
    """Build a unit whose output is 1 if all inputs are 1: weights 1, bias 0.5 - inputs.

    >>> from chainrule.examples import and_gate, truth_table
    >>> truth_table(and_gate(), 2).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    return threshold_unit([1.0] * inputs, 0.5 - inputs)


def or_gate(inputs: int = 2) -> nn.Sequential:
    """Build a unit whose output is 1 if any input is 1: weights 1, bias -0.5.

    >>> from chainrule.examples import or_gate, truth_table
    >>> truth_table(or_gate(), 2).tolist()
    [0.0, 1.0, 1.0, 1.0]
    """
    return threshold_unit([1.0] * inputs, -0.5)


def not_gate() -> nn.Sequential:
    """Build a unit whose output is 1 if its input is 0: weight -1, bias 0.5.

    >>> from chainrule.examples import not_gate, truth_table
    >>> truth_table(not_gate(), 1).tolist()
    [1.0, 0.0]
    """
    return threshold_unit([-1.0], 0.5)


def xor_net() -> nn.Sequential:
    """Build a net whose output is 1 if exactly one of two inputs is 1: h1 is OR, h2 is AND, y = 1[h1 - h2 - 0.5 > 0].

    >>> from chainrule.examples import truth_table, xor_net
    >>> truth_table(xor_net(), 2).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    hidden = from_printed([[1.0, 1.0], [1.0, 1.0]], [-0.5, -1.5])
    return nn.Sequential(hidden, nn.Heaviside(0.0), *threshold_unit([1.0, -1.0], -0.5))


class Circuit(nn.Module):
    """A Boolean circuit, or any other acyclic net of modules.

    Wires 0 to inputs - 1 carry the inputs, the following wires the gates' outputs in order; the last gate's output is
    the circuit's.

    Arguments: `inputs`, the number of inputs; `gates`, pairs (module, indices of its input wires).
    Errors: ValueError for a wire that is not defined before its gate.
    Input: shape (..., inputs). Output: shape (..., outputs of the last gate).

    >>> from chainrule.examples import Circuit, and_gate, not_gate, or_gate, truth_table
    >>> implies = Circuit(2, (not_gate(), [0]), (or_gate(), [2, 1]))
    >>> truth_table(implies, 2).tolist()
    [1.0, 1.0, 0.0, 1.0]
    """

    def __init__(self, inputs: int, *gates: tuple[nn.Module, Sequence[int]]) -> None:
        for i, (_, reads) in enumerate(gates):
            missing = [wire for wire in reads if not 0 <= wire < inputs + i]
            if missing:
                raise ValueError(
                    f"Circuit: gate {i} reads wire {missing[0]}, expected wires between 0 and {inputs + i - 1}"
                )
        self.inputs = inputs
        self.units = [unit for unit, _ in gates]
        self.reads = [list(reads) for _, reads in gates]

    def forward(self, x: Tensor) -> Tensor:
        """Compute the last gate's output."""
        wires = [x[..., i : i + 1] for i in range(self.inputs)]
        for unit, reads in zip(self.units, self.reads, strict=True):
            wires.append(unit(ops.concatenate([wires[wire] for wire in reads], -1)))
        return wires[-1]


def patterns(inputs: int, low: float = 0.0) -> npt.NDArray[np.float32]:
    """All 2**inputs rows of `low` and 1 in binary counting order; shape (2**inputs, inputs).

    >>> from chainrule.examples import patterns
    >>> patterns(2).tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    return np.array(list(product((low, 1.0), repeat=inputs)), np.float32)


def truth_table(net: nn.Module, inputs: int, low: float = 0.0) -> npt.NDArray[np.float32]:
    """Compute a net's outputs for all `patterns(inputs, low)`; shape (2**inputs,) for a net with one output."""
    scores: npt.NDArray[np.float32] = net.predict(patterns(inputs, low))
    return scores[:, 0]


def truth_table_net(table: Sequence[float]) -> nn.Sequential:
    """Build a net that computes any truth table of inputs -1 and 1: one hidden unit for each of the 2**D patterns.

    The hidden unit of pattern p has weights p and bias 0.5 - D: its pre-activation is 0.5 for p and at most -1.5 for
    every other pattern. The output unit is linear, its weights are the table.

    Arguments: `table`, 2**D values, in the order of `patterns(D, low=-1)`.
    Errors: ValueError for a number of values that is not a power of two.
    Source: R. Grosse, CSC413 (Toronto), lecture 2.

    >>> from chainrule.examples import truth_table, truth_table_net
    >>> truth_table(truth_table_net([3.0, 1.0, 4.0, 1.5]), 2, low=-1.0).tolist()
    [3.0, 1.0, 4.0, 1.5]
    """
    inputs = len(table).bit_length() - 1
    if inputs < 1 or len(table) != 2**inputs:
        raise ValueError(f"truth_table_net: table has {len(table)} values, expected 2, 4, 8, ...")
    hidden = from_printed(patterns(inputs, -1.0), [0.5 - inputs] * len(table))
    return nn.Sequential(hidden, nn.Heaviside(0.0), from_printed([list(table)]))
