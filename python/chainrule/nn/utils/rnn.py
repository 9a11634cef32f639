"""Sequences of several lengths: padded to one length, or packed step by step for recurrent layers.

A packed batch holds the elements of all sequences of the first step, then those of the second step, and so on; the
sequences are ordered by length, the longest first, so that those of a step are the first ones.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ... import ops
from ..._tensor import Tensor
from ..._util.dtypes import INT64, Array
from ..._util.errors import CompileError
from ..._util.tree_kinds import register_tree_node
from ...ops._operands import own

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "places_of",
    "unpack_sequence",
    "unpad_sequence",
]

_Fields = namedtuple("_Fields", ("data", "batch_sizes", "sorted_indices", "unsorted_indices"))


class PackedSequence(_Fields):
    """Sequences of several lengths without padding, as recurrent layers take and return them.

    Arguments and attributes: `data` (elements, ...), the elements step by step; `batch_sizes`, int64, of each step the
    number of sequences that reach it; `sorted_indices`, of each sequence of the packed order its place in the batch,
    None if both orders are the same; `unsorted_indices`, the inverse, which follows from `sorted_indices`.
    `packed._replace(data=...)` has other elements of the same sequences.
    Errors: ValueError for sizes that grow, that are below 1 or do not sum up to the elements, and for indices that are
    no permutation; `cr.CompileError` for sizes that are computed in a compiled function.

    >>> import chainrule as cr
    >>> packed = cr.nn.utils.rnn.pack_sequence([cr.tensor([1.0, 2.0, 3.0]), cr.tensor([4.0, 5.0])])
    >>> packed.data.tolist(), packed.batch_sizes.tolist()
    ([1.0, 4.0, 2.0, 5.0, 3.0], [2, 2, 1])
    """

    __slots__ = ()

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None

    def __new__(  # noqa: D102
        cls, data: Any, batch_sizes: Any, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:
        elements, sizes = own(data), _integers("PackedSequence: batch_sizes", batch_sizes)
        if not sizes.size or sizes.min() < 1 or (sizes[1:] > sizes[:-1]).any():
            raise ValueError(f"PackedSequence: batch_sizes must be at least 1 and must not grow, got {sizes.tolist()}")
        if elements.ndim < 1 or elements.shape[0] != sizes.sum():
            raise ValueError(
                f"PackedSequence: data of shape {elements.shape} must have {sizes.sum()} rows, the sum of batch_sizes"
            )
        if sorted_indices is None and unsorted_indices is not None:
            sorted_indices = invert_permutation(unsorted_indices)
        if sorted_indices is None:
            return cls._of(elements, sizes, None)
        order = _integers("PackedSequence: sorted_indices", sorted_indices)
        if sorted(order.tolist()) != list(range(int(sizes[0]))):
            raise ValueError(f"PackedSequence: sorted_indices must be an order of {sizes[0]}, got {order.tolist()}")
        return cls._of(elements, sizes, order)

    @classmethod
    def _of(cls, data: Any, sizes: Array, order: Array | None) -> PackedSequence:
        """A sequence without checks."""
        indices = (None, None) if order is None else (Tensor(order), Tensor(np.argsort(order)))
        return tuple.__new__(cls, (data, Tensor(sizes), *indices))

    def to(self, *args: Any, **options: Any) -> PackedSequence:
        """The same with its data in another dtype, `data.to(...)`."""
        return self._replace(data=self.data.to(*args, **options))

    def float(self) -> PackedSequence:
        """With data of float32."""
        return self.to(np.float32)

    def double(self) -> PackedSequence:
        """With data of float64."""
        return self.to(np.float64)

    def long(self) -> PackedSequence:
        """With data of int64."""
        return self.to(INT64)

    def cpu(self) -> PackedSequence:
        """The sequence itself."""
        return self

    @property
    def is_cuda(self) -> bool:
        """False."""
        return False


def _parts(packed: PackedSequence) -> tuple[tuple[Any], Any]:
    order = packed.sorted_indices
    return (packed.data,), (tuple(packed.batch_sizes.tolist()), None if order is None else tuple(order.tolist()))


def _built(sizes_and_order: Any, children: tuple[Any, ...]) -> PackedSequence:
    sizes, order = (None if part is None else np.array(part, INT64) for part in sizes_and_order)
    return PackedSequence._of(children[0], cast("Array", sizes), order)


register_tree_node(PackedSequence, _parts, _built)


def _integers(what: str, values: Any) -> npt.NDArray[np.int64]:
    """Values that are known, as an array."""
    if isinstance(values, Tensor):
        if not isinstance(values._data, np.ndarray):
            raise CompileError(
                f"{what}: lengths decide about shapes, but in a compiled function the values of tensors and arrays are "
                "not known; pass a list of numbers, or pack outside of it"
            )
        values = values._data
    found = np.asarray(values)
    if found.ndim != 1 or (found.dtype.kind not in "iu" and found.size):
        raise TypeError(f"{what} must be integers of one axis, got {found.dtype} of shape {found.shape}")
    return found.astype(INT64)


def _packed(name: str, value: Any) -> PackedSequence:
    if not isinstance(value, PackedSequence):
        raise TypeError(f"{name}: expected a PackedSequence, got {type(value).__name__}")
    return value


def places_of(batch_sizes: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Of each step and sequence the row of the packed data, and of each sequence its length, in the packed order.

    Where a sequence has ended, the place is the number of rows.

    >>> [part.tolist() for part in places_of([2, 1])]
    [[[0, 1], [2, 3]], [2, 1]]
    """
    sizes = _integers("batch_sizes", batch_sizes)
    column = np.arange(sizes[0])
    inside = column < sizes[:, None]
    return np.where(inside, (np.cumsum(sizes) - sizes)[:, None] + column, sizes.sum()), inside.sum(0)


