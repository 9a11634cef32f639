"""Tensors: construction from every type of data, operators, values, copies and rules."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from reference import assert_same_bits

FLOATS = (np.float32, np.float64)


class TestConstruction:
    @pytest.mark.parametrize(
        ("data", "dtype"),
        [
            (1.5, np.float32), (True, np.bool_), (3, np.int64), ([1.0, 2], np.float32), ([1, 2], np.int64),
            ([True, False], np.bool_), ([], np.float32), ([[]], np.float32), ((1.0, (2.0)), np.float32),
            (np.float64(1.5), np.float64), (np.float32(1.5), np.float32), (np.int8(3), np.int64),
            ([np.float64(1.5)], np.float32), ([np.ones(2)], np.float64), (range(3), np.int64),
        ],
        ids=repr,
    )  # fmt: skip
    def test_of_python_numbers(self, data: Any, dtype: type[np.generic]) -> None:
        t = cr.tensor(data)
        assert t.dtype == dtype
        assert t.tolist() == np.asarray(data).tolist()
        assert t.shape == np.asarray(data).shape

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("f2", "f4"), ("f4", "f4"), ("f8", "f8"), (">f2", "f4"), (">f4", "f4"), (">f8", "f8"), ("?", "?"),
            ("i1", "i8"), ("u1", "i8"), ("i2", "i8"), (">u2", "i8"), ("i4", "i8"), ("u4", "i8"), ("i8", "i8"),
            (">i8", "i8"),
        ],
    )  # fmt: skip
    def test_of_numpy_dtypes(self, given: str, kept: str) -> None:
        a = np.asarray([[0, 1, 2], [3, 100, 5]]).astype(given)
        t = cr.tensor(a)
        assert t.dtype == np.dtype(kept)
        assert t.dtype.isnative
        assert t.tolist() == a.tolist()

    @pytest.mark.parametrize("dtype", ["u8", ">u8", "c8", "c16", "g", "S1", "U1", "M8[s]", "m8[s]", "O", "V4"])
    def test_other_dtypes_are_named(self, dtype: str) -> None:
        a = np.zeros(2, dtype)
        with pytest.raises(TypeError, match=r"^tensor: dtype .* is not supported; expected float32, float64") as error:
            cr.tensor(a)
        assert str(a.dtype) in str(error.value)

    @pytest.mark.parametrize(
        "data", [None, "word", [1.0, None], {"a": 1}, 2**63, [2**70], 1j, pytest.param(object(), id="object")], ids=repr
    )
    def test_what_is_no_number(self, data: Any) -> None:
        with pytest.raises(TypeError, match=r"^tensor: dtype .* is not supported"):
            cr.tensor(data)

    @pytest.mark.parametrize("data", [[[1.0, 2.0], [3.0]], [[1.0], 2.0], [1.0, [2.0, [3.0]]]], ids=repr)
    def test_ragged_lists(self, data: Any) -> None:
        with pytest.raises(ValueError, match=r"^tensor: the data is ragged"):
            cr.tensor(data)

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_of_every_layout(self, dtype: type[np.floating[Any]]) -> None:
        base = np.random.default_rng(0).standard_normal((4, 6, 5)).astype(dtype)
        memory = np.zeros(base.nbytes + 1, np.uint8)
        misaligned = memory[1:].view(dtype).reshape(base.shape)
        misaligned[...] = base
        read_only = base.copy()
        read_only.flags.writeable = False
        for a in (
            base, np.asfortranarray(base), base[::-1, ::2, ::-1], base.T, misaligned, read_only, base[:, :0],
            base[1, 2, 3], np.broadcast_to(base[0, 0], (3, 5)), base.astype(base.dtype.newbyteorder()),
            np.ma.masked_array(base), memoryview(base.data),
            np.lib.stride_tricks.as_strided(base, (3,), (4 * base.itemsize,)),
        ):  # fmt: skip
            t = cr.tensor(a)
            assert_same_bits(t.numpy(), np.asarray(a, dtype))
            assert t._data.flags.c_contiguous
            assert t._data.flags.aligned
            assert not np.shares_memory(t._data, np.asarray(a))

    def test_of_tensors(self) -> None:
        t = cr.tensor([1.0, 2.0])
        again = cr.tensor(t)
        t.copy_([5.0, 6.0])
        assert again.tolist() == [1.0, 2.0]
        assert cr.tensor([t, again]).tolist() == [[5.0, 6.0], [1.0, 2.0]]

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_dtype_rounds_once(self, dtype: type[np.floating[Any]]) -> None:
        numbers = [0.1, 1e-45, 16777217.0, 1e300, -0.0, float("nan")]
        with np.errstate(over="ignore"):
            assert_same_bits(cr.tensor(numbers, dtype=dtype).numpy(), np.asarray(numbers).astype(dtype))
        integers = np.asarray([2**24 + 1, -(2**53) - 1, 2**62 + 1])
        assert_same_bits(cr.tensor(integers, dtype=dtype).numpy(), integers.astype(dtype))

    def test_dtype_that_loses_is_rejected(self) -> None:
        with pytest.raises(TypeError, match=r"^tensor: float64 to int64 would drop fractions"):
            cr.tensor([1.0], dtype=np.int64)
        with pytest.raises(TypeError, match=r"^tensor: int64 to bool is not a cast"):
            cr.tensor([1], dtype=bool)
        with pytest.raises(TypeError, match=r"^tensor: dtype must be float32, float64, int64 or bool, got int32"):
            cr.tensor([1], dtype=np.int32)


class TestValues:
    def test_numpy_is_a_read_only_view(self) -> None:
        t = cr.tensor([1.0, 2.0])
        view = t.numpy()
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 3.0
        t.copy_([3.0, 4.0])
        assert view.tolist() == [3.0, 4.0]

    def test_array(self) -> None:
        t = cr.tensor([1.0, 2.0])
        assert np.shares_memory(np.asarray(t), t._data)
        copied = np.array(t)
        copied[0] = 9.0
        assert t.tolist() == [1.0, 2.0]
        assert np.asarray(t, dtype=np.float64).dtype == np.float64
        assert_same_bits(np.add(t, 1), np.asarray([2.0, 3.0], np.float32))
        with pytest.raises(ValueError, match=r"^__array__: a float32 tensor cannot become float64 without a copy"):
            t.__array__(np.float64, copy=False)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
    def test_dlpack(self, dtype: type[np.generic]) -> None:
        a = np.arange(6).reshape(2, 3).astype(dtype)
        t = cr.tensor(a)
        other = np.from_dlpack(t)
        assert_same_bits(other, a)
        if other.flags.writeable:  # NumPy 1 sets the flag
            other += 1
        assert_same_bits(t.numpy(), a)  # other is a copy
        back = cr.from_dlpack(a)
        assert_same_bits(back.numpy(), a)
        assert not np.shares_memory(back._data, a)
        assert t.__dlpack_device__() == (1, 0)

    def test_item_and_conversions(self) -> None:
        assert (cr.tensor(1.5).item(), cr.tensor([[2]]).item(), cr.tensor([True]).item()) == (1.5, 2, True)
        assert (float(cr.tensor([1.5])), int(cr.tensor(7)), bool(cr.tensor(0.0))) == (1.5, 7, False)
        with pytest.raises(ValueError, match=r"^item: expected one element, got shape \(2,\)"):
            cr.tensor([1.0, 2.0]).item()
        with pytest.raises(ValueError, match=r"^bool: a tensor of shape \(0,\) has no single truth value"):
            bool(cr.tensor([]))

    def test_shape_and_friends(self) -> None:
        t = cr.tensor(np.zeros((2, 0, 3)))
        assert (t.shape, t.ndim, t.size, len(t)) == ((2, 0, 3), 3, 0, 2)
        with pytest.raises(TypeError, match="0-d"):
            len(cr.tensor(1.0))

    def test_iteration(self) -> None:
        t = cr.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        a, b = t
        (a * b).sum().backward()
        assert t.grad is not None
        assert t.grad.tolist() == [[3.0, 4.0], [1.0, 2.0]]
        with pytest.raises(TypeError, match="0-d"):
            iter(cr.tensor(1.0))

    def test_repr(self) -> None:
        assert repr(cr.tensor([1.0, -2.5])) == "tensor([ 1. , -2.5])"
        assert repr(cr.tensor([1, 2])) == "tensor([1, 2], dtype=int64)"
        assert repr(cr.tensor(1.0, np.float64, requires_grad=True)) == "tensor(1., dtype=float64, requires_grad=True)"


class TestOperators:
    A, B = np.asarray([[1.5, -2.0], [0.5, 3.0]]), np.asarray([[2.0, 1.0], [-1.0, 3.0]])

    @pytest.mark.parametrize(
        "operator",
        [
            lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a @ b,
            lambda a, b: a == b, lambda a, b: a != b, lambda a, b: a < b, lambda a, b: a <= b, lambda a, b: a > b,
            lambda a, b: a >= b,
        ],
        ids=["+", "-", "*", "/", "@", "==", "!=", "<", "<=", ">", ">="],
    )  # fmt: skip
    def test_of_two(self, operator: Callable[[Any, Any], Any]) -> None:
        a, b = cr.tensor(self.A), cr.tensor(self.B)
        expected = np.asarray(operator(self.A, self.B))
        for result in (operator(a, b), operator(self.A, b), operator(a, self.B)):
            assert isinstance(result, cr.Tensor)
            assert_same_bits(result.numpy(), expected)

    def test_with_scalars_from_both_sides(self) -> None:
        t = cr.tensor([1.0, 4.0])
        assert [(2 - t).tolist(), (t - 2).tolist(), (2 / t).tolist(), (np.float64(2) * t).tolist()] == [
            [1.0, -2.0], [-1.0, 2.0], [2.0, 0.5], [2.0, 8.0],
        ]  # fmt: skip
        assert [(-t).tolist(), abs(-t).tolist(), (t**2).tolist(), (t**-1).tolist(), (t**0.5).tolist()] == [
            [-1.0, -4.0], [1.0, 4.0], [1.0, 16.0], [1.0, 0.25], [1.0, 2.0],
        ]  # fmt: skip
        assert (np.asarray([2.0, 9.0], np.float32) < t).tolist() == [False, False]

    def test_in_place_makes_a_new_tensor(self) -> None:
        t = old = cr.tensor([1.0])
        t += 1.0
        assert (t.tolist(), old.tolist()) == ([2.0], [1.0])

    def test_methods_are_the_functions(self) -> None:
        t = cr.tensor(np.abs(self.A))
        for name in ("exp", "log", "sqrt", "tanh", "sigmoid", "relu", "softmax", "sum", "mean", "max", "min", "argmax"):
            assert_same_bits(getattr(t, name)().numpy(), getattr(cr, name)(t).numpy(), name)
        assert_same_bits(t.T.numpy(), t.numpy().T)
        assert_same_bits(t.astype(np.float32).numpy(), t.numpy().astype(np.float32))

    def test_a_tensor_is_a_key(self) -> None:
        a, b = cr.tensor([1.0]), cr.tensor([1.0])
        assert {a: "a", b: "b"}[b] == "b"


class TestLeaves:
    def test_requires_grad_is_for_float_leaves(self) -> None:
        t = cr.tensor([1.0], requires_grad=True)
        assert t.is_leaf
        for data in ([1], [True]):
            with pytest.raises(TypeError, match=r"^requires_grad: only float32 and float64 have gradients"):
                cr.tensor(data, requires_grad=True)
        y = t * 2.0
        assert (y.requires_grad, y.is_leaf) == (True, False)
        with pytest.raises(ValueError, match=r"^requires_grad: can be set on leaves only"):
            y.requires_grad = False
        t.requires_grad = False
        assert not (t * 2.0).requires_grad

    def test_detach_shares_memory_without_history(self) -> None:
        t = cr.tensor([1.0], requires_grad=True)
        d = (t * 2.0).detach()
        assert (d.requires_grad, d.is_leaf) == (False, True)
        assert np.shares_memory(t.detach()._data, t._data)

    def test_copy_(self) -> None:
        t = cr.tensor([1.0, 2.0], requires_grad=True)
        assert t.copy_(np.asarray([3.0, 0.1])) is t
        assert_same_bits(t.numpy(), np.asarray([3.0, 0.1], np.float32))
        with pytest.raises(ValueError, match=r"^copy_: expected shape \(2,\), got \(1,\)"):
            t.copy_([1.0])
        with pytest.raises(ValueError, match=r"^copy_: the tensor was created by an op"):
            (t * 2.0).copy_([1.0, 2.0])
        with pytest.raises(TypeError, match="drop fractions"):
            cr.tensor([1, 2]).copy_([0.5, 1.5])
        assert_same_bits(t.numpy(), np.asarray([3.0, 0.1], np.float32))

    def test_overwriting_a_view_of_a_number_changes_no_other(self) -> None:
        for view in (cr.reshape(2.5, (1,)), cr.broadcast_to(2.5, ()), cr.transpose(2.5), cr.astype(2.5, np.float32)):
            view.copy_(np.full(view.shape, 9.0, np.float32))
        assert (cr.tensor([1.0]) * 2.5).tolist() == [2.5]

    def test_overwriting_a_view_of_an_array_leaves_the_array(self) -> None:
        a = np.asarray([1.0, 2.0])
        with cr.no_grad():
            for view in (cr.reshape(a, (2, 1)), cr.transpose(a), cr.flatten(a), cr.broadcast_to(a, (2,))):
                view.copy_(np.zeros(view.shape))
        assert a.tolist() == [1.0, 2.0]

    @pytest.mark.parametrize(
        "way", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))], ids=["deepcopy", "pickle"]
    )
    def test_deep_copies(self, way: Callable[[cr.Tensor], cr.Tensor]) -> None:
        for t in (cr.tensor([1.0, 2.0], requires_grad=True), cr.nn.Parameter([1.0, 2.0]), cr.tensor([1, 2])):
            other = way(t)
            assert type(other) is type(t)
            assert (other.requires_grad, other.dtype, other.tolist()) == (t.requires_grad, t.dtype, t.tolist())
            assert not np.shares_memory(other._data, t._data)

    def test_copies_are_leaves_of_their_own(self) -> None:
        a = cr.tensor([2.0], requires_grad=True)
        for b in (copy.copy(a), copy.deepcopy(a)):
            a.grad = b.grad = None
            (a * 3.0 + b * 5.0).sum().backward()
            assert a.grad is not None
            assert b.grad is not None
            assert (a.grad.item(), b.grad.item()) == (3.0, 5.0)

    def test_a_result_is_not_copied(self) -> None:
        y = cr.tensor([1.0], requires_grad=True) * 2.0
        for way in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(ValueError, match=r"^copy: the tensor was created by an op"):
                way(y)
