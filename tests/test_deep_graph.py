"""Graphs as deep as memory allows: forward, backward and release without recursion, in a thread with a small stack."""

import gc
import sys
import threading
import weakref
from collections.abc import Callable

import pytest

import chainrule as cr

NODES = (100_000, pytest.param(1_000_000, marks=pytest.mark.full))
# Python 3.13 frees up to 10,000 objects inside of each other before it takes the rest in turns, older ones fifty.
SMALL_STACK = (256 if sys.version_info < (3, 13) else 1024) * 1024


def in_small_stack(work: Callable[[], None]) -> None:
    """Run `work` in a thread with a small stack; an overflow kills the process, an error is raised here."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    before = threading.stack_size(SMALL_STACK)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    if errors:
        raise errors[0]


def chain(x: cr.Tensor, nodes: int) -> cr.Tensor:
    """x + (nodes / 2) x, one addition after the other, each twice."""
    y = x
    for _ in range(nodes // 2):
        y = (y + x) * 1.0
    return y


@pytest.mark.parametrize("nodes", NODES)
def test_a_chain_of_nodes(nodes: int, record_property: Callable[[str, object], None]) -> None:
    def work() -> None:
        x = cr.tensor(1.5, requires_grad=True)
        y = chain(x, nodes)
        middle = weakref.ref(y._inputs[0]._inputs[0])
        y.backward()
        assert x.grad is not None
        assert x.grad.item() == 1 + nodes // 2
        assert y.item() == 1.5 * (1 + nodes // 2)
        assert middle() is not None
        del y
        assert middle() is None  # freed at once, by counting references

    in_small_stack(work)
    record_property("nodes", nodes)


def test_nested_gradients_and_copies_of_a_deep_graph() -> None:
    def work() -> None:
        def function(x: cr.Tensor) -> cr.Tensor:
            return cr.square(chain(x, 5000))

        assert cr.grad(cr.grad(function))(2.0).item() == 2 * 2501.0**2
        x = cr.tensor(2.0, requires_grad=True)
        cr.backward(function(x), create_graph=True)
        first = x.grad
        assert first is not None
        x.grad = None
        first.backward()
        assert x.grad is not None
        assert x.grad.item() == 2 * 2501.0**2

    in_small_stack(work)


@pytest.mark.parametrize("collected", [False, True])
def test_a_deep_graph_in_a_cycle_is_collected(collected: bool) -> None:
    """A tensor that is reachable from itself is the garbage collector's; that, too, must not recurse."""

    def work() -> None:
        x = cr.tensor(1.0, requires_grad=True)
        y = chain(x, 200_000)
        seen = weakref.ref(y)
        if collected:
            x.grad = y
        del x, y
        gc.collect()
        assert seen() is None

    in_small_stack(work)
