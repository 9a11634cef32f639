"""Einstein's sums as transposes, products of pairs and sums."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .._ir.shapes import product
from .._tensor import Tensor
from .._util.dtypes import BOOL
from ._arithmetic import mul
from ._cast import astype
from ._matmul import matmul, product_dtype
from ._op import Shape
from ._operands import one, pair
from ._rearrange import diagonal
from ._reduce import any as any_over
from ._reduce import sum
from ._shape import reshape, transpose

__all__ = ["einsum"]

Labels = str  # one letter for each axis; broadcast axes have capital letters that the subscripts do not use
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(*operands: Any, optimize: Any = True) -> Tensor:
    """Sum of products by Einstein's convention, as `numpy.einsum`: "ij,jk->ik" is the matrix product.

    Operands are combined in pairs, each as one matrix product; gradients are those of these parts. Letters are axes;
    those that the output leaves out are summed (of bools: any), "..." stands for any axes. Without "->" the output has
    the letters that occur once, in alphabetical order. Axes of length 1 broadcast.

    Arguments: `operands`, the subscripts and then tensors of dtypes as for `cr.matmul`, or NumPy's other form, a tensor
    and a list of numbers in turn; `optimize`, the order of the pairs of three and more operands: True or "greedy" (by
    `numpy.einsum_path`), "optimal", False (from left to right), or a path of `numpy.einsum_path`.
    Returns: a tensor with the axes of the output.
    Errors: ValueError for subscripts that do not fit the operands' shapes.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.einsum("bi,bij,bj->b", np.ones((4, 2)), np.ones((4, 2, 3)), np.ones((4, 3))).tolist()
    [6.0, 6.0, 6.0, 6.0]
    """
    subscripts, tensors = _arguments(operands)
    shapes = tuple(t.shape for t in tensors)
    inputs, output = _parsed(subscripts, tuple(len(shape) for shape in shapes))
    _check_lengths(subscripts, inputs, shapes)
    others = [inputs[:i] + inputs[i + 1 :] for i in range(len(inputs))]
    waiting = [_reduced(t, labels, output, rest) for t, labels, rest in zip(tensors, inputs, others, strict=True)]
    for group in _path(inputs, output, shapes, optimize if isinstance(optimize, (bool, str)) else tuple(optimize)):
        if not all(0 <= i < len(waiting) for i in group):
            raise ValueError(f"einsum: the path {optimize!r} has no operands {group}")
        taken = [waiting[i] for i in group]
        waiting = [part for i, part in enumerate(waiting) if i not in group]
        found = taken[0]
        for i, other in enumerate(taken[1:], 2):
            needed = {*output, *(label for _, labels in (*waiting, *taken[i:]) for label in labels)}
            found = _product(found, other, needed)
        waiting.append(found)
    ((last, labels),) = waiting
    rest = tuple(i for i, label in enumerate(labels) if label not in output)
    last, labels = _summed(last, rest), "".join(label for label in labels if label in output)
    return transpose(last, [labels.index(label) for label in output])


# Subscripts.


def _arguments(operands: Sequence[Any]) -> tuple[str, list[Tensor]]:
    if not operands:
        raise ValueError('einsum: expected subscripts and operands, einsum("ij,jk->ik", a, b)')
    if isinstance(operands[0], str):
        subscripts, given = operands[0].replace(" ", ""), list(operands[1:])
    else:
        given = list(operands[: len(operands) // 2 * 2 : 2])
        terms = [_letters(part) for part in operands[1::2]]
        subscripts = ",".join(terms) + (f"->{_letters(operands[-1])}" if len(operands) % 2 else "")
    if not given:
        raise ValueError(f"einsum: there are no operands for {subscripts!r}")
    first = next((x for x in given if isinstance(x, Tensor)), one(given[0]))
    tensors = [x if isinstance(x, Tensor) else pair(first, x)[1] for x in given]
    dtype = product_dtype("einsum", tensors)
    return subscripts, [astype(t, dtype) for t in tensors]


def _letters(numbers: Iterable[Any]) -> str:
    return "".join("..." if n is Ellipsis else _LETTERS[n] for n in numbers)


@lru_cache(maxsize=256)
def _parsed(subscripts: str, ndims: tuple[int, ...]) -> tuple[tuple[Labels, ...], Labels]:
    """The labels of each operand and of the output, with letters in place of "..."."""
    left, arrow, right = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"einsum: {subscripts!r} is for {len(terms)} operands, got {len(ndims)}")
    for term in (*terms, right):
        rest = term.replace("...", "", 1)
        if not all(letter in _LETTERS for letter in rest):
            raise ValueError(f"einsum: expected letters, ',', '...' and '->', got {subscripts!r}")
    extra = [ndim - len(term.replace("...", "")) for term, ndim in zip(terms, ndims, strict=True)]
    for term, ndim, n in zip(terms, ndims, extra, strict=True):
        if n < 0 or (n > 0 and "..." not in term):
            raise ValueError(f"einsum: {term!r} in {subscripts!r} is for {len(term)} axes, the operand has {ndim}")
    most = max((n for term, n in zip(terms, extra, strict=True) if "..." in term), default=0)
    unused = [letter for letter in reversed(_LETTERS) if letter not in subscripts]
    broadcast = "".join(unused[:most])
    inputs = tuple(term.replace("...", broadcast[most - n :]) for term, n in zip(terms, extra, strict=True))
    if not arrow:
        letters = sorted(letter for letter in {*left} - {*".,"} if left.count(letter) == 1)
        return inputs, broadcast + "".join(letters)
    output = right.replace("...", broadcast)
    joined = "".join(inputs)
    if len({*output}) < len(output) or any(label not in joined for label in output):
        raise ValueError(f"einsum: the output of {subscripts!r} must have letters of the operands, each once")
    return inputs, output


def _check_lengths(subscripts: str, inputs: Sequence[Labels], shapes: Sequence[Shape]) -> None:
    lengths: dict[str, int] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for label, n in zip(labels, shape, strict=True):
            if lengths.setdefault(label, n) == 1:
                lengths[label] = n
            if n not in (1, lengths[label]) or (labels.count(label) > 1 and n != shape[labels.index(label)]):
                raise ValueError(f"einsum: the lengths of an axis differ in {subscripts!r} of shapes {[*shapes]}")


@lru_cache(maxsize=256)
def _path(
    inputs: tuple[Labels, ...], output: Labels, shapes: tuple[Shape, ...], optimize: Any
) -> list[tuple[int, ...]]:
    """The positions of the operands that are combined next; the result becomes the last operand."""
    count = len(inputs)
    if isinstance(optimize, tuple):
        given = [tuple(group) for group in optimize if not isinstance(group, str)]
        left = count - builtins.sum(len(group) - 1 for group in given)
        return [*given, tuple(range(left))] if left > 1 else given
    if count < 3 or not optimize:
        return [tuple(range(count))] if count > 1 else []
    arrays = [np.broadcast_to(np.float32(0), shape) for shape in shapes]  # only their shapes are read
    path = np.einsum_path(f"{','.join(inputs)}->{output}", *arrays, optimize=optimize)[0]
    return [tuple(group) for group in path[1:]]


# Products of pairs.


def _reduced(x: Tensor, labels: Labels, output: Labels, others: Sequence[Labels]) -> tuple[Tensor, Labels]:
    """The diagonal of repeated labels, and the sum over labels that occur nowhere else."""
    while len({*labels}) < len(labels):
        label = next(label for label in labels if labels.count(label) > 1)
        i = labels.index(label)
        j = labels.index(label, i + 1)
        x, labels = diagonal(x, 0, i, j), labels[:i] + labels[i + 1 : j] + labels[j + 1 :] + label
    elsewhere = "".join((output, *others))
    rest = tuple(i for i, label in enumerate(labels) if label not in elsewhere)
    return _summed(x, rest), "".join(label for label in labels if label in elsewhere)


def _summed(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The sum over axes; of bools whether any is True, as NumPy's."""
    if not axes:
        return x
    return any_over(x, axes) if x.dtype == BOOL else sum(x, axes)


