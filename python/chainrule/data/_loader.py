"""Minibatches for training loops of one's own, in PyTorch's words."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor, tensor
from .._util.arrays import as_ndarray
from .._util.checks import check_integer, is_integer
from ..random import Generator, default_generator, given_or_default
from ._split import Indices, epoch_order

__all__ = ["DataLoader", "Dataset", "Subset", "TensorDataset", "random_split"]

_AHEAD = 2  # batches for each thread that are read before they are asked for


class Dataset:
    """Base for a data set of one's own, with `__len__` and `__getitem__`; any class with these works, too.

    >>> import chainrule as cr
    >>> class Squares(cr.data.Dataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, i):
    ...         return float(i * i)
    >>> [batch.tolist() for batch in cr.data.DataLoader(Squares(), batch_size=2)]
    [[0.0, 1.0], [4.0]]
    """

    def __class_getitem__(cls, item: Any) -> Any:
        return cls

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: a data set needs __getitem__")


class Subset(Dataset):
    """The items of a data set at these indices.

    >>> import chainrule as cr
    >>> list(cr.data.Subset([10, 20, 30], [2, 0]))
    [30, 10]
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, [int(i) for i in indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]


def random_split(
    dataset: Any, lengths: Sequence[int] | Sequence[float], generator: Generator | None = None
) -> list[Subset]:
    """Split a data set into parts of random items, as `torch.utils.data.random_split`; other items than PyTorch's.

    Arguments: `dataset`, with `len` and items; `lengths`, numbers of items whose sum is that of all, or shares whose
    sum is 1: parts are rounded down, and the first ones get an item more each; `generator`, a `cr.random.Generator`
    (default: the one that `cr.manual_seed` seeds).
    Errors: ValueError for other sums.

    >>> import chainrule as cr
    >>> [len(part) for part in cr.data.random_split(list(range(11)), [0.75, 0.25])]
    [9, 2]
    """
    n, given = len(dataset), list(lengths)
    if given and all(isinstance(share, float) and share >= 0 for share in given) and abs(sum(given) - 1.0) < 1e-6:
        counts = [int(n * share) for share in given]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        if not all(is_integer(count) and count >= 0 for count in given) or sum(given) != n:
            raise ValueError(f"random_split: lengths must sum up to {n}, or shares to 1, got {given}")
        counts = [int(count) for count in given]
    order, ends = given_or_default(generator).permutation(n).tolist(), np.cumsum(counts).tolist()
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, ends, strict=True)]


class TensorDataset:
    """Tensors with the same number of rows; item i is the tuple of their rows i.

    Arguments: `tensors`, one or more tensors, or arrays, which become tensors of their dtype without a copy where that
    is possible.
    Errors: TypeError without tensors or for one without rows; ValueError for different numbers of rows.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> rows = cr.data.TensorDataset(np.eye(3, dtype=np.float32), np.array([2, 0, 1]))
    >>> x, y = rows[1]
    >>> len(rows), x.shape, y.item()
    (3, (3,), 0)
    """

    def __init__(self, *tensors: Tensor | npt.ArrayLike) -> None:
        if not tensors:
            raise TypeError("TensorDataset: expected one or more tensors")
        self.tensors = tuple(t if isinstance(t, Tensor) else tensor(as_ndarray(t, "TensorDataset")) for t in tensors)
        if any(t.ndim == 0 for t in self.tensors):
            raise TypeError("TensorDataset: expected tensors with an axis of rows, got a single number")
        if len({len(t) for t in self.tensors}) > 1:
            shapes = ", ".join(str(t.shape) for t in self.tensors)
            raise ValueError(f"TensorDataset: the tensors must have the same number of rows, got shapes {shapes}")

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        """The rows of each tensor at an index: an integer, a slice, or an array of integers."""
        return tuple(t[index] for t in self.tensors)


