"""Recurrent layers, RNN, LSTM and GRU, and their cells for one step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import ops
from .._ir.shapes import product
from .._tensor import Tensor, tensor
from .._util.checks import check_number, check_size
from .._util.exports import own_names
from ..ops._dropout import dropout
from ..ops._operands import as_tensor
from ..random import Generator
from ._init import draw_uniform, float_dtype
from ._module import Module, Parameter, Stored

State = Tensor | tuple[Tensor, Tensor] | None


def _bound(units: int, dtype: np.dtype[Any]) -> float:
    """1 / sqrt(units)."""
    return float(ops.sqrt(ops.div(tensor(1.0, dtype=dtype), tensor(float(units), dtype=dtype))).item())


class _Recurrence(Module):
    """What layers and cells share: weights of a step, and the run over the steps."""

    _gates: ClassVar[int] = 1
    _has_cell: ClassVar[bool] = False
    _transposed_in_pytorch = True

    input_size: int
    hidden_size: int
    bias: bool

    @property
    def _first_weight(self) -> Tensor:
        first: Tensor = getattr(self, "weight_ih" if isinstance(self, _OneStep) else "weight_ih_l0")
        return first

    def _begin(self, input_size: int, hidden_size: int, bias: bool, dtype: npt.DTypeLike | None) -> np.dtype[Any]:
        name = type(self).__name__
        self.input_size = check_size(f"{name}: input_size", input_size)
        self.hidden_size = check_size(f"{name}: hidden_size", hidden_size)
        self.bias = bool(bias)
        return float_dtype(name, dtype)

    def _set_nonlinearity(self, nonlinearity: str) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"{type(self).__name__}: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        self.nonlinearity = nonlinearity

    def _shapes(self, inputs: Any) -> dict[str, tuple[Any, ...]]:
        """The parameters of one direction, for so many inputs."""
        wide = self._gates * self.hidden_size
        shapes: dict[str, tuple[Any, ...]] = {"weight_ih": (inputs, wide), "weight_hh": (self.hidden_size, wide)}
        return shapes | ({"bias_ih": (wide,), "bias_hh": (wide,)} if self.bias else {})

    def _add_weights(self, inputs: int, suffix: str, kind: np.dtype[Any], generator: Generator | None) -> None:
        bound = _bound(self.hidden_size, kind)
        for name, shape in self._shapes(inputs).items():
            setattr(self, name + suffix, Parameter(draw_uniform(shape, bound, kind, generator)))

    def _projected(self, x: Tensor, suffix: str) -> Tensor:
        """What the inputs (..., inputs) add to the gates, and the biases that can be added to it."""
        weight = getattr(self, f"weight_ih{suffix}")
        if not self.bias:
            return ops.linear(x, weight)
        of_x, of_h = getattr(self, f"bias_ih{suffix}"), getattr(self, f"bias_hh{suffix}")
        if self._gates != 3:
            return ops.linear(x, weight, ops.add(of_x, of_h))
        at = 2 * self.hidden_size  # the last third of the second bias is multiplied by the reset gate
        return ops.linear(x, weight, ops.concatenate([ops.add(of_x, of_h)[:at], of_x[at:]]))

    def _steps(
        self, projected: Tensor, h: Tensor, c: Tensor | None, suffix: str, **order: bool
    ) -> tuple[Tensor, Tensor | None]:
        """All states, and the last cell state, for projected inputs over time."""
        weight = getattr(self, f"weight_hh{suffix}")
        if self._has_cell:
            return ops.lstm(projected, h, c, weight, **order)
        if self._gates == 1:
            return ops.rnn(projected, h, weight, self.nonlinearity, **order), None
        bias = getattr(self, f"bias_hh{suffix}")[2 * self.hidden_size :] if self.bias else None
        return ops.gru(projected, h, weight, bias, **order), None

    def _checked_states(self, state: Any, shape: tuple[int, ...], like: Tensor) -> list[Tensor]:
        """The state h, or h and c, each of this shape; 0 for None."""
        name = type(self).__name__
        if state is None:
            given: Sequence[Any] = [np.zeros(shape, like.dtype)] * (1 + self._has_cell)
        elif self._has_cell:
            if not isinstance(state, (tuple, list)) or len(state) != 2:
                raise TypeError(f"{name}: the state must be a pair (h, c), got {type(state).__name__}")
            given = state
        else:
            given = [state]
        found = []
        for letter, value in zip("hc", given, strict=False):
            t = value if isinstance(value, Tensor) else as_tensor(np.asarray(value, like.dtype))
            if t.shape != shape:
                raise ValueError(f"{name}: the state {letter} must be {shape}, got {t.shape}")
            found.append(t)
        return found

    def _of_layer(self, x: Any, what: str, axes: tuple[int, int]) -> Tensor:
        """x as a tensor with one of two numbers of axes, and the layer's features."""
        name = type(self).__name__
        dtype = self._first_weight.dtype
        source = x if isinstance(x, Tensor) else as_tensor(np.asarray(x, dtype))
        if source.ndim not in axes or source.shape[-1] != self.input_size:
            raise ValueError(f"{name}: x must be {what} with {self.input_size} features, got shape {source.shape}")
        return source


