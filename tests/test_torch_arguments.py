"""PyTorch's names: of arguments, functions, methods, and changes in place. What means something else is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from reference.bits import Array

X = np.arange(1.0, 25.0, dtype=np.float32).reshape(2, 3, 4)
Function = Callable[[cr.Tensor], cr.Tensor]

NAMES: dict[str, tuple[Function, Callable[[Array], Array]]] = {
    "sum": (lambda x: x.sum(dim=1), lambda x: x.sum(1)),
    "sum dims": (lambda x: cr.sum(x, dim=(0, 2), keepdim=True), lambda x: x.sum((0, 2), keepdims=True)),
    "mean": (lambda x: x.mean(dim=-1, keepdim=True), lambda x: x.mean(-1, keepdims=True)),
    "argmax": (lambda x: x.argmax(dim=2), lambda x: x.argmax(2)),
    "softmax": (lambda x: F.softmax(x, dim=1), lambda x: cr.softmax(x, 1).numpy()),
    "log_softmax": (lambda x: F.log_softmax(x, dim=0), lambda x: cr.log_softmax(x, 0).numpy()),
    "cat": (lambda x: cr.cat([x, x], dim=1), lambda x: np.concatenate([x, x], 1)),
    "stack": (lambda x: cr.stack([x, x], dim=-1), lambda x: np.stack([x, x], -1)),
    "unsqueeze": (lambda x: x.unsqueeze(1), lambda x: x[:, None]),
    "unsqueeze dim": (lambda x: cr.unsqueeze(x, dim=-1), lambda x: x[..., None]),
    "squeeze": (lambda x: x[:, :1].squeeze(dim=1), lambda x: x[:, 0]),
    "squeeze all": (lambda x: x[:1, :1].squeeze(), lambda x: x[0, 0]),
    "clamp": (lambda x: cr.clamp(x, 3, 7), lambda x: x.clip(3, 7)),
    "bmm": (lambda x: cr.bmm(x, x.permute(0, 2, 1)), lambda x: cr.matmul(x, x.transpose(0, 2, 1)).numpy()),
    "permute": (lambda x: x.permute(2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    "permute tuple": (lambda x: cr.permute(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1)),
    "view": (lambda x: x.view(-1, 4), lambda x: x.reshape(-1, 4)),
    "view tuple": (lambda x: x.view((6, 4)), lambda x: x.reshape(6, 4)),
    "expand": (lambda x: x.expand(5, -1, -1, 4), lambda x: np.broadcast_to(x, (5, 2, 3, 4))),
    "flip": (lambda x: x.flip(0, 2), lambda x: x[::-1, :, ::-1]),
    "flip tuple": (lambda x: x.flip((1,)), lambda x: x[:, ::-1]),
    "ravel": (lambda x: x.ravel(), lambda x: x.ravel()),
    "swapaxes": (lambda x: x.swapaxes(0, -1), lambda x: x.swapaxes(0, -1)),
    "moveaxis": (lambda x: x.moveaxis(0, 1), lambda x: np.moveaxis(x, 0, 1)),
    "unfold": (
        lambda x: x.unfold(2, 3, 1),
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 3, 2),
    ),
    "transpose": (lambda x: x.transpose(1, -1), lambda x: x.swapaxes(1, -1)),
    "tril diagonal": (lambda x: cr.tril(x, diagonal=1) + x.tril(diagonal=-1), lambda x: np.tril(x, 1) + np.tril(x, -1)),
    "triu diagonal": (lambda x: cr.triu(x, diagonal=1), lambda x: np.triu(x, 1)),
    "split of lengths": (lambda x: cr.cat(x.split([1, 3], dim=-1)[::-1], -1), lambda x: np.roll(x, -1, -1)),
    "split of a length": (lambda x: x.split(2, dim=1)[1], lambda x: x[:, 2:]),
    "split, the first axis": (lambda x: cr.split(x, 1, dim=0)[1], lambda x: x[1:]),
    "range": (lambda x: x[:, range(2)], lambda x: x[:, :2]),
    "diagonal": (lambda x: x.diagonal(1, 1, 2), lambda x: x.diagonal(1, 1, 2)),
    "tril": (lambda x: x.tril(-1), lambda x: np.tril(x, -1)),
    "triu": (lambda x: x.triu(1), lambda x: np.triu(x, 1)),
    "take": (lambda x: x.take([2, 0], 1), lambda x: x.take([2, 0], 1)),
    "clip": (lambda x: x.clip(3), lambda x: x.clip(3)),
    "abs": (lambda x: (-x).abs(), np.abs),
    "square": (lambda x: x.square(), np.square),
    "matmul": (lambda x: x.matmul(x.swapaxes(1, 2)), lambda x: cr.matmul(x, x.swapaxes(1, 2)).numpy()),
    "dot": (lambda x: x[0, 0].dot(x[1, 1]), lambda x: x[0, 0] @ x[1, 1]),
    "clone": (lambda x: x.clone(), np.copy),
    "clone of a number": (lambda x: x[0, 0, 0].clone(), lambda x: x[0, 0, 0]),
    "double": (lambda x: x.double(), lambda x: x.astype(np.float64)),
    "float": (lambda x: x.double().float(), np.copy),
    "cpu": (lambda x: x.cpu(), np.copy),
    "to": (lambda x: x.to("cpu").to("cpu:0", non_blocking).to(device="cpu"), np.copy),
    "to dtype": (lambda x: x.to(np.float64), lambda x: x.astype(np.float64)),
    "to both": (lambda x: x.to("cpu", "float64"), lambda x: x.astype(np.float64)),
    "to another's": (lambda x: x.to(cr.tensor(1.0, dtype="float64")), lambda x: x.astype(np.float64)),
}
non_blocking = True


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients(name: str) -> None:
    function, expected = NAMES[name]
    x = cr.tensor(X, requires_grad=True)
    y = function(x)
    wanted = expected(X)
    assert (y.shape, y.dtype) == (wanted.shape, wanted.dtype)
    assert np.array_equal(y.detach().numpy(), wanted)
    assert cr.compile(function)(X).tolist() == y.tolist()
    if y.dtype.kind == "f":
        assert y.requires_grad
    if y.dtype.kind == "f" and name != "float":  # whose differences are those of float32
        assert cr.gradcheck(lambda x: function(x).double(), (X.astype(np.float64) + 0.125,))


def test_sizes() -> None:
    x = cr.tensor(X)
    assert (x.size, x.size(), x.size(1), x.size(-1), x.dim(), x.numel()) == (24, (2, 3, 4), 3, 4, 3, 24)
    assert isinstance(x.size, int)


@pytest.mark.parametrize("name", ["max", "min"])
def test_dim_gives_a_pair_of_values_and_indices(name: str) -> None:
    x = cr.tensor(X, requires_grad=True)
    for axis in range(-3, 3):
        values, indices = getattr(x, name)(dim=axis)
        assert np.array_equal(values.detach(), getattr(X, name)(axis))
        assert np.array_equal(indices, getattr(X, f"arg{name}")(axis))
        kept = getattr(cr, name)(x, dim=axis, keepdim=True)
        assert kept.values.shape == kept.indices.shape == getattr(X, name)(axis, keepdims=True).shape
        compiled = cr.compile(lambda x, axis=axis: tuple(getattr(cr, name)(x, dim=axis)))(x)
        assert [t.detach().numpy().tobytes() for t in compiled] == [
            t.detach().numpy().tobytes() for t in (values, indices)
        ]
        (gradient,) = cr.autograd.grad(values.sum(), [x])
        assert np.array_equal(np.nonzero(gradient), np.nonzero(getattr(X, name)(axis, keepdims=True) == X))
    assert getattr(x, name)(axis=1, keepdim=True).shape == (2, 1, 4)
    for wrong in ((0, 1), None, 1.0):
        with pytest.raises(TypeError, match=f"^{name}: dim must be an integer, got"):
            getattr(cr, name)(x, dim=wrong)
    with pytest.raises(TypeError, match="given twice"):
        getattr(cr, name)(x, 1, dim=1)


def test_dim_gives_the_places_of_sorted_values_and_of_the_lower_median() -> None:
    rows = np.array([[3.0, 1.0, np.nan, 2.0], [4.0, 1.0, 3.0, 2.0], [7.0, 7.0, 7.0, 7.0]], np.float32)
    values, indices = cr.sort(rows, dim=1, descending=True)
    assert indices.tolist() == [[2, 0, 3, 1], [0, 2, 3, 1], [0, 1, 2, 3]]
    assert np.array_equal(values, np.take_along_axis(rows, indices.numpy(), 1), equal_nan=True)
    middle = cr.tensor(rows).median(dim=1)
    assert np.array_equal(middle.values, [np.nan, 2.0, 7.0], equal_nan=True)
    assert middle.indices.tolist() == [2, 3, 1]
    assert cr.median(rows, dim=0, keepdim=True).indices.tolist() == [[1, 1, 0, 1]]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.sum(1, dim=0),
        lambda x: x.sum(axis=1, dim=1),
        lambda x: x.sum(1, True, keepdim=True),
        lambda x: x.sum(axes=1),
        lambda x: cr.softmax(x, keepdim=True),
        lambda x: cr.cat([x], 1, dim=0),
        lambda x: cr.expand_dims(x),
        lambda x: cr.max(x, dimension=0),
    ],
)
def test_arguments_that_are_refused(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"^(sum|softmax|concatenate|expand_dims|max): "):
        call(cr.tensor(X))


@pytest.mark.parametrize("call", [lambda x: x.cuda(), lambda x: x.to("cuda:0"), lambda x: x.to(device="mps")])
def test_there_is_no_other_device(call: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"chainrule computes on the CPU; leave out \.to\(device\) and \.cuda\(\)"):
        call(cr.tensor(X))


IN_PLACE: dict[str, tuple[Callable[[cr.Tensor], Any], Callable[[Array], Array]]] = {
    "fill_": (lambda x: x.fill_(2.5), lambda x: np.full_like(x, 2.5)),
    "zero_": (lambda x: x.zero_(), np.zeros_like),
    "add_": (lambda x: x.add_(X), lambda x: x + X),
    "add_ alpha": (lambda x: x.add_(X, alpha=-0.5), lambda x: x - X / 2),
    "sub_": (lambda x: x.sub_(1.0), lambda x: x - 1),
    "sub_ alpha": (lambda x: x.sub_(X, alpha=2), lambda x: x - 2 * X),
    "mul_": (lambda x: x.mul_(3), lambda x: x * 3),
    "div_": (lambda x: x.div_(2), lambda x: x / 2),
    "clamp_": (lambda x: x.clamp_(min=3, max=9), lambda x: x.clip(3, 9)),
    "data": (lambda x: setattr(x, "data", X * 2), lambda x: x * 2),
    "data.mul_": (lambda x: x.data.mul_(2), lambda x: x * 2),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_changes_in_place(name: str) -> None:
    change, expected = IN_PLACE[name]
    x = cr.nn.Parameter(X)
    memory = cr._core.address(x._data)
    with cr.no_grad():
        result = change(x)
    assert np.array_equal(x.detach().numpy(), expected(X))
    assert cr._core.address(x._data) == memory
    assert result is x or name.startswith("data")
    step = cr.compile(lambda: change(x))
    x.copy_(X)
    with cr.no_grad():
        step()
    assert np.array_equal(x.detach().numpy(), expected(X))


@pytest.mark.parametrize("name", [name for name in IN_PLACE if not name.startswith("data")])
def test_changes_that_would_be_recorded_are_refused(name: str) -> None:
    x = cr.nn.Parameter(X)
    with pytest.raises(RuntimeError, match=rf"^{name.split()[0]}: .* under cr.no_grad\(\)"):
        IN_PLACE[name][0](x)
    assert np.array_equal(x.detach().numpy(), X)
    with pytest.raises((RuntimeError, ValueError)):
        IN_PLACE[name][0](x * 1)


def test_a_step_as_hands_write_it() -> None:
    w = cr.tensor([1.0, 2.0]).requires_grad_()
    (w * w).sum().backward()
    assert w.grad is not None
    with cr.no_grad():
        w -= 0.0  # a new tensor, as for arrays on the left
    w = cr.tensor([1.0, 2.0]).requires_grad_(True)
    (w * w).sum().backward()
    with cr.no_grad():
        w.sub_(w.grad, alpha=0.25)
    w.data.mul_(2)
    assert w.tolist() == [1.0, 2.0]


def test_the_functional_module() -> None:
    assert set(F.__all__) >= {*cr.ops.__all__, "dropout"} - {"OPS"}
    x, y = np.ones((4, 3), np.float32), np.array([0, 1, 2, 0])
    assert F.cross_entropy(F.relu(cr.tensor(x)), y).item() == cr.cross_entropy(x, y).item()
    assert F.dropout(cr.tensor(x), 0.5, training=False).tolist() == x.tolist()


def test_new_tensors_take_a_size_and_the_device() -> None:
    cpu = cr.device("cpu")
    for f in (cr.zeros, cr.ones, cr.empty, cr.rand, cr.randn, cr.zeros(1).new_zeros, cr.ones(1).new_ones):
        assert f(size=(2, 3), device=cpu).shape == f(2, 3, device="cpu", requires_grad=True).shape == (2, 3)
    x = cr.ones(2, 3)
    for f in (cr.zeros_like, cr.ones_like, cr.empty_like, cr.rand_like, cr.randn_like):
        assert f(x, device=x.device, requires_grad=True).requires_grad
    made = [
        cr.full(size=(2,), fill_value=1.5, device=cpu),
        cr.full_like(x, 2.0, device=cpu),
        cr.eye(2, device=cpu),
        cr.arange(3, device=cpu),
        cr.arange(0.0, 1.0, 0.5, device=cpu, requires_grad=True),
        cr.linspace(0, 1, steps=3, device=cpu),
        cr.randint(1, 3, (2,), device=cpu),
        cr.randint(3, size=(2,), device=cpu),
        cr.randperm(3, device=cpu),
        cr.tensor([1.0], device=cpu),
        cr.as_tensor([1.0], device=cpu),
        x.new_full((2,), 1.0, device=cpu),
        x.new_tensor([1.0], device=cpu),
        x.new_empty(2, device=cpu),
    ]
    assert made[5].tolist() == [0.0, 0.5, 1.0]
    others: list[Callable[[], Any]] = [
        lambda: cr.zeros(2, device="cuda"),
        lambda: cr.tensor(1.0, device="cuda:0"),
        lambda: cr.randperm(2, device="mps"),
    ]
    for call in others:
        with pytest.raises(ValueError, match="there is no device"):
            call()
    with pytest.raises(TypeError, match="given twice"):
        cr.zeros(2, size=(2,))
    with pytest.raises(TypeError, match="expected a shape and a number"):
        cr.full((2,))


def test_where_of_a_condition_alone() -> None:
    for found, expected in zip(cr.where(cr.tensor(X) > 5), np.where(X > 5), strict=True):
        assert found.tolist() == expected.tolist()
    with pytest.raises(TypeError, match=r"expected where\(condition, a, b\)"):
        cr.where(X > 5, X)  # type: ignore[call-overload]


def test_split_by_lengths_is_checked() -> None:
    with pytest.raises(ValueError, match=r"the lengths \[1, 1\] must sum up to 4"):
        cr.tensor(X).split([1, 1], dim=2)
    with pytest.raises(TypeError, match="given twice"):
        cr.split(X, 1, 0, dim=0)
