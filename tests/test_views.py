"""What NumPy and PyTorch give as a view: here it shares memory, or refuses to be changed in place."""

from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr

Function = Callable[[cr.Tensor], cr.Tensor]
SHARED: dict[str, Function] = {
    "view": lambda x: x.view(-1),
    "reshape": lambda x: x.reshape(2, 8),
    "flatten": lambda x: x.flatten(),
    "squeeze": lambda x: x.unsqueeze(1).squeeze(),
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "contiguous": lambda x: x.contiguous(),
}
COPIES: dict[str, Function] = {
    "x[0]": lambda x: x[0],
    "x[:, 0]": lambda x: x[:, 0],
    "x[..., None]": lambda x: x[..., None],
    "x[::2]": lambda x: x[::2],
    "x[0, 1:3]": lambda x: x[0, 1:3],
    "x[0][1]": lambda x: x[0][1],
    "row of an iteration": lambda x: next(iter(x)),
    "T": lambda x: x.T,
    "permute": lambda x: x.permute(1, 0),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "movedim": lambda x: x.movedim(0, 1),
    "diagonal": lambda x: x.diagonal(),
    "select": lambda x: x.select(0, 1),
    "narrow": lambda x: x.narrow(0, 0, 2),
    "chunk": lambda x: x.chunk(2)[0],
    "split": lambda x: x.split(2)[1],
    "unbind": lambda x: x.unbind()[0],
    "expand": lambda x: x[:1].expand(3, 4),
    "reshaped part": lambda x: x[0].reshape(2, 2),
    "detached part": lambda x: x[0].detach(),
}
CHANGES: dict[str, Callable[[cr.Tensor], object]] = {
    "fill_": lambda x: x.fill_(9.0),
    "zero_": lambda x: x.zero_(),
    "add_": lambda x: x.add_(1.0),
    "copy_": lambda x: x.copy_(np.full(x.shape, 2.0)),
    "data =": lambda x: setattr(x, "data", np.full(x.shape, 2.0)),
    "x[...] =": lambda x: x.__setitem__(..., 3.0),
    "uniform_": lambda x: x.uniform_(),
}


def numbers() -> cr.Tensor:
    return cr.arange(16.0).reshape(4, 4).clone()


@pytest.mark.parametrize("name", SHARED)
def test_shared_memory_is_changed(name: str) -> None:
    x = numbers()
    SHARED[name](x).fill_(9.0)
    assert (x.numpy() == 9.0).all()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", COPIES)
def test_copies_refuse(name: str, change: str) -> None:
    for x in (numbers(), cr.nn.Parameter(numbers())):
        before = x.tolist()
        with cr.no_grad(), pytest.raises(RuntimeError, match=r"is a copy, made by .*write x\[index\] = values"):
            CHANGES[change](COPIES[name](x))
        assert x.tolist() == before


@pytest.mark.parametrize("name", COPIES)
def test_a_clone_of_a_copy_can_be_changed(name: str) -> None:
    x = numbers()
    before = x.tolist()
    assert (COPIES[name](x).clone().fill_(9.0).numpy() == 9.0).all()
    assert (cr.tensor(COPIES[name](x)).fill_(9.0).numpy() == 9.0).all()
    assert (cr.nn.Parameter(COPIES[name](x)).data.fill_(9.0).numpy() == 9.0).all()
    assert x.tolist() == before


def test_results_of_index_arrays_are_copies_everywhere() -> None:
    x = numbers()
    x[[0, 1]].fill_(9.0)
    x[x > 3].fill_(9.0)
    assert x.tolist() == numbers().tolist()
