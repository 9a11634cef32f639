"""Runs of recurrent layers over packed sequences.

The projected inputs are padded to one length and run together. What a sequence has behind its end is never read, and
leaves its state finite; the cell state of an LSTM stays there as it was, so that its last one is that of the sequence.
The direction from the last step to the first is a run over sequences that are turned around, each at its own end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.dtypes import Array
from ..ops._dropout import dropout
from .utils.rnn import PackedSequence, places_of

__all__ = ["run_packed"]


def run_packed(layer: Any, packed: PackedSequence, state: Any) -> tuple[PackedSequence, Any]:
    """The states of the last layer, packed, and the last states of each layer and direction."""
    name = type(layer).__name__
    if not isinstance(packed, PackedSequence):
        raise TypeError(f"{name}: expected a tensor or a PackedSequence, got {type(packed).__name__}")
    x, (places, lengths) = layer._of_layer(packed.data, "packed elements", (2, 2)), places_of(packed.batch_sizes)
    ways = 1 + layer.bidirectional
    shape = (layer.num_layers * ways, len(lengths), layer.hidden_size)
    begin = layer._checked_states(state, shape, x)
    if packed.sorted_indices is not None:
        begin = [ops.take(t, packed.sorted_indices, 1) for t in begin]
    states: list[Tensor] = []
    cells: list[Tensor] = []
    steps = [_forward(places, lengths), _reverse(places, lengths)][:ways]
    for n in range(layer.num_layers):
        found = []
        for way, (inputs, outputs, last) in enumerate(steps):
            at, suffix = n * ways + way, f"_l{n}" + "_reverse" * way
            padded = ops.take(ops.concatenate([layer._projected(x, suffix), _behind(layer, x)]), inputs)
            y, c = layer._steps(padded, begin[0][at], begin[1][at] if layer._has_cell else None, suffix)
            found.append(ops.take(ops.reshape(y, (-1, layer.hidden_size)), outputs))
            states.append(ops.take(found[-1], last))
            cells += [] if c is None else [c]
        x = ops.concatenate(found, -1) if layer.bidirectional else found[0]
        if n + 1 < layer.num_layers:
            x = dropout(x, layer.dropout, layer.training)
    ends = [ops.stack(each) for each in (states, cells) if each]
    if packed.unsorted_indices is not None:
        ends = [ops.take(t, packed.unsorted_indices, 1) for t in ends]
    outputs_packed: Any = packed._replace(data=x)
    return outputs_packed, tuple(ends) if layer._has_cell else ends[0]


def _forward(places: Array, lengths: Array) -> tuple[Array, Array, Array]:
    """Of each step and sequence its element; of each element its step and sequence; of each sequence its last one."""
    last = places[lengths - 1, np.arange(len(lengths))]
    return places, np.flatnonzero(places < lengths.sum()), last


def _reverse(places: Array, lengths: Array) -> tuple[Array, Array, Array]:
    """The same for sequences that are turned around."""
    steps, rows = places.shape
    step, row = np.nonzero(places < lengths.sum())
    turned = (lengths[row] - 1 - step) * rows + row
    inputs = np.full(steps * rows, lengths.sum())
    inputs[turned] = np.arange(len(turned))
    return inputs.reshape(steps, rows), turned, places[0]


def _behind(layer: Any, x: Tensor) -> Tensor:
    """The projected input of steps behind the end of a sequence, as one row.

    Gates i = 0, f = 1 and g = -1 of an LSTM keep c, whatever its sign; a relu gives 0, where its states might grow.
    """
    gate = {"rnn_relu": [-np.inf], "lstm": [-np.inf, np.inf, -np.inf, 0.0]}
    relu = getattr(layer, "nonlinearity", "") == "relu"
    values = gate.get("lstm" if layer._has_cell else "rnn_relu" if relu else "", [0.0] * layer._gates)
    return Tensor._wrap(np.repeat(np.array(values, x.dtype), layer.hidden_size)[None])
