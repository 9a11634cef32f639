"""Values that a custom op's Python code reads: what depends on them that way has no graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import ref

import numpy as np

from .._tensor import Tensor, sequence_numbers
from .._util.dtypes import Array
from .._util.mode import Eager, grad_mode

__all__ = ["ValueReads", "watching"]

_ARGUMENTS, _GIVEN = 1, 2  # bits: what values were computed from


class ValueReads(Eager):
    """The executor of a forward function or of a derivative rule, which notes what its code does with values.

    A rule may compute with `x.numpy()`, or with what its forward function saved. Its result is right, but the graph
    does not show that it depends on the arguments.

    Arguments: `arguments`, the op's arguments and, for a rule, its result; `given`, what a rule is linear in: the
    upstream gradient, or the tangents; `forward`, the reads of the op's forward function.
    """

    __slots__ = ("_computed", "_end", "_forward", "_origins", "_start", "arguments", "of_arguments", "of_given")

    def __init__(
        self, arguments: Sequence[Tensor], given: Iterable[Tensor] = (), forward: ValueReads | None = None
    ) -> None:
        self.arguments = list(arguments)
        self.of_arguments = self.of_given = False
        self._origins = {id(t._version): _ARGUMENTS for t in arguments if t.dtype.kind == "f"}
        self._origins.update((id(t._version), _GIVEN) for t in given)
        self._computed: dict[int, tuple[ref[Array], int]] = {}  # results of ops, by the id of the array
        self._forward = forward
        self._start, self._end = next(sequence_numbers), -1

    def close(self) -> None:
        """End the range of the tensors that the function creates."""
        self._end = next(sequence_numbers)
        self._computed.clear()

    def apply(self, op: Any, inputs: tuple[Tensor, ...], attrs: tuple[Any, ...]) -> Any:
        """Run the op; note what its result was computed from, and operands that the forward function has saved."""
        data = super().apply(op, inputs, attrs)
        origin = 0
        for t in inputs:
            origin |= self._origin(t)
            if self._forward is not None and not t._requires_grad and self._forward._saved(t, self):
                self.of_arguments = True
        self._computed[id(data)] = ref(data), origin
        return data

    def note_result(self, result: Tensor, inputs: tuple[Tensor, ...]) -> None:
        """Note what the result of another custom op was computed from."""
        origin = 0
        for t in inputs:
            origin |= self._origin(t)
        self._computed[id(result._data)] = ref(result._data), origin

    def require_values(self, tensor: Tensor) -> None:
        """Note what the values that are read were computed from."""
        super().require_values(tensor)
        origin = self._origin(tensor)
        if self._forward is not None and self._forward._start < tensor._version[1] < self._forward._end:
            origin |= _ARGUMENTS
        if not origin and tensor._requires_grad:  # a captured tensor with a graph
            self.arguments.append(tensor)
            origin = _ARGUMENTS
        self.of_arguments |= bool(origin & _ARGUMENTS)
        self.of_given |= bool(origin & _GIVEN)

    def _origin(self, tensor: Tensor) -> int:
        return self._known(tensor) or 0

    def _known(self, tensor: Tensor) -> int | None:
        """What a tensor, or the memory that it shares, was computed from; None if it was not computed here."""
        known = self._origins.get(id(tensor._version))
        array: Any = tensor._data
        while known is None and isinstance(array, np.ndarray):
            found = self._computed.get(id(array))
            known = found[1] if found is not None and found[0]() is array else None
            array = array.base
        return known

    def _saved(self, tensor: Tensor, rule: ValueReads) -> bool:
        """Whether an operand of a rule is something that this forward function computed: a tensor, or an array.

        Only Python's numbers are cached by value, and so read-only; they are constants of the code.
        """
        if tensor.dtype.kind != "f":
            return False
        if self._start < tensor._version[1] < self._end:
            return id(tensor._version) not in rule._origins
        made_here = tensor._number > rule._start and rule._known(tensor) is None
        return self.of_arguments and made_here and (tensor.ndim > 0 or bool(tensor._data.flags.writeable))


@contextmanager
def watching(reads: ValueReads) -> Iterator[ValueReads]:
    """Context in which code may read values, which are noted; while a function is traced, there are none to read."""
    before = grad_mode.executor, grad_mode.differentiated
    if before[0].has_values:
        grad_mode.set(grad_mode.enabled, reads)
        grad_mode.differentiated = frozenset()
    try:
        yield reads
    finally:
        grad_mode.set(grad_mode.enabled, before[0])
        grad_mode.differentiated = before[1]
        reads.close()
