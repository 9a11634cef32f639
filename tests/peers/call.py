"""One call in both libraries, and what it gives: values, first and second derivatives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import chainrule as cr
from reference.bits import Array

Generator = np.random.Generator
Draw = Callable[[Generator], list[Array]]


@dataclass(frozen=True)
class Call:
    """A function, written once for both libraries.

    run:   of a library's functions and its tensors; a tensor, or a list of them
    draw:  the arrays, of which those of float64 are differentiated by
    order: of the derivatives that exist in both libraries
    compiled: whether it can be compiled: shapes do not depend on values
    constants: arguments of float64 that are not differentiated by
    """

    run: Callable[..., Any]
    draw: Draw
    order: int = 2
    compiled: bool = True
    constants: tuple[int, ...] = ()

    def floats(self, arrays: list[Array]) -> tuple[int, ...]:
        """The arguments that are differentiated by."""
        return tuple(i for i, a in enumerate(arrays) if a.dtype == np.float64 and i not in self.constants)


class PyTorch:
    """The functions of torch.nn.functional, torch and torch.special."""

    def __getattr__(self, name: str) -> Any:
        if name == "nn":
            return torch.nn
        for space in (torch.nn.functional, torch, torch.special):
            if hasattr(space, name):
                return getattr(space, name)
        raise AttributeError(name)


def shape_of(rng: Generator) -> tuple[int, ...]:
    """A small shape of 1 to 3 axes."""
    return tuple(int(n) for n in rng.integers(1, 6, rng.integers(1, 4)))


def flat(outputs: Any) -> list[Any]:
    """The tensors of nested lists and tuples."""
    if isinstance(outputs, Sequence):
        return [tensor for part in outputs for tensor in flat(part)]
    return [outputs]


def weighted(outputs: list[Any], tensor: Callable[[Array], Any], seed: int) -> Any:
    """The sum of all outputs of floats, each element with a weight of its own."""
    rng = np.random.default_rng(seed)
    total = tensor(np.zeros(()))
    for y in outputs:
        if y is not None and y.dtype in (np.float64, torch.float64):
            total = total + (y * tensor(rng.uniform(0.5, 1.5, tuple(y.shape)))).sum()
    return total


def ours(call: Call, arrays: list[Array], seed: int) -> list[list[Array]]:
    """Values and derivatives in this library."""
    inputs = [cr.tensor(a, requires_grad=i in call.floats(arrays)) for i, a in enumerate(arrays)]
    outputs = flat(call.run(cr.nn.functional, *inputs))
    return derivatives(call.order, inputs, outputs, seed, cr.tensor, cr.autograd.grad)


def theirs(call: Call, arrays: list[Array], seed: int) -> list[list[Array]]:
    """Values and derivatives in PyTorch."""
    inputs = [torch.tensor(a, requires_grad=i in call.floats(arrays)) for i, a in enumerate(arrays)]
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # which has second derivatives
        outputs = flat(call.run(PyTorch(), *inputs))
    return derivatives(call.order, inputs, outputs, seed, torch.tensor, torch.autograd.grad)


def derivatives(
    orders: int,
    inputs: list[Any],
    outputs: list[Any],
    seed: int,
    tensor: Callable[[Array], Any],
    grad: Callable[..., Any],
) -> list[list[Array]]:
    """The values of the outputs, then the derivatives of each order by the inputs that require them."""
    found = [[array(y) for y in outputs]]
    floats = [x for x in inputs if x.requires_grad]
    total = weighted(outputs, tensor, seed)
    for order in range(orders):
        if not total.requires_grad:
            break
        gradients = grad(total, floats, create_graph=order + 1 < orders, allow_unused=True)
        found.append([np.zeros(x.shape) if g is None else array(g) for g, x in zip(gradients, floats, strict=True)])
        total = weighted(list(gradients), tensor, seed + 1)
    return found


def array(tensor: Any) -> Array:
    """The values of a tensor of either library, without a graph."""
    detached = tensor.detach()
    return np.asarray(detached.numpy(force=True) if isinstance(detached, torch.Tensor) else detached.numpy())


def assert_close(got: list[list[Array]], expected: list[list[Array]]) -> None:
    """Equal to 1e-10 of an element, or of 1 where it is smaller; what is not a float is equal."""
    for order in range(max(len(got), len(expected))):
        mine = got[order] if order < len(got) else [np.zeros_like(e) for e in expected[order]]
        other = expected[order] if order < len(expected) else [np.zeros_like(g) for g in mine]
        assert len(mine) == len(other)
        for a, b in zip(mine, other, strict=True):
            assert a.shape == b.shape
            if b.dtype == np.float64:
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10, err_msg=f"derivative {order}")
            else:
                np.testing.assert_array_equal(a, b)


def bits(call: Call, arrays: list[Array], seed: int, compiled: bool) -> list[bytes]:
    """The bytes of the value and of the first derivatives."""

    def function(*inputs: Any) -> Any:
        return flat(call.run(cr.nn.functional, *inputs))

    def total(*inputs: Any) -> Any:
        return weighted(function(*inputs), cr.tensor, seed)

    floats = call.floats(arrays)
    inputs = [cr.tensor(a) for a in arrays]
    wrap: Any = cr.compile if compiled else (lambda f: f)
    found = list(wrap(function)(*inputs))
    if call.order and floats:
        found += list(wrap(cr.grad(total, argnums=floats))(*inputs))
    return [y.detach().numpy().tobytes() for y in found]