class _Layer(_Recurrence):
    """Layers and directions of one kind of cell; subclasses say which."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: npt.DTypeLike | None = None,
        generator: Generator | None = None,
    ) -> None:
        name = type(self).__name__
        kind = self._begin(input_size, hidden_size, bias, dtype)
        self.num_layers = check_size(f"{name}: num_layers", num_layers)
        self.batch_first, self.bidirectional = bool(batch_first), bool(bidirectional)
        self.dropout = check_number(f"{name}: dropout", dropout, maximum=1)
        for inputs, suffix in self._directions():
            self._add_weights(inputs, suffix, kind, generator)

    def _directions(self) -> list[tuple[int, str]]:
        """Of each layer and direction: its inputs, and the end of its parameters' names."""
        ends = ("", "_reverse") if self.bidirectional else ("",)
        later = len(ends) * self.hidden_size
        return [(later if n else self.input_size, f"_l{n}{end}") for n in range(self.num_layers) for end in ends]

    def forward(self, x: Any, state: State = None) -> Any:
        """Return the states of the last layer over time, and the last state of each layer and direction."""
        if hasattr(x, "batch_sizes"):  # a PackedSequence, whose class is loaded where it is first used
            from ._packed import run_packed

            return run_packed(self, x, state)
        x = self._of_layer(x, "(rows, steps, features)" if self.batch_first else "(steps, rows, features)", (2, 3))
        time, count, alone = int(self.batch_first), self.num_layers * (1 + self.bidirectional), x.ndim == 2
        if alone:
            x = ops.expand_dims(x, 1 - time)
        shape = (count, self.hidden_size) if alone else (count, x.shape[1 - time], self.hidden_size)
        begin = self._checked_states(state, shape, x)
        if alone:
            begin = [ops.expand_dims(t, 1) for t in begin]
        outputs, last = self._all_layers(x, begin, time)
        if alone:
            outputs, last = ops.squeeze(outputs, 1 - time), [ops.squeeze(t, 1) for t in last]
        return outputs, (last[0], last[1]) if self._has_cell else last[0]

    def _all_layers(self, x: Tensor, begin: Sequence[Tensor], time: int) -> tuple[Tensor, list[Tensor]]:
        states: list[Tensor] = []
        cells: list[Tensor] = []
        per_layer = 1 + self.bidirectional
        for n in range(self.num_layers):
            found = []
            for way in range(per_layer):
                at, suffix = n * per_layer + way, f"_l{n}" + "_reverse" * way
                c = begin[1][at] if self._has_cell else None
                y, last_c = self._steps(
                    self._projected(x, suffix), begin[0][at], c, suffix, batch_first=bool(time), reverse=bool(way)
                )
                end = 0 if way else -1
                found.append(y)
                states.append(y[:, end] if time else y[end])
                cells += [last_c] if last_c is not None else []
            x = ops.concatenate(found, -1) if self.bidirectional else found[0]
            if n + 1 < self.num_layers:
                x = dropout(x, self.dropout, self.training)
        return x, [ops.stack(states), *([ops.stack(cells)] if cells else [])]

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> _Layer:
        inputs, units, layers = config.get("input_size"), config.get("hidden_size"), config.get("num_layers", 1)
        if isinstance(units, int) and isinstance(layers, int):
            for n in range(layers):
                stored(f"weight_ih_l{n}", (inputs, cls._gates * units))
                inputs = (1 + bool(config.get("bidirectional"))) * units
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bias": self.bias,
            "batch_first": self.batch_first,
            "dropout": self.dropout,
            "bidirectional": self.bidirectional,
            "dtype": str(self._first_weight.dtype),
        }