def invert_permutation(permutation: Any) -> Any:
    """The inverse of an order, inverse[permutation[i]] = i; None of None.

    >>> import chainrule as cr
    >>> cr.nn.utils.rnn.invert_permutation([2, 0, 1]).tolist()
    [1, 2, 0]
    """
    if permutation is None:
        return None
    return Tensor(np.argsort(_integers("invert_permutation: permutation", permutation)))


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences that are padded to one length.

    Arguments: `input` (steps, sequences, ...), or (sequences, steps, ...) with `batch_first`, of any dtype; `lengths`,
    integers from 1 to steps, one for each sequence; `enforce_sorted`, whether the lengths must descend; if False the
    sequences are sorted here, and layers and `pad_packed_sequence` give results in the order of the batch again.
    Returns: a `PackedSequence`, differentiable with respect to `input`.
    Errors: ValueError for shapes and lengths; TypeError for lengths that are not integers; `cr.CompileError` for
    lengths that are a tensor in a compiled function.

    >>> import chainrule as cr
    >>> padded = cr.tensor([[1.0, 0.0], [2.0, 3.0]])
    >>> packed = cr.nn.utils.rnn.pack_padded_sequence(padded, [1, 2], batch_first=True, enforce_sorted=False)
    >>> packed.data.tolist(), packed.sorted_indices.tolist()
    ([2.0, 1.0, 3.0], [1, 0])
    """
    name = "pack_padded_sequence"
    x, counts = own(input), _integers(f"{name}: lengths", lengths)
    if x.ndim < 2:
        raise ValueError(f"{name}: input must be (steps, sequences, ...), got shape {x.shape}")
    rows, steps = x.shape[:2] if batch_first else (x.shape[1], x.shape[0])
    if len(counts) != rows or not rows:
        raise ValueError(f"{name}: expected {rows or 'at least one'} lengths for input {x.shape}, got {len(counts)}")
    if counts.min() < 1 or counts.max() > steps:
        raise ValueError(f"{name}: lengths must be from 1 to {steps} for input {x.shape}, got {counts.tolist()}")
    order = None if enforce_sorted else np.argsort(-counts, kind="stable")
    if order is not None:
        counts = counts[order]
    elif (counts[1:] > counts[:-1]).any():
        raise ValueError(
            f"{name}: lengths must descend, got {counts.tolist()}; enforce_sorted=False takes them in any order"
        )
    inside = counts > np.arange(counts[0])[:, None]
    step, row = np.nonzero(inside)
    row = row if order is None else order[row]
    index = row * steps + step if batch_first else step * rows + row
    data = ops.take(ops.reshape(x, (steps * rows, *x.shape[2:])), index)
    return PackedSequence._of(data, inside.sum(1), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Pad packed sequences to one length, the inverse of `pack_padded_sequence`.

    Arguments: `sequence`; `batch_first`, return (sequences, steps, ...) in place of (steps, sequences, ...);
    `padding_value`, a number; `total_length`, the number of steps, by default that of the longest sequence.
    Returns: (the padded sequences in the order of the batch, their lengths as int64).
    Errors: TypeError for what is not packed; ValueError for a total_length below the longest sequence.

    >>> import chainrule as cr
    >>> packed = cr.nn.utils.rnn.pack_sequence([cr.tensor([1.0, 2.0]), cr.tensor([4.0])])
    >>> [part.tolist() for part in cr.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)]
    [[[1.0, 2.0], [4.0, 0.0]], [2, 1]]
    """
    packed = _packed("pad_packed_sequence", sequence)
    places, lengths = places_of(packed.batch_sizes)
    steps = len(places)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                f"pad_packed_sequence: total_length {total_length} is below {steps}, the length of the longest sequence"
            )
        places = np.pad(places, ((0, total_length - steps), (0, 0)), constant_values=packed.data.shape[0])
    if packed.unsorted_indices is not None:
        back = packed.unsorted_indices._data
        places, lengths = places[:, back], lengths[back]
    data = packed.data
    if places.size > data.shape[0]:
        filler = np.full((1, *data.shape[1:]), padding_value).astype(data.dtype)
        data = ops.concatenate([data, Tensor._wrap(filler)])
    return ops.take(data, places.T if batch_first else places), Tensor(lengths)


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Stack sequences of several lengths, padded to that of the longest one.

    Arguments: `sequences`, tensors or arrays (length, ...) of one dtype, equal but for their lengths; `batch_first`,
    return (sequences, steps, ...) in place of (steps, sequences, ...); `padding_value`, a number; `padding_side`,
    "right" or "left".
    Returns: a tensor, differentiable with respect to the sequences. Errors: ValueError for no sequences and for shapes.

    >>> import chainrule as cr
    >>> cr.nn.utils.rnn.pad_sequence([cr.tensor([1.0, 2.0]), cr.tensor([4.0])], batch_first=True).tolist()
    [[1.0, 2.0], [4.0, 0.0]]
    """
    name = "pad_sequence"
    if padding_side not in ("right", "left"):
        raise ValueError(f'{name}: padding_side must be "right" or "left", got {padding_side!r}')
    found = _sequences(name, sequences)
    lengths = np.array([t.shape[0] for t in found])
    steps, step = int(lengths.max()), np.arange(lengths.max())
    begins = lengths[:, None] * 0 if padding_side == "right" else steps - lengths[:, None]
    inside = (step >= begins) & (step < begins + lengths[:, None])
    places = np.where(inside, (np.cumsum(lengths) - lengths)[:, None] + step - begins, lengths.sum())
    filler = np.full((1, *found[0].shape[1:]), padding_value).astype(found[0].dtype)
    joined = ops.concatenate([*found, Tensor._wrap(filler)])
    return ops.take(joined, places if batch_first else places.T)


def _sequences(name: str, sequences: Any) -> list[Tensor]:
    """Tensors of at least one axis, equal in all others and in their dtype."""
    found = [own(t) for t in sequences]
    if not found:
        raise ValueError(f"{name}: there are no sequences")
    if any(t.ndim < 1 or t.shape[1:] != found[0].shape[1:] for t in found):
        shapes = ", ".join(str(t.shape) for t in found)
        raise ValueError(f"{name}: sequences must be (length, ...), equal but for their lengths, got {shapes}")
    if any(t.dtype != found[0].dtype for t in found):
        raise TypeError(f"{name}: expected one dtype, got {' and '.join(sorted({str(t.dtype) for t in found}))}")
    return found


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The sequences in a padded batch, each of its length; the inverse of `pad_sequence`.

    Arguments: `padded_sequences` (steps, sequences, ...), or (sequences, steps, ...) with `batch_first`; `lengths`, one
    for each sequence. Returns: a list of tensors (length, ...). Errors: as `pack_padded_sequence`.

    >>> import chainrule as cr
    >>> [t.tolist() for t in cr.nn.utils.rnn.unpad_sequence(cr.tensor([[1.0, 4.0], [2.0, 0.0]]), [2, 1])]
    [[1.0, 2.0], [4.0]]
    """
    x, counts = own(padded_sequences), _integers("unpad_sequence: lengths", lengths)
    if x.ndim < 2:
        raise ValueError(f"unpad_sequence: padded_sequences must be (steps, sequences, ...), got shape {x.shape}")
    rows, steps = x.shape[:2] if batch_first else (x.shape[1], x.shape[0])
    if len(counts) != rows or (rows and (counts.min() < 0 or counts.max() > steps)):
        raise ValueError(
            f"unpad_sequence: expected {rows} lengths from 0 to {steps} for shape {x.shape}, got {counts.tolist()}"
        )
    return [x[i, :n] if batch_first else x[:n, i] for i, n in enumerate(counts.tolist())]


def pack_sequence(sequences: Any, enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of several lengths; arguments as `pad_sequence` and `pack_padded_sequence`.

    >>> import chainrule as cr
    >>> pack = cr.nn.utils.rnn.pack_sequence
    >>> pack([cr.tensor([1.0]), cr.tensor([4.0, 5.0])], enforce_sorted=False).data.tolist()
    [4.0, 1.0, 5.0]
    """
    found = _sequences("pack_sequence", sequences)
    return pack_padded_sequence(pad_sequence(found), [t.shape[0] for t in found], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch in its order, each of its length; the inverse of `pack_sequence`.

    >>> import chainrule as cr
    >>> rnn = cr.nn.utils.rnn
    >>> [t.tolist() for t in rnn.unpack_sequence(rnn.pack_sequence([cr.tensor([1.0, 2.0]), cr.tensor([4.0])]))]
    [[1.0, 2.0], [4.0]]
    """
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)