def _broadcast_dropped(a: Tensor, of_a: Labels, b: Tensor, of_b: Labels) -> tuple[Tensor, Labels]:
    """`a` without the axes of length 1 that are longer in `b`."""
    dropped = [i for i, label in enumerate(of_a) if label in of_b and a.shape[i] == 1 != b.shape[of_b.index(label)]]
    shape = [n for i, n in enumerate(a.shape) if i not in dropped]
    return (reshape(a, shape) if dropped else a), "".join(label for i, label in enumerate(of_a) if i not in dropped)


def _product(left: tuple[Tensor, Labels], right: tuple[Tensor, Labels], needed: set[str]) -> tuple[Tensor, Labels]:
    """The product of two operands, summed over the labels of both that are not needed any more."""
    a, of_a = _broadcast_dropped(*left, *right)
    b, of_b = _broadcast_dropped(*right, a, of_a)
    lengths = dict(zip(of_a + of_b, (*a.shape, *b.shape), strict=True))
    both = [label for label in of_a if label in of_b]
    batch = "".join(label for label in both if label in needed)
    summed = "".join(label for label in both if label not in needed)
    rows, columns = ("".join(label for label in labels if label not in both) for labels in (of_a, of_b))

    def ordered(x: Tensor, labels: Labels, order: Labels, shape: Sequence[int]) -> Tensor:
        return reshape(transpose(x, [labels.index(label) for label in order]), shape)

    def count(labels: Labels) -> int:
        return product([lengths[label] for label in labels])

    heads = [lengths[label] for label in batch]
    m, n, k = count(rows), count(columns), count(summed)
    if summed:
        left_factor = ordered(a, of_a, batch + rows + summed, (*heads, m, k))
        x = matmul(left_factor, ordered(b, of_b, batch + summed + columns, (*heads, k, n)))
    else:
        x = mul(ordered(a, of_a, batch + rows, (*heads, m, 1)), ordered(b, of_b, batch + columns, (*heads, 1, n)))
    labels = batch + rows + columns
    return reshape(x, [lengths[label] for label in labels]), labels