class DataLoader:
    """An iterator over the minibatches of a data set: each `for` runs through one epoch.

    With `shuffle` the rows of epoch e are permuted by (seed, e): a loader has the batches of `cr.fit` with this seed.

    Arguments: `dataset`, a `TensorDataset`, any object with `len` and items 0, 1, ..., such as a list, an array or a
    data set of one's own, or an iterable of items, which may be larger than memory; `batch_size`, rows of a batch;
    `shuffle`; `sampler`, an iterable of the indices of an epoch, in place of `shuffle`; `num_workers`, threads that
    read items ahead, 0 for none: the batches are the same ones; `collate_fn`, a function from the list of a batch's
    items to the batch (default: tensors, arrays and numbers are stacked, in tuples, lists and dicts, too; texts stay a
    list); `pin_memory`, which has no effect on a CPU; `drop_last`, whether a last batch with fewer rows is left out;
    `seed`, that of `cr.manual_seed` by default.
    Attributes: `epoch`, the index of the next epoch, from 0; set it to continue a training.
    Errors: TypeError or ValueError for arguments out of range, and for `shuffle`, `sampler` or `len` of an iterable.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X, y = np.ones((10, 2), np.float32), np.arange(10)
    >>> loader = cr.data.DataLoader(cr.data.TensorDataset(X, y), batch_size=4, shuffle=True, seed=1)
    >>> [(x.shape, len(labels)) for x, labels in loader]
    [((4, 2), 4), ((4, 2), 4), ((2, 2), 2)]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        *,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        seed: int | None = None,
    ) -> None:
        self.batch_size = check_integer("DataLoader: batch_size", batch_size, 1)
        self.num_workers = check_integer("DataLoader: num_workers", num_workers, 0)
        self.seed = None if seed is None else check_integer("DataLoader: seed", seed, 0)
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(f"DataLoader: collate_fn must be a function of a list of items, got {collate_fn!r}")
        self._indexed = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
        if not self._indexed and not isinstance(dataset, Iterable):
            raise TypeError(f"DataLoader: dataset must have len() and items, or be iterable, got {dataset!r}")
        if isinstance(dataset, Mapping):
            raise TypeError("DataLoader: dataset is a mapping; pass a TensorDataset of its values")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler gives the order itself; leave out shuffle")
        if not self._indexed and (shuffle or sampler is not None):
            raise ValueError("DataLoader: an iterable has an order of its own; leave out shuffle and sampler")
        self.dataset, self.shuffle, self.sampler, self.collate_fn = dataset, bool(shuffle), sampler, collate_fn
        self.pin_memory, self.drop_last, self.epoch = bool(pin_memory), bool(drop_last), 0

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        if not self._indexed:
            raise TypeError("DataLoader: the number of batches of an iterable is not known")
        rows = len(self.dataset if self.sampler is None else self.sampler)  # type: ignore[arg-type]
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        """The batches of the next epoch."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        if not self._indexed:
            return self._batches(self._of_items(iter(self.dataset)), lambda items: (self.collate_fn or _collate)(items))
        return self._batches(self._of_rows(self._order(epoch)), self._rows)

    def _order(self, epoch: int) -> Indices:
        if self.sampler is not None:
            return np.fromiter(self.sampler, np.int64)
        if not self.shuffle:
            return np.arange(len(self.dataset), dtype=np.int64)
        seed = default_generator().seed if self.seed is None else self.seed
        return epoch_order(len(self.dataset), seed, epoch)

    def _of_rows(self, order: Indices) -> Iterator[Indices]:
        for start in range(0, len(order), self.batch_size):
            if len(order) - start >= self.batch_size or not self.drop_last:
                yield order[start : start + self.batch_size]

    def _of_items(self, items: Iterator[Any]) -> Iterator[list[Any]]:
        while part := list(islice(items, self.batch_size)):
            if len(part) == self.batch_size or not self.drop_last:
                yield part

    def _rows(self, rows: Indices) -> Any:
        if isinstance(self.dataset, (TensorDataset, Tensor)) and self.collate_fn is None:
            return self.dataset[rows]
        return (self.collate_fn or _collate)([self.dataset[row] for row in rows.tolist()])

    def _batches(self, parts: Iterator[Any], read: Callable[[Any], Any]) -> Iterator[Any]:
        if not self.num_workers:
            yield from map(read, parts)
            return
        pool = ThreadPoolExecutor(self.num_workers)
        try:
            ahead = deque(pool.submit(read, part) for part in islice(parts, _AHEAD * self.num_workers))
            while ahead:
                batch = ahead.popleft().result()
                ahead.extend(pool.submit(read, part) for part in islice(parts, 1))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)


def _collate(items: list[Any]) -> Any:
    """The items of a batch as one: tensors, arrays and numbers stacked; containers item by item."""
    first = items[0]
    if isinstance(first, Tensor):
        return ops.stack(items)
    if isinstance(first, Mapping):
        return {key: _collate([item[key] for item in items]) for key in first}
    if isinstance(first, (str, bytes)):
        return items
    if isinstance(first, Sequence):
        if any(len(item) != len(first) for item in items):
            raise ValueError("DataLoader: items of a batch have different lengths; pass collate_fn, which pads them")
        parts = [_collate(list(part)) for part in zip(*items, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    arrays = [as_ndarray(item, "DataLoader: an item") for item in items]
    if any(array.shape != arrays[0].shape for array in arrays):
        shapes = ", ".join(sorted({str(array.shape) for array in arrays}))
        raise ValueError(f"DataLoader: items of a batch have shapes {shapes}; pass collate_fn, which pads them")
    return tensor(items if type(first) in (bool, int, float) else np.stack(arrays))