class RNN(_Layer):
    """Recurrent net, h_t = tanh(x_t @ weight_ih + bias_ih + h_(t-1) @ weight_hh + bias_hh), or relu for tanh.

    Parameters of layer k (and `_reverse` of the direction from the last step to the first): `weight_ih_l{k}` (inputs,
    hidden_size), `weight_hh_l{k}` (hidden_size, hidden_size), `bias_ih_l{k}` and `bias_hh_l{k}` (hidden_size,), all
    uniform from [-b, b), b = 1 / sqrt(hidden_size). The inputs of a later layer are the states of the one before it, of
    both directions side by side.

    Arguments: `input_size`, `hidden_size`, `num_layers`, at least 1; `nonlinearity`, "tanh" or "relu"; `bias`,
    whether to add biases; `batch_first`, whether inputs and outputs are (rows, steps, features) in place of (steps,
    rows, features), as `cr.fit` and `predict` need them; `dropout`, the probability of a zero between layers;
    `bidirectional`; `dtype`, float32 or float64; `generator` (default: the one that `cr.manual_seed` seeds).
    Input: x (steps, rows, input_size), or (steps, input_size) without rows, or a `PackedSequence` of
    `cr.nn.utils.rnn`; the states before the first step (layers * directions, rows, hidden_size), None for 0. Output:
    (the last layer's states over time, the last states), of each sequence its own last ones.
    Errors: ValueError for sizes, options and shapes; TypeError for another dtype.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.RNN(3, 4, generator=cr.random.Generator(seed=1))
    >>> outputs, last = layer(np.ones((5, 2, 3), np.float32))
    >>> outputs.shape, last.shape
    ((5, 2, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: npt.DTypeLike | None = None,
        generator: Generator | None = None,
    ) -> None:
        self._set_nonlinearity(nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, generator
        )

    def config(self) -> dict[str, Any]:
        return {**super().config(), "nonlinearity": self.nonlinearity}


class GRU(_Layer):
    """Gated recurrent units over time; formula: `cr.gru` of x_t @ weight_ih + bias_ih, with bias_hh in each gate.

    r = sigmoid(.), z = sigmoid(.), n = tanh(x_n + r * (h @ weight_hn + bias_hn)), h_t = n + z * (h_(t-1) - n).

    Parameters, arguments, input and output as `RNN`, without `nonlinearity`; weights and biases have 3 * hidden_size
    columns in the order r, z, n.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.GRU(3, 4, num_layers=2, batch_first=True, generator=cr.random.Generator(seed=1))
    >>> outputs, last = layer(np.ones((2, 5, 3), np.float32))
    >>> outputs.shape, last.shape
    ((2, 5, 4), (2, 2, 4))
    """

    _gates = 3


class LSTM(_Layer):
    """Long short-term memory over time; formula: `cr.lstm` of x_t @ weight_ih + bias_ih + bias_hh.

    i, f, o = sigmoid(.), g = tanh(.), c_t = f * c_(t-1) + i * g, h_t = o * tanh(c_t).

    Parameters, arguments and input as `RNN`, without `nonlinearity`; weights and biases have 4 * hidden_size columns
    in the order i, f, g, o. The state is a pair (h, c), and so is the last one.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.LSTM(3, 4, bidirectional=True, generator=cr.random.Generator(seed=1))
    >>> outputs, (h, c) = layer(np.ones((5, 2, 3), np.float32))
    >>> outputs.shape, h.shape, c.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    _gates, _has_cell = 4, True


class _OneStep(_Recurrence):
    """A cell; subclasses say which."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        generator: Generator | None = None,
    ) -> None:
        kind = self._begin(input_size, hidden_size, bias, dtype)
        self._add_weights(self.input_size, "", kind, generator)

    def forward(self, x: Any, state: State = None) -> Any:
        """Return the next state."""
        x = self._of_layer(x, "(rows, features) or (features,)", (1, 2))
        shape = (*x.shape[:-1], self.hidden_size)
        begin = [ops.reshape(t, (-1, self.hidden_size)) for t in self._checked_states(state, shape, x)]
        steps = ops.reshape(x, (1, product(x.shape[:-1]), self.input_size))
        y, c = self._steps(self._projected(steps, ""), begin[0], begin[1] if self._has_cell else None, "")
        h = ops.reshape(y, shape)
        return h if c is None else (h, ops.reshape(c, shape))

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> _OneStep:
        units = config.get("hidden_size")
        stored("weight_ih", (config.get("input_size"), cls._gates * units if isinstance(units, int) else None))
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        dtype = str(self._first_weight.dtype)
        return {"input_size": self.input_size, "hidden_size": self.hidden_size, "bias": self.bias, "dtype": dtype}


class RNNCell(_OneStep):
    """One step of `RNN`: the next state from x and the state.

    Parameters: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, as those of a layer of `RNN`.
    Arguments: `input_size`, `hidden_size`, `bias`, `nonlinearity`, `dtype`, `generator`, as those of `RNN`.
    Input: x (rows, input_size) or (input_size,); the state (rows, hidden_size), None for 0. Output: the next state.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cell = cr.nn.RNNCell(3, 4, generator=cr.random.Generator(seed=1))
    >>> cell(np.ones((2, 3), np.float32)).shape
    (2, 4)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        dtype: npt.DTypeLike | None = None,
        generator: Generator | None = None,
    ) -> None:
        self._set_nonlinearity(nonlinearity)
        super().__init__(input_size, hidden_size, bias, dtype, generator)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "nonlinearity": self.nonlinearity}


class GRUCell(_OneStep):
    """One step of `GRU`; arguments as `RNNCell`, without `nonlinearity`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cell = cr.nn.GRUCell(3, 4, generator=cr.random.Generator(seed=1))
    >>> cell(np.ones((2, 3), np.float32)).shape
    (2, 4)
    """

    _gates = 3


class LSTMCell(_OneStep):
    """One step of `LSTM`: the next (h, c); arguments as `RNNCell`, without `nonlinearity`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cell = cr.nn.LSTMCell(3, 4, generator=cr.random.Generator(seed=1))
    >>> h, c = cell(np.ones((2, 3), np.float32))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    _gates, _has_cell = 4, True


if not TYPE_CHECKING:
    __all__ = own_names(globals())
